// The client against the real server.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createClient, type Client, type ClientOptions } from "@tidewire/client";
import { encryption } from "@tidewire/client/encrypted";
import { signToken, type Server } from "@tidewire/client/server";
import { app, jwt } from "../examples/app.mjs";
import { platform, webSocket, type Platform } from "./platform.js";

const wait = { timeout: 10_000, interval: 20 };
let real: Platform;
let server: Server;
const clients: Client[] = [];

function connect(options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ url: real.url, key: app.key, WebSocket: webSocket, ...options });
  clients.push(client);
  return client;
}

const bySignature = (id: string): Partial<ClientOptions> => ({ auth: (request) => server.authorizeChannel({ ...request, user: { id, info: { name: id } } }) });

beforeAll(async () => {
  real = await platform();
  server = real.server;
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await real?.stop();
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

  it("a token does not open what it does not name", async () => {
    const client = connect({ token: () => signToken({ sub: "carol", channels: { "private-c-*": ["subscribe"] } }, jwt) });
    await client.channel("private-c-1").ready();
    await expect(client.channel("private-other").ready()).rejects.toThrow(/does not allow/);
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
    // Signing in is followed by listening, of which nobody tells.
    await vi.waitFor(async () => {
      await server.sendToUser("dora", "notice", "x");
      expect(new Set(got)).toEqual(new Set(["dora0 x", "dora1 x"]));
    }, { timeout: 10_000, interval: 100 });
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
});
