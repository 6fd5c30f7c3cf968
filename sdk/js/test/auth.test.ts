import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setup, settled, jwt } from "./helpers.js";
import { lifeLeft } from "../src/expiry.js";
import { encryption, encrypter } from "@tidewire/client/encrypted";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const reply = (status: number, body: unknown) => vi.fn(async () => new Response(typeof body === "string" ? body : JSON.stringify(body), { status })) as unknown as typeof fetch & ReturnType<typeof vi.fn>;

describe("auth endpoint", () => {
  it("is asked as Pusher's libraries ask", async () => {
    const fetch = reply(200, { auth: "k:s", channel_data: '{"user_id":"1"}' });
    const { server, client } = setup({ auth: { endpoint: "/auth", headers: { "X-A": "1" }, params: { room: "7" } }, fetch });
    client.channel("presence-a").subscribe();
    await settled();
    const [url, init] = fetch.mock.calls[0] as [string, RequestInit];
    expect(url).toBe("/auth");
    expect(init.headers).toEqual({ "X-A": "1" });
    expect(String(init.body)).toBe("room=7&socket_id=1.1&channel_name=presence-a");
    expect(server.received[0]).toEqual({ event: "pusher:subscribe", data: { channel: "presence-a", auth: "k:s", channel_data: '{"user_id":"1"}' } });
  });

  it("auth failure: a no fails the channel with the endpoint's own words", async () => {
    const { client, errors } = setup({ auth: "/auth", fetch: reply(403, "You are not in this room") });
    const channel = client.channel("private-a");
    channel.subscribe();
    await settled();
    expect(channel.state).toBe("failed");
    expect(channel.error).toMatchObject({ code: "unauthorized", channel: "private-a" });
    expect(errors[0]).toMatch(/\/auth answered 403 for private-a: You are not in this room/);
  });

  it("auth failure: an endpoint that is away is asked again", async () => {
    const fetch = reply(503, "");
    const { client } = setup({ auth: "/auth", fetch });
    const channel = client.channel("private-a");
    channel.subscribe();
    await settled();
    expect(channel.state).toBe("subscribing");
    expect(channel.error).toMatchObject({ code: "auth_unavailable", retryable: true });
    fetch.mockResolvedValue(new Response('{"auth":"k:s"}'));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(channel.state).toBe("subscribed");
    expect(channel.error).toBeUndefined();
  });

  it.each([
    [200, "<html>", /did not answer with JSON/],
    [200, "{}", /gave no "auth"/],
  ])("auth failure: says what is wrong with %d %s", async (status, body, message) => {
    const { errors, client } = setup({ auth: "/auth", fetch: reply(status, body) });
    client.channel("private-a").subscribe();
    await settled();
    expect(errors[0]).toMatch(message);
  });

  it("auth failure: nothing to authorise with says what to add", async () => {
    const { errors, client } = setup();
    client.channel("private-a").subscribe();
    await settled();
    expect(errors[0]).toMatch(/Give createClient auth/);
  });

  it("authorises anew for every connection", async () => {
    const asked: string[] = [];
    const { server, client } = setup({ auth: ({ socketId }) => (asked.push(socketId), { auth: "k:s" }) });
    client.channel("private-a").subscribe();
    await settled();
    server.drop();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked).toEqual(["1.1", "1.2"]);
  });
});

