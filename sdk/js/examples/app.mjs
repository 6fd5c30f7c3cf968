/**
 * What all examples run on: one app of one Tidewire server, made by its own
 * command line, and one web server for the pages and their backends.
 */
import { execFile, spawn } from "node:child_process";
import { createServer as createHTTPServer } from "node:http";
import { once } from "node:events";
import { promisify } from "node:util";
import { createServer } from "@tidewire/client/server";

export const names = ["chat", "rooms", "prices", "metrics", "notifications", "jwt"];

export const app = { appId: "1002", key: "examples-key", secret: "examples-secret" };
export const jwt = { issuer: "https://examples.test", audience: "examples", secret: "a secret of 32 bytes for examples" };
const settings = {
  client_events: true,
  history: ["chat", "metrics", "presence-room-*", "private-account-*"].map((pattern) => ({ pattern, max_messages: 500, ttl_seconds: 3600 })),
  jwt: { issuers: [{ issuer: jwt.issuer, audience: jwt.audience, algorithms: ["HS256"], secret: jwt.secret }] },
};

/** Creates the app in the data folder; the second time it is there already. */
export async function createApp(binary, dataDir) {
  const args = ["apps", "create", "--tenant", "examples", "--name", "Examples", "--id", app.appId, "--key", app.key, "--secret", app.secret];
  await promisify(execFile)(binary, [...args, "--settings", JSON.stringify(settings), "--data-dir", dataDir]).catch((error) => {
    if (!/taken|exists/.test(error.stderr)) throw new Error(error.stderr || error.message);
  });
}

/** Starts a server on listen and waits until it is ready. */
export async function startPlatform(binary, dataDir, listen, more = []) {
  const child = spawn(binary, ["serve", "--listen", listen, "--data-dir", dataDir, "--metrics-listen", "off", "--log-level", "warn", ...more], { stdio: ["ignore", "inherit", "inherit"] });
  const url = `http://${listen}`;
  for (let i = 0; i < 600; i++) {
    if (child.exitCode !== null) throw new Error(`the server at ${listen} ended with ${child.exitCode}`);
    if (await fetch(`${url}/readyz`).then((r) => r.ok, () => false)) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async (signal = "SIGTERM") => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  };
  return { url, stop };
}

/** Serves the pages and /api/NAME/… of every example. The backends reach Tidewire at url, browsers at publicUrl. */
export async function serveExamples({ url, publicUrl = url, port = 5173 }) {
  process.env.VITE_TIDEWIRE_URL = publicUrl;
  process.env.VITE_TIDEWIRE_KEY = app.key;
  const server = createServer({ url, ...app });
  const backends = new Map();
  const stops = new Map();
  for (const name of names) {
    const backend = (await import(`./${name}/backend.mjs`)).default(server, { jwt });
    backends.set(name, backend.handle ?? backend);
    if (backend.stop) stops.set(name, backend.stop);
  }
  const { createServer: createVite } = await import("vite");
  const vite = await createVite({ configFile: new URL("vite.config.ts", import.meta.url).pathname, server: { middlewareMode: true, hmr: false, ws: false } });
  const http = createHTTPServer(async (req, res) => {
    const name = /^\/api\/([a-z]+)\//.exec(req.url)?.[1];
    if (!backends.has(name)) return vite.middlewares(req, res);
    const answer = await backends.get(name)(await toRequest(req)).catch((error) => new Response(error.message, { status: 500 }));
    res.writeHead(answer.status, Object.fromEntries(answer.headers));
    res.end(Buffer.from(await answer.arrayBuffer()));
  });
  http.listen(port, "127.0.0.1");
  await once(http, "listening");
  const close = async () => {
    for (const stop of stops.values()) stop();
    await vite.close();
    http.closeAllConnections();
    http.close();
  };
  return { url: `http://127.0.0.1:${http.address().port}`, server, pause: (name) => stops.get(name)?.(), close };
}

const MAX_BODY = 64 * 1024;

/** What Node's web server got, as a Request. */
export async function toRequest(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) if ((size += chunk.length) <= MAX_BODY) chunks.push(chunk);
  const init = { method: req.method, headers: req.headers };
  if (req.method === "POST") init.body = Buffer.concat(chunks);
  return new Request(`http://${req.headers.host}${req.url}`, init);
}
