import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ApiError, ask, type Schemas } from "../../api/client";
import { appsQuery, useMay } from "../../api/queries";
import { FormDialog, SecretDialog } from "../../ui/dialog";
import { Badge, Button, Empty, Page, Remote, TextField, Time } from "../../ui/parts";

export function Apps() {
  const { tenant = "" } = useParams({ strict: false });
  const apps = useQuery(appsQuery(tenant));
  const may = useMay(tenant);
  const [creating, setCreating] = useState(false);
  const create = may.develop && (
    <Button kind="primary" onClick={() => setCreating(true)}><Plus size={16} aria-hidden /> New app</Button>
  );
  return (
    <Page title="Apps" about="An app is one realtime world: its own keys, channels, limits and numbers." actions={create}>
      <Remote query={apps} height={110} lines={2}>
        {(list) => list.length === 0 ? (
          <div className="card">
            <Empty title="Make your first app" action={create}>
              Clients connect to it with its key, your server publishes to it with its secret. You see both once it is made.
            </Empty>
          </div>
        ) : (
          <ul className="grid">{list.map((a) => <li key={a.id}><AppCard app={a} /></li>)}</ul>
        )}
      </Remote>
      {creating && <CreateApp tenant={tenant} onClose={() => setCreating(false)} />}
    </Page>
  );
}

function AppCard({ app }: { app: Schemas["App"] }) {
  return (
    <Link className="card app-card" to="/apps/$app" params={{ app: app.id }}>
      <div className="row between">
        <h2>{app.name}</h2>
        {app.disabled ? <Badge tone="warn">disabled</Badge> : app.serving ? <Badge tone="good">live</Badge> : <Badge tone="bad">stopped</Badge>}
      </div>
      <dl className="facts small">
        <dt>App id</dt><dd><code>{app.id}</code></dd>
        <dt>Created</dt><dd><Time at={app.created_at} /></dd>
      </dl>
    </Link>
  );
}

function CreateApp(props: { tenant: string; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const create = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/tenants/{tenant}/apps", { params: { path: { tenant: props.tenant } }, body: { name: name.trim() } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["tenant", props.tenant, "apps"] }),
  });
  const app = create.data;
  if (app) {
    const go = () => void navigate({ to: "/apps/$app/start", params: { app: app.id } });
    return <SecretDialog title={`${app.name} is ready`} secrets={[["App id", app.id], ["Key", app.key], ["Secret", app.secret]]} onClose={go} />;
  }
  const error = create.error instanceof ApiError ? create.error : undefined;
  return (
    <FormDialog title="New app" submit="Make the app" busy={create.isPending} error={create.error} disabled={name.trim() === ""} onSubmit={() => create.mutate()} onClose={props.onClose}>
      <TextField label="Name" value={name} onChange={setName} maxLength={100} autoFocus required hint="For you and your team, such as “Chat (production)”." wrong={error?.field("/name")} />
    </FormDialog>
  );
}
