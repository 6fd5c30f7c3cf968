import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Pause, Play, Zap } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { appQuery, useMay } from "../../api/queries";
import { ConfirmDialog, FormDialog, SecretDialog } from "../../ui/dialog";
import { overlaps } from "../../ui/overlaps";
import { Button, Card, Page, Remote, SelectField, Time } from "../../ui/parts";
import { done, failed } from "../../ui/toasts";
import { Deliveries } from "./deliveries";
import { WebhookForm } from "./form";
import { EndpointState, SigningNote } from "./parts";
import { deliveriesKey, useChange, webhookQuery, webhooksQuery, type Webhook } from "./queries";

export function Endpoint() {
  const { app = "", webhook: id = "" } = useParams({ strict: false });
  const { data } = useQuery(appQuery(app));
  const may = useMay(data?.tenant);
  const webhook = useQuery(webhookQuery(id));
  return (
    <Page title="Webhook endpoint" about={webhook.data ? <code>{webhook.data.url}</code> : <code>{id}</code>} actions={webhook.data && may.develop && <Actions of={webhook.data} />}>
      <Remote query={webhook} height={120}>
        {(w) => (
          <>
            <Facts of={w} develop={may.develop} />
            <Deliveries webhook={w} develop={may.develop} />
          </>
        )}
      </Remote>
    </Page>
  );
}

function Actions({ of }: { of: Webhook }) {
  const client = useQueryClient();
  const change = useChange(of);
  const stopped = of.status === "paused" || of.status === "disabled";
  const test = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/webhooks/{webhook}/test", { params: { path: { webhook: of.id } } })),
    onSuccess: async () => (done("A test event is on its way."), client.invalidateQueries({ queryKey: deliveriesKey(of.id) })),
    onError: failed,
  });
  const pause = () => change.mutate({ paused: !stopped }, { onSuccess: () => done(stopped ? "The endpoint is called again." : "The endpoint is paused: deliveries wait."), onError: failed });
  return (
    <>
      <Button busy={test.isPending} disabled={stopped} onClick={() => test.mutate()}><Zap size={16} aria-hidden /> Send a test</Button>
      <Button busy={change.isPending} onClick={pause}>{stopped ? <><Play size={16} aria-hidden /> Resume</> : <><Pause size={16} aria-hidden /> Pause</>}</Button>
    </>
  );
}

type Open = "edit" | "rotate" | "delete";

function Facts({ of, develop }: { of: Webhook; develop: boolean }) {
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const headers = Object.keys(of.headers);
  const until = of.previous_secret_until && Date.parse(of.previous_secret_until) > Date.now() ? of.previous_secret_until : undefined;
  return (
    <Card title="Endpoint" aside={<EndpointState of={of} />}>
      {of.status_reason && <div className={`notice${of.status === "disabled" ? " bad" : ""}`}>{of.status_reason}</div>}
      <dl className="facts">
        <dt>Events</dt><dd>{of.events.length === 0 ? "all" : <code>{of.events.join(", ")}</code>}</dd>
        <dt>Channels</dt><dd>{of.channels.length === 0 ? "all" : <code>{of.channels.join(", ")}</code>}</dd>
        <dt>Requests</dt><dd>{of.batching ? "several events in one" : "one event in each"}, {of.keep_bodies ? "kept in the log" : "forgotten when finished"}</dd>
        <dt>Headers</dt><dd>{headers.length === 0 ? "none of its own" : <code>{headers.join(", ")}</code>}</dd>
        {until && <><dt>Old secret</dt><dd>signs too until <Time at={until} /></dd></>}
        <dt>Changed</dt><dd><Time at={of.updated_at} /></dd>
      </dl>
      {develop && (
        <div className="row">
          <Button onClick={() => setOpen("edit")}>Edit</Button>
          <Button onClick={() => setOpen("rotate")}>Rotate the secret</Button>
          <Button onClick={() => setOpen("delete")}>Delete</Button>
        </div>
      )}
      {open === "edit" && <Edit of={of} onClose={close} />}
      {open === "rotate" && <Rotate of={of} onClose={close} />}
      {open === "delete" && <Delete of={of} onClose={close} />}
    </Card>
  );
}

type DialogProps = { of: Webhook; onClose: () => void };

function Edit({ of, onClose }: DialogProps) {
  // The form goes on from what it was opened with, also if the page learns of a newer state.
  const [was] = useState(of);
  const change = useChange(was);
  const save = (body: Schemas["WebhookBody"]) => change.mutate(body, { onSuccess: () => (done("Saved."), onClose()) });
  return <WebhookForm of={was} title="Edit the endpoint" submit="Save" busy={change.isPending} error={change.error} onSubmit={save} onClose={onClose} />;
}

function Rotate({ of, onClose }: DialogProps) {
  const client = useQueryClient();
  const [overlap, setOverlap] = useState("86400");
  const rotate = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/webhooks/{webhook}/rotate", { params: { path: { webhook: of.id } }, body: { overlap_seconds: Number(overlap) } })),
    onSuccess: () => client.invalidateQueries({ queryKey: webhookQuery(of.id).queryKey }),
  });
  if (rotate.data) {
    return <SecretDialog title="The new secret" secrets={[["Signing secret", rotate.data.secret]]} onClose={onClose}><SigningNote /></SecretDialog>;
  }
  return (
    <FormDialog title="Rotate the secret" submit="Make the new secret" busy={rotate.isPending} error={rotate.error} onSubmit={() => rotate.mutate()} onClose={onClose}>
      <p>Requests are signed with the new secret. For a while the old one signs beside it, so that your server can change over in between.</p>
      <SelectField label="The old secret signs for" value={overlap} options={overlaps} onChange={setOverlap} />
    </FormDialog>
  );
}

function Delete({ of, onClose }: DialogProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/webhooks/{webhook}", { params: { path: { webhook: of.id } } })),
    onSuccess: async () => {
      await navigate({ to: "/apps/$app/webhooks", params: { app: of.app_id } });
      client.removeQueries({ queryKey: ["webhook", of.id] });
      await client.invalidateQueries({ queryKey: webhooksQuery(of.app_id).queryKey });
      done("The endpoint is deleted.");
    },
  });
  const name = new URL(of.url).host;
  return (
    <ConfirmDialog title="Delete the endpoint" submit="Delete it" name={name} busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate()} onClose={onClose}>
      It is not called any more, and its log is gone, with deliveries that still wait.
    </ConfirmDialog>
  );
}
