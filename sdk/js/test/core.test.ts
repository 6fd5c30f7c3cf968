import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createClient, TidewireError } from "@tidewire/client";
import { setup, settled } from "./helpers.js";
import { clientVectors, serverVectors } from "./fake-server.js";
import { parseFrame } from "../src/wire.js";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("wire vectors", () => {
  it.each(serverVectors.map((v) => [v.name, v] as const))("reads %s", (_name, { frame, expect: want = {} }) => {
    const got = parseFrame(frame);
    expect(got?.event).toBe(want.event);
    expect(got?.channel).toBe(want.channel);
    expect(got?.userId).toBe(want.user_id);
    if ("data" in want) expect(got?.data).toEqual(want.data);
    if ("data_text" in want) expect(got?.data).toBe(want.data_text);
    if ("error" in want) expect(got?.data).toEqual(want.error);
  });

  it("sends frames of the shape the server is tested with", async () => {
    const { server, client } = setup({ auth: () => ({ auth: "KEY:abc" }) });
    client.channel("my-channel").subscribe();
    client.channel("private-encrypted-x");
    await settled();
    const vector = JSON.parse(clientVectors.find((v) => v.name === "subscribe-public-java")!.frame);
    expect(server.received).toContainEqual(vector);
    void client.channel("private-x").trigger("client-typing", { a: 1 });
    await settled();
    expect(server.received).toContainEqual(JSON.parse(clientVectors.find((v) => v.name === "client-event-object")!.frame));
    client.disconnect();
  });

  it.each(["", "null", "[]", '"x"', "{", '{"event":1}', '{"channel":"c"}', "\u0000"])("ignores %j", async (text) => {
    const { server, client } = setup();
    client.connect();
    await settled();
    server.socket.raw(text);
    expect(client.state).toBe("connected");
  });
});

