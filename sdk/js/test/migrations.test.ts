// Both halves of the migration pages, run: before and after do the same.
import { execFile } from "node:child_process";
import type { Server as HTTPServer } from "node:http";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createClient } from "@tidewire/client";
import { app } from "../examples/app.mjs";
import { freePort } from "./network.js";
import { pieces, project, serve } from "./pages.js";
import { platform, webSocket, type Platform } from "./platform.js";

const soon = { timeout: 15_000, interval: 20 };
const users: Record<string, { id: string; name: string }> = { alice: { id: "alice", name: "Alice" }, bob: { id: "bob", name: "Bob" }, carla: { id: "carla", name: "Carla" } };
const shown: Record<string, string[]> = {};
let real: Platform;
let mine: Awaited<ReturnType<typeof project>>;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  real = await platform("--webhook-allow-private", "true");
  mine = await project("@tidewire/client", "pusher", "pusher-js", "socket.io", "socket.io-client");
  vi.stubGlobal("WebSocket", webSocket);
  vi.stubGlobal("page", {
    show: (who: string) => (text: string) => (shown[who] ??= []).push(text),
    whoIs: async (from: unknown) => users[from instanceof Request ? "carla" : String(from)],
  });
});
afterAll(async () => {
  for (const end of ends) await end();
  await mine?.remove();
  await real?.stop();
  vi.unstubAllGlobals();
});

