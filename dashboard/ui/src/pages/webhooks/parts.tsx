import { Badge } from "../../ui/parts";
import type { Delivery, Webhook } from "./queries";

const endpointTones: Record<string, "good" | "warn" | "bad" | "accent"> = { enabled: "good", paused: "warn", disabled: "bad", listening: "accent" };

export function EndpointState({ of }: { of: Webhook }) {
  return <Badge tone={endpointTones[of.status]}>{of.status}</Badge>;
}

const deliveryTones: Record<string, "good" | "warn" | "bad"> = { pending: "warn", delivered: "good", dead: "bad" };

export function DeliveryState({ of }: { of: Delivery }) {
  return (
    <span className="row">
      <Badge tone={deliveryTones[of.status]}>{of.status}</Badge>
      {of.test && <Badge>test</Badge>}
      {of.replays > 0 && <Badge>replayed{of.replays > 1 && ` ${of.replays}×`}</Badge>}
    </span>
  );
}

/** How a receiver knows that a request is ours. */
export function SigningNote() {
  return (
    <p className="small muted">
      Check <code>webhook-signature</code> with it, as Standard Webhooks describe, or <code>X-Pusher-Signature</code> with the app’s own secret.
    </p>
  );
}
