import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, ApiError, ask, type Schemas } from "../../api/client";
import { installationQuery, meQuery } from "../../api/queries";
import { Button, CheckField, ErrorBox, Loading, TextField } from "../../ui/parts";
import { Form, Frame } from "./frame";
import { useEnter } from "./signin";

const emptyForm = { email: "", password: "", name: "", tenant: "", terms: false };

/** One form for all three ways to an account. */
function AccountForm(props: { submit: string; tenant: boolean; extra?: { invitation?: string; setup?: string } }) {
  const { data: installation } = useQuery(installationQuery);
  const enter = useEnter();
  const [form, setForm] = useState(emptyForm);
  const set = (part: Partial<typeof emptyForm>) => setForm((f) => ({ ...f, ...part }));
  const make = useMutation({
    mutationFn: async () => {
      const body: Schemas["SignUpBody"] = { email: form.email, password: form.password, ...props.extra };
      if (form.name) body.name = form.name;
      if (props.tenant && form.tenant) body.tenant_name = form.tenant;
      if (form.terms && installation?.terms_version) body.terms = installation.terms_version;
      await ask(api.POST("/api/v1/signup", { body }));
      await ask(api.POST("/api/v1/sessions", { body: { email: form.email, password: form.password } }));
    },
    onSuccess: () => enter(),
  });
  const error = make.error instanceof ApiError ? make.error : undefined;
  // Signing up tells nothing about an address; signing in then fails.
  const known = error?.code === "wrong_credentials";
  return (
    <Form submit={props.submit} busy={make.isPending} error={known ? undefined : make.error} onSubmit={() => make.mutate()}>
      <TextField label="Email" type="email" autoComplete="username" required autoFocus value={form.email} wrong={error?.field("/email")} onChange={(email) => set({ email })} />
      <TextField
        label="Password" type="password" autoComplete="new-password" required minLength={installation?.min_password} value={form.password}
        hint={installation && `At least ${installation.min_password} characters; a sentence is good.`}
        wrong={error?.field("/password")} onChange={(password) => set({ password })}
      />
      <TextField label="Your name" autoComplete="name" value={form.name} hint="Optional; your team sees it." onChange={(name) => set({ name })} />
      {props.tenant && (
        <TextField label="Team or company" autoComplete="organization" value={form.tenant} hint="Optional; holds your apps." wrong={error?.field("/tenant_name")} onChange={(tenant) => set({ tenant })} />
      )}
      {installation?.terms_version && (
        <CheckField
          checked={form.terms} onChange={(terms) => set({ terms })}
          label={<>I accept the {installation.terms_url ? <a href={installation.terms_url} target="_blank" rel="noreferrer">terms</a> : "terms"} (version {installation.terms_version})</>}
        />
      )}
      {known && <div className="notice" role="alert">Go on with the mail we have sent to {form.email}.</div>}
    </Form>
  );
}

export function SignUp() {
  const installation = useQuery(installationQuery);
  const open = installation.data?.signup === "open";
  return (
    <Frame title="Make an account" foot={<>Have one? <Link to="/sign-in">Sign in</Link></>}>
      {installation.isPending && <Loading />}
      {installation.data && !open && <p>Accounts here are by invitation. Ask an owner of a tenant, or the operator of this installation.</p>}
      {open && <AccountForm submit="Make an account" tenant />}
    </Frame>
  );
}

/** The first start's link makes the operator. */
export function Setup() {
  const { token = "" } = useSearch({ strict: false });
  return (
    <Frame title="Set up this installation" foot={<Link to="/sign-in">Sign in</Link>}>
      <p className="muted">You become its operator: the one who looks after tenants, plans and nodes.</p>
      <AccountForm submit="Become the operator" tenant extra={{ setup: token }} />
    </Frame>
  );
}

export function Invitation() {
  const { token = "" } = useSearch({ strict: false });
  const me = useQuery({ ...meQuery, retry: false });
  const enter = useEnter();
  const accept = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/invitations/accept", { body: { token } })),
    onSuccess: (tenant) => enter(`/t/${tenant.slug}/apps`),
  });
  if (me.isPending) return <Frame title="Invitation"><Loading /></Frame>;
  if (me.data) {
    return (
      <Frame title="Join a team">
        <p>You are signed in as {me.data.user?.email}.</p>
        <ErrorBox error={accept.error} />
        <Button kind="primary" block busy={accept.isPending} onClick={() => accept.mutate()}>Join</Button>
      </Frame>
    );
  }
  return (
    <Frame title="Join a team" foot={<>Have an account? <Link to="/sign-in" search={{ next: `/invitation?token=${encodeURIComponent(token)}` }}>Sign in</Link></>}>
      <p className="muted">Use the address that the invitation was sent to.</p>
      <AccountForm submit="Join" tenant={false} extra={{ invitation: token }} />
    </Frame>
  );
}
