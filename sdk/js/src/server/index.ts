/**
 * For your backend: publish events, authorise channels and users, sign tokens,
 * verify webhooks. Web APIs only, so it runs on Node, Deno, Bun and at the edge.
 *
 * @packageDocumentation
 */
import { TidewireError, textOf } from "../errors.js";
import { hex, hmac, utf8 } from "./crypto.js";
import { md5 } from "./md5.js";

export { signToken, type Capability, type TokenClaims, type TokenOptions } from "./token.js";
export { verifyWebhook, type Webhook, type WebhookEvent, type WebhookOptions } from "./webhook.js";
export { TidewireError, type ErrorCode } from "../errors.js";

/** Seals events for encrypted channels; `encrypter(key)` of `@tidewire/client/encrypted` makes one. */
export interface Encrypter {
  sharedSecret(channel: string): Promise<string>;
  seal(channel: string, text: string): Promise<{ nonce: string; ciphertext: string }>;
}

export interface ServerOptions {
  /** Where the server is, for example `https://realtime.example.com`. */
  url: string;
  appId: string;
  key: string;
  /** Never give it to a client. */
  secret: string;
  encryption?: Encrypter;
  fetch?: typeof fetch;
}

/** Who a client is, as your backend knows it. */
export interface Identity {
  id: string;
  /** What other members of presence channels see. */
  info?: Record<string, unknown>;
  /** Users whose coming and going the client wants to hear of. */
  watchlist?: string[];
}

export interface TriggerOptions {
  /** Leaves this connection out, for example the one that caused the event. */
  socketId?: string;
}

export interface BatchEvent extends TriggerOptions {
  channel: string;
  event: string;
  data: unknown;
}

export interface ChannelAuth {
  auth: string;
  channel_data?: string;
  shared_secret?: string;
}

/** Says who may enter a channel (undefined when signing in): the user, `true` for anybody, or nothing for no. */
export type Decide = (channel: string | undefined, request: Request) => Identity | true | null | undefined | false | Promise<Identity | true | null | undefined | false>;

/** Talks to the HTTP API of one app. */
export interface Server {
  /** Sends an event to a channel, or to up to 100. Resolves once the server has it. */
  trigger(channels: string | readonly string[], event: string, data: unknown, options?: TriggerOptions): Promise<void>;
  /** Sends up to ten events with one request. */
  triggerBatch(events: readonly BatchEvent[]): Promise<void>;
  /** Sends an event to one user, on all of the user's devices. */
  sendToUser(userId: string, event: string, data: unknown): Promise<void>;
  /** The answer that lets a client into a private or presence channel. */
  authorizeChannel(request: { socketId: string; channel: string; user?: Identity }): Promise<ChannelAuth>;
  /** The answer that signs a client in. */
  authenticateUser(request: { socketId: string; user: Identity }): Promise<{ auth: string; user_data: string }>;
  /** A whole auth endpoint: reads the client's request, asks you, and answers. */
  handleAuth(request: Request, decide: Decide): Promise<Response>;
  /** Channels with subscribers, by name. */
  channels(prefix?: string): Promise<Record<string, { userCount?: number }>>;
  /** The ids of the users on a presence channel. */
  users(channel: string): Promise<string[]>;
  /** Closes all connections of a signed-in user. */
  disconnectUser(userId: string): Promise<void>;
}

export function createServer(options: ServerOptions): Server {
  for (const name of ["url", "appId", "key", "secret"] as const) {
    if (!options[name]) throw new TidewireError("invalid", `createServer needs ${name}. They are on the app's page in the dashboard; \`platform dev\` prints those of the demo app.`);
  }
  return new HTTPServer(options);
}

class HTTPServer implements Server {
  constructor(private readonly _options: ServerOptions) {}

  async trigger(channels: string | readonly string[], event: string, data: unknown, options: TriggerOptions = {}): Promise<void> {
    const list = typeof channels === "string" ? [channels] : channels;
    const sealed = list.find((channel) => channel.startsWith("private-encrypted-"));
    if (sealed !== undefined && list.length > 1) throw new TidewireError("invalid", "Each encrypted channel has a key of its own: trigger one at a time.");
    const body = { name: event, channels: list, data: await this._data(sealed ?? "", data), socket_id: options.socketId };
    await this._request("POST", "/events", {}, JSON.stringify(body));
  }

  async triggerBatch(events: readonly BatchEvent[]): Promise<void> {
    const batch = await Promise.all(
      events.map(async (one) => ({ name: one.event, channel: one.channel, data: await this._data(one.channel, one.data), socket_id: one.socketId })),
    );
    await this._request("POST", "/batch_events", {}, JSON.stringify({ batch }));
  }

  sendToUser(userId: string, event: string, data: unknown): Promise<void> {
    return this.trigger(`#server-to-user-${userId}`, event, data);
  }

  async authorizeChannel({ socketId, channel, user }: { socketId: string; channel: string; user?: Identity }): Promise<ChannelAuth> {
    checkSocketId(socketId);
    // What is signed has colons between its parts: a name must have none.
    if (!/^[\w\-=@,.;]{1,164}$/.test(channel)) throw new TidewireError("invalid", "channel_name is none.");
    const presence = channel.startsWith("presence-");
    if (presence && !user) throw new TidewireError("invalid", `${channel} is a presence channel: say who the user is.`, { channel });
    const signed = `${socketId}:${channel}`;
    if (presence && user) {
      const channelData = JSON.stringify({ user_id: user.id, user_info: user.info });
      return { auth: await this._sign(`${signed}:${channelData}`), channel_data: channelData };
    }
    const out: ChannelAuth = { auth: await this._sign(signed) };
    if (channel.startsWith("private-encrypted-")) out.shared_secret = await this._encrypter(channel).sharedSecret(channel);
    return out;
  }

