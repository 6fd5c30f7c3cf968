/**
 * React hooks over a client. They subscribe in effects and read through
 * `useSyncExternalStore`, so they are safe under StrictMode and on a server.
 *
 * @packageDocumentation
 */
import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import type {
  AnySchema,
  Channel,
  ChannelName,
  ChannelOf,
  ChannelOptions,
  ChannelState,
  Client,
  ConnectionState,
  EventMeta,
  EventName,
  Gap,
  Member,
  MemberInfo,
  PresenceChannel,
  Untyped,
} from "./types.js";
import type { TidewireError } from "./errors.js";

const Context = createContext<Client<never> | undefined>(undefined);
const nothing = (): undefined => undefined;
const NOBODY: readonly never[] = [];

/** Gives the client to all components below. */
export function TidewireProvider<S>(props: { client: Client<S>; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: props.client as unknown as Client<never> }, props.children);
}

/** The client of the nearest provider. */
export function useClient<S = AnySchema>(): Client<S> {
  const client = useContext(Context);
  if (!client) throw new Error("There is no <TidewireProvider client={…}> around this component.");
  return client as unknown as Client<S>;
}

/** How the connection is doing, and why if it is not. */
export function useConnectionState(): { state: ConnectionState; error: TidewireError | undefined } {
  const client = useClient();
  const subscribe = useCallback((changed: () => void) => client.onState(changed), [client]);
  const state = useSyncExternalStore(subscribe, () => client.state, () => "idle" as const);
  const error = useSyncExternalStore(subscribe, () => client.error, nothing);
  return useMemo(() => ({ state, error }), [state, error]);
}

/** A channel and how its subscription is doing. */
export interface ChannelHandle<C> {
  /** Undefined while the name is null. */
  channel: C | undefined;
  state: ChannelState;
  error: TidewireError | undefined;
}

/** Keeps a channel subscribed while the component is there. With null, none. */
export function useChannel<S = AnySchema, N extends ChannelName<S> = ChannelName<S>>(name: N | null, options?: ChannelOptions): ChannelHandle<ChannelOf<S, N>> {
  const client = useClient<S>();
  const channel = name === null ? undefined : client.channel(name, options);
  // Only reading does not need to be typed by the schema.
  const plain = channel as Channel | undefined;
  useEffect(() => plain?.subscribe(), [plain]);
  const subscribe = useCallback((changed: () => void) => plain?.onState(changed) ?? nothing, [plain]);
  const state = useSyncExternalStore(subscribe, () => plain?.state ?? "idle", () => "idle" as const);
  const error = useSyncExternalStore(subscribe, () => plain?.error, nothing);
  return useMemo(() => ({ channel, state, error }), [channel, state, error]);
}

/** Calls the newest handler for each event. It may change on every render; nothing is subscribed anew. */
export function useEvent<S = AnySchema, N extends ChannelName<S> = ChannelName<S>, E extends EventName<S[N]> = EventName<S[N]>, T extends S[N][E] = S[N][E]>(
  name: N | null,
  event: E,
  handler: (data: T, meta: EventMeta) => void,
  options?: ChannelOptions,
): void {
  const client = useClient<S>();
  const latest = useLatest(handler);
  const channel = name === null ? undefined : (client.channel(name, options) as unknown as Channel);
  useEffect(() => channel?.on(event, (data, meta) => latest.current(data as T, meta)), [channel, event, latest]);
}

/** Calls the newest handler when events of the channel may have been missed. */
export function useGap<S = AnySchema>(name: ChannelName<S> | null, handler: (gap: Gap) => void): void {
  const client = useClient<S>();
  const latest = useLatest(handler);
  const channel = name === null ? undefined : (client.channel(name) as unknown as Channel);
  useEffect(() => channel?.onGap((gap) => latest.current(gap)), [channel, latest]);
}

/** The data of the last event, undefined before the first. */
export function useLatestEvent<S = AnySchema, N extends ChannelName<S> = ChannelName<S>, E extends EventName<S[N]> = EventName<S[N]>, T extends S[N][E] = S[N][E]>(
  name: N | null,
  event: E,
  options?: ChannelOptions,
): T | undefined {
  const [last, setLast] = useState<{ of: string; data: T } | undefined>(undefined);
  const key = `${name} ${event}`;
  useEvent<S, N, E, T>(name, event, (data) => setLast({ of: key, data }), options);
  return last?.of === key ? last.data : undefined; // not that of another channel
}

/** Who is on a presence channel. */
export interface PresenceHandle<Info> {
  members: readonly Member<Info>[];
  me: Member<Info> | undefined;
  count: number;
  state: ChannelState;
  error: TidewireError | undefined;
}

/** Enters a presence channel while the component is there, and shows who is. */
export function usePresence<S = AnySchema, N extends ChannelName<S> & `presence-${string}` = ChannelName<S> & `presence-${string}`>(name: N | null): PresenceHandle<MemberInfo<S[N]>> {
  const { channel, state, error } = useChannel<S, N>(name);
  const presence = channel as PresenceChannel<Untyped> | undefined;
  const subscribe = useCallback((changed: () => void) => presence?.onMembers(changed) ?? nothing, [presence]);
  const members = useSyncExternalStore(subscribe, () => presence?.members ?? NOBODY, () => NOBODY) as readonly Member<MemberInfo<S[N]>>[];
  const me = presence?.me as Member<MemberInfo<S[N]>> | undefined;
  return useMemo(() => ({ members, me, count: members.length, state, error }), [members, me, state, error]);
}

/** A function that sends client events; the same one on every render. */
export function useTrigger<S = AnySchema, N extends ChannelName<S> = ChannelName<S>>(
  name: N,
): <E extends EventName<S[N]> & `client-${string}`>(event: E, data: S[N][E]) => Promise<void> {
  const client = useClient<S>();
  return useCallback((event, data) => (client.channel(name) as unknown as Channel).trigger(event, data), [client, name]);
}

function useLatest<T>(value: T): { readonly current: T } {
  const ref = useRef(value);
  useEffect(() => {
    ref.current = value;
  });
  return ref;
}
