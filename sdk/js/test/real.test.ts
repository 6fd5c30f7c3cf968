// The client against the real server. TEST_PLATFORM is the binary; `make test-js` sets it.
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createTCPServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { createClient, type Client, type ClientOptions } from "@tidewire/client";
import { encryption, encrypter } from "@tidewire/client/encrypted";
import { createServer, signToken, type Server } from "@tidewire/client/server";
import { createApp, jwt, startPlatform } from "../examples/app.mjs";

const app = { appId: "1002", key: "examples-key", secret: "examples-secret" };
const wait = { timeout: 10_000, interval: 20 };
let dir: string;
let platform: { url: string; stop(signal?: string): Promise<void> };
let server: Server;
const clients: Client[] = [];

async function freePort(): Promise<number> {
  const probe = createTCPServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function connect(options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ url: platform.url, key: app.key, WebSocket: WebSocket as unknown as NonNullable<ClientOptions["WebSocket"]>, ...options });
  clients.push(client);
  return client;
}

const bySignature = (id: string): Partial<ClientOptions> => ({ auth: (request) => server.authorizeChannel({ ...request, user: { id, info: { name: id } } }) });

beforeAll(async () => {
  const binary = process.env.TEST_PLATFORM;
  if (!binary) throw new Error("TEST_PLATFORM is not set: run `make test-js`");
  dir = await mkdtemp(join(tmpdir(), "tidewire-sdk-"));
  await createApp(binary, dir);
  platform = await startPlatform(binary, dir, `127.0.0.1:${await freePort()}`);
  server = createServer({ url: platform.url, ...app, encryption: encrypter(btoa("k".repeat(32))) });
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await platform?.stop();
  await rm(dir, { recursive: true, force: true });
});

