import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { whole } from "../../api/queries";
import { ConfirmDialog, FormDialog, SecretDialog } from "../../ui/dialog";
import { Badge, Button, Card, CheckField, Empty, Page, Remote, SelectField, TextField, Time } from "../../ui/parts";
import { done } from "../../ui/toasts";

type Scope = Schemas["Token"]["scopes"][number];

const scopes: readonly (readonly [Scope, string])[] = [
  ["apps:read", "Read apps"], ["apps:write", "Make and change apps"], ["keys:write", "Make, rotate and revoke keys"],
  ["webhooks:write", "Webhooks"], ["channels:read", "Channels and connections"], ["events:write", "Publish events"],
  ["stats:read", "Usage and numbers"], ["audit:read", "Audit log"], ["members:write", "People"], ["admin", "Everything an admin may, but tokens"],
];

export function Tokens() {
  const { tenant = "" } = useParams({ strict: false });
  const client = useQueryClient();
  const key = ["tenant", tenant, "tokens"];
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Schemas["NewToken"]>();
  const [revoking, setRevoking] = useState<Schemas["Token"]>();
  const list = useQuery({
    queryKey: key,
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/tenants/{tenant}/tokens", { params: { path: { tenant }, query: { cursor } } }))),
  });
  const revoke = useMutation({
    mutationFn: (token: string) => ask(api.DELETE("/api/v1/tenants/{tenant}/tokens/{token}", { params: { path: { tenant, token } } })),
    onSuccess: async () => (setRevoking(undefined), done("The token is revoked."), client.invalidateQueries({ queryKey: key })),
  });
  const actions = <Button kind="primary" onClick={() => setMaking(true)}><Plus size={16} aria-hidden /> New token</Button>;
  return (
    <Page title="API tokens" about={<>For programs that use the admin API. Everything this dashboard does can be done with one: see <a href="/api/docs">the reference</a>.</>} actions={actions}>
      <Remote query={list} height={52}>
        {(tokens) => tokens.length === 0 ? (
          <Card><Empty title="No tokens" action={actions}>A token lets a script or a pipeline act for this tenant, with only the rights you give it.</Empty></Card>
        ) : (
          <Card flush>
            <div className="table-wrap">
              <table>
                <thead><tr><th>Name</th><th>Token</th><th>May</th><th>Last used</th><th>Ends</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
                <tbody>{tokens.map((t) => (
                  <tr key={t.id}>
                    <td>{t.name}</td>
                    <td><code>{t.prefix}…{t.last4}</code></td>
                    <td><span className="row">{t.scopes.map((s) => <Badge key={s}>{s}</Badge>)}</span></td>
                    <td><Time at={t.last_used_at} /></td>
                    <td><Time at={t.expires_at} /></td>
                    <td className="end"><Button onClick={() => setRevoking(t)}>Revoke</Button></td>
                  </tr>
                ))}</tbody>
              </table>
            </div>
          </Card>
        )}
      </Remote>
      {making && <MakeToken tenant={tenant} onClose={() => setMaking(false)} onMade={(t) => (setMaking(false), setMade(t), void client.invalidateQueries({ queryKey: key }))} />}
      {made && <SecretDialog title={made.name} secrets={[["Token", made.token]]} onClose={() => setMade(undefined)} />}
      {revoking && (
        <ConfirmDialog title="Revoke a token" submit="Revoke" name={revoking.name} busy={revoke.isPending} error={revoke.error} onConfirm={() => revoke.mutate(revoking.id)} onClose={() => setRevoking(undefined)}>
          Whatever uses it stops working at once.
        </ConfirmDialog>
      )}
    </Page>
  );
}

function MakeToken(props: { tenant: string; onClose: () => void; onMade: (t: Schemas["NewToken"]) => void }) {
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<Scope[]>(["apps:read"]);
  const [days, setDays] = useState("90");
  const make = useMutation({
    mutationFn: () => {
      const body: Schemas["TokenBody"] = { name, scopes: chosen };
      if (days !== "0") body.expires_at = new Date(Date.now() + Number(days) * 86_400_000).toISOString();
      return ask(api.POST("/api/v1/tenants/{tenant}/tokens", { params: { path: { tenant: props.tenant } }, body }));
    },
    onSuccess: props.onMade,
  });
  const toggle = (scope: Scope, on: boolean) => setChosen((s) => (on ? [...s, scope] : s.filter((x) => x !== scope)));
  return (
    <FormDialog title="New token" submit="Make the token" busy={make.isPending} error={make.error} disabled={!name.trim() || chosen.length === 0} onSubmit={() => make.mutate()} onClose={props.onClose}>
      <TextField label="Name" required autoFocus value={name} onChange={setName} hint="What will use it, such as “deploys”." />
      <SelectField label="Ends after" value={days} onChange={setDays} options={[["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "A year"], ["0", "Never"]]} />
      <fieldset>
        <legend>It may</legend>
        {scopes.map(([scope, label]) => <CheckField key={scope} label={label} checked={chosen.includes(scope)} onChange={(on) => toggle(scope, on)} />)}
      </fieldset>
    </FormDialog>
  );
}
