export type Theme = "auto" | "light" | "dark";

const key = "tidewire-theme";

export function theme(): Theme {
  const kept = read(key);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

export function setTheme(next: Theme) {
  write(key, next);
  applyTheme();
}

export function applyTheme() {
  const now = theme();
  if (now === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
}

/** Storage may be forbidden; then nothing is remembered. */
export function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function write(name: string, value: string) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // as in read
  }
}
