import { useQuery } from "@tanstack/react-query";
import { ApiError } from "../../api/client";
import { Badge, Card, Remote } from "../../ui/parts";

type State = { status: string; checks: Record<string, string>; works: Record<string, boolean> };

/** What a node says of itself: it answers 503 when something is away, and says what. */
async function ready(): Promise<State> {
  const answer = await fetch("/readyz?degraded=ok");
  const body: unknown = await answer.json().catch(() => undefined);
  if (typeof body === "object" && body !== null && "checks" in body && "works" in body) return body as State;
  throw new ApiError({
    type: "about:blank", title: "No health", status: answer.status, code: "no_health", request_id: "",
    detail: "Something before this server keeps /readyz to itself; ask it from where the nodes run",
  });
}

const tones: Record<string, "good" | "warn"> = { ready: "good", degraded: "warn", starting: "warn", draining: "warn" };
const words: Record<string, string> = {
  admin: "Admin API and dashboard", configuration: "Configuration of apps", connections: "New connections", database: "Database",
  events: "Events", new_apps: "Apps new to this node", redis: "Redis", room: "Room for more clients", webhooks: "Webhooks",
};

export function Health() {
  const health = useQuery({ queryKey: ["operator", "health"], queryFn: ready, refetchInterval: 5000 });
  return (
    <Card title="Health of the node that answers" aside={health.data && <Badge tone={tones[health.data.status] ?? "bad"}>{health.data.status}</Badge>}>
      <Remote query={health} lines={2}>
        {(h) => (
          <dl className="facts short">
            {Object.entries(h.checks).map(([name, said]) => <Fact key={name} name={name} good={said === "ok"} said={said} />)}
            {Object.entries(h.works).map(([name, works]) => <Fact key={name} name={name} good={works} said={works ? "works" : "does not work"} />)}
          </dl>
        )}
      </Remote>
    </Card>
  );
}

function Fact(props: { name: string; good: boolean; said: string }) {
  return (
    <>
      <dt>{words[props.name] ?? props.name}</dt>
      <dd><Badge tone={props.good ? "good" : "bad"}>{props.said}</Badge></dd>
    </>
  );
}
