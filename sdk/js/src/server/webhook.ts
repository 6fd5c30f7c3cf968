import { TidewireError } from "../errors.js";
import { base64, fromBase64, hex, hmac, same } from "./crypto.js";

/** One thing that happened, as in the protocol of Pusher's webhooks. */
export interface WebhookEvent {
  name: "channel_occupied" | "channel_vacated" | "member_added" | "member_removed" | "client_event" | "cache_miss" | "subscription_count" | "user_online" | "user_offline" | (string & {});
  channel?: string;
  user_id?: string;
  event?: string;
  data?: string;
  socket_id?: string;
  subscription_count?: number;
}

export interface Webhook {
  /** When it was sent, in milliseconds since 1970. */
  time: number;
  events: WebhookEvent[];
}

export interface WebhookOptions {
  /** The app's keys and their secrets; several while keys are rotated. */
  keys: Record<string, string>;
  /** A `whsec_…` secret: then the Standard Webhooks signature is checked instead. */
  signingSecret?: string;
  /** Seconds a webhook may be old. Default 300. */
  tolerance?: number;
}

/** Checks the signature and the age of a webhook and reads it. Throws if it is not to be trusted. */
export async function verifyWebhook(request: Request | { headers: Headers; body: string }, options: WebhookOptions): Promise<Webhook> {
  const body = request instanceof Request ? await request.text() : request.body;
  const { headers } = request;
  if (options.signingSecret !== undefined) await standard(headers, body, options.signingSecret);
  else await pusher(headers, body, options.keys);
  const hook = JSON.parse(body) as { time_ms?: unknown; events?: unknown };
  const time = Number(hook.time_ms);
  if (!(Math.abs(Date.now() - time) <= (options.tolerance ?? 300) * 1000)) refuse("it is too old; is this machine's clock right?");
  if (!Array.isArray(hook.events)) refuse("it has no events");
  return { time, events: hook.events as WebhookEvent[] };
}

async function pusher(headers: Headers, body: string, keys: Record<string, string>): Promise<void> {
  const key = headers.get("x-pusher-key") ?? "";
  const secret = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (secret === undefined) refuse(`X-Pusher-Key "${key}" is none of the keys given`);
  if (!same(headers.get("x-pusher-signature") ?? "", hex(await hmac(secret, body)))) refuse("X-Pusher-Signature is wrong. It is over the raw body: do not parse and encode it before");
}

async function standard(headers: Headers, body: string, secret: string): Promise<void> {
  const signed = `${headers.get("webhook-id")}.${headers.get("webhook-timestamp")}.${body}`;
  const expected = `v1,${base64(await hmac(fromBase64(secret.replace(/^whsec_/, "")), signed))}`;
  if (!(headers.get("webhook-signature") ?? "").split(" ").some((given) => same(given, expected))) refuse("webhook-signature is wrong");
}

function refuse(why: string): never {
  throw new TidewireError("unauthorized", `This webhook is not to be trusted: ${why}.`);
}
