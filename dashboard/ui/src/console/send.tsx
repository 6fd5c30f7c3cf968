import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask } from "../api/client";
import { FormDialog } from "../ui/dialog";
import { Field, TextField } from "../ui/parts";

/** Publishes an event without leaving the console, where it then shows up. */
export function SendDialog(props: { app: string; channel?: string; onClose: () => void }) {
  const [channel, setChannel] = useState(props.channel ?? "my-channel");
  const [name, setName] = useState("hello");
  const [data, setData] = useState('{"text": "Hello from the console"}');
  const send = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/apps/{app}/events", { params: { path: { app: props.app } }, body: { name, channels: [channel.trim()], data: data as never } })),
    onSuccess: props.onClose,
  });
  return (
    <FormDialog title="Send an event" submit="Send" busy={send.isPending} error={send.error} onSubmit={() => send.mutate()} onClose={props.onClose}>
      <TextField label="Channel" required value={channel} onChange={setChannel} spellCheck={false} />
      <TextField label="Event" required value={name} onChange={setName} spellCheck={false} />
      <Field label="Data" hint="Any text; most clients expect JSON.">
        {(a) => <textarea className="input" rows={5} {...a} value={data} onChange={(e) => setData(e.target.value)} spellCheck={false} />}
      </Field>
    </FormDialog>
  );
}
