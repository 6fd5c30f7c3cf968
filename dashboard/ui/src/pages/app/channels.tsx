import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { useFigures } from "../../api/figures";
import { Dialog } from "../../ui/dialog";
import { Badge, Button, Card, Code, Empty, number, Page, Remote, TextField } from "../../ui/parts";

export function Channels() {
  const { app = "" } = useParams({ strict: false });
  const [prefix, setPrefix] = useState("");
  const [open, setOpen] = useState<string>();
  const queryKey = ["app", app, "channels", prefix];
  const list = useQuery({
    queryKey,
    queryFn: () => ask(api.GET("/api/v1/apps/{app}/channels", { params: { path: { app }, query: { prefix: prefix || undefined, limit: 100 } } })),
    placeholderData: keepPreviousData,
    refetchInterval: 3000,
  });
  useFigures(app, "channels", queryKey, prefix === "");
  return (
    <Page title="Channels" about="The channels somebody is subscribed to now, over all nodes. A channel exists while it is occupied.">
      <TextField label="Name begins with" type="search" value={prefix} onChange={setPrefix} placeholder="presence-" />
      <Remote query={list} height={44}>
        {(page) => page.data.length === 0 ? (
          <Card><Empty title="No channel is occupied">{prefix ? "None begins with that. " : ""}A channel appears here the moment a client subscribes to it.</Empty></Card>
        ) : (
          <Card flush>
            <div className="table-wrap">
              <table>
                <thead><tr><th>Channel</th><th>Kind</th><th className="right">Subscriptions</th><th className="right">Users</th></tr></thead>
                <tbody>
                  {page.data.map((c) => (
                    <tr key={c.name}>
                      <td><button className="link" type="button" onClick={() => setOpen(c.name)}><code>{c.name}</code></button></td>
                      <td><Badge>{c.kind}</Badge>{c.cache && <> <Badge tone="accent">cache</Badge></>}</td>
                      <td className="right num">{number(c.subscriptions)}</td>
                      <td className="right num">{c.kind === "presence" ? number(c.users) : "–"}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {page.has_more && <div className="list-end muted small">There are more: type the beginning of a name.</div>}
          </Card>
        )}
      </Remote>
      {open !== undefined && <Channel app={app} name={open} onClose={() => setOpen(undefined)} />}
    </Page>
  );
}

function Channel(props: { app: string; name: string; onClose: () => void }) {
  const detail = useQuery({
    queryKey: ["app", props.app, "channel", props.name],
    queryFn: () => ask(api.GET("/api/v1/apps/{app}/channels/{channel}", { params: { path: { app: props.app, channel: props.name } } })),
    refetchInterval: 3000,
  });
  return (
    <Dialog title={props.name} onClose={props.onClose}>
      <Remote query={detail}>
        {(c) => (
          <>
            <p>{number(c.subscriptions)} subscriptions{c.kind === "presence" && <>, {number(c.users)} users</>}</p>
            {c.kind === "presence" && (
              <div className="table-wrap">
                <table>
                  <thead><tr><th>User</th><th>Info</th></tr></thead>
                  <tbody>{c.members.map((m) => <tr key={m.user_id}><td><code>{m.user_id}</code></td><td><code>{m.info === undefined ? "–" : JSON.stringify(m.info)}</code></td></tr>)}</tbody>
                </table>
              </div>
            )}
            {c.last && <><h3>Last event: {c.last.event}</h3><Code label="last event" text={c.last.data} /></>}
          </>
        )}
      </Remote>
      <div className="dialog-end"><Button onClick={props.onClose}>Close</Button></div>
    </Dialog>
  );
}
