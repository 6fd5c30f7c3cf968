import { useInfiniteQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { Fragment, useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { Button, Card, Code, Empty, ErrorBox, Loading, Page, SelectField, Time } from "../../ui/parts";

const kinds = [["", "Everything"], ["app.", "Apps"], ["key.", "Keys"], ["member.", "Members"], ["invitation.", "Invitations"], ["token.", "Tokens"], ["tenant.", "The tenant"], ["webhook.", "Webhooks"]] as const;

export function Audit() {
  const { tenant = "" } = useParams({ strict: false });
  const [action, setAction] = useState("");
  const [open, setOpen] = useState<string>();
  const log = useInfiniteQuery({
    queryKey: ["tenant", tenant, "audit", action],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      ask(api.GET("/api/v1/tenants/{tenant}/audit-log", { params: { path: { tenant }, query: { action: action || undefined, cursor: pageParam, limit: 50 } } })),
    getNextPageParam: (page) => (page.has_more ? page.next_cursor : undefined),
  });
  const entries = log.data?.pages.flatMap((p) => p.data) ?? [];
  const exported = `/api/v1/tenants/${encodeURIComponent(tenant)}/audit-log/export`;
  return (
    <Page title="Audit log" about="Who changed what, the newest first." actions={<a className="btn" href={exported} download="audit-log.jsonl"><Download size={16} aria-hidden /> Export</a>}>
      <SelectField label="Show" value={action} options={kinds} onChange={setAction} />
      {log.isPending && <Loading height={44} />}
      <ErrorBox error={log.error} onRetry={() => void log.refetch()} />
      {log.data && entries.length === 0 && <Card><Empty title="Nothing yet">Every change to apps, keys, people and tokens is noted here, with who made it and from where.</Empty></Card>}
      {entries.length > 0 && (
        <Card flush>
          <div className="table-wrap">
            <table>
              <thead><tr><th>When</th><th>Who</th><th>What</th><th>From</th><th><span className="visually-hidden">Details</span></th></tr></thead>
              <tbody>{entries.map((e) => <Entry key={e.id} of={e} open={open === e.id} onToggle={() => setOpen(open === e.id ? undefined : e.id)} />)}</tbody>
            </table>
          </div>
          {log.hasNextPage && <div className="list-end"><Button busy={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>Older</Button></div>}
        </Card>
      )}
    </Page>
  );
}

function Entry(props: { of: Schemas["AuditEntry"]; open: boolean; onToggle: () => void }) {
  const e = props.of;
  const details = JSON.stringify({ before: e.before, after: e.after, request_id: e.request_id }, null, 2);
  return (
    <Fragment>
      <tr>
        <td><Time at={e.at} /></td>
        <td>{e.actor_name || e.actor_kind}</td>
        <td><code>{e.action}</code> <span className="muted small">{e.target_kind} {e.target_id}</span></td>
        <td className="muted small">{e.ip ?? "–"}</td>
        <td className="end"><Button kind="quiet" aria-expanded={props.open} onClick={props.onToggle}>{props.open ? "Less" : "More"}</Button></td>
      </tr>
      {props.open && <tr><td colSpan={5}><Code label="what changed" text={details} /></td></tr>}
    </Fragment>
  );
}
