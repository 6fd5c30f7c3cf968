import type { ClientCore } from "./client.js";
import { Emitter, once } from "./emitter.js";
import { TidewireError, textOf } from "./errors.js";
import { Expiry } from "./expiry.js";
import { reached, field, decode, type Frame } from "./wire.js";
import type { ChannelOptions, ChannelState, EventMeta, Gap, HistoryPage, HistoryRequest } from "./types.js";

const ANY = "*";

/** One subscription, shared by everybody who asked for the channel. */
export class ChannelCore {
  state: ChannelState = "idle";
  error: TidewireError | undefined;
  subscriberCount: number | undefined;

  protected _gaps = new Emitter<[Gap]>();
  protected _states = new Emitter<[ChannelState, TidewireError | undefined]>();
  private _events = new Map<string, Emitter<[unknown, EventMeta]>>();

  private _holders = 0;
  private _grace: ReturnType<typeof setTimeout> | undefined;
  private _retry: ReturnType<typeof setTimeout> | undefined;
  private _attempt = 0; // what an older attempt still brings is not for us
  private _sent = false; // the server knows of the subscription
  private _tries = 0;

  private _seen: string | undefined; // serial of the last event
  private _head: string | undefined; // what came after this follows
  private _before = false; // was subscribed on an earlier connection
  private _secret: string | undefined;
  private _late: Frame[] | undefined; // events that wait for a new secret
  private _expiry = new Expiry();

  constructor(
    readonly name: string,
    protected readonly _client: ClientCore,
    readonly options: ChannelOptions,
  ) {}

  on(event: string, listener: (data: never, meta: EventMeta) => void): () => void {
    let listeners = this._events.get(event);
    if (!listeners) this._events.set(event, (listeners = new Emitter()));
    const off = listeners.add(listener as (data: unknown, meta: EventMeta) => void);
    const release = this.subscribe();
    return once(() => {
      off();
      release();
    });
  }

  onAny(listener: (event: string, data: unknown, meta: EventMeta) => void): () => void {
    return this.on(ANY, ((data: unknown, meta: EventMeta) => listener(meta.event, data, meta)) as never);
  }

  onGap(listener: (gap: Gap) => void): () => void {
    return this._gaps.add(listener);
  }

  onState(listener: (state: ChannelState, error: TidewireError | undefined) => void): () => void {
    return this._states.add(listener);
  }

