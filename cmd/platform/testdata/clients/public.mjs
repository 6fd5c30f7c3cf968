// Public channels: what a server publishes reaches pusher-js.
import assert from "node:assert/strict";
import { connect, disconnect, finish, Inbox, main, server, subscribe, test } from "./lib.mjs";

await test("trigger reaches every subscriber, data unharmed", async () => {
  const [one, two] = [await connect(), await connect()];
  const channels = [await subscribe(one, "orders"), await subscribe(two, "orders")];
  const data = { text: 'ü <b> "quoted" \u2028 \ud83c\udf0a', list: [1, null, { deep: true }] };
  const response = await server().trigger("orders", "created", data);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), {});
  for (const channel of channels) assert.deepEqual((await channel.inbox.take("created")).data, data);
});

await test("text that is no JSON arrives as it is", async () => {
  const channel = await subscribe(await connect(), "orders");
  await server().trigger("orders", "plain", "just text");
  assert.equal((await channel.inbox.take("plain")).data, "just text");
});

await test("events of one publisher keep their order", async () => {
  const channel = await subscribe(await connect(), "ordered");
  const backend = server();
  for (let i = 0; i < 20; i++) await backend.trigger("ordered", "n", i);
  for (let i = 0; i < 20; i++) assert.equal((await channel.inbox.take("n")).data, i);
});

await test("socket_id leaves one connection out", async () => {
  const [sender, peer] = [await connect(), await connect()];
  const [own, theirs] = [await subscribe(sender, "orders"), await subscribe(peer, "orders")];
  await server().trigger("orders", "moved", 1, { socket_id: sender.connection.socket_id });
  await server().trigger("orders", "last", 1);
  await theirs.inbox.take("moved");
  await own.inbox.take("last"); // comes after what must not come
  assert.deepEqual(own.inbox.names(), []);
});

await test("triggerBatch", async () => {
  const pusher = await connect();
  const [a, b] = [await subscribe(pusher, "batch-a"), await subscribe(pusher, "batch-b")];
  await server().triggerBatch([
    { channel: "batch-a", name: "one", data: { n: 1 } },
    { channel: "batch-b", name: "two", data: { n: 2 } },
    { channel: "batch-a", name: "left out", data: {}, socket_id: pusher.connection.socket_id },
    { channel: "batch-a", name: "three", data: { n: 3 } },
  ]);
  assert.deepEqual((await a.inbox.take("one")).data, { n: 1 });
  assert.deepEqual((await b.inbox.take("two")).data, { n: 2 });
  assert.deepEqual((await a.inbox.take("three")).data, { n: 3 });
  assert.deepEqual(a.inbox.names(), []);
});

await test("one trigger to 100 channels", async () => {
  const pusher = await connect();
  const names = Array.from({ length: 100 }, (_, i) => `hundred-${i}`);
  const channels = await Promise.all(names.map((name) => subscribe(pusher, name)));
  await server().trigger(names, "all", { n: 100 });
  for (const channel of channels) assert.deepEqual((await channel.inbox.take("all")).data, { n: 100 });
});

await test("unsubscribe ends delivery, and the rest goes on", async () => {
  const pusher = await connect();
  await subscribe(pusher, "left");
  const kept = await subscribe(pusher, "kept");
  pusher.unsubscribe("left");
  await subscribe(pusher, "after"); // done in order: the answer comes after the leaving
  const all = new Inbox(pusher); // also what belongs to no channel of the client
  await server().trigger("left", "gone", 1);
  await server().trigger("kept", "news", 1);
  await kept.inbox.take("news");
  assert.deepEqual(all.names(), ["news"]);
});

await test("a client that was away comes back to its channels", async () => {
  const pusher = await connect();
  const channel = await subscribe(pusher, "orders");
  const first = pusher.connection.socket_id;
  await disconnect(pusher);
  pusher.connect();
  await channel.inbox.take("pusher:subscription_succeeded");
  assert.notEqual(pusher.connection.socket_id, first);
  await server().trigger("orders", "welcome", main.id);
  assert.equal((await channel.inbox.take("welcome")).data, Number(main.id));
});

finish();
