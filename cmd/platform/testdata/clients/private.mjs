// Private channels and events from clients.
import assert from "node:assert/strict";
import { authServer, connect, finish, Inbox, main, other, server, signer, subscribe, test } from "./lib.mjs";

await test("authorization by a handler in the client", async () => {
  const channel = await subscribe(await connect(main, { channelAuthorization: signer() }), "private-orders");
  await server().trigger("private-orders", "created", { n: 1 });
  assert.deepEqual((await channel.inbox.take("created")).data, { n: 1 });
});

await test("authorization by the customer's endpoint", async () => {
  const asked = [];
  const endpoint = await authServer((form, request) => {
    asked.push(request.headers["x-session"]);
    return server().authorizeChannel(form.socket_id, form.channel_name);
  });
  const pusher = await connect(main, {
    channelAuthorization: { endpoint, transport: "ajax", headers: { "X-Session": "s1" } },
  });
  const channel = await subscribe(pusher, "private-orders");
  await server().trigger("private-orders", "created", 1);
  await channel.inbox.take("created");
  assert.deepEqual(asked, ["s1"]);
});

await test("an endpoint that says no is told to the channel", async () => {
  const endpoint = await authServer(() => undefined);
  const pusher = await connect(main, { channelAuthorization: { endpoint, transport: "ajax" } });
  const { data } = await new Inbox(pusher.subscribe("private-orders")).take("pusher:subscription_error");
  assert.equal(data.status, 403);
});

await test("a wrong signature is refused with the reason, the connection stays", async () => {
  const forger = server({ ...main, secret: "not-the-secret-of-it" });
  const pusher = await connect(main, { channelAuthorization: signer(main, undefined, forger) });
  const errors = new Inbox(pusher.connection);
  const channel = pusher.subscribe("private-orders");
  const { data } = await errors.take("error");
  assert.equal(data.data.code, null);
  assert.match(data.data.message, /^Invalid signature: Expected HMAC SHA256 hex digest of \d+\.\d+:private-orders, but got [0-9a-f]{64}$/);
  assert.equal(channel.subscribed, false);
  assert.equal(pusher.connection.state, "connected");
  const open = await subscribe(pusher, "orders");
  await server().trigger(["private-orders", "orders"], "created", 1);
  await open.inbox.take("created");
});

await test("a signature made for another connection is refused", async () => {
  const first = await connect();
  const stolen = { customHandler: ({ channelName }, done) => done(null, server().authorizeChannel(first.connection.socket_id, channelName)) };
  const pusher = await connect(main, { channelAuthorization: stolen });
  const errors = new Inbox(pusher.connection);
  pusher.subscribe("private-orders");
  assert.match((await errors.take("error")).data.data.message, /Invalid signature/);
});

await test("client events reach the others and not the sender", async () => {
  const options = { channelAuthorization: signer() };
  const [sender, peer] = [await connect(main, options), await connect(main, options)];
  const [own, theirs] = [await subscribe(sender, "private-chat"), await subscribe(peer, "private-chat")];
  assert.equal(own.trigger("client-typing", { who: "ü" }), true);
  assert.deepEqual((await theirs.inbox.take("client-typing")).data, { who: "ü" });
  theirs.trigger("client-typing", { back: true });
  assert.deepEqual((await own.inbox.take("client-typing")).data, { back: true });
  assert.deepEqual(own.inbox.names(), []);
  assert.deepEqual(theirs.inbox.names(), []);
});

await test("client events are refused when the app has them off", async () => {
  const options = { channelAuthorization: signer(other) };
  const [sender, peer] = [await connect(other, options), await connect(other, options)];
  const [own, theirs] = [await subscribe(sender, "private-chat"), await subscribe(peer, "private-chat")];
  const errors = new Inbox(sender.connection);
  own.trigger("client-typing", {});
  const { data } = await errors.take("error");
  assert.equal(data.data.code, null);
  assert.match(data.data.message, /^To send client events, you must enable this feature/);
  await server(other).trigger("private-chat", "last", 1);
  await theirs.inbox.take("last");
  assert.deepEqual(theirs.inbox.names(), []);
});

await test("client events are refused on public channels", async () => {
  const pusher = await connect();
  await subscribe(pusher, "public-chat");
  const errors = new Inbox(pusher.connection);
  pusher.send_event("client-typing", {}, "public-chat");
  assert.match((await errors.take("error")).data.data.message, /private and presence/);
});

await test("too many client events are refused with 4301, the connection stays", async () => {
  const pusher = await connect(main, { channelAuthorization: signer() });
  const channel = await subscribe(pusher, "private-flood");
  const errors = new Inbox(pusher.connection);
  for (let i = 0; i < 40; i++) channel.trigger("client-typing", { i });
  assert.equal((await errors.take("error")).data.data.code, 4301);
  assert.equal(pusher.connection.state, "connected");
});

finish();
