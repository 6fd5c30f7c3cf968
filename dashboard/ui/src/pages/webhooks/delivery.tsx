import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { RotateCw } from "lucide-react";
import { api, ask, type Schemas } from "../../api/client";
import { appQuery, useMay } from "../../api/queries";
import { Badge, Button, Card, Code, ErrorBox, Page, Remote, Time } from "../../ui/parts";
import { done } from "../../ui/toasts";
import { DeliveryState } from "./parts";
import { deliveriesKey, deliveryQuery } from "./queries";

type Detail = Schemas["DeliveryDetail"];

export function DeliveryPage() {
  const { app = "", webhook = "", delivery: id = "" } = useParams({ strict: false });
  const client = useQueryClient();
  const { data } = useQuery(appQuery(app));
  const may = useMay(data?.tenant);
  const delivery = useQuery(deliveryQuery(id));
  const replay = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/deliveries/{delivery}/replay", { params: { path: { delivery: id } } })),
    onSuccess: async () => {
      done("It is sent again, under its id.");
      void client.invalidateQueries({ queryKey: deliveriesKey(webhook) });
      await client.invalidateQueries({ queryKey: deliveryQuery(id).queryKey });
    },
  });
  const actions = may.develop && delivery.data && delivery.data.status !== "pending" && (
    <Button busy={replay.isPending} onClick={() => replay.mutate()}><RotateCw size={16} aria-hidden /> Replay</Button>
  );
  return (
    <Page title="Delivery" about={<><code>{id}</code>, of <Link to="/apps/$app/webhooks/$webhook" params={{ app, webhook }}>its endpoint</Link></>} actions={actions}>
      <ErrorBox error={replay.error} />
      <Remote query={delivery} height={120}>
        {(d) => (
          <>
            <Facts of={d} />
            {d.log.length === 0
              ? <Card title="Attempts"><p className="muted">None yet.</p></Card>
              : [...d.log].reverse().map((a) => <Attempt key={a.number} of={a} />)}
          </>
        )}
      </Remote>
    </Page>
  );
}

function Facts({ of }: { of: Detail }) {
  return (
    <Card title="Events" aside={<DeliveryState of={of} />}>
      {of.reason && <div className={`notice${of.status === "dead" ? " bad" : ""}`}>{of.reason}</div>}
      <dl className="facts">
        <dt>Kinds</dt><dd><code>{of.events.join(", ")}</code></dd>
        <dt>Made</dt><dd><Time at={of.created_at} seconds /></dd>
        {of.status === "pending"
          ? <><dt>Next attempt</dt><dd><Time at={of.next_attempt_at} seconds /></dd></>
          : <><dt>Finished</dt><dd><Time at={of.finished_at} seconds /></dd></>}
      </dl>
      {of.payload === undefined
        ? <p className="muted">The events are not kept any more, so they cannot be sent again.</p>
        : <Code label="events" text={JSON.stringify(of.payload, null, 2)} />}
    </Card>
  );
}

function Attempt({ of }: { of: Schemas["Attempt"] }) {
  const answered = of.http_status !== undefined;
  return (
    <Card title={`Attempt ${of.number}`} aside={<Badge tone={of.reason ? "bad" : "good"}>{answered ? `answered ${of.http_status}` : "no answer"}</Badge>}>
      <p className="muted small"><Time at={of.at} seconds />, took {of.took_ms} ms{of.address && <>, called <code>{of.address}</code></>}</p>
      {of.reason && <p className="wrong">{of.reason}</p>}
      <div className="pair">
        <div className="stack tight"><h3>Request</h3><Code label={`request of attempt ${of.number}`} text={of.request_head} /></div>
        <div className="stack tight">
          <h3>Response</h3>
          {of.response_head || of.response_body
            ? <Code label={`response to attempt ${of.number}`} text={[of.response_head, of.response_body].filter(Boolean).join("\n")} />
            : <p className="muted small">There was none.</p>}
        </div>
      </div>
    </Card>
  );
}