describe("the real server", () => {
  it("public, private, encrypted and cache channels; excluding a connection", async () => {
    const client = connect({ ...bySignature("a"), encryption });
    const got: unknown[] = [];
    const names = ["orders", "private-orders", "private-encrypted-orders", "cache-orders"];
    for (const name of names) client.channel(name).on("e", (data) => got.push([name, data]));
    await Promise.all(names.map((name) => client.channel(name).ready()));
    for (const name of names) await server.trigger(name, "e", { ü: 1 });
    await server.triggerBatch([{ channel: "orders", event: "e", data: "left out", socketId: client.socketId! }, { channel: "orders", event: "e", data: "last" }]);
    await vi.waitFor(() => expect(got).toEqual([...names.map((name) => [name, { ü: 1 }]), ["orders", "last"]]), wait);
    const late: unknown[] = [];
    connect().channel("cache-orders").on("e", (data) => late.push(data));
    await vi.waitFor(() => expect(late).toEqual([{ ü: 1 }]), wait);
  });

  it("presence and client events", async () => {
    const [alice, bob] = [connect(bySignature("alice")), connect(bySignature("bob"))];
    const room = alice.channel("presence-a");
    const changes: string[] = [];
    room.onMembers((change) => change.type !== "sync" && changes.push(`${change.type} ${change.member.id}`));
    await room.ready();
    expect(room.me).toEqual({ id: "alice", info: { name: "alice" } });
    const heard: unknown[] = [];
    room.on("client-hi", (data, meta) => heard.push([data, meta.userId]));
    await bob.channel("presence-a").trigger("client-hi", { n: 1 });
    await vi.waitFor(() => expect(heard).toEqual([[{ n: 1 }, "bob"]]), wait);
    expect(await server.users("presence-a")).toEqual(expect.arrayContaining(["alice", "bob"]));
    bob.disconnect();
    await vi.waitFor(() => expect(changes).toEqual(["join bob", "leave bob"]), wait);
  });

  it("auth failure: the reason of the server arrives at the right channel", async () => {
    const client = connect({ auth: ({ channel }) => ({ auth: channel === "private-bad" ? `${app.key}:${"0".repeat(64)}` : "nonsense" }) });
    await expect(client.channel("private-bad").ready()).rejects.toThrow(/Invalid signature/);
    await expect(client.channel("private-worse").ready()).rejects.toThrow(/key:signature/);
    await client.channel("fine").ready();
    expect(client.state).toBe("connected");
  });

  it("an unknown key fails for good", async () => {
    const client = connect({ key: "nobody" });
    client.connect();
    await vi.waitFor(() => expect(client.state).toBe("failed"), wait);
    expect(client.error?.code).toBe(4001);
  });

  it("token expiry: refreshed in place, refused with a reason", async () => {
    const token = (expiresIn: number, secret = jwt.secret) => signToken({ sub: "carol", channels: { "private-c-*": ["subscribe"] } }, { ...jwt, secret, expiresIn });
    let asked = 0;
    const client = connect({ token: () => (asked++, token(4)) });
    await client.channel("private-c-1").ready();
    const id = client.socketId;
    expect(client.user.id).toBe("carol");
    await vi.waitFor(() => expect(asked).toBeGreaterThanOrEqual(3), { timeout: 12_000, interval: 50 });
    expect(client.socketId).toBe(id);
    await expect(client.channel("private-other").ready()).rejects.toThrow(/does not allow/);
    const expired = connect({ token: () => token(-60) });
    expired.connect();
    await vi.waitFor(() => expect(expired.error?.message).toMatch(/expired/), wait);
    expect(expired.state).toBe("failed");
  });

  it("user: a notice for one user on all devices, and for nobody else", async () => {
    const sign = (id: string): Partial<ClientOptions> => ({ userAuth: async ({ socketId }) => server.authenticateUser({ socketId, user: { id } }) });
    const got: string[] = [];
    const devices = ["dora", "dora", "emil"].map((id, i) => {
      const client = connect(sign(id));
      client.user.on("notice", (text) => got.push(`${id}${i} ${text}`));
      return client;
    });
    await Promise.all(devices.map((client) => client.user.signIn()));
    await vi.waitFor(async () => expect(Object.keys(await server.channels("#server"))).toHaveLength(2), wait).catch(() => {});
    await server.sendToUser("dora", "notice", "x");
    await vi.waitFor(() => expect(got.sort()).toEqual(["dora0 x", "dora1 x"]), wait);
  });

  it("the HTTP fallback carries the same, one by one and in order", async () => {
    const client = connect({ transports: ["http"], ...bySignature("h") });
    const got: unknown[] = [];
    client.channel("private-h").on("n", (data) => got.push(data));
    await client.channel("private-h").ready();
    for (let i = 0; i < 20; i++) await server.trigger("private-h", "n", i);
    await vi.waitFor(() => expect(got).toEqual(Array.from({ length: 20 }, (_, i) => i)), wait);
    await client.channel("private-h").trigger("client-x", {});
  });

  it("history pages, and rewinds for whoever comes late", async () => {
    for (let i = 1; i <= 5; i++) await server.trigger("metrics", "sample", i);
    const channel = connect().channel("metrics", { rewind: 2 });
    const got: unknown[] = [];
    channel.on("sample", (data) => got.push(data));
    await vi.waitFor(() => expect(got).toEqual([4, 5]), wait);
    const page = await channel.history({ limit: 3 });
    expect(page.events.map((event) => event.data)).toEqual([5, 4, 3]);
    const rest = await channel.history({ limit: 3, before: page.next! });
    expect(rest.events.map((event) => event.data)).toEqual([2, 1]);
  });

  it("server restart: comes back by itself, and says that the history began anew", async () => {
    const client = connect();
    const got: unknown[] = [];
    const gaps: string[] = [];
    client.channel("chat").onGap((gap) => gaps.push(gap.reason));
    client.channel("chat").on("message", (data) => got.push(data));
    await client.channel("chat").ready();
    await server.trigger("chat", "message", 1);
    await platform.stop("SIGKILL");
    await vi.waitFor(() => expect(client.state).toBe("reconnecting"), wait);
    platform = await startPlatform(process.env.TEST_PLATFORM!, dir, platform.url.slice("http://".length));
    await vi.waitFor(() => expect(client.channel("chat").state).toBe("subscribed"), { timeout: 40_000, interval: 50 });
    await server.trigger("chat", "message", 2);
    await vi.waitFor(() => expect(got).toEqual([1, 2]), wait);
    expect(gaps).toEqual(["epoch_changed"]);
  }, 60_000);
});
