import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { appQuery, useMay } from "../../api/queries";
import { ConfirmDialog } from "../../ui/dialog";
import { Badge, Button, Card, Empty, Page, Remote } from "../../ui/parts";
import { done } from "../../ui/toasts";
import { IssuerForm, type Issuer } from "./issuer";
import { Revocations } from "./revocations";

/** Whose tokens an app believes beside its own signatures, and which are taken back. */
export function JWT() {
  const { app: id = "" } = useParams({ strict: false });
  const app = useQuery(appQuery(id));
  return (
    <Page title="User tokens (JWT)" about="Users may show a token of an issuer you trust instead of a signature from your auth endpoint. What it may do stands in the token.">
      <Remote query={app} height={120}>{(a) => <><Issuers app={a} /><Revocations app={a} /></>}</Remote>
    </Page>
  );
}

function Issuers({ app }: { app: Schemas["App"] }) {
  const client = useQueryClient();
  const may = useMay(app.tenant);
  const list = app.settings.jwt.issuers;
  const [editing, setEditing] = useState<number>(); // list.length = a new one
  const [removing, setRemoving] = useState<number>();
  const save = useMutation({
    mutationFn: (issuers: Issuer[]) =>
      ask(api.PATCH("/api/v1/apps/{app}", {
        params: { path: { app: app.id }, header: { "If-Match": `"${app.revision}"` } },
        body: { settings: { jwt: { issuers } } as never },
      })),
    onSuccess: (changed) => {
      client.setQueryData(appQuery(app.id).queryKey, changed);
      setEditing(undefined);
      setRemoving(undefined);
      done("Saved.");
    },
  });
  const open = (set: () => void) => (save.reset(), set());
  const add = may.develop && <Button kind="primary" onClick={() => open(() => setEditing(list.length))}><Plus size={16} aria-hidden /> Add an issuer</Button>;
  return (
    <Card flush>
      <div className="card-head"><h2>Issuers</h2>{list.length > 0 && add}</div>
      {list.length === 0 ? (
        <Empty title="No issuer is trusted" action={add}>Add the one that signs your users’ tokens: your own server with a shared secret, or an identity provider with a public key.</Empty>
      ) : (
        <div className="table-wrap">
          <table>
            <thead><tr><th>Issuer (iss)</th><th>Audience (aud)</th><th>Algorithms</th><th>Key</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
            <tbody>{list.map((i, n) => (
              <tr key={n}>
                <td><code>{i.issuer}</code></td>
                <td><code>{i.audience}</code></td>
                <td><span className="row">{i.algorithms.map((a) => <Badge key={a}>{a}</Badge>)}</span></td>
                <td>{i.jwks_url ? <code>{i.jwks_url}</code> : i.public_key ? "public key" : "secret"}</td>
                <td className="end">{may.develop && (
                  <span className="row">
                    <Button onClick={() => open(() => setEditing(n))}>Edit</Button>
                    <Button onClick={() => open(() => setRemoving(n))}>Remove</Button>
                  </span>
                )}</td>
              </tr>
            ))}</tbody>
          </table>
        </div>
      )}
      {editing !== undefined && (
        <IssuerForm of={list[editing]} at={editing} busy={save.isPending} error={save.error} onSubmit={(i) => save.mutate([...list.slice(0, editing), i, ...list.slice(editing + 1)])} onClose={() => setEditing(undefined)} />
      )}
      {removing !== undefined && (
        <ConfirmDialog title="Remove an issuer" submit="Remove" name={list[removing]?.issuer} busy={save.isPending} error={save.error} onConfirm={() => save.mutate(list.filter((_, n) => n !== removing))} onClose={() => setRemoving(undefined)}>
          Its tokens are not believed any more. Connections that rest on one are closed within seconds.
        </ConfirmDialog>
      )}
    </Card>
  );
}
