// What the scripts share: published clients pointed at the server under test,
// waits that end, and a report that Go reads. The configuration comes as JSON
// in TIDEWIRE_TEST:
//
//   {"api": "http://host:port",         where servers publish
//    "sockets": ["http://host:port"],   where clients connect, in turn
//    "apps": {"main": {"id", "key", "secret"}, …}}
import http from "node:http";
import PusherServer from "pusher";
import Pusher from "pusher-js";

const { TIDEWIRE_TEST = "" } = process.env;
if (TIDEWIRE_TEST === "") {
  console.error("TIDEWIRE_TEST is not set: go test ./cmd/platform -run TestClients runs these scripts");
  process.exit(2);
}
export const config = JSON.parse(TIDEWIRE_TEST);
export const { main, other } = config.apps;

/** How long anything may take, in milliseconds, on a machine that is busy. */
const patience = 60_000;

/** within settles like promise, or fails after the patience and says what was missing. */
export function within(promise, what, ms = patience) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** once waits for the next event of an emitter. */
export function once(emitter, event, what = event) {
  return within(new Promise((resolve) => {
    const handler = (data) => {
      emitter.unbind(event, handler);
      resolve(data);
    };
    emitter.bind(event, handler);
  }), what);
}

/** eventually asks until the answer is what is wanted, and fails with the last one. */
export async function eventually(ask, wanted, what, ms = patience) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > end) throw new Error(`${what}: still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Inbox keeps what a channel, connection or client emits, so that nothing is missed. */
export class Inbox {
  #received = [];
  #waiting = [];

  constructor(source) {
    source.bind_global((event, data) => {
      const received = { event, data };
      const i = this.#waiting.findIndex(({ accept }) => accept(received));
      if (i >= 0) this.#waiting.splice(i, 1)[0].resolve(received);
      else this.#received.push(received);
    });
  }

  /** take waits for an event of that name and removes it; those before it stay. */
  take(event) {
    const accept = (received) => received.event === event;
    const i = this.#received.findIndex(accept);
    if (i >= 0) return Promise.resolve(this.#received.splice(i, 1)[0]);
    return within(new Promise((resolve) => this.#waiting.push({ accept, resolve })), `event ${event}`);
  }

  /** names lists what came and was not taken, without the library's own events. */
  names() {
    return this.#received.map(({ event }) => event).filter((name) => !name.startsWith("pusher"));
  }

  /** count tells how often an event came and was not taken. */
  count(event) {
    return this.#received.filter((received) => received.event === event).length;
  }
}

/** server is the published server library for an app. */
export function server(app = main, options = {}) {
  const { hostname, port } = new URL(config.api);
  return new PusherServer({ appId: app.id, key: app.key, secret: app.secret, host: hostname, port, useTLS: false, ...options });
}

let turn = 0;

/** address gives the options that lead a client to the next node. */
export function address() {
  const { hostname, port } = new URL(config.sockets[turn++ % config.sockets.length]);
  return {
    wsHost: hostname, wsPort: Number(port), wssPort: Number(port),
    forceTLS: false, enabledTransports: ["ws", "wss"], cluster: "main",
  };
}

const open = new Set();

/** keep has something ended when the test ends. */
export function keep(client) {
  open.add(client);
  return client;
}

/** client starts a client without waiting for it. */
export function client(app = main, options = {}) {
  return keep(new Pusher(app.key, { ...address(), ...options }));
}

/** connect waits until a new client is connected. */
export async function connect(app = main, options = {}) {
  const pusher = client(app, options);
  await connected(pusher);
  return pusher;
}

export async function connected(pusher) {
  if (pusher.connection.state !== "connected") await once(pusher.connection, "connected", "connection");
}

/** subscribe waits until the channel is subscribed to. */
export async function subscribe(pusher, name) {
  const channel = pusher.subscribe(name);
  channel.inbox = new Inbox(channel);
  await channel.inbox.take("pusher:subscription_succeeded");
  return channel;
}

/** disconnect waits until the client is gone for itself; the server learns soon. */
export async function disconnect(pusher) {
  const gone = once(pusher.connection, "disconnected", "end of the connection");
  pusher.disconnect();
  await gone;
}

/** signer authorizes channels inside the client, as if it were the customer's server. */
export const signer = (app = main, member = undefined, backend = server(app)) => ({
  customHandler: ({ socketId, channelName }, done) => done(null, backend.authorizeChannel(socketId, channelName, member)),
});

/** userSigner signs a user in inside the client. */
export const userSigner = (user, app = main) => ({
  customHandler: ({ socketId }, done) => done(null, server(app).authenticateUser(socketId, user)),
});

/** authServer is a customer's server: it answers the form that clients post. */
export function authServer(answer) {
  const listener = http.createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const result = answer(Object.fromEntries(new URLSearchParams(body)), request);
    response.writeHead(result ? 200 : 403, { "Content-Type": "application/json" });
    response.end(JSON.stringify(result ?? { error: "forbidden" }));
  });
  keep({ disconnect: () => listener.close() });
  return new Promise((resolve) => {
    listener.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${listener.address().port}`));
  });
}

/** get asks the HTTP API. */
export async function get(path, params = undefined, app = main) {
  const response = await server(app).get({ path, params });
  return response.json();
}

/** refused returns the error that promise must end with. */
export async function refused(promise) {
  let result;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`must be refused, but got ${JSON.stringify(result)}`);
}

let failures = 0;

/** test runs one feature, ends its clients and says how it went. */
export async function test(name, run, ms = 3 * patience) {
  const start = performance.now();
  try {
    await within(run(), `end of the test`, ms);
    console.log(`ok - ${name} (${Math.round(performance.now() - start)} ms)`);
  } catch (error) {
    failures += 1;
    console.log(`not ok - ${name}: ${describe(error)}`);
    if (failures === 3) finish(); // what is broken takes the full patience each time
  }
  for (const one of open) one.disconnect();
  open.clear();
}

function describe(error) {
  const body = error?.body ? ` (status ${error.status}: ${String(error.body).trim()})` : "";
  return `${error?.stack ?? JSON.stringify(error)}${body}`;
}

/** finish ends the script with the exit code that Go looks at. */
export function finish() {
  if (failures > 0) console.log(`# ${failures} failed`);
  process.exit(failures > 0 ? 1 : 0);
}
