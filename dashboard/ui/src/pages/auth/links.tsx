import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, ApiError, ask } from "../../api/client";
import { Button, ErrorBox, TextField } from "../../ui/parts";
import { Form, Frame } from "./frame";

export function Verify() {
  const { token = "" } = useSearch({ strict: false });
  const client = useQueryClient();
  const verify = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/verify", { body: { token } })),
    onSuccess: () => client.invalidateQueries(),
  });
  return (
    <Frame title="Confirm your address">
      {verify.isSuccess ? (
        <>
          <div className="notice good" role="status">{verify.data.email} is confirmed.</div>
          <Link className="btn primary block" to="/">Go on</Link>
        </>
      ) : (
        <>
          <p className="muted">One click, and your apps leave the sandbox.</p>
          <ErrorBox error={verify.error} />
          <Button kind="primary" block autoFocus busy={verify.isPending} onClick={() => verify.mutate()}>Confirm</Button>
        </>
      )}
    </Frame>
  );
}

export function Forgot() {
  const [email, setEmail] = useState("");
  const request = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/password-reset", { body: { email } })),
  });
  return (
    <Frame title="Reset the password" foot={<Link to="/sign-in">Back to sign in</Link>}>
      {request.isSuccess ? (
        <div className="notice good" role="status">If there is an account for {email}, a mail with a link is on its way.</div>
      ) : (
        <Form submit="Send me a link" busy={request.isPending} error={request.error} onSubmit={() => request.mutate()}>
          <TextField label="Email" type="email" autoComplete="username" required autoFocus value={email} onChange={setEmail} />
        </Form>
      )}
    </Frame>
  );
}

export function Reset() {
  const { token = "" } = useSearch({ strict: false });
  const [password, setPassword] = useState("");
  const reset = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/password-reset/confirm", { body: { token, password } })),
  });
  const error = reset.error instanceof ApiError ? reset.error : undefined;
  return (
    <Frame title="Choose a new password" foot={<Link to="/forgot">Ask for a new link</Link>}>
      {reset.isSuccess ? (
        <>
          <div className="notice good" role="status">The password is set, and every session has ended.</div>
          <Link className="btn primary block" to="/sign-in">Sign in</Link>
        </>
      ) : (
        <Form submit="Set the password" busy={reset.isPending} error={reset.error} onSubmit={() => reset.mutate()}>
          <TextField label="New password" type="password" autoComplete="new-password" required autoFocus value={password} wrong={error?.field("/password")} onChange={setPassword} />
        </Form>
      )}
    </Frame>
  );
}
