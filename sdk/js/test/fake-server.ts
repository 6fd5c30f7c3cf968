/**
 * A server inside the test, with the behaviour of the real one as far as a
 * client sees it: sockets, subscriptions, members, history and resume, tokens.
 * Its frames are those of the shared vectors where there are any.
 */
import { readFileSync } from "node:fs";

interface Vector {
  name: string;
  frame: string;
  expect?: Record<string, unknown>;
}

const here = import.meta.url; // Vite would make an asset of new URL(…, import.meta.url)
const read = (file: string): Vector[] =>
  JSON.parse(readFileSync(new URL(`../../../channels/testdata/frames/${file}.json`, here), "utf8")).vectors;

export const serverVectors = read("server");
export const clientVectors = read("client");

interface Stored {
  name: string;
  data: string;
  offset: number;
}

interface Channel {
  epoch: string;
  events: Stored[];
  history: boolean;
}

type Message = { event: string; channel?: string; data: Record<string, unknown> };

export class FakeServer {
  sockets: FakeSocket[] = [];
  received: Message[] = [];
  channels = new Map<string, Channel>();
  /** Sockets do not open while this is false. */
  up = true;
  /** Swallow everything: a network that is gone without saying so. */
  silent = false;
  /** Refuse a subscription by a message. */
  refuse: (channel: string) => string | undefined = () => undefined;
  /** Who a token is, or why it is refused. */
  tokens: (token: string) => { sub: string } | string = () => "tokens are not accepted here";
  nextId = 1;
  readonly WebSocket: new (url: string) => WebSocket;

  constructor() {
    const server = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string) {
        super(url, server);
      }
    } as unknown as new (url: string) => WebSocket;
  }

  /** The socket of the newest connection. */
  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error("nobody has connected");
    return last;
  }

  open(): FakeSocket[] {
    return this.sockets.filter((socket) => socket.alive);
  }

  count(event: string): number {
    return this.received.filter((message) => message.event === event).length;
  }

  channel(name: string): Channel {
    let channel = this.channels.get(name);
    if (!channel) this.channels.set(name, (channel = { epoch: "e1", events: [], history: false }));
    return channel;
  }

  publish(name: string, event: string, data: unknown): void {
    const channel = this.channel(name);
    const text = JSON.stringify(data);
    channel.events.push({ name: event, data: text, offset: channel.events.length + 1 });
    const serial = channel.history ? `${channel.epoch}:${channel.events.length}` : undefined;
    for (const socket of this.open()) if (socket.subscribed.has(name)) socket.say({ event, channel: name, data: text, serial });
  }

  /** Ends every connection, as a server that dies does. */
  drop(code = 1006, reason = ""): void {
    for (const socket of this.open()) socket.end(code, reason);
  }
}

