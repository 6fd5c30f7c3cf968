/**
 * What went wrong. Numbers are codes of the server (4000–4302); words are ours:
 *
 * - `refused`: the server did not accept a subscription or an event
 * - `unauthorized`: the token or the auth endpoint said no
 * - `auth_unavailable`: the auth endpoint or the token function did not answer
 * - `unreachable`: no connection could be made
 * - `connection_lost`: the connection ended before there was an answer
 * - `timeout`: no answer in time
 * - `closed`: `disconnect()` was called
 * - `invalid`: the call itself is wrong
 */
export type ErrorCode =
  | number
  | "refused"
  | "unauthorized"
  | "auth_unavailable"
  | "unreachable"
  | "connection_lost"
  | "timeout"
  | "closed"
  | "invalid";

/** Every error of this package. Its message says what happened and what to do about it. */
export class TidewireError extends Error {
  /** What kind of error, for programs. */
  readonly code: ErrorCode;
  /** Whether the same thing can work later without a change. The client retries such errors by itself. */
  readonly retryable: boolean;
  /** The channel it is about, if it is about one. */
  readonly channel?: string;

  constructor(code: ErrorCode, message: string, details: { retryable?: boolean; channel?: string; cause?: unknown } = {}) {
    super(message);
    this.name = "TidewireError";
    this.code = code;
    this.retryable = details.retryable ?? false;
    if (details.channel !== undefined) this.channel = details.channel;
    if (details.cause !== undefined) (this as { cause?: unknown }).cause = details.cause;
  }
}

/** The text of anything that was thrown. */
export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
