import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { Button, Card, compact, Empty, number, Remote, Time } from "../../ui/parts";
import { PlanForm } from "./plan";

export function Nodes() {
  const nodes = useQuery({ queryKey: ["operator", "nodes"], queryFn: () => ask(api.GET("/api/v1/operator/nodes")), refetchInterval: 5000 });
  return (
    <Remote query={nodes} height={44}>
      {({ nodes: list }) => list.length === 0 ? <Card><Empty title="No node has reported yet">A node writes down that it serves every few seconds.</Empty></Card> : (
        <Card flush>
          <div className="table-wrap">
            <table>
              <thead><tr><th>Node</th><th className="right">Connections</th><th>Seen</th></tr></thead>
              <tbody>{list.map((n) => <tr key={n.name}><td><code>{n.name}</code></td><td className="right num">{number(n.connections)}</td><td><Time at={n.seen_at} /></td></tr>)}</tbody>
            </table>
          </div>
        </Card>
      )}
    </Remote>
  );
}

export const plansQuery = {
  queryKey: ["operator", "plans"],
  queryFn: () => ask(api.GET("/api/v1/operator/plans", { params: { query: { limit: 100 } } })),
};

/** The plans to choose from; before they are known, the one that is chosen. */
export const planNames = (plans: { data: Schemas["Plan"][] } | undefined, chosen: string) =>
  plans?.data.map((p) => [p.name, p.name] as const) ?? [[chosen, chosen] as const];

export function Plans() {
  const plans = useQuery(plansQuery);
  const [editing, setEditing] = useState<Schemas["Plan"] | "new">();
  const cell = (n: number) => <td className="right num">{n > 0 ? compact(n) : "ceiling"}</td>;
  return (
    <Remote query={plans} height={44}>
      {({ data: list }) => (
        <Card flush>
          <div className="card-head"><h2>Plans</h2><Button kind="primary" onClick={() => setEditing("new")}><Plus size={16} aria-hidden /> New plan</Button></div>
          <div className="table-wrap">
            <table>
              <thead><tr><th>Plan</th><th className="right">Apps</th><th className="right">Connections</th><th className="right">Messages a day</th><th className="right">Publishes a second</th><th className="right">Members</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
              <tbody>{list.map((p) => (
                <tr key={p.name}>
                  <td>{p.name} <span className="muted small">version {p.version}</span></td>
                  {cell(p.max_apps)}{cell(p.max_connections)}{cell(p.max_messages_per_day)}{cell(p.max_publishes_per_second)}{cell(p.max_members)}
                  <td className="end"><Button onClick={() => setEditing(p)} aria-label={`Edit plan ${p.name}`}>Edit</Button></td>
                </tr>
              ))}</tbody>
            </table>
          </div>
          <div className="list-end muted small">A file does it too: <code>platform plans apply</code>.</div>
          {editing && <PlanForm of={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />}
        </Card>
      )}
    </Remote>
  );
}
