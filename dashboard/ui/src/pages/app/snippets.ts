export type Values = { app: string; key: string; secret: string; host: string; port: string; tls: boolean };

export type Snippet = { id: string; title: string; side: "client" | "server"; install?: string; file: string; run?: string; code: string };

/** What fills the place of a secret that nobody but the customer has. */
export const SECRET = "YOUR-SECRET";

/** Text inside double quotes of JavaScript, Python and, without a $, PHP. */
const quote = (text: string) => JSON.stringify(text).slice(1, -1);

/** Code to paste, with the app's own values; channel and event are the same everywhere. */
export function snippets(v: Values): Snippet[] {
  const base = `${v.tls ? "https" : "http"}://${v.host}:${v.port}`;
  const options = `{
  wsHost: "${quote(v.host)}",
  wsPort: ${Number(v.port)},
  wssPort: ${Number(v.port)},
  forceTLS: ${v.tls},
  enabledTransports: ["ws", "wss"],
  cluster: "main",
}`;
  return [
    {
      id: "js", title: "JavaScript", side: "client", install: "npm install pusher-js", file: "receive.mjs", run: "node receive.mjs",
      code: `import Pusher from "pusher-js";

const pusher = new Pusher("${quote(v.key)}", ${options});

pusher.subscribe("my-channel").bind("hello", (data) => console.log("received", data));
pusher.connection.bind("connected", () => console.log("connected, waiting for events"));`,
    },
    {
      id: "react", title: "React", side: "client", install: "npm install pusher-js", file: "Live.jsx",
      code: `import { useEffect, useState } from "react";
import Pusher from "pusher-js";

const options = ${options};

export function Live() {
  const [events, setEvents] = useState([]);

  useEffect(() => {
    const pusher = new Pusher("${quote(v.key)}", options);
    pusher.subscribe("my-channel").bind("hello", (data) => setEvents((seen) => [...seen, data]));
    return () => pusher.disconnect();
  }, []);

  return <ul>{events.map((data, i) => <li key={i}>{JSON.stringify(data)}</li>)}</ul>;
}`,
    },
    {
      id: "node", title: "Node", side: "server", install: "npm install pusher", file: "send.mjs", run: "node send.mjs",
      code: `import Pusher from "pusher";

const pusher = new Pusher({
  appId: "${quote(v.app)}",
  key: "${quote(v.key)}",
  secret: "${quote(v.secret)}",
  host: "${quote(v.host)}",
  port: "${Number(v.port)}",
  useTLS: ${v.tls},
});

await pusher.trigger("my-channel", "hello", { text: "Hello from Node" });
console.log("published");`,
    },
    { id: "curl", title: "curl", side: "server", file: "send.sh", run: "sh send.sh", code: curl(v, base) },
    {
      id: "python", title: "Python", side: "server", install: "pip install pusher", file: "send.py", run: "python3 send.py",
      code: `import pusher

client = pusher.Pusher(
    app_id="${quote(v.app)}",
    key="${quote(v.key)}",
    secret="${quote(v.secret)}",
    host="${quote(v.host)}",
    port=${Number(v.port)},
    ssl=${v.tls ? "True" : "False"},
)

client.trigger("my-channel", "hello", {"text": "Hello from Python"})
print("published")`,
    },
    {
      id: "laravel", title: "Laravel", side: "server", install: "composer require pusher/pusher-php-server", file: ".env",
      code: `BROADCAST_CONNECTION=pusher
PUSHER_APP_ID="${quote(v.app)}"
PUSHER_APP_KEY="${quote(v.key)}"
PUSHER_APP_SECRET="${quote(v.secret)}"
PUSHER_APP_CLUSTER=main
PUSHER_HOST="${quote(v.host)}"
PUSHER_PORT=${Number(v.port)}
PUSHER_SCHEME=${v.tls ? "https" : "http"}`,
    },
  ];
}

function curl(v: Values, base: string): string {
  const word = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  return `APP=${word(v.app)} KEY=${word(v.key)} SECRET=${word(v.secret)}
BODY='{"name":"hello","channels":["my-channel"],"data":"{\\"text\\":\\"Hello from curl\\"}"}'
MD5=$(printf '%s' "$BODY" | openssl md5 | sed 's/.* //')
QUERY="auth_key=$KEY&auth_timestamp=$(date +%s)&auth_version=1.0&body_md5=$MD5"
SIGN=$(printf 'POST\\n/apps/%s/events\\n%s' "$APP" "$QUERY" | openssl dgst -sha256 -hmac "$SECRET" | sed 's/.* //')
curl -sS -H 'Content-Type: application/json' -d "$BODY" ${word(base)}"/apps/$APP/events?$QUERY&auth_signature=$SIGN"`;
}
