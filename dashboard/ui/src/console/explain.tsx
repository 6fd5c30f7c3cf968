import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, ask } from "../api/client";
import { Dialog } from "../ui/dialog";
import { Button, Code, ErrorBox, Field, Segments, TextField } from "../ui/parts";
import type { Entry } from "./entries";

type What = "request" | "channel" | "user";

const start = { method: "POST", path: "", body: "", auth: "", socket_id: "", channel: "", channel_data: "", user_data: "" };

/** What the entry already tells of the signature it is about. */
function known(e?: Entry): { what: What; given: typeof start } {
  if (!e) return { what: "channel", given: start };
  if (e.kind === "request") {
    const [method = "POST", path = ""] = (e.from ?? "").split(" ");
    return { what: "request", given: { ...start, method, path } };
  }
  const given = { ...start, socket_id: e.socket_id ?? "", channel: e.channel ?? "" };
  return { what: e.channel ? "channel" : "user", given };
}

/** Says which text should have been signed, and what is wrong with a signature. */
export function Explain(props: { app: string; entry?: Entry; onClose: () => void }) {
  const first = known(props.entry);
  const [what, setWhat] = useState(first.what);
  const [given, setGiven] = useState(first.given);
  const explain = useMutation({
    mutationFn: () => {
      const { method, path, body, ...auth } = given;
      const sent = what === "request" ? { method, path, body } : what === "channel" ? { ...auth, user_data: "" } : { ...auth, channel: "", channel_data: "" };
      return ask(api.POST("/api/v1/apps/{app}/explain-signature", { params: { path: { app: props.app } }, body: sent }));
    },
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    explain.mutate();
  };
  const text = (name: keyof typeof start, label: string, more: { hint?: string; required?: boolean; placeholder?: string } = {}) => (
    <TextField label={label} value={given[name]} onChange={(v) => setGiven({ ...given, [name]: v })} spellCheck={false} autoComplete="off" {...more} />
  );
  const area = (name: keyof typeof start, label: string, hint: string) => (
    <Field label={label} hint={hint}>
      {(a) => <textarea className="input" rows={3} {...a} value={given[name]} onChange={(e) => setGiven({ ...given, [name]: e.target.value })} spellCheck={false} />}
    </Field>
  );
  return (
    <Dialog title="Explain a signature" onClose={props.onClose}>
      <form className="stack" onSubmit={submit}>
        <Segments
          label="What was signed"
          value={what}
          options={[["channel", "Subscription"], ["user", "Sign-in"], ["request", "HTTP request"]]}
          onChange={(next) => { setWhat(next); explain.reset(); }}
        />
        {what === "request" ? (
          <>
            <div className="cn-request">
              {text("method", "Method", { required: true })}
              {text("path", "Path and query", { required: true, placeholder: "/apps/1/events?auth_key=…" })}
            </div>
            {area("body", "Body", "Exactly as it was sent.")}
          </>
        ) : (
          <>
            {text("auth", "auth", { required: true, placeholder: "key:signature", hint: "What your auth endpoint answered." })}
            {text("socket_id", "socket_id", { required: true })}
            {what === "channel" ? text("channel", "channel_name", { required: true }) : area("user_data", "user_data", "Exactly as it was signed.")}
            {what === "channel" && area("channel_data", "channel_data", "Of presence channels: exactly as it was sent.")}
          </>
        )}
        <ErrorBox error={explain.error} />
        {explain.data && <Answer {...explain.data} />}
        <div className="dialog-end">
          <Button onClick={props.onClose}>Close</Button>
          <Button type="submit" kind="primary" busy={explain.isPending}>Explain</Button>
        </div>
      </form>
    </Dialog>
  );
}

function Answer(a: { ok: boolean; expected: string; findings: { code: string; text: string; remedy: string }[] }) {
  return (
    <div className="stack tight" role="status">
      {a.ok && <div className="notice good"><strong>The signature is right.</strong></div>}
      {a.findings.map((f) => (
        <div className="notice bad" key={f.code + f.text}>
          <strong>{f.text.charAt(0).toUpperCase() + f.text.slice(1)}.</strong>
          <span>{f.remedy}</span>
          <span className="small">{f.code}</span>
        </div>
      ))}
      {a.expected && (
        <>
          <span className="muted small">To be signed with HMAC-SHA256 and your secret, in hex:</span>
          <Code label="text to be signed" text={a.expected} />
        </>
      )}
    </div>
  );
}
