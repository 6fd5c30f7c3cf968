import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { UserPlus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { meQuery, useMay, whole } from "../../api/queries";
import { ConfirmDialog, FormDialog } from "../../ui/dialog";
import { Badge, Button, Card, Page, Remote, SelectField, TextField, Time } from "../../ui/parts";
import { done, failed } from "../../ui/toasts";

type Role = Schemas["Member"]["role"];

const roles = [
  ["viewer", "Viewer: sees apps and usage"],
  ["developer", "Developer: works on apps, keys, events"],
  ["admin", "Admin: also people and tokens"],
] as const;

export function Team() {
  const { tenant = "" } = useParams({ strict: false });
  const may = useMay(tenant);
  const client = useQueryClient();
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<Schemas["Member"]>();
  const [successor, setSuccessor] = useState<Schemas["Member"]>();
  const path = { tenant };
  const members = useQuery({
    queryKey: ["tenant", tenant, "members"],
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/tenants/{tenant}/members", { params: { path, query: { cursor } } }))),
  });
  const refresh = () => client.invalidateQueries({ queryKey: ["tenant", tenant] });
  const setRole = useMutation({
    mutationFn: (m: { user: string; role: Role }) =>
      ask(api.PATCH("/api/v1/tenants/{tenant}/members/{user}", { params: { path: { tenant, user: m.user } }, body: { role: m.role } })),
    onSuccess: async () => (done("Changed."), refresh()),
    onError: failed,
  });
  const remove = useMutation({
    mutationFn: (user: string) => ask(api.DELETE("/api/v1/tenants/{tenant}/members/{user}", { params: { path: { tenant, user } } })),
    onSuccess: async () => (setRemoving(undefined), done("Removed."), client.invalidateQueries()),
  });
  const transfer = useMutation({
    mutationFn: (user_id: string) => ask(api.POST("/api/v1/tenants/{tenant}/ownership", { params: { path }, body: { user_id } })),
    onSuccess: async () => (setSuccessor(undefined), done("The tenant has a new owner. You are admin."), client.invalidateQueries()),
  });
  const invite = may.admin && <Button kind="primary" onClick={() => setInviting(true)}><UserPlus size={16} aria-hidden /> Invite</Button>;
  return (
    <Page title="Team" about="Who works on the apps of this tenant, and what they may do." actions={invite}>
      <Remote query={members} height={52}>
        {(list) => (
          <Card flush>
            <div className="table-wrap">
              <table>
                <thead><tr><th>Person</th><th>Role</th><th>Since</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
                <tbody>{list.map((m) => <MemberRow key={m.user_id} of={m} admin={may.admin} onSucceed={may.own ? () => setSuccessor(m) : undefined} onRole={(role) => setRole.mutate({ user: m.user_id, role })} onRemove={() => setRemoving(m)} />)}</tbody>
              </table>
            </div>
          </Card>
        )}
      </Remote>
      <Invitations tenant={tenant} admin={may.admin} />
      {inviting && <Invite tenant={tenant} onClose={() => setInviting(false)} onDone={() => (setInviting(false), void refresh())} />}
      {successor && (
        <ConfirmDialog title="Transfer the ownership" submit="Make them owner" name={successor.email} busy={transfer.isPending} error={transfer.error} onConfirm={() => transfer.mutate(successor.user_id)} onClose={() => setSuccessor(undefined)}>
          {successor.name || successor.email} becomes owner, with the right to close this tenant, and you become admin. Only they can give it back.
        </ConfirmDialog>
      )}
      {removing && (
        <ConfirmDialog title="Remove a member" submit="Remove" name={removing.email} busy={remove.isPending} error={remove.error} onConfirm={() => remove.mutate(removing.user_id)} onClose={() => setRemoving(undefined)}>
          {removing.name || removing.email} loses access to every app of this tenant at once.
        </ConfirmDialog>
      )}
    </Page>
  );
}

function MemberRow(props: { of: Schemas["Member"]; admin: boolean; onSucceed?: () => void; onRole: (r: Role) => void; onRemove: () => void }) {
  const { data: me } = useQuery(meQuery);
  const m = props.of;
  const self = me?.user?.id === m.user_id;
  return (
    <tr>
      <td><div>{m.name || m.email}{self && <span className="muted"> (you)</span>}</div>{m.name && <span className="muted small">{m.email}</span>}</td>
      <td>
        {props.admin && m.role !== "owner" && !self ? (
          <select className="input" aria-label={`Role of ${m.email}`} value={m.role} onChange={(e) => props.onRole(e.target.value as Role)}>
            {roles.map(([value]) => <option key={value} value={value}>{value}</option>)}
          </select>
        ) : <Badge tone={m.role === "owner" ? "accent" : undefined}>{m.role}</Badge>}
      </td>
      <td><Time at={m.created_at} /></td>
      <td className="end">
        <span className="row">
          {props.onSucceed && !self && m.role !== "owner" && <Button onClick={props.onSucceed}>Make owner</Button>}
          {(props.admin || self) && m.role !== "owner" && <Button onClick={props.onRemove}>{self ? "Leave" : "Remove"}</Button>}
        </span>
      </td>
    </tr>
  );
}

function Invitations(props: { tenant: string; admin: boolean }) {
  const { tenant } = props;
  const client = useQueryClient();
  const key = ["tenant", tenant, "invitations"];
  const list = useQuery({
    queryKey: key,
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/tenants/{tenant}/invitations", { params: { path: { tenant }, query: { cursor } } }))),
  });
  const revoke = useMutation({
    mutationFn: (invitation: string) => ask(api.DELETE("/api/v1/tenants/{tenant}/invitations/{invitation}", { params: { path: { tenant, invitation } } })),
    onSuccess: async () => (done("The invitation is taken back."), client.invalidateQueries({ queryKey: key })),
    onError: failed,
  });
  if (!list.data?.length) return null;
  return (
    <Card title="Open invitations" flush={false}>
      <div className="table-wrap">
        <table>
          <thead><tr><th>Address</th><th>Role</th><th>Good until</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
          <tbody>{list.data.map((i) => (
            <tr key={i.id}>
              <td>{i.email}</td><td><Badge>{i.role}</Badge></td><td><Time at={i.expires_at} /></td>
              <td className="end">{props.admin && <Button onClick={() => revoke.mutate(i.id)}>Take back</Button>}</td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </Card>
  );
}

function Invite(props: { tenant: string; onClose: () => void; onDone: () => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("developer");
  const invite = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/tenants/{tenant}/invitations", { params: { path: { tenant: props.tenant } }, body: { email, role } })),
    onSuccess: () => (done(`${email} is invited by mail.`), props.onDone()),
  });
  return (
    <FormDialog title="Invite somebody" submit="Send the invitation" busy={invite.isPending} error={invite.error} disabled={!email.includes("@")} onSubmit={() => invite.mutate()} onClose={props.onClose}>
      <TextField label="Email" type="email" required autoFocus value={email} onChange={setEmail} autoComplete="off" />
      <SelectField label="Role" value={role} options={roles} onChange={(r) => setRole(r as Role)} />
    </FormDialog>
  );
}
