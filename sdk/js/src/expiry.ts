import { field } from "./wire.js";

/** The claims of a token, not verified; undefined for anything that is no token. */
function claimsOf(token: string): unknown {
  const body = token.split(".")[1];
  if (body === undefined || token.includes(":")) return undefined;
  try {
    return JSON.parse(atob(body.replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    return undefined;
  }
}

/**
 * How long a token that the server has just accepted is still good for, in
 * milliseconds. Clocks of clients are wrong: one behind is corrected by iat,
 * and one that says "expired" about an accepted token is not believed.
 */
export function lifeLeft(token: string, now: number): number | undefined {
  const claims = claimsOf(token);
  const exp = Number(field(claims, "exp")) * 1000;
  const iat = Number(field(claims, "iat")) * 1000;
  if (!exp) return undefined;
  const left = exp - Math.max(now, iat || 0);
  return left > 0 ? left : exp - (iat || exp);
}

/** Calls back some time before a token expires, and as soon as a sleep that lasted longer is over. */
export class Expiry {
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _due: (() => void) | undefined;
  private _at = 0;

  /** Waits for the expiry of token, if it is a token that has one. */
  of(token: string, due: () => unknown): void {
    const left = lifeLeft(token, Date.now());
    if (left === undefined) return this.stop();
    // A quarter of its life early, at most a minute; a little different everywhere.
    this.in(left - Math.min(60_000, left / 4) * (1 + Math.random() / 4), due);
  }

  in(delayMs: number, due: () => unknown): void {
    this.stop();
    this._due = () => {
      this.stop();
      due();
    };
    this._at = Date.now() + delayMs;
    this._timer = setTimeout(this._due, Math.min(Math.max(delayMs, 0), 2 ** 31 - 1));
  }

  /** Timers do not run while a machine sleeps: looks whether the time has passed. */
  check(): void {
    if (this._due && Date.now() >= this._at) this._due();
  }

  stop(): void {
    clearTimeout(this._timer);
    this._due = undefined;
  }
}
