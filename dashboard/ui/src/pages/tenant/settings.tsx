import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { useMay } from "../../api/queries";
import { ConfirmDialog } from "../../ui/dialog";
import { Badge, Button, Card, ErrorBox, Page, Remote, TextField, Time } from "../../ui/parts";
import { done, failed } from "../../ui/toasts";

export function TenantSettings() {
  const { tenant = "" } = useParams({ strict: false });
  const query = useQuery({
    queryKey: ["tenant", tenant],
    queryFn: () => ask(api.GET("/api/v1/tenants/{tenant}", { params: { path: { tenant } } })),
  });
  return (
    <Page title="Tenant settings" about="A tenant holds apps, people and tokens. Its short name stands in addresses and never changes.">
      <Remote query={query} height={120}>{(t) => <><Name key={t.revision} of={t} /><Danger of={t} /></>}</Remote>
    </Page>
  );
}

function Name({ of }: { of: Schemas["Tenant"] }) {
  const client = useQueryClient();
  const may = useMay(of.slug);
  const [name, setName] = useState(of.name);
  const save = useMutation({
    mutationFn: () => ask(api.PATCH("/api/v1/tenants/{tenant}", { params: { path: { tenant: of.slug } }, body: { name } })),
    onSuccess: async () => (done("Saved."), client.invalidateQueries()),
  });
  return (
    <Card>
      <form className="stack" onSubmit={(e) => (e.preventDefault(), save.mutate())}>
        <TextField label="Name" required value={name} onChange={setName} disabled={!may.admin} />
        <dl className="facts">
          <dt>Short name</dt><dd><code>{of.slug}</code></dd>
          <dt>State</dt><dd><Badge tone={of.status === "active" ? "good" : "warn"}>{of.status}</Badge></dd>
          <dt>Plan</dt><dd>{of.plan}</dd>
          <dt>Since</dt><dd><Time at={of.created_at} /></dd>
        </dl>
        <ErrorBox error={save.error} />
        <div className="row">
          <Button type="submit" kind="primary" busy={save.isPending} disabled={!may.admin || name === of.name}>Save</Button>
          {may.own && <a className="btn" href={`/api/v1/tenants/${encodeURIComponent(of.slug)}/export`} download={`${of.slug}.json`}><Download size={16} aria-hidden /> Export everything</a>}
        </div>
      </form>
    </Card>
  );
}

function Danger({ of }: { of: Schemas["Tenant"] }) {
  const client = useQueryClient();
  const may = useMay(of.slug);
  const [closing, setClosing] = useState(false);
  const path = { tenant: of.slug };
  const close = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/tenants/{tenant}", { params: { path } })),
    onSuccess: async () => (setClosing(false), client.invalidateQueries()),
  });
  const undo = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/tenants/{tenant}/undelete", { params: { path } })),
    onSuccess: async () => (done("The deletion is called off."), client.invalidateQueries()),
    onError: failed,
  });
  if (!may.own) return null;
  if (of.status === "closing") {
    return (
      <Card title="Closing" danger>
        <p>Nothing of this tenant remains after <Time at={of.purge_at} />.</p>
        <div><Button busy={undo.isPending} onClick={() => undo.mutate()}>Call it off</Button></div>
      </Card>
    );
  }
  return (
    <Card title="Close this tenant" danger>
      <p>All traffic stops within seconds. After a grace period, in which you can call it off, nothing remains.</p>
      <div><Button kind="danger" onClick={() => setClosing(true)}>Close the tenant</Button></div>
      {closing && (
        <ConfirmDialog title="Close this tenant" submit="Close it" name={of.slug} busy={close.isPending} error={close.error} onConfirm={() => close.mutate()} onClose={() => setClosing(false)}>
          Its apps, keys, people, tokens and numbers will be removed.
        </ConfirmDialog>
      )}
    </Card>
  );
}