export class FakeSocket {
  onopen: ((event: unknown) => void) | null = null;
  onmessage: ((event: unknown) => void) | null = null;
  onclose: ((event: unknown) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  alive = false;
  subscribed = new Set<string>();
  id: string;

  constructor(
    readonly url: string,
    private readonly server: FakeServer,
  ) {
    server.sockets.push(this);
    this.id = `1.${server.nextId++}`;
    setTimeout(() => {
      if (!server.up) return this.end(1006, "", true);
      if (server.silent) return;
      this.alive = true;
      this.onopen?.({});
      this.say({ event: "pusher:connection_established", data: JSON.stringify({ socket_id: this.id, activity_timeout: 120 }) });
    }, 0);
  }

  send(text: string): void {
    if (this.server.silent || !this.alive) return;
    const message = JSON.parse(text) as Message;
    this.server.received.push(message);
    queueMicrotask(() => this.answer(message));
  }

  close(): void {
    this.alive = false;
  }

  end(code: number, reason: string, always = false): void {
    if (!this.alive && !always) return;
    this.alive = false;
    this.onclose?.({ code, reason });
  }

  say(frame: object): void {
    this.raw(JSON.stringify(frame));
  }

  raw(text: string): void {
    if (this.alive && !this.server.silent) this.onmessage?.({ data: text });
  }

  error(code: number | null, message: string): void {
    this.say({ event: "pusher:error", data: { code, message } });
  }

  private answer({ event, channel, data }: Message): void {
    if (event === "pusher:ping") this.say({ event: "pusher:pong", data: "{}" });
    else if (event === "pusher:subscribe") this.subscribe(data);
    else if (event === "pusher:unsubscribe") this.subscribed.delete(String(data.channel));
    else if (event === "pusher:signin") this.say({ event: "pusher:signin_success", data: JSON.stringify({ user_data: data.user_data }) });
    else if (event === "tidewire:auth") this.token(String(data.token));
    else if (event === "tidewire:history") this.history(data);
    else if (event === "client-refused") this.error(4301, "The rate limit for sending client events exceeded the quota.");
    else if (event.startsWith("client-") && channel !== undefined) {
      for (const other of this.server.open()) {
        if (other !== this && other.subscribed.has(channel)) other.say({ event, channel, data: JSON.stringify(data) });
      }
    }
  }

  private subscribe(data: Record<string, unknown>): void {
    const name = String(data.channel);
    const refused = this.server.refuse(name);
    if (refused !== undefined) return this.error(null, refused);
    if (this.subscribed.has(name)) return this.error(null, `Existing subscription to channel ${name}`);
    this.subscribed.add(name);
    const { missed, ...tidewire } = this.position(name, data);
    const hash = data.channel_data ? { [JSON.parse(String(data.channel_data)).user_id]: JSON.parse(String(data.channel_data)).user_info ?? null } : {};
    const body = name.startsWith("presence-") ? JSON.stringify({ presence: { count: 1, ids: Object.keys(hash), hash } }) : "{}";
    const history = this.server.channel(name).history;
    this.say({ event: "pusher_internal:subscription_succeeded", channel: name, data: body, tidewire: history ? tidewire : undefined });
    const { epoch } = this.server.channel(name);
    for (const one of missed) this.say({ event: one.name, channel: name, data: one.data, serial: `${epoch}:${one.offset}` });
  }

  private position(name: string, data: Record<string, unknown>): { serial: string; recovered?: boolean; reason?: string; missed: Stored[] } {
    const { epoch, events } = this.server.channel(name);
    const serial = `${epoch}:${events.length}`;
    if (typeof data.resume === "string") {
      const [was, offset] = data.resume.split(":");
      if (was !== epoch) return { serial, recovered: false, reason: "epoch_changed", missed: [] };
      return { serial: data.resume, recovered: true, missed: events.filter((one) => one.offset > Number(offset)) };
    }
    const rewind = data.rewind as { count?: number } | undefined;
    const missed = rewind?.count ? events.slice(-rewind.count) : [];
    return { serial: `${epoch}:${events.length - missed.length}`, missed };
  }

  private token(token: string): void {
    const who = this.server.tokens(token);
    if (typeof who === "string") return this.error(4009, who);
    this.say({ event: "tidewire:auth_success", data: JSON.stringify({ user_id: who.sub, expires_at: 0, unsubscribed: [] }) });
  }

  private history(data: Record<string, unknown>): void {
    const name = String(data.channel);
    const { epoch, events } = this.server.channel(name);
    const before = typeof data.before === "string" ? Number(data.before.split(":")[1]) : Infinity;
    const limit = Number(data.limit ?? 100);
    const page = events.filter((one) => one.offset < before).reverse().slice(0, limit);
    const last = page.at(-1);
    const body = {
      id: data.id,
      events: page.map((one) => ({ name: one.name, data: one.data, serial: `${epoch}:${one.offset}`, time_ms: 1000 + one.offset })),
      next: last && last.offset > 1 ? `${epoch}:${last.offset}` : null,
    };
    this.say({ event: "tidewire:history", channel: name, data: JSON.stringify(body) });
  }
}
