import type { Socket } from "./connection.js";

/** How long a stream may stay silent at its start before it is thought to be held back by a proxy. */
const FIRST_BYTE_MS = 3_000;

/**
 * The fallback where WebSockets are blocked, with the interface of one: reads a
 * streamed response, or polls where streams do not get through, and sends by
 * POST. The protocol is the one that pusher-js has for this.
 */
export class HttpSocket implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;

  private _session = "";
  private _streaming = true;
  private _opened = false;
  private _over = false;
  private _abort = new AbortController();
  private _outbox: string[] = [];
  private _sending = false;
  private _count = 0;

  constructor(
    private readonly _base: string,
    private readonly _query: string,
    private readonly _fetch: typeof fetch,
  ) {
    this._newSession();
    void this._run();
  }

  send(text: string): void {
    this._outbox.push(text);
    void this._flush();
  }

  close(): void {
    this._over = true;
    this._abort.abort();
  }

  private _newSession(): void {
    const random = (n: number, from: string) => Array.from({ length: n }, () => from[Math.floor(Math.random() * from.length)]).join("");
    this._session = `${this._base}/${random(3, "0123456789")}/${random(8, "0123456789abcdefghijklmnopqrstuv")}`;
  }

  private _post(what: string, query: string, body: string | undefined, signal: AbortSignal): Promise<Response> {
    const get = this._fetch;
    const unique = `t=${Date.now()}&n=${++this._count}`;
    const init: RequestInit = { method: "POST", signal, credentials: "omit", cache: "no-store" };
    if (body !== undefined) init.body = body;
    return get(`${this._session}/${what}${query}${query ? "&" : "?"}${unique}`, init);
  }

  private async _run(): Promise<void> {
    try {
      while (!this._over) await this._receive();
    } catch {
      this._end(1006, "the HTTP connection broke");
    }
  }

  /** One request: a stream that stays open, or one poll. */
  private async _receive(): Promise<void> {
    const streaming = this._streaming;
    const abort = (this._abort = new AbortController());
    let held = false;
    // A proxy that collects the answer before passing it on never passes this one on.
    const patience = streaming && !this._opened ? setTimeout(() => { held = true; abort.abort(); }, FIRST_BYTE_MS) : undefined;
    try {
      const response = await this._post(streaming ? "xhr_streaming" : "xhr", this._query, undefined, abort.signal);
      if (response.status !== 200) return this._end(1006, `the server answered ${response.status}`);
      await this._read(response, () => clearTimeout(patience));
      if (streaming && this._opened && !this._over) this._end(1006, "the stream ended");
    } catch (thrown) {
      if (!held || this._over) throw thrown;
      this._streaming = false;
      this._newSession();
    } finally {
      clearTimeout(patience);
    }
  }

  private async _read(response: Response, first: () => void): Promise<void> {
    const reader = response.body?.getReader();
    if (!reader) {
      this._lines(await response.text());
      return;
    }
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this._over) return;
      first();
      rest += decoder.decode(value, { stream: true });
      const end = rest.lastIndexOf("\n") + 1;
      this._lines(rest.slice(0, end));
      rest = rest.slice(end);
    }
  }

  private _lines(text: string): void {
    for (const line of text.split("\n")) if (line && !this._over) this._line(line[0] as string, line.slice(1));
  }

  private _line(kind: string, body: string): void {
    if (kind === "o") {
      if (this._opened) return this._end(1006, "the server lost the session");
      this._opened = true;
      void this._flush();
    } else if (kind === "a") for (const data of JSON.parse(body)) this._emit(this.onmessage, { data });
    else if (kind === "c") {
      const [code, reason] = JSON.parse(body);
      this._end(code, reason);
    } else if (kind === "h" && this._streaming) void this._flush(true);
  }

  /** Sends what has gathered, one request at a time so that the order is kept. */
  private async _flush(heartbeat = false): Promise<void> {
    if (!this._opened || this._sending || this._over || (this._outbox.length === 0 && !heartbeat)) return;
    this._sending = true;
    const batch = JSON.stringify(this._outbox.splice(0));
    try {
      const response = await this._post("xhr_send", "", batch, this._abort.signal);
      if (!response.ok) this._end(1006, `sending was answered ${response.status}`);
    } catch {
      this._end(1006, "sending failed");
    }
    this._sending = false;
    void this._flush();
  }

  private _end(code: number, reason: string): void {
    if (this._over) return;
    this.close();
    this._emit(this.onclose, { code, reason });
  }

  private _emit(handler: ((event: never) => void) | null, event: unknown): void {
    handler?.(event as never);
  }
}
