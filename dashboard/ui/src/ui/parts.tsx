import { Check, Copy, Inbox } from "lucide-react";
import { useEffect, useId, useState, type ComponentProps, type ReactNode } from "react";
import { ApiError } from "../api/client";

/** The frame of every page: a title, a sentence, what can be done, the content. */
export function Page(props: { title: string; about?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${props.title} · Tidewire`;
  }, [props.title]);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>{props.title}</h1>
          {props.about && <p>{props.about}</p>}
        </div>
        {props.actions && <div className="row">{props.actions}</div>}
      </header>
      {props.children}
    </div>
  );
}

export function Card(props: { title?: ReactNode; flush?: boolean; danger?: boolean; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className={`card${props.flush ? " flush" : ""}${props.danger ? " danger" : ""}`}>
      {(props.title || props.aside) && (
        <div className="row between">
          <h2>{props.title}</h2>
          {props.aside}
        </div>
      )}
      {props.children}
    </section>
  );
}

type ButtonProps = ComponentProps<"button"> & { kind?: "primary" | "danger" | "quiet"; busy?: boolean; block?: boolean };

export function Button({ kind, busy, block, className, children, disabled, ...rest }: ButtonProps) {
  const names = ["btn", kind, block && "block", className].filter(Boolean).join(" ");
  return (
    <button type="button" {...rest} className={names} disabled={disabled || busy} aria-busy={busy || undefined}>
      {children}
    </button>
  );
}

/** A label, a control, a hint and what is wrong, tied together for every reader. */
export function Field(props: {
  label: string;
  hint?: ReactNode;
  wrong?: string;
  children: (attributes: { id: string; "aria-invalid"?: true; "aria-describedby"?: string }) => ReactNode;
}) {
  const id = useId();
  const described = [props.hint && `${id}-hint`, props.wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      {props.children({ id, "aria-invalid": props.wrong ? true : undefined, "aria-describedby": described || undefined })}
      {props.hint && <span className="hint" id={`${id}-hint`}>{props.hint}</span>}
      {props.wrong && <span className="wrong" id={`${id}-wrong`} role="alert">{props.wrong}</span>}
    </div>
  );
}

type TextProps = Omit<ComponentProps<"input">, "onChange" | "value"> & {
  label: string;
  hint?: ReactNode;
  wrong?: string;
  value: string;
  onChange: (value: string) => void;
};

export function TextField({ label, hint, wrong, onChange, ...rest }: TextProps) {
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(a) => <input className="input" {...rest} {...a} onChange={(e) => onChange(e.target.value)} />}
    </Field>
  );
}

export function SelectField(props: {
  label: string;
  hint?: ReactNode;
  value: string;
  options: readonly (readonly [value: string, label: string])[];
  onChange: (value: string) => void;
}) {
  return (
    <Field label={props.label} hint={props.hint}>
      {(a) => (
        <select className="input" {...a} value={props.value} onChange={(e) => props.onChange(e.target.value)}>
          {props.options.map(([value, label]) => (
            <option key={value} value={value}>{label}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CheckField(props: { label: ReactNode; hint?: ReactNode; checked: boolean; onChange: (on: boolean) => void; disabled?: boolean }) {
  const id = useId();
  return (
    <div className="check">
      <input
        id={id}
        type="checkbox"
        checked={props.checked}
        disabled={props.disabled}
        aria-describedby={props.hint ? `${id}-hint` : undefined}
        onChange={(e) => props.onChange(e.target.checked)}
      />
      <div>
        <label htmlFor={id}>{props.label}</label>
        {props.hint && <div className="muted small" id={`${id}-hint`}>{props.hint}</div>}
      </div>
    </div>
  );
}

export function Badge(props: { tone?: "good" | "warn" | "bad" | "accent"; children: ReactNode }) {
  return <span className={`badge ${props.tone ?? ""}`}>{props.children}</span>;
}

export function Empty(props: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <Inbox size={28} aria-hidden />
      <h2>{props.title}</h2>
      <p>{props.children}</p>
      {props.action}
    </div>
  );
}

export function Loading(props: { lines?: number; height?: number }) {
  const height = props.height ?? 22;
  return (
    <div className="stack" role="status">
      <span className="visually-hidden">Loading</span>
      {Array.from({ length: props.lines ?? 4 }, (_, i) => (
        <div key={i} className="skeleton" style={{ height }} />
      ))}
    </div>
  );
}

/** What went wrong, what to do about it, and the number to give to whoever helps. */
export function ErrorBox(props: { error: unknown; onRetry?: () => void }) {
  if (!props.error) return null;
  const refused = props.error instanceof ApiError ? props.error : undefined;
  return (
    <div className="notice bad" role="alert">
      <strong>{refused ? sentence(refused.problem.detail) : "Something in this page broke. Reload it."}</strong>
      {refused?.problem.errors?.map((e, i) => (
        <span key={i}>{e.pointer ?? e.parameter}: {e.detail}</span>
      ))}
      {refused && (
        <span className="small">
          {refused.code}
          {refused.problem.request_id && <> · request <code>{refused.problem.request_id}</code></>}
        </span>
      )}
      {props.onRetry && <div><Button onClick={props.onRetry}>Try again</Button></div>}
    </div>
  );
}

function sentence(text: string) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** One of loading, error, content: what every page of remote data is. */
export function Remote<T>(props: {
  query: { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown };
  lines?: number;
  height?: number;
  children: (data: T) => ReactNode;
}) {
  const { data, error, refetch } = props.query;
  if (data !== undefined) return <>{props.children(data)}</>;
  if (error) return <ErrorBox error={error} onRetry={() => void refetch()} />;
  return <Loading lines={props.lines} height={props.height} />;
}

export const utc = (at: string) => `${new Date(at).toISOString().replace("T", " ").slice(0, 19)} UTC`;

/** Local time; UTC when pointed at. */
export function Time(props: { at?: string; seconds?: boolean }) {
  if (!props.at || props.at.startsWith("0001")) return <span className="muted">never</span>;
  const at = new Date(props.at);
  const local = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: props.seconds ? "medium" : "short" });
  return <time className="nowrap" dateTime={props.at} title={utc(props.at)}>{local}</time>;
}

export function CopyButton(props: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    await copyText(props.text);
    setDone(true);
  };
  return (
    <Button className="icon" onClick={() => void copy()} aria-label={done ? "Copied" : (props.label ?? "Copy")} title={props.label ?? "Copy"}>
      {done ? <Check size={16} aria-hidden /> : <Copy size={16} aria-hidden />}
    </Button>
  );
}

/** The clipboard of a page without TLS is only reached through a selection. */
async function copyText(text: string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function Secret(props: { label: string; text: string }) {
  return (
    <div className="field">
      <span className="small muted">{props.label}</span>
      <div className="secret">
        <code>{props.text}</code>
        <CopyButton text={props.text} label={`Copy ${props.label.toLowerCase()}`} />
      </div>
    </div>
  );
}

export function Code(props: { text: string; label: string }) {
  return (
    <div className="code">
      <pre tabIndex={0} aria-label={props.label}><code>{props.text}</code></pre>
      <CopyButton text={props.text} label={`Copy ${props.label}`} />
    </div>
  );
}

export function Segments<T extends string>(props: { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (v: T) => void }) {
  return (
    <div className="segments" role="group" aria-label={props.label}>
      {props.options.map(([value, label]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>{label}</button>
      ))}
    </div>
  );
}

export function Stat(props: { label: string; value: ReactNode; children?: ReactNode }) {
  return (
    <div className="card stat">
      <span className="muted small">{props.label}</span>
      <b>{props.value}</b>
      {props.children}
    </div>
  );
}

/** How much of a limit is used; 0 is the server's own ceiling. */
export function Meter(props: { label: string; used: number; most: number }) {
  const share = props.most > 0 ? Math.min(1, props.used / props.most) : 0;
  const tone = share >= 1 ? "over" : share >= 0.8 ? "near" : "";
  return (
    <>
      <div className={`meter ${tone}`} role="meter" aria-label={props.label} aria-valuemin={0} aria-valuemax={props.most || undefined} aria-valuenow={props.used}>
        <i style={{ width: `${share * 100}%` }} />
      </div>
      <span className="muted small num">{props.most > 0 ? `of ${number(props.most)}` : "no limit of its own"}</span>
    </>
  );
}

const numbers = new Intl.NumberFormat();
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const number = (n: number) => numbers.format(n);
export const compact = (n: number) => short.format(n);

const units = ["B", "kB", "MB", "GB", "TB"];
export function bytes(n: number): string {
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`;
}
