import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { Check } from "lucide-react";
import { useState, type ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { useFigures } from "../../api/figures";
import { appQuery, statsQuery } from "../../api/queries";
import { Badge, Card, Code, Page, Remote } from "../../ui/parts";
import { SECRET, snippets, type Snippet } from "./snippets";

export function Start() {
  const { app: id = "" } = useParams({ strict: false });
  const app = useQuery(appQuery(id));
  return (
    <Page title="Getting started" about="Two pieces of code with this app's own values. The ticks turn green when the platform sees them work.">
      <Remote query={app} height={160}>{(a) => <Steps app={a} />}</Remote>
    </Page>
  );
}

function Steps({ app }: { app: Schemas["App"] }) {
  const query = statsQuery(app.id);
  const stats = useQuery({ ...query, enabled: app.serving });
  useFigures(app.id, "stats", query.queryKey, app.serving);
  const [seen, setSeen] = useState({ connected: false, sent: false });
  const connected = seen.connected || (stats.data?.connections ?? 0) > 0;
  const sent = seen.sent || (stats.data?.messages_today ?? 0) > 0;
  // What was seen once stays seen, though the client may be gone by now.
  if (connected !== seen.connected || sent !== seen.sent) setSeen({ connected, sent });

  const key = app.keys.find((k) => k.status === "active") ?? app.keys[0];
  if (!key) return <div className="notice">This app has no key. <Link to="/apps/$app/keys" params={{ app: app.id }}>Make one.</Link></div>;
  const tls = location.protocol === "https:";
  const list = snippets({
    app: app.id, key: key.key, secret: SECRET, tls,
    host: location.hostname, port: location.port || (tls ? "443" : "80"),
  });
  return (
    <>
      <Step n={1} done={connected} title="Connect a client" state={connected ? "connected" : "waiting for the first connection"}>
        <Picker list={list.filter((s) => s.side === "client")} />
      </Step>
      <Step n={2} done={sent} title="Send it an event" state={sent ? "event seen" : "waiting for the first event"}>
        <p className="muted">Put your secret in place of <code>{SECRET}</code>. It was shown when the app was made; if it is lost, <Link to="/apps/$app/keys" params={{ app: app.id }}>rotate the key</Link>.</p>
        <Picker list={list.filter((s) => s.side === "server")} />
        <p className="muted small">No server at hand? <Link to="/apps/$app/send" params={{ app: app.id }}>Send an event from here.</Link></p>
      </Step>
    </>
  );
}

function Step(props: { n: number; done: boolean; title: string; state: string; children: ReactNode }) {
  return (
    <Card>
      <div className={`step${props.done ? " done" : ""}`}>
        <span className="tick" aria-hidden>{props.done ? <Check size={16} /> : props.n}</span>
        <div className="stack">
          <div className="row between">
            <h2>{props.title}</h2>
            <span role="status"><Badge tone={props.done ? "good" : undefined}>{props.state}</Badge></span>
          </div>
          {props.children}
        </div>
      </div>
    </Card>
  );
}

function Picker({ list }: { list: Snippet[] }) {
  const [id, setId] = useState(list[0]?.id);
  const s = list.find((x) => x.id === id) ?? list[0];
  if (!s) return null;
  return (
    <div className="stack">
      <div className="tabs" role="tablist" aria-label="Language">
        {list.map((x) => (
          <button key={x.id} role="tab" type="button" aria-selected={x.id === s.id} onClick={() => setId(x.id)}>{x.title}</button>
        ))}
      </div>
      <div className="stack tight" role="tabpanel" aria-label={s.title}>
        {s.install && <Code label={`${s.title}: install`} text={s.install} />}
        <span className="muted small">{s.file}</span>
        <Code label={`${s.title}: ${s.file}`} text={s.code} />
        {s.run && <Code label={`${s.title}: run`} text={s.run} />}
      </div>
    </div>
  );
}
