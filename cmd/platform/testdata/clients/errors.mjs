// Refusals, as the published clients show them.
import assert from "node:assert/strict";
import { client, config, connect, finish, Inbox, main, once, other, refused, server, signer, subscribe, test } from "./lib.mjs";

await test("a wrong secret is 401, and the text shows what was signed", async () => {
  const error = await refused(server({ ...main, secret: "not-the-secret-of-it" }).trigger("orders", "x", 1));
  assert.equal(error.status, 401);
  assert.match(error.body, /^Invalid signature: you should have sent HmacSHA256Hex\("POST\\n\/apps\/\d+\/events\\nauth_key=/);
  assert.ok(error.body.endsWith("\n"));
  assert.ok(!error.body.includes(main.secret) && !error.body.includes("not-the-secret-of-it"));
});

await test("an unknown key is 401, another app's id is 404", async () => {
  assert.equal((await refused(server({ ...main, key: "00000000000000000000" }).trigger("orders", "x", 1))).status, 401);
  assert.equal((await refused(server({ ...main, id: other.id }).trigger("orders", "x", 1))).status, 404);
});

await test("too much data is 413, at the limit it is not", async () => {
  const error = await refused(server().trigger("orders", "x", "a".repeat(10241)));
  assert.equal(error.status, 413);
  assert.match(error.body, /exceeds the allowed maximum \(10240 bytes\)/);
  const channel = await subscribe(await connect(), "orders");
  await server().trigger("orders", "x", "a".repeat(10240));
  assert.equal((await channel.inbox.take("x")).data.length, 10240);
});

await test("names and batches that break the rules are 400", async () => {
  const event = { channel: "orders", name: "x", data: "1" };
  for (const [attempt, text] of [
    [() => server().triggerBatch(Array(11).fill(event)), /Batch too large \(11 > 10\)/],
    [() => server().trigger("orders", "pusher:x", 1), /'pusher' namespace is reserved/],
    [() => server().post({ path: "/events", body: { ...event, channel: "a b" } }), /Invalid channel name/i],
    [() => server().post({ path: "/events", body: { name: "x", data: "1" } }), /channel/],
  ]) {
    const error = await refused(attempt());
    assert.equal(error.status, 400);
    assert.match(error.body, text);
  }
});

await test("an unknown app key ends with 4001 and no retry", async () => {
  const pusher = client({ key: "00000000000000000000" });
  const errors = new Inbox(pusher.connection);
  await once(pusher.connection, "disconnected");
  const { data } = await errors.take("error");
  assert.equal(data.error.data.code, 4001);
  assert.match(data.error.data.message, /00000000000000000000/);
  assert.equal(pusher.connection.state, "disconnected");
});

await test("require_authorization ends a connection that does nothing with 4009", async () => {
  const strict = config.apps.strict;
  const signed = await connect(strict, { channelAuthorization: signer(strict) });
  const channel = await subscribe(signed, "private-orders");
  const idle = await connect(strict);
  const errors = new Inbox(idle.connection);
  await once(idle.connection, "disconnected");
  const { data } = await errors.take("error");
  assert.equal(data.data.code, 4009);
  assert.equal(data.data.message, "Connection not authorized within timeout");
  await server(strict).trigger("private-orders", "alive", 1);
  await channel.inbox.take("alive");
});

finish();
