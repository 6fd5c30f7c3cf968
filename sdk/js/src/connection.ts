import { TidewireError, textOf } from "./errors.js";
import { parseFrame, field, type Frame } from "./wire.js";
import { fallbackRemembered, rememberFallback, onWake, isOffline } from "./environment.js";
import type { ClientOptions, ConnectionState } from "./types.js";
import { VERSION } from "./version.js";

/** The part of a WebSocket that is used; the HTTP fallback has the same. */
export interface Socket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface ConnectionEvents {
  state(): void;
  /** Connected, with an id. */
  opened(): void;
  frame(frame: Frame): void;
  /** A connection that was open has ended. */
  lost(): void;
  error(error: TidewireError): void;
  /** Whether a connection refused as unauthorized (4009) may be tried again, with a new token. */
  renew(): boolean;
}

const HANDSHAKE_MS = 10_000;
/** The first WebSocket may hang in a proxy that does not let it through. */
const FIRST_HANDSHAKE_MS = 5_000;
const PONG_MS = 10_000;
const WAKE_PONG_MS = 4_000;
const BACKOFF_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** A connection that lived shorter than this does not reset the back-off. */
const STABLE_MS = 5_000;

type Timer = ReturnType<typeof setTimeout>;

/** Keeps one connection to the server open: connects, checks, comes back. */
export class Connection {
  state: ConnectionState = "idle";
  error: TidewireError | undefined;
  socketId: string | undefined;

  private _socket: Socket | undefined;
  private _timer: Timer | undefined; // the next attempt, or the deadline of the handshake
  private _idle: Timer | undefined; // silence, then the deadline of the pong
  private _idleMs = 120_000;
  private _tries = 0;
  private _openedAt = 0;
  private _refusal: TidewireError | undefined; // what the server said before it closed
  private _stopWake: (() => void) | undefined;

  private _overHttp = false;
  private _failures = 0; // of WebSockets that never opened, in a row
  private _reachable = false; // by plain HTTP, since the last of these
  private _everOpen = false;

  constructor(
    private readonly _options: ClientOptions,
    private readonly _events: ConnectionEvents,
  ) {}

  connect(): void {
    if (this.state === "connecting" || this.state === "connected" || this.state === "reconnecting") return;
    this._tries = 0;
    this._stopWake ??= onWake(() => this.check());
    this._set("connecting");
    this._open();
  }

  disconnect(): void {
    if (this.state !== "failed") this._end("closed");
  }

  /** Gives up for good, because of error. */
  fail(error: TidewireError): void {
    this._end("failed", error);
    this._events.error(error);
  }

  /** Drops what there is and tries again later, because of error. */
  retry(error: TidewireError): void {
    this._drop();
    this._again(error, this._backoff());
  }

  send(event: string, data: unknown, channel?: string): void {
    const frame = JSON.stringify({ event, data, channel });
    this._options.log?.("send", frame);
    this._socket?.send(frame);
  }

  /** Finds out now whether the connection still lives, after sleep or a change of network. */
  check(): void {
    if (this.state === "connected") this._ping(WAKE_PONG_MS);
    else if (this.state === "reconnecting" && !this._socket) this._open();
  }

  private _set(state: ConnectionState, error?: TidewireError): void {
    this.error = error;
    if (state === this.state && !error) return;
    this.state = state;
    this._options.log?.(`connection ${state}`, error?.message);
    this._events.state();
  }

  private _end(state: "closed" | "failed", error?: TidewireError): void {
    this._stopWake?.();
    this._stopWake = undefined;
    this._drop();
    this._set(state, error);
  }

  /** Forgets the socket; what it still says is not heard. */
  private _drop(): void {
    clearTimeout(this._timer);
    clearTimeout(this._idle);
    const socket = this._socket;
    this._socket = undefined;
    this._refusal = undefined;
    if (socket) {
      // Silenced: a socket closed while connecting still reports an error.
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }
    if (this.socketId !== undefined) {
      this.socketId = undefined;
      this._events.lost();
    }
  }

  private _open(): void {
    clearTimeout(this._timer);
    const attempt = (this._timer = setTimeout(
      () => this._closed(0, "the server did not answer in time"),
      this._everOpen ? HANDSHAKE_MS : FIRST_HANDSHAKE_MS,
    ));
    this._makeSocket()
      .then((socket) => {
        if (attempt !== this._timer) return socket.close();
        this._listen(socket);
      })
      .catch((error) => {
        if (attempt !== this._timer) return;
        if (error instanceof TidewireError) this.fail(error);
        else this._closed(0, textOf(error));
      });
  }

  private async _makeSocket(): Promise<Socket> {
    const { url, key, transports = ["websocket", "http"], WebSocket: Given } = this._options;
    this._overHttp = await this._chooseHttp(transports);
    const base = url.replace(/\/+$/, "").replace(/^ws/, "http");
    const query = `?protocol=7&client=tidewire-js&version=${VERSION}&tidewire=1`;
    const path = `/app/${encodeURIComponent(key)}`;
    if (this._overHttp) {
      const { HttpSocket } = await import("./http.js");
      return new HttpSocket(`${base}/pusher${path}`, query, this._options.fetch ?? fetch);
    }
    const Constructor = Given ?? globalThis.WebSocket;
    if (!Constructor) {
      throw new TidewireError("invalid", "There is no WebSocket here. Use Node 22 or newer, or give createClient one: { WebSocket } from the package ws.");
    }
    const address = base.replace(/^http/, "ws") + path + query;
    try {
      return new Constructor(address);
    } catch (thrown) {
      throw new TidewireError("invalid", `Cannot open ${address}: ${textOf(thrown)}. url must be an http(s):// or ws(s):// address, and https:// if the page is.`, { cause: thrown });
    }
  }

