// Presence channels: who is there, who comes, who goes.
import assert from "node:assert/strict";
import { connect, disconnect, eventually, finish, get, Inbox, main, server, signer, subscribe, test, userSigner, within } from "./lib.mjs";

const person = (user_id, name = `name of ${user_id}`) => ({ user_id, user_info: { name } });
const as = (user_id) => connect(main, { channelAuthorization: signer(main, person(user_id)) });

function everyone(channel) {
  const list = {};
  channel.members.each(({ id, info }) => (list[id] = info));
  return list;
}

await test("members, me, member_added and member_removed", async () => {
  const ann = await as("ann");
  const room = await subscribe(ann, "presence-room");
  assert.equal(room.members.count, 1);
  assert.deepEqual(room.members.me, { id: "ann", info: { name: "name of ann" } });

  const bob = await as("bob");
  const his = await subscribe(bob, "presence-room");
  assert.equal(his.members.count, 2);
  assert.deepEqual(everyone(his), { ann: { name: "name of ann" }, bob: { name: "name of bob" } });
  assert.equal(his.members.me.id, "bob");
  assert.deepEqual((await room.inbox.take("pusher:member_added")).data, { id: "bob", info: { name: "name of bob" } });
  assert.equal(room.members.count, 2);

  await disconnect(bob);
  assert.equal((await room.inbox.take("pusher:member_removed")).data.id, "bob");
  assert.deepEqual(everyone(room), { ann: { name: "name of ann" } });
  assert.equal(his.inbox.count("pusher:member_added"), 0, "nobody is told of themselves");
});

await test("a user with two connections comes once and goes once", async () => {
  const watcher = await subscribe(await as("watcher"), "presence-twice");
  const [first, second] = [await as("twin"), await as("twin")];
  await subscribe(first, "presence-twice");
  const there = await subscribe(second, "presence-twice");
  assert.equal(there.members.count, 2);
  await watcher.inbox.take("pusher:member_added");
  first.unsubscribe("presence-twice");
  await subscribe(first, "after"); // its answer comes after the leaving

  const last = await as("last");
  await subscribe(last, "presence-twice");
  assert.equal((await watcher.inbox.take("pusher:member_added")).data.id, "last", "the second connection is not announced");
  assert.equal(watcher.inbox.count("pusher:member_removed"), 0, "one connection is still there");
  assert.deepEqual(Object.keys(everyone(watcher)).sort(), ["last", "twin", "watcher"]);
  await disconnect(second);
  assert.equal((await watcher.inbox.take("pusher:member_removed")).data.id, "twin");
});

await test("numeric user ids are strings everywhere", async () => {
  const room = await subscribe(await as(7), "presence-numbers");
  const late = await subscribe(await as(9007199254740991), "presence-numbers");
  assert.equal((await room.inbox.take("pusher:member_added")).data.id, "9007199254740991");
  assert.deepEqual(Object.keys(everyone(late)).sort(), ["7", "9007199254740991"]);
});

await test("client events carry the sender's user id", async () => {
  const [ann, bob] = [await as("ann"), await as("bob")];
  const [hers, his] = [await subscribe(ann, "presence-chat"), await subscribe(bob, "presence-chat")];
  const sent = within(new Promise((resolve) => his.bind("client-typing", (data, meta) => resolve({ data, meta }))), "client event");
  hers.trigger("client-typing", { on: true });
  assert.deepEqual(await sent, { data: { on: true }, meta: { user_id: "ann" } });
  assert.equal(hers.inbox.count("client-typing"), 0);
});

await test("events of the server arrive", async () => {
  const room = await subscribe(await as("ann"), "presence-news");
  await server().trigger("presence-news", "news", { n: 1 });
  assert.deepEqual((await room.inbox.take("news")).data, { n: 1 });
});

await test("a signed-in user needs no channel data", async () => {
  const pusher = await connect(main, {
    channelAuthorization: signer(),
    userAuthentication: userSigner({ id: "eve", user_info: { name: "Eve" } }),
  });
  pusher.signin();
  await pusher.user.signinDonePromise;
  const room = await subscribe(pusher, "presence-signed-in");
  assert.deepEqual(room.members.me, { id: "eve", info: { name: "Eve" } });
});

await test("without channel data and sign-in there is no way in", async () => {
  const pusher = await connect();
  const errors = new Inbox(pusher.connection);
  const { auth } = server().authorizeChannel(pusher.connection.socket_id, "presence-room");
  pusher.send_event("pusher:subscribe", { channel: "presence-room", auth }); // the library would not even ask
  assert.match((await errors.take("error")).data.data.message, /must include channel_data/);
});

await test("the HTTP API counts users", async () => {
  for (const id of ["b", "a", "a"]) await subscribe(await as(id), "presence-counted");
  await eventually(
    () => get("/channels/presence-counted", { info: "user_count" }),
    ({ occupied, user_count }) => occupied === true && user_count === 2, "user_count of the channel");
  const { users } = await get("/channels/presence-counted/users");
  assert.deepEqual(users.map(({ id }) => id).sort(), ["a", "b"]);
  const { channels } = await get("/channels", { filter_by_prefix: "presence-counted", info: "user_count" });
  assert.deepEqual(channels, { "presence-counted": { user_count: 2 } });
  const response = await server().trigger("presence-counted", "news", 1, { info: "user_count" });
  assert.deepEqual(await response.json(), { channels: { "presence-counted": { user_count: 2 } } });
});

finish();
