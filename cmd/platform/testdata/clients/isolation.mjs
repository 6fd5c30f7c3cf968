// Two apps with the same channel and user names are strangers.
import assert from "node:assert/strict";
import { connect, eventually, finish, get, Inbox, main, other, refused, server, signer, subscribe, test, userSigner, within } from "./lib.mjs";

const apps = { main, other };
const names = ["shared", "private-shared", "presence-shared", "cache-shared"];
const world = {};

await test("the same names in both apps", async () => {
  // What stays of main must not be there for other, who comes later.
  await server(main).trigger("cache-shared", "kept", "main");
  await join("main");
  await join("other");
});

async function join(name) {
  const app = apps[name];
  const pusher = await connect(app, {
    channelAuthorization: signer(app, { user_id: `user of ${name}`.replaceAll(" ", "-"), user_info: { app: name } }),
    userAuthentication: userSigner({ id: "same" }, app),
  });
  const all = new Inbox(pusher);
  const user = new Inbox(pusher.user);
  pusher.signin();
  await within(pusher.user.signinDonePromise, "sign-in");
  const channels = {};
  for (const channel of names) channels[channel] = await subscribe(pusher, channel);
  world[name] = { pusher, channels, all, user, room: channels["presence-shared"] };
  if (name === "main") return;
  await channels["cache-shared"].inbox.take("pusher:cache_miss");

  // Members.
  for (const [who, { room }] of Object.entries(world)) {
    assert.equal(room.members.count, 1, who);
    assert.equal(room.members.me.info.app, who);
    assert.equal(room.inbox.count("pusher:member_added"), 0, who);
  }
  // Events, of the server, for the user and of clients.
  await world.main.channels["cache-shared"].inbox.take("kept");
  await server(main).trigger(names, "of main", 1);
  await server(main).triggerBatch([{ channel: "shared", name: "batch of main", data: "1" }]);
  await server(main).sendToUser("same", "for the user of main", 1);
  world.main.channels["private-shared"].trigger("client-of-main", {});
  await world.main.user.take("for the user of main");
  for (const channel of names) await world.main.channels[channel].inbox.take("of main");
  // Counts.
  for (const app of [main, other]) {
    await eventually(() => get("/channels/presence-shared", { info: "user_count" }, app), ({ user_count }) => user_count === 1, "user_count");
    const { channels: listed } = await get("/channels", undefined, app);
    assert.deepEqual(Object.keys(listed).sort(), [...names].sort());
  }
  assert.equal((await get("/channels/cache-shared", { info: "cache" }, other)).cache, null);
  // Ending.
  await server(main).terminateUserConnections("same");
  await eventually(() => world.main.pusher.connection.state, (state) => state === "disconnected", "state of the terminated");
  // Whatever strays into the other app comes before its own last event.
  for (const channel of names) await server(other).trigger(channel, "last", 1);
  for (const channel of names) await world.other.channels[channel].inbox.take("last");
  assert.deepEqual(world.other.all.names().filter((event) => event !== "last"), []);
  assert.deepEqual(world.other.user.names(), []);
  assert.equal(world.other.pusher.connection.state, "connected");
  assert.equal(world.other.room.inbox.count("pusher:member_removed"), 0);
}

await test("keys of one app open nothing in the other", async () => {
  const pusher = await connect(main, { channelAuthorization: signer(other) });
  const errors = new Inbox(pusher.connection);
  pusher.subscribe("private-shared");
  assert.match((await errors.take("error")).data.data.message, new RegExp(`Invalid key in subscription auth data: '${other.key}'`));
  const error = await refused(server({ id: main.id, key: other.key, secret: other.secret }).trigger("shared", "x", 1));
  assert.equal(error.status, 404);
});

finish();
