import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask } from "../api/client";
import { meQuery, whole } from "../api/queries";
import { Badge, Button, Card, ErrorBox, Page, Remote, TextField, Time } from "../ui/parts";
import { done, failed } from "../ui/toasts";

export function Account() {
  const me = useQuery(meQuery);
  return (
    <Page title="Account" about={me.data?.user?.email}>
      <Sessions current={me.data?.session?.id} />
      <Password />
    </Page>
  );
}

function Password() {
  const client = useQueryClient();
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const change = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/me/password", { body: { current_password: current, new_password: next } })),
    onSuccess: async () => {
      setCurrent("");
      setNext("");
      done("The password is changed, and your other sessions have ended.");
      await client.invalidateQueries({ queryKey: ["sessions"] });
    },
  });
  return (
    <Card title="Password">
      <form className="stack" onSubmit={(e) => (e.preventDefault(), change.mutate())}>
        <div className="form-grid">
          <TextField label="Current password" type="password" autoComplete="current-password" required value={current} onChange={setCurrent} />
          <TextField label="New password" type="password" autoComplete="new-password" required value={next} onChange={setNext} />
        </div>
        <ErrorBox error={change.error} />
        <div><Button type="submit" kind="primary" busy={change.isPending}>Change the password</Button></div>
      </form>
    </Card>
  );
}

function Sessions({ current }: { current?: string }) {
  const client = useQueryClient();
  const list = useQuery({
    queryKey: ["sessions"],
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/sessions", { params: { query: { cursor } } }))),
  });
  const refresh = () => client.invalidateQueries({ queryKey: ["sessions"] });
  const end = useMutation({
    mutationFn: (session: string) => ask(api.DELETE("/api/v1/sessions/{session}", { params: { path: { session } } })),
    onSuccess: refresh,
    onError: failed,
  });
  const endOthers = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/sessions")),
    onSuccess: async () => (done("Your other sessions have ended."), refresh()),
    onError: failed,
  });
  return (
    <Card title="Where you are signed in" aside={<Button busy={endOthers.isPending} onClick={() => endOthers.mutate()}>End the others</Button>}>
      <Remote query={list}>
        {(sessions) => (
          <div className="table-wrap">
            <table>
              <thead><tr><th>Browser</th><th>Address</th><th>Last seen</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
              <tbody>{sessions.map((s) => (
                <tr key={s.id}>
                  <td>{s.user_agent || "unknown"} {s.id === current && <Badge tone="good">this one</Badge>}</td>
                  <td className="muted">{s.ip}</td>
                  <td><Time at={s.last_seen_at} /></td>
                  <td className="end">{s.id !== current && <Button onClick={() => end.mutate(s.id)}>End</Button>}</td>
                </tr>
              ))}</tbody>
            </table>
          </div>
        )}
      </Remote>
    </Card>
  );
}
