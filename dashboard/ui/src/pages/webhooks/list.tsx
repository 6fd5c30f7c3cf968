import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { appQuery, useMay } from "../../api/queries";
import { SecretDialog } from "../../ui/dialog";
import { Button, Card, Empty, Page, Remote, Time } from "../../ui/parts";
import { WebhookForm } from "./form";
import { EndpointState, SigningNote } from "./parts";
import { webhooksQuery, type Webhook } from "./queries";

export function Webhooks() {
  const { app = "" } = useParams({ strict: false });
  const { data } = useQuery(appQuery(app));
  const may = useMay(data?.tenant);
  const list = useQuery(webhooksQuery(app));
  const [creating, setCreating] = useState(false);
  const create = may.develop && <Button kind="primary" onClick={() => setCreating(true)}><Plus size={16} aria-hidden /> New endpoint</Button>;
  return (
    <Page title="Webhooks" about="Your server is told when channels fill and empty, members come and go, and clients speak. Signed, retried, and kept in a log." actions={create}>
      <Remote query={list} height={52}>
        {(endpoints) => endpoints.length === 0 ? (
          <Card><Empty title="No endpoint yet" action={create}>An endpoint is an address of yours that is called. What it answers is in its log, and what failed can be sent again.</Empty></Card>
        ) : <Card flush><Table of={endpoints} /></Card>}
      </Remote>
      {creating && <Create app={app} onClose={() => setCreating(false)} />}
    </Page>
  );
}

function Table(props: { of: Webhook[] }) {
  return (
    <div className="table-wrap">
      <table>
        <thead><tr><th>Address</th><th>Events</th><th>Channels</th><th>State</th><th>Made</th></tr></thead>
        <tbody>{props.of.map((w) => (
          <tr key={w.id}>
            <td><Link to="/apps/$app/webhooks/$webhook" params={{ app: w.app_id, webhook: w.id }}><code>{w.url}</code></Link></td>
            <td>{w.events.length === 0 ? "all" : w.events.length === 1 ? <code>{w.events[0]}</code> : `${w.events.length} kinds`}</td>
            <td>{w.channels.length === 0 ? "all" : <code>{w.channels.join(", ")}</code>}</td>
            <td><EndpointState of={w} /></td>
            <td><Time at={w.created_at} /></td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

function Create(props: { app: string; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const create = useMutation({
    mutationFn: (body: Schemas["NewWebhookBody"]) => ask(api.POST("/api/v1/apps/{app}/webhooks", { params: { path: { app: props.app } }, body })),
    onSuccess: () => client.invalidateQueries({ queryKey: webhooksQuery(props.app).queryKey }),
  });
  const made = create.data;
  if (made) {
    const go = () => void navigate({ to: "/apps/$app/webhooks/$webhook", params: { app: props.app, webhook: made.id } });
    return <SecretDialog title="The endpoint is ready" secrets={[["Signing secret", made.secret]]} onClose={go}><SigningNote /></SecretDialog>;
  }
  return <WebhookForm title="New endpoint" submit="Make the endpoint" busy={create.isPending} error={create.error} onSubmit={(body) => create.mutate(body)} onClose={props.onClose} />;
}
