import type { TidewireError } from "./errors.js";

/** A channel about which nothing is declared: any event, unknown data. */
export interface Untyped {
  [event: string]: unknown;
}

/** The schema of a client that was given none. */
export interface AnySchema {
  [channel: string]: Untyped;
}

/** The channel names a schema allows. */
export type ChannelName<S> = keyof S & string;

/** The event names of a channel. */
export type EventName<Ev> = Exclude<keyof Ev & string, "$member">;

/** The `info` of members of a presence channel: what the schema says under `$member`. */
export type MemberInfo<Ev> = Ev extends { $member: infer M } ? M : unknown;

/**
 * - `idle`: nothing asked for a connection yet
 * - `connecting`: the first attempt
 * - `connected`
 * - `reconnecting`: lost, or the first attempt failed; it goes on by itself
 * - `failed`: the server said that coming back is no use; see `client.error`
 * - `closed`: `disconnect()` was called
 */
export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "failed" | "closed";

/**
 * - `idle`: nobody listens
 * - `subscribing`: asked for, or waiting for the connection
 * - `subscribed`
 * - `failed`: refused; see `channel.error`
 */
export type ChannelState = "idle" | "subscribing" | "subscribed" | "failed";

/** What comes with an event besides its data. */
export interface EventMeta {
  event: string;
  channel: string;
  /** Its place in the channel's history; only on channels that keep one. */
  serial?: string;
  /** Who sent it: client events on presence channels, vouched for by the server. */
  userId?: string;
}

/** Events may have been missed: load the channel's state anew. */
export interface Gap {
  channel: string;
  /**
   * - `expired`, `too_far`: the history does not reach back far enough any more
   * - `epoch_changed`: the history was wiped or began anew
   * - `unavailable`: the server could not read it
   * - `no_history`: the connection was lost, and this channel keeps no history
   */
  reason: "expired" | "too_far" | "epoch_changed" | "unavailable" | "no_history" | (string & {});
  /** The last serial seen before. */
  from?: string;
  /** Where the channel goes on. */
  to?: string;
}

/** An event as the history has it. */
export interface HistoryEvent<D = unknown> {
  event: string;
  data: D;
  serial: string;
  /** When it was published, in milliseconds since 1970. */
  time: number;
  userId?: string;
}

export interface HistoryPage {
  events: HistoryEvent[];
  /** Give it as `before` (or `after`) to get the next page; null on the last. */
  next: string | null;
}

export interface HistoryRequest {
  /** At most this many events; the server has a limit of its own. */
  limit?: number;
  /** Events before this serial, newest first. */
  before?: string;
  /** Events after this serial, oldest first. */
  after?: string;
}

export interface ChannelOptions {
  /** Begin with events from the history: the last `n`, or those of the last seconds. */
  rewind?: number | { seconds: number };
}

/**
 * A channel. It subscribes when the first listener comes and unsubscribes a
 * moment after the last has gone; all users of a name share one subscription.
 */
export interface Channel<Ev = Untyped> {
  readonly name: string;
  readonly state: ChannelState;
  /** Why the state is `failed`, or why subscribing takes longer. */
  readonly error: TidewireError | undefined;
  /** How many connections are subscribed, if the app announces that. */
  readonly subscriberCount: number | undefined;

  /** Listens to one event. Returns the function that stops it. */
  on<E extends EventName<Ev>, T extends Ev[E] = Ev[E]>(event: E, listener: (data: T, meta: EventMeta) => void): () => void;
  /** Listens to every event. */
  onAny(listener: (event: string, data: unknown, meta: EventMeta) => void): () => void;
  /** Tells when events may have been missed. Does not subscribe by itself. */
  onGap(listener: (gap: Gap) => void): () => void;
  /** Tells about changes of `state`. Does not subscribe by itself. */
  onState(listener: (state: ChannelState, error: TidewireError | undefined) => void): () => void;
  /** Keeps the subscription without listening. Returns the function that lets go. */
  subscribe(): () => void;
  /** Resolves once subscribed, rejects if that is refused. */
  ready(): Promise<void>;
  /** Sends a client event to the others. Resolves once the server has accepted it. */
  trigger<E extends EventName<Ev> & `client-${string}`>(event: E, data: Ev[E]): Promise<void>;
  /** Reads the channel's history. */
  history(request?: HistoryRequest): Promise<HistoryPage>;
}

export interface Member<Info = unknown> {
  id: string;
  info: Info;
}

/** `sync` is the whole list, after subscribing; then come single changes. */
export type MemberChange<Info = unknown> =
  | { type: "sync"; members: readonly Member<Info>[] }
  | { type: "join" | "leave"; member: Member<Info>; members: readonly Member<Info>[] };

