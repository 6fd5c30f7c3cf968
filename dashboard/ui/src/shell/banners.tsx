import { useMutation } from "@tanstack/react-query";
import { api, ask, type Schemas } from "../api/client";
import { Button } from "../ui/parts";
import { done, failed } from "../ui/toasts";

/** What holds for every page of a tenant: not confirmed, suspended, closing. */
export function Banners(props: { me: Schemas["Me"]; tenant?: string }) {
  const resend = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/verify/resend")),
    onSuccess: () => done("A new link is on its way."),
    onError: failed,
  });
  const current = props.me.tenants.find((t) => t.tenant.slug === props.tenant)?.tenant;
  return (
    <>
      {props.me.user && !props.me.user.verified_at && (
        <div className="banner" role="status">
          Confirm your address to leave the sandbox: follow the link mailed to {props.me.user.email}.
          <Button busy={resend.isPending} onClick={() => resend.mutate()}>Send it again</Button>
        </div>
      )}
      {current && (current.status === "suspended" || current.status === "closing") && (
        <div className="banner" role="status">
          This tenant is {current.status}: its apps carry no traffic.
          {current.status_reason ? ` Reason: ${current.status_reason}.` : ""}
        </div>
      )}
    </>
  );
}
