import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useRouter, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask } from "../../api/client";
import { installationQuery, signedIn } from "../../api/queries";
import { Button, ErrorBox, TextField } from "../../ui/parts";
import { Form, Frame } from "./frame";

/** Goes where the person was going before they had to sign in. */
export function useEnter() {
  const client = useQueryClient();
  const router = useRouter();
  return async (next?: string) => {
    await signedIn(client);
    router.history.push("/dashboard" + (next ?? "/"));
  };
}

export function SignIn() {
  const { next } = useSearch({ strict: false });
  const installation = useQuery(installationQuery);
  const enter = useEnter();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/sessions", { body: { email, password } })),
    onSuccess: () => enter(next),
  });
  return (
    <Frame
      title="Sign in"
      foot={installation.data?.signup === "open" && <>New here? <Link to="/sign-up">Make an account</Link></>}
    >
      <Form submit="Sign in" busy={signIn.isPending} error={signIn.error} onSubmit={() => signIn.mutate()}>
        <TextField label="Email" type="email" autoComplete="username" required autoFocus value={email} onChange={setEmail} />
        <TextField label="Password" type="password" autoComplete="current-password" required value={password} onChange={setPassword} />
      </Form>
      <Link className="small" to="/forgot">Forgot the password?</Link>
    </Frame>
  );
}

/** The link that the command line printed. A click, not the visit, uses it up: mail scanners visit links. */
export function LoginLink() {
  const { token = "" } = useSearch({ strict: false });
  const enter = useEnter();
  const signIn = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/sessions/link", { body: { token } })),
    onSuccess: () => enter(),
  });
  return (
    <Frame title="Sign in by link" foot={<Link to="/sign-in">Sign in with a password</Link>}>
      <p className="muted">This link works once. It was printed by the server you are about to look after.</p>
      <ErrorBox error={signIn.error} />
      <Button kind="primary" block autoFocus busy={signIn.isPending} onClick={() => signIn.mutate()}>Sign in</Button>
    </Frame>
  );
}
