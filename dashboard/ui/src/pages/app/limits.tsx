import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, ApiError, ask, type Schemas } from "../../api/client";
import { appQuery, useMay } from "../../api/queries";
import { Button, Card, ErrorBox, number, Page, Remote, TextField } from "../../ui/parts";
import { done } from "../../ui/toasts";

type Name = keyof Schemas["Limits"];

const names: readonly (readonly [Name, string])[] = [
  ["max_connections", "Connections at once"],
  ["max_messages_per_day", "Messages a day"],
  ["max_publishes_per_second", "Publishes a second"],
  ["max_reads_per_second", "API reads a second"],
  ["max_client_events_per_second", "Client events a second, each connection"],
  ["max_event_bytes", "Bytes of an event"],
  ["max_channels_per_connection", "Channels of a connection"],
  ["max_presence_members", "Members of a presence channel"],
  ["max_presence_info_bytes", "Bytes about a member"],
];

export function Limits() {
  const { app: id = "" } = useParams({ strict: false });
  const app = useQuery(appQuery(id));
  return (
    <Page title="Limits" about="What this app may use of its plan. 0 leaves it to the plan; a higher number than the plan's changes nothing.">
      <Remote query={app} height={200}>{(a) => <LimitsForm key={a.revision} app={a} />}</Remote>
    </Page>
  );
}

function LimitsForm({ app }: { app: Schemas["App"] }) {
  const client = useQueryClient();
  const may = useMay(app.tenant);
  const [limits, setLimits] = useState(app.limits);
  const save = useMutation({
    mutationFn: () =>
      ask(api.PATCH("/api/v1/apps/{app}", {
        params: { path: { app: app.id }, header: { "If-Match": `"${app.revision}"` } },
        body: { limits: limits as never },
      })),
    onSuccess: (changed) => {
      client.setQueryData(appQuery(app.id).queryKey, changed);
      done("Saved.");
    },
  });
  const error = save.error instanceof ApiError ? save.error : undefined;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    save.mutate();
  };
  return (
    <Card title={`Plan: ${app.plan}`}>
      <form className="stack" onSubmit={submit}>
        <div className="form-grid">
          {names.map(([name, label]) => (
            <TextField
              key={name} label={label} type="number" min={0} value={String(limits[name])}
              hint={`In force: ${number(app.limits_in_force[name])}`} wrong={error?.field(`/limits/${name}`)}
              onChange={(v) => setLimits({ ...limits, [name]: Math.max(0, Math.floor(Number(v))) })}
            />
          ))}
        </div>
        <ErrorBox error={save.error} />
        <div><Button type="submit" kind="primary" busy={save.isPending} disabled={!may.develop}>Save</Button></div>
      </form>
    </Card>
  );
}