describe("connection", () => {
  it("does nothing until somebody listens", async () => {
    const { server, client } = setup();
    client.channel("a");
    await settled();
    expect(server.sockets).toHaveLength(0);
    expect(client.state).toBe("idle");
    client.channel("a").on("x", () => {});
    await settled();
    expect(client.state).toBe("connected");
    expect(client.socketId).toBe("1.1");
    expect(server.socket.url).toMatch(/^ws:\/\/tide\.test\/app\/k\?protocol=7&client=tidewire-js&version=[\d.]+&tidewire=1$/);
  });

  it("says what is missing", () => {
    expect(() => createClient({ url: "", key: "k" })).toThrow(/needs url/);
    expect(() => createClient({ url: "http://x", key: "" })).toThrow(/needs key/);
  });

  it.each([
    [4001, "App key k not in this cluster."],
    [4004, "Over quota"],
    [4009, "Origin not allowed"],
  ])("gives up after %d and says why", async (code, message) => {
    const { server, client, errors } = setup();
    client.channel("a").subscribe();
    await settled();
    server.socket.error(code, message);
    server.socket.end(code, message);
    expect(client.state).toBe("failed");
    expect(client.error).toMatchObject({ code, message, retryable: false });
    expect(client.channel("a").state).toBe("failed");
    expect(errors).toEqual([message]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(server.sockets).toHaveLength(1);
  });

  it.each([
    [4200, 0, 300],
    [4100, 1000, 1500],
    [1006, 0, 500],
  ])("comes back after %d, in time", async (code, least, most) => {
    const { server, client } = setup();
    client.connect();
    await settled();
    await vi.advanceTimersByTimeAsync(10_000);
    server.drop(code);
    expect(client.state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(least);
    expect(server.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(most - least);
    expect(server.sockets).toHaveLength(2);
    expect(client.state).toBe("connected");
  });

  it("backs off, with a ceiling, while the server is away", async () => {
    const { server, client } = setup();
    server.up = false;
    client.connect();
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    const attempts = server.sockets.length;
    expect(attempts).toBeGreaterThan(25);
    expect(attempts).toBeLessThan(60);
    server.up = true;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(client.state).toBe("connected");
  });

  it("notices a connection that died without a word", async () => {
    const { server, client } = setup({ activityTimeout: 20_000 });
    client.connect();
    await settled();
    server.silent = true;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(client.state).toBe("connected");
    server.silent = false;
    server.sockets[0]!.alive = false;
    await vi.advanceTimersByTimeAsync(11_000);
    expect(server.sockets).toHaveLength(2);
    expect(client.state).toBe("connected");
  });

  it("answers pings and stays while there are pongs", async () => {
    const { server, client } = setup();
    client.connect();
    await settled();
    server.socket.raw(serverVectors.find((v) => v.name === "ping")!.frame);
    expect(server.received).toContainEqual({ event: "pusher:pong", data: {} });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(server.sockets).toHaveLength(1);
    expect(server.count("pusher:ping")).toBe(5);
  });

  it("disconnect() ends it, connect() begins again with the same channels", async () => {
    const { server, client } = setup();
    const got: unknown[] = [];
    client.channel("a").on("x", (data) => got.push(data));
    await settled();
    client.disconnect();
    expect(client.state).toBe("closed");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.sockets).toHaveLength(1);
    client.connect();
    await settled();
    server.publish("a", "x", 1);
    expect(got).toEqual([1]);
  });

  it("one listener that throws does not stop the others", async () => {
    const thrown: unknown[] = [];
    vi.spyOn(globalThis, "queueMicrotask").mockImplementation((task) => void Promise.resolve().then(task).catch((e) => thrown.push(e)));
    const { server, client } = setup();
    const got: unknown[] = [];
    client.channel("a").on("x", () => {
      throw new Error("mine");
    });
    client.channel("a").on("x", (data) => got.push(data));
    await settled();
    server.publish("a", "x", 1);
    await settled();
    expect(got).toEqual([1]);
    expect(thrown).toHaveLength(1);
  });
});

describe("channels", () => {
  it("shares one subscription and leaves a moment after the last listener", async () => {
    const { server, client } = setup();
    const channel = client.channel("a");
    const off1 = channel.on("x", () => {});
    const off2 = channel.on("x", () => {});
    await settled();
    expect(server.count("pusher:subscribe")).toBe(1);
    off1();
    off1();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(server.count("pusher:unsubscribe")).toBe(0);
    off2();
    await vi.advanceTimersByTimeAsync(500);
    const off3 = channel.on("y", () => {});
    await vi.advanceTimersByTimeAsync(5_000);
    expect(server.count("pusher:unsubscribe")).toBe(0);
    off3();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.count("pusher:unsubscribe")).toBe(1);
    expect(channel.state).toBe("idle");
  });

  it("subscribing again right after leaving is not confused by the old answer", async () => {
    const { server, client } = setup({ unsubscribeDelay: 0 });
    client.connect();
    await settled();
    const channel = client.channel("a");
    channel.on("x", () => {})();
    vi.advanceTimersByTime(1);
    const got: unknown[] = [];
    channel.on("x", (data) => got.push(data));
    await settled();
    await settled();
    expect(channel.state).toBe("subscribed");
    server.publish("a", "x", 1);
    expect(got).toEqual([1]);
  });

  it("a refused subscription fails with the server's reason, and the next is unharmed", async () => {
    const { server, client, errors } = setup();
    server.refuse = (name) => (name === "bad" ? "This connection has subscribed to 3 channels, the most this app allows." : undefined);
    client.connect();
    await settled();
    const bad = client.channel("bad").ready();
    const good = client.channel("good").ready();
    await expect(bad).rejects.toThrow("the most this app allows");
    await good;
    expect(client.channel("bad").state).toBe("failed");
    expect(client.channel("bad").error).toBeInstanceOf(TidewireError);
    expect(errors).toHaveLength(1);
  });

  it("trigger resolves once the server has taken it, and rejects with its error", async () => {
    const { client } = setup({ auth: () => ({ auth: "k:s" }) });
    client.connect();
    await settled();
    const channel = client.channel("private-a");
    await channel.trigger("client-ok", {});
    await expect(channel.trigger("client-refused", {})).rejects.toMatchObject({ code: 4301 });
    await channel.trigger("client-ok", {});
    await expect(channel.trigger("nope" as "client-x", {})).rejects.toThrow(/begin with client-/);
  });

  it("knows who is there, and what changed while it was away", async () => {
    const { server, client } = setup({ auth: () => ({ auth: "k:s", channelData: '{"user_id":"1","user_info":{"name":"A"}}' }) });
    const room = client.channel("presence-x");
    const changes: string[] = [];
    room.onMembers((change) => changes.push(change.type === "sync" ? `sync ${change.members.length}` : `${change.type} ${change.member.id}`));
    await settled();
    expect(room.me).toEqual({ id: "1", info: { name: "A" } });
    server.socket.raw(serverVectors.find((v) => v.name === "member-added")!.frame);
    const before = room.members;
    server.socket.raw(serverVectors.find((v) => v.name === "member-added-no-info")!.frame);
    server.socket.raw(serverVectors.find((v) => v.name === "member-removed")!.frame);
    server.socket.raw(serverVectors.find((v) => v.name === "member-added")!.frame);
    expect(room.members).not.toBe(before);
    await vi.advanceTimersByTimeAsync(6_000);
    server.drop();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(changes).toEqual(["sync 1", "join 2", "join 2", "leave 2", "join 2", "leave 2", "sync 1"]);
  });

  it("hostile member ids and infos are only data", async () => {
    const { server, client } = setup({ auth: () => ({ auth: "k:s", channelData: '{"user_id":"__proto__"}' }) });
    const room = client.channel("presence-x");
    room.onMembers(() => {});
    await settled();
    server.socket.say({ event: "pusher_internal:member_added", channel: "presence-x", data: '{"user_id":"constructor","user_info":null}' });
    server.socket.say({ event: "pusher_internal:member_added", channel: "presence-x", data: "7" });
    expect(({} as Record<string, unknown>).user_id).toBeUndefined();
    expect(room.members.map((m) => m.id)).toContain("constructor");
  });
});

describe("history", () => {
  it("resumes where it was: everything once and in order", async () => {
    const { server, client } = setup();
    server.channel("a").history = true;
    const got: unknown[] = [];
    const gaps: unknown[] = [];
    client.channel("a").onGap((gap) => gaps.push(gap));
    const serials: unknown[] = [];
    client.channel("a").on("n", (data, meta) => {
      got.push(data);
      serials.push(meta.serial);
    });
    await settled();
    server.publish("a", "n", 1);
    server.drop();
    for (let i = 2; i <= 50; i++) server.publish("a", "n", i);
    await vi.advanceTimersByTimeAsync(2_000);
    server.publish("a", "n", 51);
    expect(got).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
    expect(serials.at(-1)).toBe("e1:51");
    expect(gaps).toEqual([]);
    server.socket.say({ event: "n", channel: "a", data: "51", serial: "e1:51" }); // again
    expect(got).toHaveLength(51);
  });

  it("says gap, and why, when the history was wiped", async () => {
    const { server, client } = setup();
    const channel = server.channel("a");
    channel.history = true;
    const gaps: unknown[] = [];
    client.channel("a").onGap((gap) => gaps.push(gap));
    client.channel("a").on("n", () => {});
    await settled();
    server.publish("a", "n", 1);
    Object.assign(channel, { epoch: "e2", events: [] });
    server.drop();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(gaps).toEqual([{ channel: "a", reason: "epoch_changed", from: "e1:1", to: "e2:0" }]);
  });

  it("says gap after a reconnect of a channel without history", async () => {
    const { server, client } = setup();
    const gaps: unknown[] = [];
    client.channel("a").onGap((gap) => gaps.push(gap));
    client.channel("a").on("n", () => {});
    await settled();
    server.drop();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(gaps).toEqual([{ channel: "a", reason: "no_history" }]);
  });

  it("rewinds at the start and pages backwards", async () => {
    const { server, client } = setup();
    server.channel("a").history = true;
    for (let i = 1; i <= 5; i++) server.publish("a", "n", i);
    const got: unknown[] = [];
    const channel = client.channel("a", { rewind: 2 });
    channel.on("n", (data) => got.push(data));
    await settled();
    expect(got).toEqual([4, 5]);
    const page = await channel.history({ limit: 3 });
    expect(page.events.map((e) => e.data)).toEqual([5, 4, 3]);
    const rest = await channel.history({ limit: 3, before: page.next! });
    expect(rest.events.map((e) => [e.data, e.time])).toEqual([[2, 1002], [1, 1001]]);
    expect(rest.next).toBeNull();
  });
});
