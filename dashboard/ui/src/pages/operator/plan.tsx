import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ApiError, ask, type Schemas } from "../../api/client";
import { FormDialog } from "../../ui/dialog";
import { TextField } from "../../ui/parts";
import { done } from "../../ui/toasts";

type Plan = Schemas["Plan"];
type Ceiling = Exclude<keyof Plan, "name" | "version" | "created_at">;

const ceilings: readonly (readonly [Ceiling, string])[] = [
  ["max_apps", "Apps"],
  ["max_connections", "Connections at once"],
  ["max_messages_per_day", "Messages a day"],
  ["max_publishes_per_second", "Publishes a second"],
  ["max_deliveries_per_second", "Deliveries a second"],
  ["max_reads_per_second", "API reads a second"],
  ["max_members", "Members and invitations"],
  ["max_tokens", "API tokens"],
  ["max_webhook_endpoints", "Webhook endpoints"],
  ["max_event_bytes", "Bytes of an event"],
  ["max_client_events_per_second", "Client events a second"],
  ["max_channels_per_connection", "Channels of a connection"],
  ["max_presence_members", "Members of a presence channel"],
  ["max_presence_info_bytes", "Bytes about a member"],
];

/** Makes a plan, or the next version of one. */
export function PlanForm(props: { of?: Plan; onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState(props.of?.name ?? "");
  const [values, setValues] = useState(() => Object.fromEntries(ceilings.map(([c]) => [c, String(props.of?.[c] ?? 0)])));
  const save = useMutation({
    mutationFn: () => {
      const plan = { name: name.trim(), ...Object.fromEntries(ceilings.map(([c]) => [c, Number(values[c])])) };
      return ask(api.PUT("/api/v1/operator/plans", { body: { plans: [plan] } }));
    },
    onSuccess: async ({ applied }) => {
      done(applied.length > 0 ? `Plan ${name.trim()} has a new version.` : "Nothing was changed.");
      props.onClose();
      await client.invalidateQueries({ queryKey: ["operator"] });
    },
  });
  const error = save.error instanceof ApiError ? save.error : undefined;
  return (
    <FormDialog title={props.of ? `Edit plan ${props.of.name}` : "New plan"} submit="Save the plan" busy={save.isPending} error={save.error} onSubmit={() => save.mutate()} onClose={props.onClose}>
      <p className="muted">Sums over all apps of a tenant; 0 is the server’s own ceiling. Tenants on the plan have the new values within seconds.</p>
      {!props.of && <TextField label="Name" required autoFocus value={name} onChange={setName} hint="Small letters, digits and -." spellCheck={false} wrong={error?.field("/plan/name")} />}
      <div className="form-grid">
        {ceilings.map(([c, label]) => (
          <TextField key={c} label={label} type="number" required min={0} step={1} value={values[c]!} onChange={(v) => setValues({ ...values, [c]: v })} wrong={error?.field(`/plan/${c}`)} />
        ))}
      </div>
    </FormDialog>
  );
}
