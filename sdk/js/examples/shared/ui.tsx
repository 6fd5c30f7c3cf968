import { StrictMode, useEffect, useRef, useState, type FormEvent, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import type { Client } from "@tidewire/client";
import { TidewireProvider, useConnectionState } from "@tidewire/client/react";
import "./look.css";

/** Where the server is, and who uses this window. A real application has a session instead of ?user=. */
export const url: string = import.meta.env.VITE_TIDEWIRE_URL;
export const key: string = import.meta.env.VITE_TIDEWIRE_KEY;
export const user = new URLSearchParams(location.search).get("user") ?? (sessionStorage.user ??= `guest-${Math.floor(Math.random() * 900 + 100)}`);

export function start<S>(client: Client<S>, title: string, hint: string, content: ReactNode): void {
  document.title = `${title} · Tidewire`;
  createRoot(document.getElementById("root") as HTMLElement).render(
    <StrictMode>
      <TidewireProvider client={client}>
        <header>
          <a href="/">Tidewire</a>
          <h1>{title}</h1>
          <Status />
        </header>
        <main>
          <p className="hint">{hint}</p>
          {content}
        </main>
      </TidewireProvider>
    </StrictMode>,
  );
}

function Status() {
  const { state, error } = useConnectionState();
  return (
    <span className={`status ${state}`} title={error?.message ?? ""} role="status">
      {state}
    </span>
  );
}

/** Posts JSON to the example's backend and throws what it answers if that is no success. */
export async function post(path: string, body: unknown): Promise<Response> {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

/** One line of text and a button. */
export function Composer(props: { label: string; onSend: (text: string) => Promise<unknown>; onType?: () => void }) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    try {
      await props.onSend(text.trim());
      setText("");
      setError("");
    } catch (thrown) {
      setError((thrown as Error).message);
    }
  };
  return (
    <form className="composer" onSubmit={submit}>
      <input
        aria-label={props.label}
        placeholder={props.label}
        maxLength={500}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          props.onType?.();
        }}
      />
      <button>Send</button>
      {error && <p className="error" role="alert">{error}</p>}
    </form>
  );
}

/** A list that follows its end, also when a phone turns or its keyboard comes. */
export function Messages(props: { count: number; children: ReactNode }) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    const element = list.current as HTMLOListElement;
    // In braces: scrollTo returns a promise in newer browsers, and React would take it for the clean-up.
    const follow = () => { element.scrollTo({ top: element.scrollHeight }); };
    follow();
    const resized = new ResizeObserver(follow);
    resized.observe(element);
    return () => resized.disconnect();
  }, [props.count]);
  return <ol className="list" aria-label="Messages" ref={list}>{props.children}</ol>;
}
