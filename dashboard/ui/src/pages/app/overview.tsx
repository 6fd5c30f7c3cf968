import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { Fragment } from "react";
import type { Schemas } from "../../api/client";
import { useFigures } from "../../api/figures";
import { appQuery, appUsageQuery, statsQuery, useMay, type Span } from "../../api/queries";
import { useChoice } from "../../ui/choice";
import { UsageCharts } from "../../ui/usage";
import { Badge, Card, Meter, number, Page, Remote, Segments, Stat } from "../../ui/parts";

const spans = [["hour", "6 hours"], ["day", "Day"], ["week", "Week"], ["month", "Month"]] as const;

export function Overview() {
  const { app: id = "" } = useParams({ strict: false });
  const app = useQuery(appQuery(id));
  const [span, setSpan] = useChoice<Span>("span", spans, "day");
  const usage = useQuery(appUsageQuery(id, span));
  const may = useMay(app.data?.tenant);
  const state = app.data && (app.data.disabled ? <Badge tone="warn">disabled</Badge> : app.data.serving ? <Badge tone="good">live</Badge> : <Badge tone="bad">stopped</Badge>);
  return (
    <Page title={app.data?.name ?? "App"} about={<>App id <code>{id}</code></>} actions={state}>
      {app.data?.serving && <Now app={id} />}
      {app.data && !app.data.serving && (
        <div className="notice">This app carries no traffic. {app.data.disabled && <Link to="/apps/$app/settings" params={{ app: id }}>Enable it in its settings.</Link>}</div>
      )}
      <Card title="Traffic" aside={<Segments label="Span" value={span} options={spans} onChange={setSpan} />}>
        <Remote query={usage} height={220} lines={1}>{(u) => <UsageCharts usage={u} maxConnections={u.today.max_connections} />}</Remote>
      </Card>
      <Card title="Refused" aside={may.develop && <Link className="btn" to="/apps/$app/console" params={{ app: id }} search={{ view: "refusals" }}>Watch, and see why</Link>}>
        <Remote query={usage} lines={2}>{(u) => <Refused list={u.refused} />}</Remote>
      </Card>
    </Page>
  );
}

/** What was refused over the span, by the code that the console explains. */
function Refused({ list }: { list: Schemas["Refusals"][] }) {
  if (list.length === 0) return <p className="muted">Nothing was refused in this time: no client, no subscription, no event, no request.</p>;
  return (
    <dl className="facts short num">
      {list.map((r) => <Fragment key={r.reason}><dt><code>{r.reason}</code></dt><dd>{number(r.refused)}</dd></Fragment>)}
    </dl>
  );
}

function Now({ app }: { app: string }) {
  const query = statsQuery(app);
  const stats = useQuery(query);
  useFigures(app, "stats", query.queryKey);
  return (
    <Remote query={stats} height={104} lines={1}>
      {(s) => (
        <div className="stats">
          <Stat label="Connections now" value={number(s.connections)}><Meter label="Connections" used={s.connections} most={s.max_connections} /></Stat>
          <Stat label="Messages today" value={number(s.messages_today)}><Meter label="Messages today" used={s.messages_today} most={s.max_messages_per_day} /></Stat>
          <Stat label="Occupied channels" value={number(s.channels)}><span className="muted small">over all nodes</span></Stat>
        </div>
      )}
    </Remote>
  );
}
