/** What a browser has and other places have not. */

const REMEMBER_MS = 3_600_000;
const memo = (url: string) => `tidewire:http:${url}`;

/** Whether WebSockets to url were found blocked in the last hour. */
export function fallbackRemembered(url: string): boolean {
  try {
    return Date.now() - Number(sessionStorage.getItem(memo(url)) ?? 0) < REMEMBER_MS;
  } catch {
    return false; // no storage, or none allowed
  }
}

export function rememberFallback(url: string): void {
  try {
    sessionStorage.setItem(memo(url), String(Date.now()));
  } catch {
    // Then it is found out again.
  }
}

export function isOffline(): boolean {
  return typeof navigator !== "undefined" && navigator.onLine === false;
}

const CLOCK_MS = 5_000;

/**
 * Calls back when the world may have changed: the network came or went, the
 * page is shown again, or the clock jumped because the machine slept.
 */
export function onWake(wake: () => void): () => void {
  let last = Date.now();
  const clock = setInterval(() => {
    const now = Date.now();
    if (now - last > 3 * CLOCK_MS) wake();
    last = now;
  }, CLOCK_MS);
  (clock as { unref?: () => void }).unref?.();
  const target = typeof addEventListener === "function" ? globalThis : undefined;
  const page = typeof document === "undefined" ? undefined : document;
  const shown = () => {
    if (page?.visibilityState === "visible") wake();
  };
  for (const name of ["online", "offline", "pageshow"]) target?.addEventListener(name, wake);
  page?.addEventListener("visibilitychange", shown);
  return () => {
    clearInterval(clock);
    for (const name of ["online", "offline", "pageshow"]) target?.removeEventListener(name, wake);
    page?.removeEventListener("visibilitychange", shown);
  };
}
