import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { ApiError } from "../api/client";
import { Button } from "./parts";

type Toast = { id: number; text: string; bad: boolean };

let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]) {
  toasts = next;
  for (const tell of listeners) tell();
}

function add(text: string, bad: boolean) {
  const toast = { id: ++last, text, bad };
  set([...toasts.slice(-3), toast]);
  setTimeout(() => dismiss(toast.id), bad ? 10_000 : 5000);
}

function dismiss(id: number) {
  set(toasts.filter((t) => t.id !== id));
}

/** Says in passing that something was done. */
export const done = (text: string) => add(text, false);

/** Says in passing that something was not done, and why. */
export const failed = (error: unknown) =>
  add(error instanceof ApiError ? error.problem.detail : "Something in this page broke. Reload it.", true);

export function Toasts() {
  const list = useSyncExternalStore((tell) => (listeners.add(tell), () => listeners.delete(tell)), () => toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {list.map((t) => (
        <div key={t.id} className={`toast${t.bad ? " bad" : ""}`}>
          <span>{t.text}</span>
          <Button kind="quiet" aria-label="Dismiss" onClick={() => dismiss(t.id)}><X size={16} aria-hidden /></Button>
        </div>
      ))}
    </div>
  );
}
