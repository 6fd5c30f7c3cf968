import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, ApiError, ask, type Schemas } from "../../api/client";
import { appQuery, useMay } from "../../api/queries";
import { ConfirmDialog } from "../../ui/dialog";
import { Button, Card, CheckField, ErrorBox, Field, Page, Remote, TextField } from "../../ui/parts";
import { done, failed } from "../../ui/toasts";

const switches = [
  ["client_events", "Client events", "Clients may send client-… events to private and presence channels."],
  ["subscription_count_events", "Subscription counts", "Subscribers are told how many there are."],
  ["watchlist_events", "Watchlists", "Signed-in users learn when those they watch come and go."],
  ["require_authorization", "Require authorization", "A connection that has not signed in or joined a private channel in time is closed."],
  ["force_tls", "TLS only", "Connections without TLS are refused with code 4000."],
  ["webhook_batching", "Batch webhooks", "Several changes travel in one request."],
] as const;

export function Settings() {
  const { app: id = "" } = useParams({ strict: false });
  const app = useQuery(appQuery(id));
  return (
    <Page title="Settings" about="A change is felt on every node within a second.">
      <Remote query={app} height={120}>{(a) => <><SettingsForm key={a.revision} app={a} /><State app={a} /></>}</Remote>
    </Page>
  );
}

function SettingsForm({ app }: { app: Schemas["App"] }) {
  const client = useQueryClient();
  const may = useMay(app.tenant);
  const [name, setName] = useState(app.name);
  const [s, setS] = useState(app.settings);
  const [origins, setOrigins] = useState(app.settings.allowed_origins.join("\n"));
  const [history, setHistory] = useState(JSON.stringify(app.settings.history, null, 2));
  const save = useMutation({
    mutationFn: () => {
      const { jwt: _, ...rest } = s;
      const settings = { ...rest, allowed_origins: origins.split(/\s+/).filter(Boolean), history: JSON.parse(history) as never };
      return ask(api.PATCH("/api/v1/apps/{app}", {
        params: { path: { app: app.id }, header: { "If-Match": `"${app.revision}"` } },
        body: { name, settings: settings as never },
      }));
    },
    onSuccess: async (changed) => {
      client.setQueryData(appQuery(app.id).queryKey, changed);
      await client.invalidateQueries({ queryKey: ["tenant", app.tenant, "apps"] });
      done("Saved.");
    },
  });
  const error = save.error instanceof ApiError ? save.error : undefined;
  const broken = !isJSON(history);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (!broken) save.mutate();
  };
  return (
    <Card>
      <form className="stack" onSubmit={submit}>
        <div className="form-grid">
          <TextField label="Name" required maxLength={100} value={name} onChange={setName} wrong={error?.field("/name")} />
          <TextField label="Authorization time-out (seconds)" type="number" min={1} value={String(s.authorization_timeout_seconds)} onChange={(v) => setS({ ...s, authorization_timeout_seconds: Number(v) })} />
          <TextField label="Cache channels keep an event for (seconds)" type="number" min={1} value={String(s.cache_ttl_seconds)} onChange={(v) => setS({ ...s, cache_ttl_seconds: Number(v) })} />
        </div>
        <fieldset>
          <legend>Abilities</legend>
          {switches.map(([field, label, hint]) => (
            <CheckField key={field} label={label} hint={hint} checked={s[field]} onChange={(on) => setS({ ...s, [field]: on })} />
          ))}
        </fieldset>
        <div className="form-grid">
          <Field label="Allowed origins" hint="One a line, such as https://example.com or https://*.example.com. Empty = any.">
            {(a) => <textarea className="input" rows={4} {...a} value={origins} onChange={(e) => setOrigins(e.target.value)} spellCheck={false} />}
          </Field>
          <Field label="History" hint="A list of {pattern, max_messages, ttl_seconds}." wrong={broken ? "This is no JSON." : undefined}>
            {(a) => <textarea className="input" rows={4} {...a} value={history} onChange={(e) => setHistory(e.target.value)} spellCheck={false} />}
          </Field>
        </div>
        <ErrorBox error={save.error} />
        <div><Button type="submit" kind="primary" busy={save.isPending} disabled={!may.develop || broken}>Save</Button></div>
      </form>
    </Card>
  );
}

export function isJSON(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function State({ app }: { app: Schemas["App"] }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay(app.tenant);
  const [deleting, setDeleting] = useState(false);
  const toggle = useMutation({
    mutationFn: () =>
      app.disabled
        ? ask(api.POST("/api/v1/apps/{app}/enable", { params: { path: { app: app.id } } }))
        : ask(api.POST("/api/v1/apps/{app}/disable", { params: { path: { app: app.id } } })),
    onSuccess: (changed) => {
      client.setQueryData(appQuery(app.id).queryKey, changed);
      done(changed.disabled ? "The app is disabled." : "The app is enabled.");
    },
    onError: failed,
  });
  const remove = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/apps/{app}", { params: { path: { app: app.id } } })),
    onSuccess: async () => {
      await navigate({ to: "/t/$tenant/apps", params: { tenant: app.tenant } });
      client.removeQueries({ queryKey: ["app", app.id] });
      await client.invalidateQueries({ queryKey: ["tenant", app.tenant, "apps"] });
      done(`${app.name} is deleted.`);
    },
  });
  return (
    <Card title="State" danger>
      <div className="row between">
        <p>{app.disabled ? "The app is disabled: nobody can connect or publish." : "Disabling closes every connection within seconds; nothing is deleted."}</p>
        <Button disabled={!may.develop} busy={toggle.isPending} onClick={() => toggle.mutate()}>{app.disabled ? "Enable" : "Disable"}</Button>
      </div>
      <div className="row between">
        <p>Deleting removes the app and all that hangs on it. Its id and keys are never given out again.</p>
        <Button kind="danger" disabled={!may.admin} onClick={() => setDeleting(true)}>Delete the app</Button>
      </div>
      {deleting && (
        <ConfirmDialog title="Delete the app" submit="Delete it for good" name={app.name} busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate()} onClose={() => setDeleting(false)}>
          Every connection is closed and every key stops working. This cannot be undone.
        </ConfirmDialog>
      )}
    </Card>
  );
}