  async authenticateUser({ socketId, user }: { socketId: string; user: Identity }): Promise<{ auth: string; user_data: string }> {
    checkSocketId(socketId);
    const userData = JSON.stringify({ id: user.id, user_info: user.info, watchlist: user.watchlist });
    return { auth: await this._sign(`${socketId}::user::${userData}`), user_data: userData };
  }

  async handleAuth(request: Request, decide: Decide): Promise<Response> {
    const answer = (status: number, body: unknown) => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", "Cache-Control": "no-store" } });
    try {
      const { socketId, channel } = await readAuth(request);
      const who = await decide(channel, request);
      if (!who) return answer(403, { error: `You may not ${channel === undefined ? "sign in" : `subscribe to ${channel}`}.` });
      const user = who === true ? undefined : who;
      if (channel !== undefined) return answer(200, await this.authorizeChannel(user ? { socketId, channel, user } : { socketId, channel }));
      if (!user) throw new TidewireError("invalid", "Signing in needs to know who the user is.");
      return answer(200, await this.authenticateUser({ socketId, user }));
    } catch (thrown) {
      if (thrown instanceof TidewireError && thrown.code === "invalid") return answer(400, { error: thrown.message });
      throw thrown;
    }
  }

  async channels(prefix?: string): Promise<Record<string, { userCount?: number }>> {
    const query: Record<string, string> = {};
    if (prefix !== undefined) query.filter_by_prefix = prefix;
    if (prefix?.startsWith("presence-")) query.info = "user_count";
    const { channels } = (await this._request("GET", "/channels", query)) as { channels: Record<string, { user_count?: number }> };
    return Object.fromEntries(Object.entries(channels).map(([name, { user_count: userCount }]) => [name, userCount === undefined ? {} : { userCount }]));
  }

  async users(channel: string): Promise<string[]> {
    const { users } = (await this._request("GET", `/channels/${encodeURIComponent(channel)}/users`, {})) as { users: { id: string }[] };
    return users.map((user) => String(user.id));
  }

  async disconnectUser(userId: string): Promise<void> {
    await this._request("POST", `/users/${encodeURIComponent(userId)}/terminate_connections`, {}, "{}");
  }

  private async _sign(text: string): Promise<string> {
    return `${this._options.key}:${hex(await hmac(this._options.secret, text))}`;
  }

  private _encrypter(channel: string): Encrypter {
    if (!this._options.encryption) {
      throw new TidewireError("invalid", `${channel} is encrypted. Give createServer encryption: encrypter(masterKey) from "@tidewire/client/encrypted".`, { channel });
    }
    return this._options.encryption;
  }

  private async _data(channel: string, data: unknown): Promise<string> {
    const text = typeof data === "string" ? data : JSON.stringify(data ?? null);
    return channel.startsWith("private-encrypted-") ? JSON.stringify(await this._encrypter(channel).seal(channel, text)) : text;
  }

  private async _request(method: string, path: string, query: Record<string, string>, body?: string): Promise<unknown> {
    const { url, appId, key, secret } = this._options;
    const params: Record<string, string> = { ...query, auth_key: key, auth_timestamp: String(Math.floor(Date.now() / 1000)), auth_version: "1.0" };
    if (body !== undefined) params.body_md5 = md5(utf8(body));
    // Signed as it is, sorted, not encoded; sent encoded.
    const sorted = Object.keys(params).sort();
    const full = `/apps/${appId}${path}`;
    const text = `${method}\n${decodeURIComponent(full)}\n${sorted.map((name) => `${name}=${params[name]}`).join("&")}`;
    params.auth_signature = hex(await hmac(secret, text));
    const init: RequestInit = { method };
    if (body !== undefined) Object.assign(init, { body, headers: { "Content-Type": "application/json" } });
    const address = `${url.replace(/\/+$/, "")}${full}?${new URLSearchParams(params)}`;
    let response: Response;
    try {
      response = await (this._options.fetch ?? fetch)(address, init);
    } catch (thrown) {
      throw new TidewireError("unreachable", `Tidewire at ${url} did not answer: ${textOf(thrown)}`, { retryable: true, cause: thrown });
    }
    const answer = await response.text();
    if (response.ok) return answer === "" ? {} : JSON.parse(answer);
    throw new TidewireError(response.status === 401 ? "unauthorized" : "refused", `Tidewire answered ${response.status}: ${answer.trim() || response.statusText}`, { retryable: response.status >= 500 || response.status === 429 });
  }
}

function checkSocketId(socketId: string): void {
  if (!/^\d+\.\d+$/.test(socketId)) throw new TidewireError("invalid", "socket_id is none. It is two numbers with a dot, and comes from the client.");
}

/** Reads what clients send: a form, as Pusher's do, or JSON. */
async function readAuth(request: Request): Promise<{ socketId: string; channel: string | undefined }> {
  const text = await request.text();
  let get: (name: string) => unknown;
  if ((request.headers.get("content-type") ?? "").includes("json")) {
    let body: Record<string, unknown> | null = null;
    try {
      body = JSON.parse(text);
    } catch {
      throw new TidewireError("invalid", "The body is no JSON.");
    }
    get = (name) => (typeof body === "object" && body !== null && Object.hasOwn(body, name) ? body[name] : undefined);
  } else {
    const form = new URLSearchParams(text);
    get = (name) => form.get(name) ?? undefined;
  }
  const socketId = get("socket_id");
  const channel = get("channel_name");
  checkSocketId(String(socketId));
  return { socketId: String(socketId), channel: channel === undefined ? undefined : String(channel) };
}
