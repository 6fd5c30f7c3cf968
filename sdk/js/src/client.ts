import { authorize, type Grant } from "./auth.js";
import { ChannelCore } from "./channel.js";
import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { TidewireError, textOf } from "./errors.js";
import { Expiry } from "./expiry.js";
import { onWake } from "./environment.js";
import { PresenceCore } from "./presence.js";
import { Requests } from "./requests.js";
import { UserCore } from "./user.js";
import { decode, field, type Frame } from "./wire.js";
import type { AnySchema, ChannelOptions, Client, ClientOptions, ConnectionState, HistoryEvent, HistoryPage, HistoryRequest } from "./types.js";

/**
 * Makes a client. Nothing happens until the first channel is listened to, so it
 * is safe on a server and outside of components.
 */
export function createClient<S = AnySchema>(options: ClientOptions): Client<S> {
  for (const name of ["url", "key"] as const) {
    if (!options[name]) throw new TidewireError("invalid", `createClient needs ${name}. Both url and key are on the app's page in the dashboard; \`platform dev\` prints those of the demo app.`);
  }
  return new ClientCore(options) as unknown as Client<S>;
}

const RETRY_TOKEN_MS = 5_000;

/** Ties connection, channels, user and token together. */
export class ClientCore {
  readonly user = new UserCore(this);

  private _channels = new Map<string, ChannelCore>();
  private _wanted = new Set<ChannelCore>();
  private _states = new Emitter<[ConnectionState, TidewireError | undefined]>();
  private _errors = new Emitter<[TidewireError]>();
  private _requests = new Requests();
  private _expiry = new Expiry();
  private _token: Promise<string> | undefined; // fetched while the connection is being made
  private _trusted = false; // a token was accepted since the last refusal
  private _stopWake: (() => void) | undefined;
  private _connection: Connection;

  constructor(readonly options: ClientOptions) {
    this._connection = new Connection(options, {
      state: () => this._stateChanged(),
      opened: () => void this._opened(),
      frame: (frame) => this._frame(frame),
      lost: () => this._lost(),
      error: (error) => this.report(error),
      renew: () => {
        const may = !!options.token && this._trusted;
        this._trusted = false;
        this._token = undefined;
        return may;
      },
    });
  }

  get state(): ConnectionState {
    return this._connection.state;
  }

  get error(): TidewireError | undefined {
    return this._connection.error;
  }

  get socketId(): string | undefined {
    return this._connection.socketId;
  }

  channel(name: string, options: ChannelOptions = {}): ChannelCore {
    let channel = this._channels.get(name);
    if (!channel) {
      channel = new (name.startsWith("presence-") ? PresenceCore : ChannelCore)(name, this, options);
      this._channels.set(name, channel);
    }
    return channel;
  }

  connect(): void {
    const { token } = this.options;
    if (token && this.state !== "connected") void this._fetchToken();
    this._stopWake ??= onWake(() => this._expiry.check());
    this._connection.connect();
  }

  disconnect(): void {
    this._connection.disconnect();
  }

  async refreshToken(): Promise<void> {
    if (!this.options.token) throw new TidewireError("invalid", "There is no token to refresh. Give createClient a token function.");
    this._token = undefined;
    const token = await this._fetchToken();
    await this._show(token);
  }

  onState(listener: (state: ConnectionState, error: TidewireError | undefined) => void): () => void {
    return this._states.add(listener);
  }

  onError(listener: (error: TidewireError) => void): () => void {
    return this._errors.add(listener);
  }

  // What channels and user need.

  report(error: TidewireError): void {
    this.options.log?.("error", error.message);
    this._errors.emit(error);
  }

  want(channel: ChannelCore): void {
    this._wanted.add(channel);
    if (this.socketId !== undefined && !this._opening) void channel.attach();
    else if (this.state === "idle") this.connect();
    else if (this.state === "failed") channel.detach(this.error);
  }

  unwant(channel: ChannelCore): void {
    this._wanted.delete(channel);
  }

  leave(channel: string): void {
    if (this.socketId !== undefined) this._connection.send("pusher:unsubscribe", { channel });
  }

  /** Sends, and waits for the frame that answers is true for. */
  request(event: string, data: unknown, channel: string | undefined, answers: (frame: Frame) => boolean): Promise<Frame> {
    if (this.socketId === undefined) return Promise.reject(lost());
    const answer = this._requests.add(answers, event);
    this._connection.send(event, data, channel);
    return answer;
  }

  /**
   * Sends an event that is not answered, and a ping behind it. The server takes
   * messages in order: an error before the pong is about the event.
   */
  async confirm(event: string, data: unknown, channel: string): Promise<void> {
    if (this.socketId === undefined) throw lost();
    this._connection.send(event, data, channel);
    await this.request("pusher:ping", {}, undefined, (frame) => frame.event === "pusher:pong");
  }

  async history(channel: string, request: HistoryRequest): Promise<HistoryPage> {
    const id = Math.random().toString(36).slice(2);
    const answer = await this.request("tidewire:history", { channel, id, ...request }, undefined, (frame) => frame.event === "tidewire:history" && field(frame.data, "id") === id);
    const error = field(answer.data, "error");
    if (error) throw new TidewireError("refused", String(field(error, "message") ?? error), { channel });
    return historyPage(answer.data);
  }

