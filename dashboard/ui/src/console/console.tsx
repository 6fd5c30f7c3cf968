import { Link, useParams, useSearch } from "@tanstack/react-router";
import { Download, Eraser, Pause, Play, Send as SendIcon } from "lucide-react";
import { useDeferredValue, useMemo, useState } from "react";
import { Badge, Button, Empty, ErrorBox, number, Page } from "../ui/parts";
import "./console.css";
import { Detail } from "./detail";
import { all as everything, kinds, KEPT, lines, matcher, type Entry, type Filter } from "./entries";
import { Explain } from "./explain";
import { useLive, useLog, type Live } from "./live";
import { Rows } from "./rows";
import { SendDialog } from "./send";

const signed = /^(auth_|signature_)/;

/** What happens to an app, as it happens, and why something was refused. */
export function Console() {
  const { app = "" } = useParams({ strict: false });
  return <View key={app} app={app} />;
}

function View({ app }: { app: string }) {
  const live = useLive(app);
  useLog(live.log);
  const [frozen, setFrozen] = useState<readonly Entry[]>();
  const { view } = useSearch({ strict: false });
  const [filter, setFilter] = useState<Filter>({ kind: "", refusals: view === "refusals", query: "" });
  const [open, setOpen] = useState<Entry>();
  const [asked, setAsked] = useState<{ send?: true; explain?: true; entry?: Entry }>({});

  const all = frozen ?? live.log.all;
  const settled = useDeferredValue(filter);
  const fits = useMemo(() => matcher(settled), [settled]);
  const list = useMemo(() => (fits === everything ? all : all.filter(fits)), [all, fits]);
  const newer = frozen ? (live.log.all.at(-1)?.seq ?? 0) - (frozen.at(-1)?.seq ?? 0) : 0;
  const pause = () => setFrozen((was) => was ?? live.log.all);
  const clear = () => {
    live.log.clear();
    setOpen(undefined);
    setFrozen((was) => was && []);
  };

  return (
    <Page
      title="Live console"
      about="Every connection, subscription, event, webhook and refusal of this app, from all nodes, as it happens. Nothing is recorded while no console is open."
      actions={
        <>
          <Button onClick={() => setAsked({ explain: true })}>Explain a signature</Button>
          <Button kind="primary" onClick={() => setAsked({ send: true })}><SendIcon size={16} aria-hidden /> Send an event</Button>
        </>
      }
    >
      {live.state === "failed" && <ErrorBox error={live.error} />}
      <section className="card flush cn">
        <div className="cn-bar">
          <State live={live} paused={frozen !== undefined} />
          <label className="visually-hidden" htmlFor="cn-kind">Kind</label>
          <select id="cn-kind" className="input cn-kind" value={filter.kind} onChange={(e) => setFilter({ ...filter, kind: e.target.value })}>
            {kinds.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </select>
          <input
            className="input cn-search" type="search" aria-label="Search" placeholder="Search, or channel:orders code:auth_missing socket:…"
            value={filter.query} onChange={(e) => setFilter({ ...filter, query: e.target.value })} spellCheck={false}
          />
          <button type="button" className="btn" aria-pressed={filter.refusals} onClick={() => setFilter({ ...filter, refusals: !filter.refusals })}>Refusals only</button>
          <span className="cn-tools">
            <Button onClick={() => (frozen ? setFrozen(undefined) : pause())}>
              {frozen ? <><Play size={16} aria-hidden /> Resume</> : <><Pause size={16} aria-hidden /> Pause</>}
            </Button>
            <Button className="icon" title="Export what is shown as JSON lines" aria-label="Export as JSON lines" disabled={list.length === 0} onClick={() => save(app, list)}><Download size={16} aria-hidden /></Button>
            <Button className="icon" title="Clear" aria-label="Clear" disabled={all.length === 0} onClick={clear}><Eraser size={16} aria-hidden /></Button>
          </span>
        </div>
        <Skipped of={live.log.skipped} />
        <div className={`cn-body${open ? " split" : ""}`}>
          {list.some((e) => e.kind !== "console") || filter.kind === "console"
            ? <Rows list={list} open={open} follow={!frozen} onOpen={setOpen} onLeave={pause} />
            : <Nothing app={app} filtered={all.some((e) => e.kind !== "console")} state={live.state} onSend={() => setAsked({ send: true })} onReset={() => setFilter({ kind: "", refusals: false, query: "" })} />}
          {open && (
            <Detail
              entry={open}
              onClose={() => setOpen(undefined)}
              onFilter={(term) => setFilter({ ...filter, query: filter.query.includes(term) ? filter.query : `${filter.query} ${term}`.trim() })}
              onExplain={signed.test(open.code) ? () => setAsked({ explain: true, entry: open }) : undefined}
            />
          )}
        </div>
        <div className="cn-foot muted small num">
          <span>{number(list.length)} of {number(all.length)} shown{all.length >= KEPT && <>, the last {number(KEPT)} are kept</>}</span>
          {newer > 0 && <span>{number(newer)} newer; resume to see them</span>}
        </div>
      </section>
      {asked.send && <SendDialog app={app} channel={open?.channel} onClose={() => setAsked({})} />}
      {asked.explain && <Explain app={app} entry={asked.entry} onClose={() => setAsked({})} />}
    </Page>
  );
}

function State({ live, paused }: { live: Live; paused: boolean }) {
  const nodes = live.log.nodes.size;
  return (
    <span role="status" className="cn-state">
      {paused ? <Badge tone="warn">paused</Badge>
        : live.state === "connected" ? <Badge tone="good">live{nodes > 1 && `, ${nodes} nodes`}</Badge>
          : live.state === "failed" ? <Badge tone="bad">not connected</Badge>
            : <Badge>connecting</Badge>}
    </span>
  );
}

function Skipped({ of }: { of: Readonly<Record<string, number>> }) {
  const names = new Map(kinds);
  const parts = Object.entries(of).map(([kind, n]) => `${number(n)} ${(names.get(kind) ?? kind).toLowerCase()}`);
  if (parts.length === 0) return null;
  return (
    <div className="cn-skipped" role="note">
      Sampled: {parts.join(", ")} are not shown, because more happened than a console is sent. Refusals are left out last.
    </div>
  );
}

function Nothing(props: { app: string; filtered: boolean; state: string; onSend: () => void; onReset: () => void }) {
  if (props.filtered) {
    return (
      <div className="cn-none">
        <Empty title="Nothing fits" action={<Button onClick={props.onReset}>Show everything</Button>}>No entry has what you look for. What comes in from now on is held against it too.</Empty>
      </div>
    );
  }
  return (
    <div className="cn-none">
      <Empty
        title={props.state === "connected" ? "Waiting for something to happen" : "Connecting"}
        action={<div className="row"><Button kind="primary" onClick={props.onSend}>Send an event</Button><Link className="btn" to="/apps/$app/start" params={{ app: props.app }}>Connect a client</Link></div>}
      >
        Each line will be one thing that happened: a client that connects, subscribes or is refused, an event, a webhook call. A refusal says why, and what to do about it.
      </Empty>
    </div>
  );
}

function save(app: string, list: readonly Entry[]) {
  const url = URL.createObjectURL(new Blob([lines(list)], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `console-${app}-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-")}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
