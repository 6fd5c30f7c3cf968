import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { ConfirmDialog } from "../../ui/dialog";
import { Button, Card, Empty, Page, Remote, Time } from "../../ui/parts";
import { done } from "../../ui/toasts";

export function Connections() {
  const { app = "" } = useParams({ strict: false });
  const client = useQueryClient();
  const [user, setUser] = useState<string>();
  const list = useQuery({
    queryKey: ["app", app, "connections"],
    queryFn: () => ask(api.GET("/api/v1/apps/{app}/connections", { params: { path: { app }, query: { limit: 100 } } })),
    refetchInterval: 3000,
  });
  const end = useMutation({
    mutationFn: (user_id: string) => ask(api.POST("/api/v1/apps/{app}/connections/terminate", { params: { path: { app } }, body: { user_id } })),
    onSuccess: async (_, id) => {
      setUser(undefined);
      done(`The connections of ${id} are closed.`);
      await client.invalidateQueries({ queryKey: ["app", app, "connections"] });
    },
  });
  return (
    <Page title="Connections" about="Open on the node that answers this page. A connection has a user once it has signed in.">
      <Remote query={list} height={44}>
        {(page) => page.data.length === 0 ? (
          <Card><Empty title="Nobody is connected">Run the client code of “Getting started” and watch it appear.</Empty></Card>
        ) : (
          <Card flush>
            <div className="table-wrap">
              <table>
                <thead><tr><th>Socket id</th><th>User</th><th>Key</th><th>Since</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
                <tbody>
                  {page.data.map((c) => (
                    <tr key={c.socket_id}>
                      <td><code>{c.socket_id}</code></td>
                      <td>{c.user_id ? <code>{c.user_id}</code> : <span className="muted">not signed in</span>}</td>
                      <td><code>{c.key}</code></td>
                      <td><Time at={c.connected_at} /></td>
                      <td className="end">{c.user_id && <Button onClick={() => setUser(c.user_id)}>Terminate</Button>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {page.has_more && <div className="list-end muted small">The first 100 are shown.</div>}
          </Card>
        )}
      </Remote>
      {user !== undefined && (
        <ConfirmDialog title="Close every connection of a user" submit="Terminate" name={user} busy={end.isPending} error={end.error} onConfirm={() => end.mutate(user)} onClose={() => setUser(undefined)}>
          Every connection of <code>{user}</code>, on every node, is closed with code 4009: their clients do not come back by themselves.
        </ConfirmDialog>
      )}
    </Page>
  );
}
