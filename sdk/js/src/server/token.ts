import { base64url, hmac, utf8 } from "./crypto.js";

/** What may be done on the channels a token names. */
export type Capability = "subscribe" | "presence" | "publish" | "history";

export interface TokenClaims {
  /** The user's id. */
  sub?: string;
  /** What other members of presence channels see. */
  info?: Record<string, unknown>;
  /** Name patterns and what is allowed on them. */
  channels?: Record<string, Capability[]>;
  /** Instead of channels: a token for one channel, to be given as `auth`. */
  channel?: string;
  capabilities?: Capability[];
  /** Good on this one connection only. */
  socket_id?: string;
  /** Lets you revoke this one token. */
  jti?: string;
}

export interface TokenOptions {
  /** As in the app's `jwt` settings; at least 32 bytes. */
  secret: string;
  issuer: string;
  audience: string;
  /** Seconds. Default 3600, at most a day. */
  expiresIn?: number;
}

/** Signs a token (HS256) that the server accepts from clients. */
export async function signToken(claims: TokenClaims, options: TokenOptions): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const body = { iss: options.issuer, aud: options.audience, iat: now, exp: now + (options.expiresIn ?? 3600), ...claims };
  const encode = (value: unknown) => base64url(utf8(JSON.stringify(value)));
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(body)}`;
  return `${text}.${base64url(await hmac(options.secret, text))}`;
}
