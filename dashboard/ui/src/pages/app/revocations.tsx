import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api, ApiError, ask, type Schemas } from "../../api/client";
import { useMay, whole } from "../../api/queries";
import { Badge, Button, Card, Empty, ErrorBox, Remote, SelectField, TextField, Time } from "../../ui/parts";
import { done } from "../../ui/toasts";

type Kind = Schemas["Revocation"]["kind"];

const kinds = [["sub", "All tokens of a user (sub)"], ["jti", "One token (jti)"]] as const;

/** Tokens that are taken back before they end. */
export function Revocations({ app }: { app: Schemas["App"] }) {
  const client = useQueryClient();
  const may = useMay(app.tenant);
  const key = ["app", app.id, "revocations"];
  const [kind, setKind] = useState<Kind>("sub");
  const [value, setValue] = useState("");
  const list = useQuery({
    queryKey: key,
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/apps/{app}/revocations", { params: { path: { app: app.id }, query: { limit: 100, cursor } } }))),
  });
  const revoke = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/apps/{app}/revocations", { params: { path: { app: app.id } }, body: { kind, value: value.trim() } })),
    onSuccess: async () => {
      setValue("");
      done("Taken back, on every node within seconds.");
      await client.invalidateQueries({ queryKey: key });
    },
  });
  const error = revoke.error instanceof ApiError ? revoke.error : undefined;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    revoke.mutate();
  };
  return (
    <Card title="Tokens taken back">
      {may.develop && (
        <form className="stack" onSubmit={submit}>
          <div className="form-grid">
            <SelectField label="Take back" value={kind} options={kinds} onChange={(k) => setKind(k as Kind)} />
            <TextField label={kind === "sub" ? "User" : "Token id"} value={value} onChange={setValue} spellCheck={false} autoComplete="off" wrong={error?.field("/value")} hint={kind === "sub" ? "Tokens issued from now on are in order." : "The jti of the token."} />
          </div>
          <ErrorBox error={revoke.error} />
          <div><Button type="submit" kind="danger" busy={revoke.isPending}>Take back</Button></div>
        </form>
      )}
      <Remote query={list} height={44} lines={1}>
        {(all) => all.length === 0 ? <Empty title="None is taken back">Connections that rest on such a token are closed, and it opens none any more.</Empty> : (
          <div className="table-wrap">
            <table>
              <thead><tr><th>What</th><th>Whose</th><th>Since</th><th>Forgotten</th></tr></thead>
              <tbody>{all.map((r) => (
                <tr key={`${r.kind} ${r.value}`}><td><Badge>{r.kind}</Badge></td><td><code>{r.value}</code></td><td><Time at={r.revoked_at} /></td><td><Time at={r.expires_at} /></td></tr>
              ))}</tbody>
            </table>
          </div>
        )}
      </Remote>
    </Card>
  );
}
