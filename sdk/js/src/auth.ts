import { TidewireError, textOf } from "./errors.js";
import { field } from "./wire.js";
import type { AuthEndpoint, ClientOptions } from "./types.js";

/** An answer of an auth endpoint or function, its names in one spelling. */
export interface Grant {
  auth: string;
  channelData?: string | undefined;
  userData?: string | undefined;
  secret?: string | undefined;
}

type Source = string | AuthEndpoint | ((request: never) => unknown);

/** Asks an endpoint or function whether something is allowed. what is for the error text. */
export async function authorize(source: Source, request: { socketId: string; channel?: string }, what: string, options: ClientOptions): Promise<Grant | undefined> {
  const byFunction = typeof source === "function";
  let answer: unknown;
  if (byFunction) {
    try {
      answer = await source(request as never);
    } catch (thrown) {
      if (thrown instanceof TidewireError) throw thrown;
      throw new TidewireError("auth_unavailable", `The auth function failed for ${what}: ${textOf(thrown)}`, { cause: thrown, retryable: true, ...request });
    }
    if (answer === undefined) return undefined;
  } else answer = await ask(typeof source === "string" ? { endpoint: source } : source, request, what, options);
  const [auth, channelData, userData, secret] = [pick(answer, "auth"), pick(answer, "channel_data", "channelData"), pick(answer, "user_data", "userData"), pick(answer, "shared_secret", "sharedSecret")];
  if (auth === undefined) {
    throw new TidewireError("unauthorized", `${byFunction ? "The auth function" : "The auth endpoint"} gave no "auth" for ${what}. It must answer with {"auth": "key:signature"}, as authorizeChannel of @tidewire/client/server makes it.`, request);
  }
  return { auth, channelData, userData, secret };
}

function pick(answer: unknown, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = field(answer, name);
    if (typeof value === "string") return value;
  }
  return undefined;
}

async function ask(to: AuthEndpoint, { socketId, channel }: { socketId: string; channel?: string }, what: string, options: ClientOptions): Promise<unknown> {
  const form = new URLSearchParams({ ...to.params, socket_id: socketId });
  if (channel !== undefined) form.set("channel_name", channel);
  const about = channel === undefined ? {} : { channel };
  let response: Response;
  try {
    const headers = typeof to.headers === "function" ? await to.headers() : to.headers;
    const init: RequestInit = { method: "POST", body: form };
    if (headers) init.headers = headers;
    if (to.credentials) init.credentials = to.credentials;
    response = await (options.fetch ?? fetch)(to.endpoint, init);
  } catch (thrown) {
    throw new TidewireError("auth_unavailable", `The auth endpoint ${to.endpoint} did not answer for ${what}: ${textOf(thrown)}. If it is on another origin, it must allow this one by CORS.`, { retryable: true, cause: thrown, ...about });
  }
  const { status } = response;
  const body = await response.text().catch(() => "");
  if (status === 429 || status >= 500) {
    throw new TidewireError("auth_unavailable", `The auth endpoint ${to.endpoint} answered ${status} for ${what}.`, { retryable: true, ...about });
  }
  if (status !== 200) {
    throw new TidewireError("unauthorized", `The auth endpoint ${to.endpoint} answered ${status} for ${what}: ${body.slice(0, 200) || "no text"}. It must answer 200 to allow it.`, about);
  }
  try {
    return JSON.parse(body);
  } catch {
    throw new TidewireError("unauthorized", `The auth endpoint ${to.endpoint} did not answer with JSON for ${what}, but with: ${body.slice(0, 80)}`, about);
  }
}
