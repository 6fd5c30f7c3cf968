import { useState, type ReactNode } from "react";
import { ApiError, type Schemas } from "../../api/client";
import { FormDialog } from "../../ui/dialog";
import { CheckField, Field, TextField } from "../../ui/parts";
import { parseHeaders } from "./headers";
import type { Webhook } from "./queries";

/** What an endpoint can be told of; the names are the protocol's. */
export const kinds = [
  ["channel_occupied", "a channel has its first subscriber"],
  ["channel_vacated", "a channel has lost its last"],
  ["member_added", "a user came to a presence channel"],
  ["member_removed", "a user left a presence channel"],
  ["client_event", "a client sent an event"],
  ["cache_miss", "somebody joined an empty cache channel"],
  ["subscription_count", "a channel's number of subscribers changed"],
  ["user_online", "a user's first connection signed in"],
  ["user_offline", "a user's last connection is gone"],
  ["quota_warning", "a day's messages are nearly used up"],
] as const;

const lines = (text: string) => text.split(/\s+/).filter(Boolean);

/** The form for a new endpoint and for one that is there. Values of headers are secrets: they are replaced, never read. */
export function WebhookForm(props: {
  of?: Webhook;
  title: string;
  submit: string;
  busy: boolean;
  error: unknown;
  onSubmit: (body: Schemas["NewWebhookBody"]) => void;
  onClose: () => void;
}) {
  const { of } = props;
  const [url, setURL] = useState(of?.url ?? "");
  const [events, setEvents] = useState<readonly string[]>(of?.events ?? []);
  const [channels, setChannels] = useState(of?.channels.join("\n") ?? "");
  const [batching, setBatching] = useState(of?.batching ?? true);
  const [keep, setKeep] = useState(of?.keep_bodies ?? true);
  const [headers, setHeaders] = useState<string | undefined>(of ? undefined : "");
  const parsed = headers === undefined ? undefined : parseHeaders(headers);
  const error = props.error instanceof ApiError ? props.error : undefined;
  const submit = () => {
    const body: Schemas["NewWebhookBody"] = { url: url.trim(), events: [...events], channels: lines(channels), batching, keep_bodies: keep };
    if (parsed && "headers" in parsed) body.headers = parsed.headers;
    props.onSubmit(body);
  };
  const broken = parsed && "wrong" in parsed ? parsed.wrong : undefined;
  return (
    <FormDialog title={props.title} submit={props.submit} busy={props.busy} error={props.error} disabled={url.trim() === "" || broken !== undefined} onSubmit={submit} onClose={props.onClose}>
      <TextField label="Address" type="url" required autoFocus value={url} onChange={setURL} placeholder="https://example.com/hooks" wrong={error?.field("/url")} hint="Answers with 2xx within four seconds, or is asked again." />
      <Kinds chosen={events} onChange={setEvents} />
      <Field label="Channels" hint="Patterns, one a line, such as orders-*. Empty = every channel." wrong={error?.field("/channels")}>
        {(a) => <textarea className="input" rows={2} {...a} value={channels} onChange={(e) => setChannels(e.target.value)} spellCheck={false} />}
      </Field>
      <Headers of={of} text={headers} wrong={broken ?? error?.field("/headers")} onChange={setHeaders} />
      <CheckField label="Batch" hint="Several events may travel in one request." checked={batching} onChange={setBatching} />
      <CheckField label="Keep the events" hint="Finished deliveries stay readable and can be replayed." checked={keep} onChange={setKeep} />
    </FormDialog>
  );
}

function Kinds(props: { chosen: readonly string[]; onChange: (chosen: readonly string[]) => void }) {
  const all = props.chosen.length === 0;
  const toggle = (kind: string, on: boolean) => props.onChange(on ? [...props.chosen, kind] : props.chosen.filter((k) => k !== kind));
  return (
    <fieldset>
      <legend>Events</legend>
      <CheckField label="All events" checked={all} onChange={(on) => props.onChange(on ? [] : [kinds[0][0]])} />
      {!all && <div className="checks">{kinds.map(([kind, about]) => (
        <CheckField key={kind} label={<code>{kind}</code>} hint={about} checked={props.chosen.includes(kind)} onChange={(on) => toggle(kind, on)} />
      ))}</div>}
    </fieldset>
  );
}

function Headers(props: { of?: Webhook; text?: string; wrong?: string; onChange: (text: string | undefined) => void }) {
  const names = Object.keys(props.of?.headers ?? {});
  let kept: ReactNode = null;
  if (props.of) {
    kept = (
      <CheckField
        label="Replace the headers" checked={props.text !== undefined} onChange={(on) => props.onChange(on ? "" : undefined)}
        hint={names.length > 0 ? <>Sent now: <code>{names.join(", ")}</code>. Values are never shown.</> : "None are sent now."}
      />
    );
  }
  return (
    <>
      {kept}
      {props.text !== undefined && (
        <Field label="Headers" hint="Sent with every request, one a line: Authorization: Bearer …" wrong={props.wrong}>
          {(a) => <textarea className="input" rows={2} {...a} value={props.text} onChange={(e) => props.onChange(e.target.value)} spellCheck={false} autoComplete="off" />}
        </Field>
      )}
    </>
  );
}
