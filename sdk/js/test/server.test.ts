import { createHash, createHmac, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createServer, signToken, verifyWebhook } from "@tidewire/client/server";
import { md5 } from "../src/server/md5.js";

const server = createServer({ url: "http://x", appId: "1", key: "278d425bdf160c739803", secret: "7ad3773142a6692b25b8" });

describe("md5", () => {
  it.each([0, 1, 55, 56, 57, 63, 64, 65, 1000, 10_240])("of %d bytes is that of others", (n) => {
    const data = randomBytes(n);
    expect(md5(data)).toBe(createHash("md5").update(data).digest("hex"));
  });
});

describe("signatures", () => {
  it("are those of Pusher's documents", async () => {
    expect(await server.authorizeChannel({ socketId: "1234.1234", channel: "private-foobar" })).toEqual({
      auth: "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4",
    });
    expect((await server.authorizeChannel({ socketId: "1234.1234", channel: "presence-foobar", user: { id: "10", info: { name: "Mr. Pusher" } } })).auth).toBe(
      "278d425bdf160c739803:48dac51d2d7569e1e9c0f48c227d4b26f238fa68e5c0bb04222c966909c4f7c4",
    );
    expect((await server.authenticateUser({ socketId: "1234.1234", user: { id: "12345" } })).auth).toBe("278d425bdf160c739803:4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba");
  });

  it.each(["private-x:1", 'presence-x:{"user_id":"admin"}', "private-x\n", "", "p".repeat(165)])("never signs the channel name %j", async (channel) => {
    await expect(server.authorizeChannel({ socketId: "1.1", channel, user: { id: "1" } })).rejects.toThrow(/channel_name/);
  });

  it.each(["", "1", "1.1:private-x", "1.1\n", "a.b"])("never signs the socket id %j", async (socketId) => {
    await expect(server.authorizeChannel({ socketId, channel: "private-x" })).rejects.toThrow(/socket_id/);
  });
});

describe("handleAuth", () => {
  const ask = (body: string, type = "application/x-www-form-urlencoded") => new Request("http://b/auth", { method: "POST", body, headers: { "content-type": type } });

  it("allows, refuses and reads both encodings", async () => {
    const allowed = await server.handleAuth(ask("socket_id=1234.1234&channel_name=private-foobar"), () => true);
    expect(await allowed.json()).toHaveProperty("auth", "278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4");
    const json = await server.handleAuth(ask('{"socket_id":"1.1","channel_name":"presence-a"}', "application/json"), () => ({ id: "7" }));
    expect(await json.json()).toHaveProperty("channel_data", '{"user_id":"7"}');
    expect((await server.handleAuth(ask("socket_id=1.1&channel_name=private-a"), () => null)).status).toBe(403);
    const user = await server.handleAuth(ask("socket_id=1.1"), (channel) => (channel === undefined ? { id: "7" } : null));
    expect(await user.json()).toHaveProperty("user_data", '{"id":"7"}');
  });

  it.each(["", "socket_id=1.1%3Aprivate-x&channel_name=private-a", "socket_id=1.1&channel_name=private-a:b", "socket_id=1.1&channel_name=%00"])("answers 400 to %j", async (body) => {
    expect((await server.handleAuth(ask(body), () => true)).status).toBe(400);
  });

  it.each(["null", "[]", "{", '"x"', '{"__proto__":{"socket_id":"1.1"}}'])("answers 400 to JSON %s", async (body) => {
    expect((await server.handleAuth(ask(body, "application/json"), () => true)).status).toBe(400);
  });
});

describe("webhooks", () => {
  const body = JSON.stringify({ time_ms: Date.now(), events: [{ name: "channel_occupied", channel: "a" }] });
  const signed = (secret: string, text = body) => new Headers({ "x-pusher-key": "k", "x-pusher-signature": createHmac("sha256", secret).update(text).digest("hex") });

  it("accepts what was signed with the key's secret", async () => {
    const hook = await verifyWebhook(new Request("http://b", { method: "POST", body, headers: signed("s") }), { keys: { k: "s" } });
    expect(hook.events).toEqual([{ name: "channel_occupied", channel: "a" }]);
  });

  it("refuses another secret, an unknown key, a changed body and an old one", async () => {
    await expect(verifyWebhook({ headers: signed("x"), body }, { keys: { k: "s" } })).rejects.toThrow(/X-Pusher-Signature is wrong/);
    await expect(verifyWebhook({ headers: signed("s"), body }, { keys: { toString: "s" } })).rejects.toThrow(/none of the keys/);
    await expect(verifyWebhook({ headers: signed("s"), body: `${body} ` }, { keys: { k: "s" } })).rejects.toThrow(/wrong/);
    const old = JSON.stringify({ time_ms: Date.now() - 301_000, events: [] });
    await expect(verifyWebhook({ headers: signed("s", old), body: old }, { keys: { k: "s" } })).rejects.toThrow(/too old/);
  });

  it("accepts a Standard Webhooks signature, one of several", async () => {
    const raw = Buffer.from("twelve bytes");
    const mac = createHmac("sha256", raw).update(`id1.5.${body}`).digest("base64");
    const headers = new Headers({ "webhook-id": "id1", "webhook-timestamp": "5", "webhook-signature": `v1,AAAA v1,${mac}` });
    const options = { keys: {}, signingSecret: `whsec_${raw.toString("base64")}` };
    expect((await verifyWebhook({ headers, body }, options)).events).toHaveLength(1);
    headers.set("webhook-id", "id2");
    await expect(verifyWebhook({ headers, body }, options)).rejects.toThrow(/webhook-signature/);
  });
});

describe("tokens", () => {
  it("are signed as JWTs", async () => {
    const secret = "0123456789abcdef0123456789abcdef";
    const token = await signToken({ sub: "alice" }, { secret, issuer: "i", audience: "a" });
    const [head, claims, signature] = token.split(".") as [string, string, string];
    expect(createHmac("sha256", secret).update(`${head}.${claims}`).digest("base64url")).toBe(signature);
    expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({ iss: "i", aud: "a", sub: "alice" });
  });
});
