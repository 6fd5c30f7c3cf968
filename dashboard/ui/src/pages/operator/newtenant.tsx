import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ApiError, ask } from "../../api/client";
import { FormDialog } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/parts";
import { done } from "../../ui/toasts";
import { planNames, plansQuery } from "./installation";

/** Makes a tenant for somebody who has an account. */
export function NewTenant(props: { onClose: () => void; onDone: () => void }) {
  const plans = useQuery(plansQuery);
  const [tenant, setTenant] = useState({ name: "", slug: "", owner: "", plan: "default" });
  const make = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/operator/tenants", { body: { ...tenant, slug: tenant.slug || undefined, owner: tenant.owner || undefined } })),
    onSuccess: (made) => (done(`${made.name} is there.`), props.onDone()),
  });
  const error = make.error instanceof ApiError ? make.error : undefined;
  const text = (name: "name" | "slug" | "owner", label: string, more: { hint: string; required?: true; type?: "email"; autoFocus?: true }) => (
    <TextField label={label} value={tenant[name]} onChange={(v) => setTenant({ ...tenant, [name]: v })} autoComplete="off" wrong={error?.field(`/${name}`)} {...more} />
  );
  return (
    <FormDialog title="New tenant" submit="Make the tenant" busy={make.isPending} error={make.error} onSubmit={() => make.mutate()} onClose={props.onClose}>
      {text("name", "Name", { hint: "Of the team or company.", required: true, autoFocus: true })}
      {text("slug", "Short name", { hint: "It stands in addresses and never changes; empty makes one of the name." })}
      {text("owner", "Owner’s email", { hint: "Somebody with an account here; empty is you.", type: "email" })}
      <SelectField label="Plan" value={tenant.plan} options={planNames(plans.data, tenant.plan)} onChange={(plan) => setTenant({ ...tenant, plan })} />
    </FormDialog>
  );
}
