import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { api, ask } from "../../api/client";
import { Button, Card, ErrorBox, Field, Page, TextField } from "../../ui/parts";

export function Send() {
  const { app = "" } = useParams({ strict: false });
  const client = useQueryClient();
  const [channels, setChannels] = useState("my-channel");
  const [name, setName] = useState("hello");
  const [data, setData] = useState('{"text": "Hello from the dashboard"}');
  const send = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/apps/{app}/events", {
        params: { path: { app } },
        // The platform hands data on as it is written; what it means is the clients' business.
        body: { name, channels: channels.split(/[\s,]+/).filter(Boolean), data: data as never },
      })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["app", app, "stats"] }),
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    send.mutate();
  };
  return (
    <Page title="Send an event" about="As your server would: checked, limited and counted the same.">
      <Card>
        <form className="stack" onSubmit={submit}>
          <div className="form-grid">
            <TextField label="Channels" required value={channels} onChange={setChannels} hint="One, or several with commas between." />
            <TextField label="Event" required value={name} onChange={setName} />
          </div>
          <Field label="Data" hint="Any text; most clients expect JSON.">
            {(a) => <textarea className="input" rows={7} {...a} value={data} onChange={(e) => setData(e.target.value)} spellCheck={false} />}
          </Field>
          <ErrorBox error={send.error} />
          {send.isSuccess && (
            <div className="notice good" role="status">
              Published to {send.data.channels.map((c) => (c.serial ? `${c.name} (${c.serial})` : c.name)).join(", ")}.
            </div>
          )}
          <div><Button type="submit" kind="primary" busy={send.isPending}>Send</Button></div>
        </form>
      </Card>
    </Page>
  );
}