/** What stands in the page for what is the reader's. */
function filled(code: string, backendPort: number): string {
  return code
    .replaceAll("127.0.0.1:6001", `127.0.0.1:${real.port}`)
    .replace(/(wsPort: |port: ")6001/g, `$1${real.port}`)
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${backendPort}`)
    .replaceAll("your-key", app.key)
    .replaceAll("your-secret", app.secret)
    .replaceAll("1001", app.appId);
}

/** Loads a program of the page as somebody. */
function load<T>(files: Map<string, string>, file: string, who: string, port: number): Promise<T> {
  const code = files.get(file);
  if (code === undefined) throw new Error(`the page has no ${file}`);
  const given = `const { show: showAs, whoIs } = page; const show = showAs(${JSON.stringify(`${file.split("/")[0]} ${who}`)}); const token = ${JSON.stringify(who)};\n`;
  return mine.load<T>(`${port}/${file.replace(".", `-${who}.`)}`, given + filled(code, port));
}

const shows = (who: string, text: string) => vi.waitFor(() => expect(shown[who] ?? [], who).toContain(text), soon);

interface PusherClient {
  type(): void;
  leave(): void;
  close(): void;
}
interface PusherBackend {
  auth(request: Request): Promise<Response>;
  updated(order: unknown): Promise<unknown>;
  notify(userId: string, text: string): Promise<unknown>;
}

describe("from pusher-js", () => {
  it.each([["before", "before"], ["after", "after"], ["before", "after"], ["after", "before"]])("client %s, backend %s", async (client, backend) => {
    const files = await pieces("migrate-from-pusher-js.md");
    const port = await freePort();
    const who = `${client} carla`;
    delete shown[who];
    const server = await load<PusherBackend>(files, `${backend}/backend.js`, "server", port);
    const stop = await serve(port, server.auth);
    ends.push(stop);
    const carla = await load<PusherClient>(files, `${client}/client.js`, "carla", port);
    for (const text of ["connected", "here as Carla", "not for you"]) await shows(who, text);
    const bob = createClient({ url: real.url, key: app.key, auth: (request) => real.server.authorizeChannel({ ...request, user: { id: "bob", info: { name: "Bob" } } }) });
    const room = bob.channel("presence-room");
    const typing = new Promise<string | undefined>((resolve) => room.on("client-typing", (_data, { userId }) => resolve(userId)));
    await shows(who, "Bob joined");
    await room.trigger("client-typing", {});
    await shows(who, "bob is typing");
    carla.type();
    expect(await typing).toBe("carla");
    await vi.waitFor(async () => {
      await server.updated({ id: 7, state: "paid" });
      await server.notify("carla", "your parcel is here"); // not before signing in is done
      expect(shown[who]).toEqual(expect.arrayContaining(["order 7 is paid", "your parcel is here"]));
    }, { timeout: 15_000, interval: 250 });
    bob.disconnect();
    await shows(who, "Bob left");
    carla.leave();
    await server.updated({ id: 8, state: "lost" });
    await vi.waitFor(async () => expect(await real.server.users("presence-room")).toEqual([]), soon);
    carla.close();
    expect([...new Set(shown[who])].sort()).toEqual(["Bob joined", "Bob left", "bob is typing", "connected", "here as Carla", "not for you", "order 7 is paid", "your parcel is here"]);
  });
});

interface IOClient {
  order(count: number): unknown;
  mute(): void;
  wave(): unknown;
  join(room: string): void;
  leave(room: string): void;
  say(room: string, text: string): unknown;
  type(room: string): unknown;
  close(): void;
}
interface IOServer {
  http: HTTPServer;
  handle(request: Request): Promise<Response>;
  announce(text: string): unknown;
  inRoom(room: string): Promise<string[]>;
  notify(userId: string, text: string): unknown;
}

/** The same acts on either side of the migration. */
async function acts(side: string, server: IOServer, client: (who: string) => Promise<IOClient>): Promise<void> {
  const [a, b, s] = ["alice", "bob", "server"].map((who) => `${side} ${who}`) as [string, string, string];
  await client("mallory");
  await shows(`${side} mallory`, "refused: please sign in");
  const [alice, bob] = [await client("alice"), await client("bob")];
  for (const who of [a, b]) await shows(who, "connected");
  for (const who of ["alice", "bob"]) await shows(s, `server: ${who} is online`);
  alice.order(2);
  alice.order(0);
  for (const text of ["order 7", "count must be above 0"]) await shows(a, text);
  await server.announce("hello");
  for (const who of [a, b]) await shows(who, "news: hello");
  bob.mute();
  await server.announce("again");
  await shows(a, "news: again");
  alice.wave();
  await shows(b, "Alice waves");
  alice.join("lobby");
  await vi.waitFor(async () => expect(await server.inRoom("lobby")).toEqual(["alice"]), soon);
  bob.join("lobby");
  await shows(a, "Bob joined");
  expect((await server.inRoom("lobby")).sort()).toEqual(["alice", "bob"]);
  alice.say("lobby", "hi");
  for (const who of [a, b]) await shows(who, "Alice: hi");
  await bob.type("lobby");
  await shows(a, "bob is typing");
  await shows(s, "server: bob typed");
  await server.notify("bob", "parcel");
  await shows(b, "notice: parcel");
  bob.leave("lobby");
  await shows(a, "Bob left");
  bob.close();
  await shows(s, "server: bob is offline");
  alice.close();
  await shows(s, "server: alice is offline");
}

describe("from Socket.IO", () => {
  it("before and after show the same", async () => {
    for (const who of Object.keys(shown)) delete shown[who];
    const files = await pieces("migrate-from-socket-io.md");
    const [before, after] = [await freePort(), await freePort()];
    const start = (side: string, port: number) => (who: string) => load<IOClient>(files, `${side}/client.js`, who, port);

    const io = await load<IOServer>(files, "before/server.js", "server", before);
    io.http.listen(before, "127.0.0.1");
    ends.push(() => io.http.close());
    await acts("before", io, start("before", before));

    const backend = await load<IOServer>(files, "after/backend.js", "server", after);
    ends.push(await serve(after, backend.handle));
    const commands = filled(files.get("sh") ?? "", after).trim().split("\n");
    const run = (command: string) => promisify(execFile)("sh", ["-c", `platform() { "$TEST_PLATFORM" "$@" --data-dir "$DIR"; }; ${command}`], { env: { ...process.env, DIR: real.dir, TIDEWIRE_WEBHOOK_ALLOW_PRIVATE: "true" } });
    for (const command of commands.slice(0, 2)) await run(command);
    // A running server knows of the endpoint within a second: until then nothing is told.
    let n = 0;
    await vi.waitFor(async () => {
      const id = `probe-${++n}`;
      const probe = createClient({ url: real.url, key: app.key, userAuth: ({ socketId }) => real.server.authenticateUser({ socketId, user: { id } }) });
      await probe.user.signIn();
      probe.disconnect();
      expect(shown["after server"]?.join()).toContain("probe");
    }, { ...soon, interval: 250 });
    await acts("after", backend, start("after", after));
    await run(commands[2] as string);
    expect(commands).toHaveLength(3);

    for (const who of ["alice", "bob", "server"]) expect(shown[`after ${who}`]?.filter((line) => !line.includes("probe")).sort()).toEqual(shown[`before ${who}`]?.sort());
  }, 60_000);
});
