import { useEffect, useState } from "react";
import { createClient } from "@tidewire/client";
import { useChannel, useClient, useConnectionState, useLatestEvent } from "@tidewire/client/react";
import { key, post, start, url, user } from "../shared/ui";

type Schema = { [A in `private-account-${string}`]: { ping: { at: string } } };

const address = (path: string, kind = "good") => `/api/jwt/${path}?user=${encodeURIComponent(user)}&kind=${kind}`;
let kind = "good";

const client = createClient<Schema>({
  url,
  key,
  token: async () => {
    const response = await fetch(address("token", kind));
    if (!response.ok) throw new Error(await response.text());
    return response.text();
  },
});

function Account() {
  const tide = useClient<Schema>();
  const name = `private-account-${user}` as const;
  const { state, error } = useConnectionState();
  const channel = useChannel<Schema, typeof name>(name);
  const last = useLatestEvent<Schema, typeof name, "ping">(name, "ping");
  const [renewed, setRenewed] = useState(0);
  const [problem, setProblem] = useState("");
  useEffect(() => tide.onError((error) => setProblem(error.message)), [tide]);

  const connect = (with_: string) => {
    kind = with_;
    setProblem("");
    tide.disconnect();
    tide.connect();
  };
  const refresh = () => tide.refreshToken().then(() => setRenewed((n) => n + 1), (error: Error) => setProblem(error.message));

  return (
    <section className="card">
      <div className="row">
        <button onClick={refresh}>Renew the token</button>
        <button onClick={() => post(address("ping"), {})}>Ping me</button>
        {["good", "bad", "expired"].map((name) => <button key={name} className="plain" onClick={() => connect(name)}>Connect: {name} token</button>)}
      </div>
      <br />
      <dl>
        <dt>Connection</dt><dd>{state}</dd>
        <dt>socket_id</dt><dd data-testid="socket">{tide.socketId ?? "none"}</dd>
        <dt>User</dt><dd data-testid="user">{tide.user.id ?? "nobody"}</dd>
        <dt>{name}</dt><dd data-testid="channel">{channel.state}</dd>
        <dt>Renewed</dt><dd data-testid="renewed">{renewed}×</dd>
        <dt>Last ping</dt><dd data-testid="ping">{last?.at ?? "none"}</dd>
      </dl>
      {(error || problem) && <p className="error" role="alert">{error?.message ?? problem}</p>}
    </section>
  );
}

start(client, "JWT", "The token says who you are and what you may hear. It is renewed without a reconnect.", <Account />);