describe("user", () => {
  it("signs in when somebody listens, and hears what is for the user", async () => {
    const { server, client } = setup({ userAuth: () => ({ auth: "k:s", userData: '{"id":"12345"}' }) });
    const got: unknown[] = [];
    client.user.on("notice", (data) => got.push(data));
    await settled();
    await settled();
    expect(client.user.id).toBe("12345");
    server.publish("#server-to-user-12345", "notice", { a: 1 });
    server.drop();
    await vi.advanceTimersByTimeAsync(2_000);
    server.publish("#server-to-user-12345", "notice", { a: 2 });
    expect(got).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it("hears of its watchlist", async () => {
    const { server, client } = setup({ userAuth: () => ({ auth: "k:s", userData: '{"id":"1"}' }) });
    const got: unknown[] = [];
    client.user.onWatchlist((change) => got.push(change));
    await settled();
    server.socket.say({ event: "pusher_internal:watchlist_events", data: '{"events":[{"name":"online","user_ids":["2"]},{"name":"offline","user_ids":["3"]},7]}' });
    expect(got).toEqual([{ online: true, userIds: ["2"] }, { online: false, userIds: ["3"] }]);
  });
});

describe("token", () => {
  const seconds = (n: number) => Math.floor(Date.now() / 1000) + n;

  it("token expiry: is renewed in time, on the same connection", async () => {
    const shown: string[] = [];
    let n = 0;
    const { server, client } = setup({ token: () => jwt({ iat: seconds(0), exp: seconds(600), n: n++ }) });
    server.tokens = (token) => (shown.push(token), { sub: "alice" });
    client.channel("private-a").subscribe();
    await settled();
    expect(client.user.id).toBe("alice");
    expect(client.channel("private-a").state).toBe("subscribed");
    await vi.advanceTimersByTimeAsync(500_000);
    expect(shown).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(90_000);
    expect(shown).toHaveLength(2);
    expect(client.socketId).toBe("1.1");
  });

  it("token expiry while asleep: comes back with a fresh token", async () => {
    let n = 0;
    const { server, client } = setup({ token: () => jwt({ n: n++ }) });
    server.tokens = () => ({ sub: "alice" });
    client.channel("private-a").subscribe();
    await settled();
    server.socket.error(4009, "The token has expired");
    server.drop(4009, "The token has expired");
    expect(client.state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(client.state).toBe("connected");
    expect(client.channel("private-a").state).toBe("subscribed");
    expect(n).toBe(2);
  });

  it("a bad token fails, with the server's reason, and does not ask for ever", async () => {
    let n = 0;
    const { server, client } = setup({ token: () => jwt({ n: n++ }) });
    server.tokens = () => "The token was refused: its signature is wrong";
    client.channel("private-a").subscribe();
    await settled();
    expect(client.state).toBe("failed");
    expect(client.error).toMatchObject({ code: 4009, message: "The token was refused: its signature is wrong" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(n).toBe(1);
  });

  it("a token function that fails is asked again", async () => {
    const token = vi.fn().mockRejectedValueOnce(new Error("no network")).mockResolvedValue(jwt({}));
    const { server, client, errors } = setup({ token });
    server.tokens = () => ({ sub: "alice" });
    client.channel("private-a").subscribe();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(client.state).toBe("connected");
    expect(client.user.id).toBe("alice");
    void errors;
  });

  it("a refused refresh is reported and changes nothing", async () => {
    const { server, client, errors } = setup({ token: () => jwt({ iat: seconds(0), exp: seconds(600) }) });
    server.tokens = () => ({ sub: "alice" });
    client.channel("private-a").subscribe();
    await settled();
    server.tokens = () => "revoked";
    await expect(client.refreshToken()).rejects.toMatchObject({ code: 4009 });
    expect(client.state).toBe("connected");
    expect(errors).toEqual([]);
  });

  it("reckons with clocks that are wrong", () => {
    const token = jwt({ iat: 1000, exp: 1600 });
    expect(lifeLeft(token, 1_000_000)).toBe(600_000);
    expect(lifeLeft(token, 400_000)).toBe(600_000); // ours is behind
    expect(lifeLeft(token, 9_999_000)).toBe(600_000); // ours is ahead
    expect(lifeLeft("key:signature", 0)).toBeUndefined();
    expect(lifeLeft("a.b.c", 0)).toBeUndefined();
  });
});

describe("encrypted channels", () => {
  it("opens what the server entry seals, and asks for the secret once more when it changed", async () => {
    const key = btoa("x".repeat(32));
    let boxes = encrypter(key);
    const channel = "private-encrypted-a";
    const { server, client, errors } = setup({ encryption, auth: async () => ({ auth: "k:s", sharedSecret: await boxes.sharedSecret(channel) }) });
    const got: unknown[] = [];
    client.channel(channel).on("e", (data) => got.push(data));
    vi.useRealTimers();
    await vi.waitFor(() => expect(client.channel(channel).state).toBe("subscribed"));
    server.publish(channel, "e", await boxes.seal(channel, '{"a":"ü"}'));
    boxes = encrypter(btoa("y".repeat(32)));
    server.publish(channel, "e", await boxes.seal(channel, "2"));
    server.publish(channel, "e", await boxes.seal(channel, "3"));
    server.publish(channel, "e", { nonce: "!", ciphertext: "!" });
    await vi.waitFor(() => expect(errors.join()).toMatch(/could not be decrypted/));
    expect(got).toEqual([{ a: "ü" }, 2, 3]);
  });
});
