import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api, ask, type Schemas } from "../../api/client";
import { FormDialog } from "../../ui/dialog";
import { Badge, Button, Card, Empty, Remote, SelectField, TextField, Time } from "../../ui/parts";
import { done, failed } from "../../ui/toasts";
import { planNames, plansQuery } from "./installation";
import { NewTenant } from "./newtenant";

type Tenant = Schemas["Tenant"];

const tones = { active: "good", unverified: "warn", suspended: "bad", closing: "bad" } as const;

export function Tenants() {
  const client = useQueryClient();
  const [query, setQuery] = useState("");
  const [suspending, setSuspending] = useState<Tenant>();
  const [moving, setMoving] = useState<Tenant>();
  const [making, setMaking] = useState(false);
  const list = useQuery({
    queryKey: ["operator", "tenants", query],
    queryFn: () => ask(api.GET("/api/v1/operator/tenants", { params: { query: { query: query || undefined, limit: 100 } } })),
    placeholderData: keepPreviousData,
  });
  const refresh = () => client.invalidateQueries({ queryKey: ["operator"] });
  const resume = useMutation({
    mutationFn: (tenant: string) => ask(api.POST("/api/v1/operator/tenants/{tenant}/resume", { params: { path: { tenant } } })),
    onSuccess: async (t) => (done(`${t.name} is active again.`), refresh()),
    onError: failed,
  });
  return (
    <>
      <div className="row between find">
        <TextField label="Find a tenant" type="search" value={query} onChange={setQuery} />
        <Button kind="primary" onClick={() => setMaking(true)}><Plus size={16} aria-hidden /> New tenant</Button>
      </div>
      <Remote query={list} height={44}>
        {(page) => page.data.length === 0 ? <Card><Empty title="No such tenant">{query ? "No name contains that." : "Nobody has signed up yet."}</Empty></Card> : (
          <Card flush>
            <div className="table-wrap">
              <table>
                <thead><tr><th>Tenant</th><th>State</th><th>Plan</th><th>Since</th><th><span className="visually-hidden">Actions</span></th></tr></thead>
                <tbody>{page.data.map((t) => (
                  <tr key={t.id}>
                    <td>{t.name} <code className="muted">{t.slug}</code></td>
                    <td><Badge tone={tones[t.status]}>{t.status}</Badge>{t.status_reason && <div className="muted small">{t.status_reason}</div>}</td>
                    <td>{t.plan}</td>
                    <td><Time at={t.created_at} /></td>
                    <td className="end">
                      <span className="row">
                        <Button onClick={() => setMoving(t)}>Plan</Button>
                        {t.status === "suspended" || t.status === "closing"
                          ? <Button onClick={() => resume.mutate(t.id)}>Resume</Button>
                          : <Button onClick={() => setSuspending(t)}>Suspend</Button>}
                      </span>
                    </td>
                  </tr>
                ))}</tbody>
              </table>
            </div>
            {page.has_more && <div className="list-end muted small">There are more: search by name.</div>}
          </Card>
        )}
      </Remote>
      {making && <NewTenant onClose={() => setMaking(false)} onDone={() => (setMaking(false), void refresh())} />}
      {suspending && <Suspend of={suspending} onClose={() => setSuspending(undefined)} onDone={() => (setSuspending(undefined), void refresh())} />}
      {moving && <Move of={moving} onClose={() => setMoving(undefined)} onDone={() => (setMoving(undefined), void refresh())} />}
    </>
  );
}

type DialogProps = { of: Tenant; onClose: () => void; onDone: () => void };

function Suspend(props: DialogProps) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const suspend = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/operator/tenants/{tenant}/suspend", { params: { path: { tenant: props.of.id } }, body: { reason } })),
    onSuccess: () => (done(`${props.of.name} is suspended.`), props.onDone()),
  });
  return (
    <FormDialog title={`Suspend ${props.of.name}`} submit="Suspend" danger busy={suspend.isPending} error={suspend.error} disabled={typed !== props.of.slug || !reason.trim()} onSubmit={() => suspend.mutate()} onClose={props.onClose}>
      <p>All its traffic stops within seconds. Nothing is deleted.</p>
      <TextField label="Reason" value={reason} onChange={setReason} required autoFocus hint="Its members see it." />
      <TextField label={`Type ${props.of.slug} to confirm`} value={typed} onChange={setTyped} autoComplete="off" />
    </FormDialog>
  );
}

function Move(props: DialogProps) {
  const plans = useQuery(plansQuery);
  const [plan, setPlan] = useState(props.of.plan);
  const move = useMutation({
    mutationFn: () => ask(api.PUT("/api/v1/operator/tenants/{tenant}/plan", { params: { path: { tenant: props.of.id } }, body: { plan } })),
    onSuccess: () => (done(`${props.of.name} is on plan ${plan}.`), props.onDone()),
  });
  return (
    <FormDialog title={`Plan of ${props.of.name}`} submit="Change the plan" busy={move.isPending} error={move.error} disabled={plan === props.of.plan} onSubmit={() => move.mutate()} onClose={props.onClose}>
      <SelectField label="Plan" value={plan} options={planNames(plans.data, plan)} onChange={setPlan} />
    </FormDialog>
  );
}
