import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { planQuery, tenantUsageQuery, type Span } from "../../api/queries";
import { useChoice } from "../../ui/choice";
import { UsageCharts } from "../../ui/usage";
import { Badge, Card, Meter, number, Page, Remote, Segments, Stat } from "../../ui/parts";

const spans = [["day", "Day"], ["week", "Week"], ["month", "Month"]] as const;

export function Usage() {
  const { tenant = "" } = useParams({ strict: false });
  const [span, setSpan] = useChoice<Span>("span", spans, "week");
  const usage = useQuery(tenantUsageQuery(tenant, span));
  const plan = useQuery(planQuery(tenant));
  return (
    <Page title="Usage" about="What all apps of this tenant used together, and what the plan allows. Days end at midnight UTC." actions={plan.data && <Badge tone="accent">plan {plan.data.name}</Badge>}>
      <Remote query={usage} height={160} lines={2}>
        {(u) => (
          <>
            <div className="stats">
              <Stat label="Messages today" value={number(u.today.messages)}><Meter label="Messages today" used={u.today.messages} most={u.today.max_messages} /></Stat>
              <Stat label="Most connections today" value={number(u.today.peak_connections)}><Meter label="Most connections today" used={u.today.peak_connections} most={u.today.max_connections} /></Stat>
              <Stat label="Quota" value={u.today.state}><span className="muted small">of today</span></Stat>
            </div>
            <Card title="Over time" aside={<Segments label="Span" value={span} options={spans} onChange={setSpan} />}>
              <UsageCharts usage={u} maxConnections={u.today.max_connections} />
            </Card>
          </>
        )}
      </Remote>
      <Card title="The plan">
        <Remote query={plan}>{(p) => (
          <dl className="facts num">
            <dt>Apps</dt><dd>{ceiling(p.max_apps)}</dd>
            <dt>Members</dt><dd>{ceiling(p.max_members)}</dd>
            <dt>API tokens</dt><dd>{ceiling(p.max_tokens)}</dd>
            <dt>Connections at once</dt><dd>{ceiling(p.max_connections)}</dd>
            <dt>Messages a day</dt><dd>{ceiling(p.max_messages_per_day)}</dd>
            <dt>Publishes a second</dt><dd>{ceiling(p.max_publishes_per_second)}</dd>
            <dt>Webhook endpoints</dt><dd>{ceiling(p.max_webhook_endpoints)}</dd>
          </dl>
        )}</Remote>
      </Card>
    </Page>
  );
}

const ceiling = (n: number) => (n > 0 ? number(n) : "the server's own ceiling");