  async authorize(channel: string): Promise<Grant | undefined> {
    const { auth, token } = this.options;
    const socketId = this.socketId;
    if (!/^(private|presence)-/.test(channel) || socketId === undefined) return undefined;
    if (channel.startsWith("private-encrypted-") && !this.options.encryption) {
      throw new TidewireError("invalid", `${channel} is encrypted. Import { encryption } from "@tidewire/client/encrypted" and give it to createClient.`, { channel });
    }
    if (auth) {
      const grant = await authorize(auth, { socketId, channel }, channel, this.options);
      if (grant) return grant;
    }
    if (!token) {
      throw new TidewireError("unauthorized", `Nothing authorises ${channel}. Give createClient auth (an endpoint of your backend) or token (a JWT).`, { channel });
    }
    return undefined;
  }

  decrypt(secret: string, nonce: string, ciphertext: string): string | undefined {
    return this.options.encryption?.open(secret, nonce, ciphertext);
  }

  // What the connection says.

  private _opening = false;

  private async _opened(): Promise<void> {
    const id = this.socketId;
    if (this.options.token) {
      this._opening = true;
      try {
        const token = await this._fetchToken();
        if (id !== this.socketId) return;
        // Not awaited: subscriptions can follow at once, the order is kept.
        this._show(token).catch((error: TidewireError) => this._unwelcome(error, id));
      } catch (thrown) {
        if (id === this.socketId) this._connection.retry(thrown as TidewireError);
        return;
      } finally {
        if (id === this.socketId) this._opening = false;
      }
    }
    this.user.opened();
    for (const channel of [...this._wanted]) void channel.attach();
  }

  /** The token of a new connection was refused. */
  private _unwelcome(error: TidewireError, id: string | undefined): void {
    if (id !== this.socketId || error.code === "connection_lost") return;
    const again = this._trusted;
    this._trusted = false;
    this._token = undefined;
    if (again) this._connection.retry(error);
    else this._connection.fail(error);
  }

  private _fetchToken(): Promise<string> {
    const { token } = this.options;
    this._token ??= Promise.resolve()
      .then(() => token?.())
      .then(
        (text) => {
          if (typeof text === "string" && text !== "") return text;
          throw new TidewireError("unauthorized", "The token function gave no token. It must return the JWT as a string.", { retryable: true });
        },
      )
      .catch((thrown) => {
        this._token = undefined;
        if (thrown instanceof TidewireError) throw thrown;
        throw new TidewireError("auth_unavailable", `The token function failed: ${textOf(thrown)}`, { retryable: true, cause: thrown });
      });
    this._token.catch(() => {}); // whoever needs it asks again
    return this._token;
  }

  /** Shows the server a token, and arranges for the next. */
  private async _show(token: string): Promise<void> {
    const answer = await this.request("tidewire:auth", { token }, undefined, (frame) => frame.event === "tidewire:auth_success");
    this._token = undefined;
    this._trusted = true;
    this._expiry.of(token, () => this._refresh());
    const id = field(answer.data, "user_id");
    if (typeof id === "string") this.user.is(id);
    const ended = field(answer.data, "unsubscribed");
    for (const name of Array.isArray(ended) ? ended : []) {
      const error = new TidewireError("unauthorized", `The new token does not allow ${name} any more.`, { channel: String(name) });
      this._channels.get(String(name))?.ended(error);
      this.report(error);
    }
  }

  private _refresh(): void {
    this.refreshToken().catch((error: TidewireError) => {
      if (error.code === "connection_lost") return;
      this.report(error);
      // The present token may still be good for a while.
      this._token = undefined;
      this._expiry.in(RETRY_TOKEN_MS, () => this._refresh());
    });
  }

  private _lost(): void {
    this._opening = false;
    this._expiry.stop();
    this.user.lost();
    this._requests.fail(lost());
    for (const channel of [...this._wanted]) channel.detach();
  }

  private _stateChanged(): void {
    const { state, error } = this._connection;
    if (state === "failed" || state === "closed") {
      this._stopWake?.();
      this._stopWake = undefined;
      for (const channel of [...this._wanted]) channel.detach(state === "failed" ? error : "closed");
    } else if (state === "reconnecting" && this.options.token) void this._fetchToken();
    this._states.emit(state, error);
  }

  private _frame(frame: Frame): void {
    if (this._requests.answer(frame)) return;
    if (frame.event === "pusher:error") return this._serverError(frame);
    if (frame.event === "pusher_internal:watchlist_events") return this.user.watchlist(frame);
    if (frame.channel !== undefined) this._channels.get(frame.channel)?.receive(frame);
  }

  private _serverError(frame: Frame): void {
    const code = field(frame.data, "code");
    const error = new TidewireError(typeof code === "number" ? code : "refused", String(field(frame.data, "message")));
    // Those of the closing ranges are reported with the close that follows,
    // but for a refused token, which closes nothing.
    const closing = typeof code === "number" && code >= 4000 && code < 4300;
    if (!this._requests.refuse(error, closing ? "tidewire:auth" : undefined) && !closing) this.report(error);
  }
}

function lost(): TidewireError {
  return new TidewireError("connection_lost", "The connection was lost before the server answered. The event may have arrived or not.", { retryable: true });
}

function historyPage(data: unknown): HistoryPage {
  const events = field(data, "events");
  const next = field(data, "next");
  return {
    events: (Array.isArray(events) ? events : []).map(historyEvent),
    next: typeof next === "string" ? next : null,
  };
}

function historyEvent(raw: unknown): HistoryEvent {
  const userId = field(raw, "user_id");
  const event: HistoryEvent = {
    event: String(field(raw, "name")),
    data: decode(field(raw, "data")),
    serial: String(field(raw, "serial")),
    time: Number(field(raw, "time_ms")),
  };
  if (typeof userId === "string") event.userId = userId;
  return event;
}

