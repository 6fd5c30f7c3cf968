/** One thing that happened, as the platform notes it. Everything in it may be hostile: it is only ever text. */
export type Entry = {
  seq: number;
  time: number;
  kind: string;
  code: string;
  node: string;
  socket_id?: string;
  channel?: string;
  event?: string;
  user_id?: string;
  from?: string;
  text?: string;
  data?: string;
  size?: number;
  cut?: boolean;
  wire?: number;
  refused?: boolean;
  what?: string;
  remedy?: string;
};

export type Batch = { node: string; entries: Omit<Entry, "seq" | "node">[]; skipped: Record<string, number> };

/** How many entries are kept; older ones go. */
export const KEPT = 5000;

export const kinds: readonly (readonly [string, string])[] = [
  ["", "Everything"],
  ["connection", "Connections"],
  ["auth", "Authentication"],
  ["subscription", "Subscriptions"],
  ["publish", "Publishes"],
  ["client_event", "Client events"],
  ["history", "History"],
  ["message", "Client messages"],
  ["request", "HTTP API"],
  ["webhook", "Webhooks"],
  ["console", "Console"],
];

/** Collects entries and tells its listener at most once for each picture the browser draws. */
export class Log {
  all: readonly Entry[] = [];
  skipped: Readonly<Record<string, number>> = {};
  nodes: ReadonlySet<string> = new Set();
  version = 0;

  private seq = 0;
  private waiting: Entry[] = [];
  private listeners = new Set<() => void>();
  private frame: number | undefined;

  add(batch: Batch) {
    for (const e of batch.entries) this.waiting.push({ ...e, node: batch.node, seq: ++this.seq });
    if (this.waiting.length > KEPT) this.waiting.splice(0, this.waiting.length - KEPT);
    const lost = Object.entries(batch.skipped);
    if (lost.length > 0) {
      const sum: Record<string, number> = { ...this.skipped };
      for (const [kind, n] of lost) sum[kind] = (sum[kind] ?? 0) + n;
      this.skipped = sum;
    }
    if (!this.nodes.has(batch.node)) this.nodes = new Set([...this.nodes, batch.node]);
    this.frame ??= requestAnimationFrame(() => this.flush());
  }

  clear() {
    this.waiting = [];
    this.all = [];
    this.skipped = {};
    this.changed();
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  private flush() {
    this.frame = undefined;
    const next = this.all.concat(this.waiting);
    this.waiting = [];
    this.all = next.length > KEPT ? next.slice(-KEPT) : next;
    this.changed();
  }

  private changed() {
    this.version++;
    for (const listener of this.listeners) listener();
  }
}

export type Filter = { kind: string; refusals: boolean; query: string };

const fields: Record<string, (e: Entry) => string | undefined> = {
  channel: (e) => e.channel,
  socket: (e) => e.socket_id,
  code: (e) => e.code,
  event: (e) => e.event,
  user: (e) => e.user_id,
  node: (e) => e.node,
};

/**
 * What a search fits: words anywhere, and name:value for one field, such as
 * channel:orders or code:auth_missing. All must fit.
 */
export function matcher(filter: Filter): (e: Entry) => boolean {
  const terms = filter.query.toLowerCase().split(/\s+/).filter(Boolean).map((term) => {
    const at = term.indexOf(":");
    const field = at > 0 ? fields[term.slice(0, at)] : undefined;
    return field ? { field, value: term.slice(at + 1) } : { field: undefined, value: term };
  });
  if (terms.length === 0 && filter.kind === "" && !filter.refusals) return all;
  return (e) =>
    (filter.kind === "" || e.kind === filter.kind) &&
    (!filter.refusals || e.refused === true) &&
    terms.every(({ field, value }) => (field ? (field(e) ?? "").toLowerCase() : haystack(e)).includes(value));
}

/** What fits a filter that asks for nothing. */
export const all = () => true;

/** What words are looked for in, made once for each entry. */
function haystack(e: Entry): string {
  let text = haystacks.get(e);
  if (text === undefined) {
    text = [e.code, e.channel, e.event, e.socket_id, e.user_id, e.from, e.text, e.data, e.node].join("\n").toLowerCase();
    haystacks.set(e, text);
  }
  return text;
}

const haystacks = new WeakMap<Entry, string>();

/** The line of a row behind its code. */
export function summary(e: Entry): string {
  const said = e.text ?? e.what ?? "";
  switch (e.code) {
    case "published":
    case "client_event":
      return [e.event, e.data].filter(Boolean).join("  ");
    case "connection_opened":
      return `key ${e.from}`;
    case "watching":
      return `node ${e.from} reports to this console`;
  }
  return [e.event, e.from && e.kind !== "connection" ? e.from : undefined, said].filter(Boolean).join("  ");
}

export function clock(ms: number, utc = false): string {
  const at = new Date(ms);
  if (utc) return at.toISOString().replace("T", " ").replace("Z", " UTC");
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** One JSON object on each line. */
export const lines = (list: readonly Entry[]) =>
  list.map(({ seq: _, time, ...rest }) => JSON.stringify({ time: new Date(time).toISOString(), ...rest })).join("\n") + "\n";

/** Data as it reads best: indented, if it is JSON. */
export function pretty(data: string): string {
  try {
    return JSON.stringify(JSON.parse(data), null, 2);
  } catch {
    return data;
  }
}
