import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { appQuery, useMay, whole } from "../../api/queries";
import { ConfirmDialog, FormDialog, SecretDialog } from "../../ui/dialog";
import { overlaps } from "../../ui/overlaps";
import { Badge, Button, Card, CopyButton, Empty, ErrorBox, Page, Remote, SelectField, Time } from "../../ui/parts";
import { done } from "../../ui/toasts";

export function Keys() {
  const { app = "" } = useParams({ strict: false });
  const client = useQueryClient();
  const { data } = useQuery(appQuery(app));
  const may = useMay(data?.tenant);
  const [rotating, setRotating] = useState<Schemas["Key"]>();
  const [revoking, setRevoking] = useState<Schemas["Key"]>();
  const [made, setMade] = useState<Schemas["ChangedKey"]>();
  const list = useQuery({
    queryKey: ["app", app, "keys"],
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/apps/{app}/keys", { params: { path: { app }, query: { cursor } } }))),
  });
  const refresh = () => client.invalidateQueries({ queryKey: ["app", app] });
  const create = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/apps/{app}/keys", { params: { path: { app } }, body: {} })),
    onSuccess: async (key) => (setMade(key), refresh()),
  });
  const revoke = useMutation({
    mutationFn: (key: string) => ask(api.POST("/api/v1/apps/{app}/keys/{key}/revoke", { params: { path: { app, key } } })),
    onSuccess: async () => (setRevoking(undefined), done("The key is revoked."), refresh()),
  });
  const actions = may.develop && <Button kind="primary" busy={create.isPending} onClick={() => create.mutate()}><Plus size={16} aria-hidden /> New key</Button>;
  return (
    <Page title="Keys" about="Clients carry the key, your server the key and its secret. Rotate to change both without an outage." actions={actions}>
      <ErrorBox error={create.error} />
      <Remote query={list} height={52}>
        {(keys) => keys.length === 0 ? <Card><Empty title="No keys">Nobody can connect to an app without one.</Empty></Card> : (
          <Card flush>
            <div className="table-wrap">
              <table>
                <thead><tr><th>Key</th><th>State</th><th>Made</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
                <tbody>{keys.map((k) => (
                  <tr key={k.id}>
                    <td><span className="row"><code>{k.key}</code><CopyButton text={k.key} label="Copy the key" /></span></td>
                    <td><KeyState of={k} /></td>
                    <td><Time at={k.created_at} /></td>
                    <td className="end">{may.develop && k.status !== "revoked" && (
                      <span className="row">
                        {k.status === "active" && <Button onClick={() => setRotating(k)}>Rotate</Button>}
                        <Button onClick={() => setRevoking(k)}>Revoke</Button>
                      </span>
                    )}</td>
                  </tr>
                ))}</tbody>
              </table>
            </div>
          </Card>
        )}
      </Remote>
      {rotating && <Rotate app={app} of={rotating} onClose={() => setRotating(undefined)} onMade={(k) => (setRotating(undefined), setMade(k), void refresh())} />}
      {revoking && (
        <ConfirmDialog title="Revoke a key" submit="Revoke" name={revoking.key} busy={revoke.isPending} error={revoke.error} onConfirm={() => revoke.mutate(revoking.id)} onClose={() => setRevoking(undefined)}>
          Connections made with it are closed within seconds, and requests signed with it are refused. This cannot be undone.
        </ConfirmDialog>
      )}
      {made && <SecretDialog title="The new key" secrets={[["Key", made.key], ["Secret", made.secret ?? ""]]} onClose={() => setMade(undefined)} />}
    </Page>
  );
}

function KeyState({ of }: { of: Schemas["Key"] }) {
  if (of.status === "active") return <Badge tone="good">active</Badge>;
  if (of.status === "revoked") return <Badge tone="bad">revoked</Badge>;
  return <span className="row"><Badge tone="warn">retiring</Badge><span className="muted small">until <Time at={of.retires_at} /></span></span>;
}

function Rotate(props: { app: string; of: Schemas["Key"]; onClose: () => void; onMade: (k: Schemas["ChangedKey"]) => void }) {
  const [overlap, setOverlap] = useState("86400");
  const rotate = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/apps/{app}/keys/{key}/rotate", { params: { path: { app: props.app, key: props.of.id } }, body: { overlap_seconds: Number(overlap) } })),
    onSuccess: (r) => props.onMade(r.key),
  });
  return (
    <FormDialog title="Rotate a key" submit="Make the new key" busy={rotate.isPending} error={rotate.error} onSubmit={() => rotate.mutate()} onClose={props.onClose}>
      <p>A new key and secret are made. <code>{props.of.key}</code> goes on working for a while, so that your clients and servers can move.</p>
      <SelectField label="The old key works for" value={overlap} options={overlaps} onChange={setOverlap} />
    </FormDialog>
  );
}