  subscribe(): () => void {
    clearTimeout(this._grace);
    if (this._holders++ === 0 && (this.state === "idle" || this.state === "failed")) {
      this._set("subscribing");
      this._client.want(this);
    }
    return once(() => {
      if (--this._holders === 0) this._grace = setTimeout(() => this._leave(), this._client.options.unsubscribeDelay ?? 1000);
    });
  }

  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const release = this.subscribe();
      const settle = once(() => {
        off();
        release();
        if (this.state === "subscribed") resolve();
        else reject(this.error ?? new TidewireError("closed", `The client was closed before ${this.name} was subscribed.`));
      });
      const off = this.onState((state) => state !== "subscribing" && settle());
      if (this.state !== "subscribing") settle();
    });
  }

  async trigger(event: string, data: unknown): Promise<void> {
    if (!event.startsWith("client-")) {
      throw new TidewireError("invalid", `Clients can send only events whose names begin with client-, not "${event}". Send other events from your backend.`);
    }
    await this.ready();
    await this._client.confirm(event, data === undefined ? null : data, this.name);
  }

  async history(request: HistoryRequest = {}): Promise<HistoryPage> {
    await this.ready();
    return this._client.history(this.name, request);
  }

  /** The connection is open: subscribe, if anybody still wants to. */
  async attach(): Promise<void> {
    clearTimeout(this._retry);
    const attempt = ++this._attempt;
    this._set("subscribing", this.error);
    try {
      const grant = await this._client.authorize(this.name);
      if (attempt !== this._attempt) return;
      this._secret = grant?.secret;
      this._accept(grant?.channelData);
      this._sent = true;
      const asked = this._resuming();
      const answer = await this._client.request("pusher:subscribe", { channel: this.name, auth: grant?.auth, channel_data: grant?.channelData, ...asked }, undefined, (frame) =>
        frame.event === "pusher_internal:subscription_succeeded" && frame.channel === this.name ? this._succeed(attempt, frame, asked) : false,
      );
      if (answer && attempt === this._attempt && grant) this._expiry.of(grant.auth, () => this._renew(attempt));
    } catch (thrown) {
      if (attempt === this._attempt) this._refused(thrown);
    }
  }

  /** The connection is gone, and maybe will not come back. */
  detach(final?: TidewireError | "closed"): void {
    this._attempt++;
    this._sent = false;
    this._late = undefined;
    clearTimeout(this._retry);
    this._expiry.stop();
    if (this.state === "idle") return;
    if (final === "closed") this._set("subscribing");
    else this._set(final ? "failed" : "subscribing", final);
  }

  /** A frame for this channel. */
  receive(frame: Frame): void {
    if (this.state !== "subscribed") return;
    if (this._late) this._late.push(frame);
    else this._deliver(frame);
  }

  /** The server has ended the subscription. */
  ended(error: TidewireError): void {
    this._sent = false;
    this._attempt++;
    this._set("failed", error);
  }

  protected _set(state: ChannelState, error?: TidewireError): void {
    if (this.state === state && this.error === error) return;
    this.state = state;
    this.error = error;
    this._states.emit(state, error);
  }

  /** Presence channels learn from this who they are. */
  protected _accept(_channelData: string | undefined): void {}
  protected _snapshot(_data: unknown): void {}
  protected _internal(_event: string, _data: unknown): void {}
  protected _clear(): void {}

  private _resuming(): { resume?: string; rewind?: object } {
    const resume = this._seen ?? this._head;
    if (resume !== undefined) return { resume };
    const { rewind } = this.options;
    if (!rewind || this._before) return {};
    return { rewind: typeof rewind === "number" ? { count: rewind } : rewind };
  }

  private _succeed(attempt: number, frame: Frame, asked: { resume?: string }): boolean {
    if (attempt !== this._attempt) return true; // unsubscribed meanwhile
    const { serial, recovered, reason } = frame.tidewire ?? {};
    let gap: Gap | undefined;
    if (asked.resume !== undefined && recovered !== true) {
      gap = { channel: this.name, reason: reason ?? "unavailable", from: asked.resume };
      if (serial !== undefined) gap.to = serial;
      this._seen = undefined;
    } else if (this._before && asked.resume === undefined) {
      gap = { channel: this.name, reason: "no_history" };
    }
    this._head = serial;
    this._before = true;
    this._tries = 0;
    this._snapshot(frame.data);
    this._set("subscribed");
    if (gap) this._gaps.emit(gap);
    return true;
  }

  private _refused(thrown: unknown): void {
    const error = thrown instanceof TidewireError ? thrown : new TidewireError("auth_unavailable", `Authorising ${this.name} failed: ${textOf(thrown)}`, { channel: this.name, cause: thrown });
    if (error.code === "connection_lost") return; // attach() is called again
    this._sent = false;
    if (error.retryable) {
      this._set("subscribing", error);
      const delay = Math.random() * Math.min(30_000, 1000 * 2 ** this._tries++);
      this._retry = setTimeout(() => this.attach(), delay);
    } else this._set("failed", error);
    this._client.report(error);
  }

  /** Puts a new channel token in the place of one that is about to expire. */
  private async _renew(attempt: number): Promise<void> {
    const grant = await this._client.authorize(this.name);
    if (attempt !== this._attempt || !grant) return;
    await this._client.request("tidewire:auth", { channel: this.name, token: grant.auth }, undefined, (frame) => frame.event === "tidewire:auth_success");
    if (attempt === this._attempt) this._expiry.of(grant.auth, () => this._renew(attempt));
  }

  private _leave(): void {
    if (this._holders > 0 || this.state === "idle") return;
    if (this._sent) this._client.leave(this.name);
    this.detach();
    this._seen = this._head = undefined;
    this._before = false;
    this._clear();
    this._set("idle");
    this._client.unwant(this);
  }

  private _deliver(frame: Frame): void {
    const { event, serial, userId } = frame;
    if (event.startsWith("pusher_internal:")) {
      if (event === "pusher_internal:subscription_count") {
        this.subscriberCount = Number(field(frame.data, "subscription_count"));
        this._emit("pusher:subscription_count", frame.data, { event: "pusher:subscription_count", channel: this.name });
      } else this._internal(event, frame.data);
      return;
    }
    if (serial !== undefined && reached(serial, this._seen)) return; // had it already
    let data = frame.data;
    const nonce = field(data, "nonce");
    if (this._secret !== undefined && typeof nonce === "string") {
      const text = this._client.decrypt(this._secret, nonce, String(field(data, "ciphertext")));
      if (text === undefined) return void this._rekey(frame);
      data = decode(text);
    }
    if (serial !== undefined) this._seen = serial;
    const meta: EventMeta = { event, channel: this.name };
    if (serial !== undefined) meta.serial = serial;
    if (userId !== undefined) meta.userId = userId;
    this._emit(event, data, meta);
  }

  private _emit(event: string, data: unknown, meta: EventMeta): void {
    this._events.get(event)?.emit(data, meta);
    this._events.get(ANY)?.emit(data, meta);
  }

  /** The master key was changed: ask for the channel's secret once more, keeping the order. */
  private async _rekey(frame: Frame): Promise<void> {
    const attempt = this._attempt;
    const late = (this._late = [frame]);
    const old = this._secret;
    const grant = await this._client.authorize(this.name).catch(() => undefined);
    if (attempt !== this._attempt) return;
    this._secret = grant?.secret ?? old;
    this._late = undefined;
    for (const one of late) {
      if (one === frame && this._secret === old) {
        this._client.report(new TidewireError("refused", `An event on ${this.name} could not be decrypted. Publisher and auth endpoint must use the same encryption master key.`, { channel: this.name }));
        continue;
      }
      this.receive(one);
    }
  }
}
