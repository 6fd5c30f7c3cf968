import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { FormDialog } from "../../ui/dialog";
import { Button, Card, Empty, Remote, Segments, SelectField, TextField, Time } from "../../ui/parts";
import { done } from "../../ui/toasts";
import { DeliveryState } from "./parts";
import { deliveriesKey, deliveriesPage, statuses, type Delivery, type Status, type Webhook } from "./queries";

/** What was sent to an endpoint, the newest first. */
export function Deliveries({ webhook, develop }: { webhook: Webhook; develop: boolean }) {
  const [status, setStatus] = useState<Status>("");
  const [replaying, setReplaying] = useState(false);
  const list = useInfiniteQuery({
    queryKey: deliveriesKey(webhook.id, status),
    queryFn: ({ pageParam }) => deliveriesPage(webhook.id, status, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? page.next_cursor : undefined),
    // Once older pages are open the list stands still, so that nothing moves under the reader.
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 1) > 1 ? false : 3000),
  });
  const all = list.data?.pages.flatMap((p) => p.data);
  return (
    <Card flush>
      <div className="card-head">
        <h2>Deliveries</h2>
        <div className="row">
          <Segments label="Status" value={status} options={statuses} onChange={setStatus} />
          {develop && <Button onClick={() => setReplaying(true)}>Replay a range</Button>}
        </div>
      </div>
      <Remote query={{ ...list, data: all }} height={44}>
        {(rows) => rows.length === 0 ? (
          <Empty title="No deliveries">{status ? "None has this status." : "Send a test, or let a client subscribe to a channel."}</Empty>
        ) : <Table app={webhook.app_id} of={rows} />}
      </Remote>
      {list.hasNextPage && <div className="list-end"><Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>Older ones</Button></div>}
      {replaying && <ReplayRange webhook={webhook.id} onClose={() => setReplaying(false)} />}
    </Card>
  );
}

function Table(props: { app: string; of: Delivery[] }) {
  return (
    <div className="table-wrap">
      <table>
        <thead><tr><th>Made</th><th>Status</th><th>Events</th><th className="right">Attempts</th><th>Last answer</th></tr></thead>
        <tbody>{props.of.map((d) => (
          <tr key={d.id}>
            <td><Link to="/apps/$app/webhooks/$webhook/deliveries/$delivery" params={{ app: props.app, webhook: d.webhook_id, delivery: d.id }}><Time at={d.created_at} seconds /></Link></td>
            <td><DeliveryState of={d} /></td>
            <td><code>{d.events.join(", ")}</code>{d.event_count > 1 && <span className="muted small"> {d.event_count} events</span>}</td>
            <td className="right num">{d.attempts}</td>
            <td>{d.http_status ? <code>{d.http_status}</code> : null} {d.reason && <span className="muted small">{d.reason}</span>}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

/** The text of a local date and time as the API wants it; nothing if it is empty. */
const instant = (local: string) => (local ? new Date(local).toISOString() : undefined);

function ReplayRange(props: { webhook: string; onClose: () => void }) {
  const client = useQueryClient();
  const [status, setStatus] = useState("dead");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const replay = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/webhooks/{webhook}/replay", { params: { path: { webhook: props.webhook } }, body: { status, from: instant(from), to: instant(to) } })),
    onSuccess: async ({ replayed }) => {
      done(replayed === 1 ? "One delivery is sent again." : `${replayed} deliveries are sent again.`);
      props.onClose();
      await client.invalidateQueries({ queryKey: deliveriesKey(props.webhook) });
    },
  });
  return (
    <FormDialog title="Replay a range" submit="Send them again" busy={replay.isPending} error={replay.error} onSubmit={() => replay.mutate()} onClose={props.onClose}>
      <p>Each is sent again under its id, so that a receiver that keeps ids takes it once.</p>
      <SelectField label="Those that are" value={status} options={[["dead", "Dead"], ["delivered", "Delivered"]]} onChange={setStatus} />
      <div className="form-grid">
        <TextField label="Made from" type="datetime-local" value={from} onChange={setFrom} hint="Empty = the first." />
        <TextField label="Made before" type="datetime-local" value={to} onChange={setTo} hint="Empty = now." />
      </div>
    </FormDialog>
  );
}
