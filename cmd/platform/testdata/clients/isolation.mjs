// Two apps with the same channel and user names are strangers.
import assert from "node:assert/strict";
import { connect, eventually, finish, get, Inbox, main, other, refused, server, signer, subscribe, test, userSigner, within } from "./lib.mjs";

const names = ["shared", "private-shared", "presence-shared", "cache-shared"];

/** settle makes a client of app that is in every channel and signed in. */
async function settle(app, label) {
  const pusher = await connect(app, {
    channelAuthorization: signer(app, { user_id: `user-of-${label}`, user_info: { label } }),
    userAuthentication: userSigner({ id: "same" }, app),
  });
  const self = { app, pusher, all: new Inbox(pusher), mail: new Inbox(pusher.user), channels: {} };
  pusher.signin();
  await within(pusher.user.signinDonePromise, "sign-in");
  for (const name of names) self.channels[name] = await subscribe(pusher, name);
  self.room = self.channels["presence-shared"];
  return self;
}

await test("events, members, counts and caches stay in their app", async () => {
  await server(main).trigger("cache-shared", "kept", "main");
  const [here, there] = [await settle(main, "main"), await settle(other, "other")];
  await here.channels["cache-shared"].inbox.take("kept");
  await there.channels["cache-shared"].inbox.take("pusher:cache_miss");

  for (const [{ room }, label] of [[here, "main"], [there, "other"]]) {
    assert.equal(room.members.count, 1);
    assert.equal(room.members.me.info.label, label);
    assert.equal(room.inbox.count("pusher:member_added"), 0);
  }
  for (const { app } of [here, there]) {
    await eventually(() => get("/channels/presence-shared", { info: "user_count" }, app), ({ user_count }) => user_count === 1, "user_count");
    assert.deepEqual(Object.keys((await get("/channels", undefined, app)).channels).sort(), [...names].sort());
  }
  assert.equal((await get("/channels/cache-shared", { info: "cache" }, other)).cache, null);

  // Every way to send something in main, and to end it there.
  await server(main).trigger(names, "of main", 1);
  await server(main).triggerBatch([{ channel: "shared", name: "batch of main", data: "1" }]);
  await server(main).sendToUser("same", "for the user of main", 1);
  here.channels["private-shared"].trigger("client-of-main", {});
  await here.mail.take("for the user of main");
  for (const name of names) await here.channels[name].inbox.take("of main");
  await server(main).terminateUserConnections("same");
  await eventually(() => here.pusher.connection.state, (state) => state === "disconnected", "state of the terminated");

  // Whatever strayed into other came before its own last events.
  for (const name of names) await server(other).trigger(name, "last", 1);
  for (const name of names) await there.channels[name].inbox.take("last");
  assert.deepEqual(there.all.names(), names.map(() => "last"));
  assert.deepEqual(there.mail.names(), []);
  assert.equal(there.room.inbox.count("pusher:member_removed"), 0);
  assert.equal(there.pusher.connection.state, "connected");
});

await test("keys of one app open nothing in the other", async () => {
  const pusher = await connect(main, { channelAuthorization: signer(other) });
  const errors = new Inbox(pusher.connection);
  pusher.subscribe("private-shared");
  assert.match((await errors.take("error")).data.data.message, new RegExp(`Invalid key in subscription auth data: '${other.key}'`));
  const error = await refused(server({ id: main.id, key: other.key, secret: other.secret }).trigger("shared", "x", 1));
  assert.equal(error.status, 404);
});

finish();