/** A presence channel: also knows who is there. */
export interface PresenceChannel<Ev = Untyped> extends Channel<Ev> {
  /** Who is there. A new array after each change, so it can be compared. */
  readonly members: readonly Member<MemberInfo<Ev>>[];
  /** This client among them. */
  readonly me: Member<MemberInfo<Ev>> | undefined;
  /** Tells who comes and goes. After a reconnect, the differences. */
  onMembers(listener: (change: MemberChange<MemberInfo<Ev>>) => void): () => void;
}

/** What `client.channel(name)` returns: a presence channel for such names. */
export type ChannelOf<S, N extends ChannelName<S>> = N extends `presence-${string}` ? PresenceChannel<S[N]> : Channel<S[N]>;

/** The signed-in user of the connection. */
export interface User {
  /** Undefined until signed in. */
  readonly id: string | undefined;
  /** Signs in through `userAuth` now and after every reconnect. Not needed with a token. */
  signIn(): Promise<void>;
  /** Listens to what the backend sends to this user, on all of the user's devices. Signs in if `userAuth` is set. */
  on<T = unknown>(event: string, listener: (data: T, meta: EventMeta) => void): () => void;
  /** Tells which users of the watchlist came online or went offline. */
  onWatchlist(listener: (change: { online: boolean; userIds: string[] }) => void): () => void;
}

/** What an auth endpoint or function is asked. */
export interface AuthRequest {
  socketId: string;
  channel: string;
}

/** What it answers. The names on the wire (`channel_data`, `shared_secret`) work too. */
export interface AuthGrant {
  /** `key:signature`, or a channel token. */
  auth: string;
  channelData?: string;
  sharedSecret?: string;
  channel_data?: string;
  shared_secret?: string;
}

export interface UserGrant {
  auth: string;
  userData?: string;
  user_data?: string;
}

/** An address that authorises, asked by POST with a form, as Pusher's libraries do. */
export interface AuthEndpoint {
  endpoint: string;
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>);
  /** Sent along with `socket_id` and `channel_name`. */
  params?: Record<string, string>;
  /** Whether cookies go to another origin; the default is `same-origin`. */
  credentials?: "omit" | "same-origin" | "include";
}

/** Opens encrypted channels; `encryption` of `@tidewire/client/encrypted` is one. */
export interface Decrypter {
  /** The text, or undefined if the secret is not the right one. */
  open(sharedSecret: string, nonce: string, ciphertext: string): string | undefined;
}

export interface ClientOptions {
  /** Where the server is, for example `https://realtime.example.com`. */
  url: string;
  /** The app's key. It is public. */
  key: string;
  /** Authorises private and presence channels: an address, or a function. Undefined from the function means: by the token. */
  auth?: string | AuthEndpoint | ((request: AuthRequest) => AuthGrant | undefined | Promise<AuthGrant | undefined>);
  /** Signs the user in: an address, or a function. */
  userAuth?: string | AuthEndpoint | ((request: { socketId: string }) => UserGrant | Promise<UserGrant>);
  /** Gets a connection token (JWT) from your backend. Asked again before it expires; give a fresh one each time. */
  token?: () => string | Promise<string>;
  /** Ways to connect, best first. The second is loaded only when the first does not work. */
  transports?: readonly ("websocket" | "http")[];
  /** Opens `private-encrypted-` channels. */
  encryption?: Decrypter;
  /** How long a subscription outlives its last listener, in milliseconds. Default 1000. */
  unsubscribeDelay?: number;
  /** Silence after which the connection is checked, in milliseconds. Default: what the server says. */
  activityTimeout?: number;
  /** Hears what the client does, for looking for mistakes. */
  log?: (message: string, detail?: unknown) => void;
  /** Where there is no global one. */
  WebSocket?: new (url: string) => WebSocket;
  /** Where there is no global one. */
  fetch?: typeof fetch;
}

/** A connection to one app. Make one for the whole page. */
export interface Client<S = AnySchema> {
  readonly state: ConnectionState;
  /** Why the state is `failed` or `reconnecting`. */
  readonly error: TidewireError | undefined;
  /** The id of this connection; give it to your backend to leave this client out of an event. */
  readonly socketId: string | undefined;
  readonly user: User;

  /** The channel of that name; always the same object. Nothing is sent until somebody listens. */
  channel<N extends ChannelName<S>>(name: N, options?: ChannelOptions): ChannelOf<S, N>;
  /** Connects now. Channels do it by themselves. After `failed` or `closed` it begins anew. */
  connect(): void;
  /** Closes the connection. Subscriptions are kept for `connect()`. */
  disconnect(): void;
  /** Fetches a token now and puts it in the place of the present one, without a reconnect. */
  refreshToken(): Promise<void>;
  onState(listener: (state: ConnectionState, error: TidewireError | undefined) => void): () => void;
  /** Hears every error, also those that the client deals with itself. */
  onError(listener: (error: TidewireError) => void): () => void;
}
