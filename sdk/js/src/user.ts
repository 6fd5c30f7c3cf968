import { ChannelCore } from "./channel.js";
import type { ClientCore } from "./client.js";
import { Emitter } from "./emitter.js";
import { TidewireError } from "./errors.js";
import { authorize } from "./auth.js";
import { decode, field, type Frame } from "./wire.js";
import type { EventMeta } from "./types.js";

/** Who the connection is, and what is sent to that user. */
export class UserCore {
  id: string | undefined;

  private _wanted = false; // to sign in on every connection
  private _events = new Map<string, Emitter<[unknown, EventMeta]>>();
  private _watch = new Emitter<[{ online: boolean; userIds: string[] }]>();
  private _channel: ChannelCore | undefined;
  private _release: (() => void) | undefined;
  private _listeners = 0;
  private _waiting: { resolve: () => void; reject: (error: TidewireError) => void }[] = [];

  constructor(private readonly _client: ClientCore) {}

  signIn(): Promise<void> {
    this._wanted = true;
    return new Promise((resolve, reject) => {
      this._waiting.push({ resolve, reject });
      if (this._client.socketId !== undefined) this.opened();
      else this._client.connect();
    });
  }

  on(event: string, listener: (data: never, meta: EventMeta) => void): () => void {
    let listeners = this._events.get(event);
    if (!listeners) this._events.set(event, (listeners = new Emitter()));
    const off = listeners.add(listener as (data: unknown, meta: EventMeta) => void);
    this._listeners++;
    this._begin();
    return () => {
      off();
      if (--this._listeners === 0) this._follow();
    };
  }

  onWatchlist(listener: (change: { online: boolean; userIds: string[] }) => void): () => void {
    this._begin();
    return this._watch.add(listener);
  }

  /** The connection is open. */
  opened(): void {
    const { userAuth, token } = this._client.options;
    if (!this._wanted) return;
    if (userAuth) void this._signIn(userAuth);
    else if (!token) this._settle(new TidewireError("invalid", "There is nothing to sign in with. Give createClient userAuth (an endpoint that signs the user in) or token."));
    else if (this.id !== undefined) this._settle();
  }

  lost(): void {
    this.id = undefined;
  }

  /** The server says who this connection is. */
  is(id: string): void {
    this.id = id;
    this._settle();
    this._follow();
  }

  watchlist(frame: Frame): void {
    const events = field(frame.data, "events");
    if (!Array.isArray(events)) return;
    for (const one of events) {
      const ids = field(one, "user_ids");
      if (Array.isArray(ids)) this._watch.emit({ online: field(one, "name") === "online", userIds: ids.map(String) });
    }
  }

  private _begin(): void {
    if (this.id !== undefined) this._follow();
    else if (!this._client.options.userAuth) this._client.connect();
    else if (!this._wanted) this.signIn().catch(() => {}); // reported already
  }

  /** Subscribes to the user's own channel while somebody listens. */
  private _follow(): void {
    const name = this.id === undefined ? this._channel?.name : `#server-to-user-${this.id}`;
    if (this._listeners === 0 || this._channel?.name !== name) {
      this._release?.();
      this._release = this._channel = undefined;
    }
    if (this._listeners === 0 || name === undefined || this._channel) return;
    this._channel = this._client.channel(name);
    this._release = this._channel.onAny((event, data, meta) => this._events.get(event)?.emit(data, meta));
  }

  private async _signIn(source: NonNullable<ClientCore["options"]["userAuth"]>): Promise<void> {
    try {
      const socketId = this._client.socketId as string;
      const grant = await authorize(source, { socketId }, "signing in", this._client.options);
      if (socketId !== this._client.socketId) return; // opened() has been called again
      const answer = await this._client.request("pusher:signin", { auth: grant?.auth, user_data: grant?.userData }, undefined, (frame) => frame.event === "pusher:signin_success");
      const id = field(decode(field(answer.data, "user_data")), "id");
      if (typeof id === "string") this.is(id);
    } catch (thrown) {
      const error = thrown as TidewireError;
      if (error.code === "connection_lost") return;
      this._settle(error);
      this._client.report(error);
    }
  }

  private _settle(error?: TidewireError): void {
    for (const { resolve, reject } of this._waiting.splice(0)) {
      if (error) reject(error);
      else resolve();
    }
  }
}