  /**
   * WebSockets are thought to be blocked when one fails right after the server
   * was reached by plain HTTP. That it does not open is not enough: the server
   * may be restarting.
   */
  private async _chooseHttp(transports: readonly string[]): Promise<boolean> {
    if (!transports.includes("http")) return false;
    if (!transports.includes("websocket")) return true;
    if (this._failures === 0) return !this._everOpen && fallbackRemembered(this._options.url);
    if (this._reachable) return true;
    if (!isOffline()) {
      const get = this._options.fetch ?? fetch;
      this._reachable = await get(`${this._options.url.replace(/^ws/, "http").replace(/\/+$/, "")}/healthz`, { mode: "no-cors", cache: "no-store" }).then(
        () => true,
        () => false,
      );
    }
    return false;
  }

  private _listen(socket: Socket): void {
    this._socket = socket;
    socket.onmessage = (event: { data: unknown }) => this._received(event.data);
    socket.onclose = (event: { code?: number; reason?: string }) => this._closed(event.code ?? 0, event.reason ?? "");
    socket.onerror = () => {}; // onclose follows, and says more
  }

  private _received(raw: unknown): void {
    this._silence();
    this._options.log?.("received", raw);
    const frame = parseFrame(raw);
    if (!frame) return;
    if (frame.event === "pusher:ping") return this.send("pusher:pong", {});
    if (frame.event === "pusher:connection_established" && this.socketId === undefined) return this._established(frame);
    if (frame.event === "pusher:error") {
      const code = field(frame.data, "code");
      // A code of the closing ranges is followed by the close itself, whose
      // reason may be cut short.
      if (typeof code === "number") this._refusal = new TidewireError(code, String(field(frame.data, "message")));
    }
    if (this.socketId !== undefined) this._events.frame(frame);
  }

  private _established(frame: Frame): void {
    const id = field(frame.data, "socket_id");
    if (typeof id !== "string") return;
    clearTimeout(this._timer);
    const seconds = Number(field(frame.data, "activity_timeout")) || 120;
    this._idleMs = Math.min(this._options.activityTimeout ?? Infinity, seconds * 1000);
    this._openedAt = Date.now();
    if (this._overHttp) {
      if (!this._everOpen) rememberFallback(this._options.url);
    } else this._everOpen = true;
    this._failures = 0;
    this._reachable = false;
    this.socketId = id;
    this._silence();
    this._set("connected");
    this._events.opened();
  }

  /** Begins to wait for silence anew. */
  private _silence(): void {
    clearTimeout(this._idle);
    if (this.socketId === undefined) return;
    this._idle = setTimeout(() => this._ping(PONG_MS), this._idleMs);
  }

  private _ping(waitMs: number): void {
    clearTimeout(this._idle);
    this._idle = setTimeout(() => this._closed(0, "the connection went silent"), waitMs);
    this.send("pusher:ping", {});
  }

  private _closed(code: number, reason: string): void {
    const opened = this.socketId !== undefined;
    const refused = this._refusal && this._refusal.code === code ? this._refusal.message : "";
    const error = this._closeError(code, refused || reason);
    if (!opened) {
      if (code >= 4000) this._failures = 0;
      else if (!this._overHttp && !isOffline()) this._failures++;
      else this._reachable = false;
    } else if (Date.now() - this._openedAt > STABLE_MS) this._tries = 0;
    this._drop();
    // What the codes ask for: 40xx do not come back, 41xx wait, 42xx come at once.
    const giveUp = (code >= 4000 && code < 4100) || code >= 4300;
    if (giveUp && !(code === 4009 && this._events.renew())) return this.fail(error);
    const first = this._tries === 0;
    let delay = this._backoff();
    if (code >= 4100 && code < 4200) delay += 1000;
    // Spread a little: a server that restarts sends everybody away at once.
    else if (first && code >= 4000) delay = Math.random() * 300;
    this._again(error, delay);
  }

  private _closeError(code: number, reason: string): TidewireError {
    const { url } = this._options;
    if (code === 4000) return new TidewireError(4000, `${reason || "This app accepts TLS only."} Use an https:// address as url.`);
    if (code >= 4000) return new TidewireError(code, reason || `The server closed the connection with code ${code}.`, { retryable: code >= 4100 && code < 4300 });
    if (this.socketId !== undefined) {
      return new TidewireError("connection_lost", `The connection to ${url} was lost${reason && `: ${reason}`}. The client reconnects by itself.`, { retryable: true });
    }
    return new TidewireError(
      "unreachable",
      `Cannot connect to ${url}${reason && `: ${reason}`}. Is the server running, and does every proxy before it let WebSockets through? The client goes on trying.`,
      { retryable: true },
    );
  }

  /** Full jitter: clients that lost the same server do not come back together. */
  private _backoff(): number {
    return Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this._tries++);
  }

  private _again(error: TidewireError, delayMs: number): void {
    this._set("reconnecting", error);
    this._events.error(error);
    // A listener may have called disconnect().
    if (this.state === "reconnecting") this._timer = setTimeout(() => this._open(), delayMs);
  }
}
