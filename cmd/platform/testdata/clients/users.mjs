// Users: sign-in, events for one user, watchlists, ending connections.
import assert from "node:assert/strict";
import { authServer, client, connect, disconnect, finish, Inbox, main, once, other, server, subscribe, test, userSigner, within } from "./lib.mjs";

async function signIn(user, app = main) {
  const pusher = await connect(app, { userAuthentication: userSigner(user, app) });
  pusher.mail = new Inbox(pusher.user);
  pusher.signin();
  await within(pusher.user.signinDonePromise, "sign-in");
  assert.equal(pusher.user.user_data.id, user.id);
  // The library subscribes to the user's own channel by itself.
  if (!pusher.user.serverToUserChannel.subscribed) await once(pusher.user.serverToUserChannel, "pusher:subscription_succeeded");
  return pusher;
}

await test("sendToUser reaches every connection of the user, and nobody else", async () => {
  const [first, second, bob] = [await signIn({ id: "ann" }), await signIn({ id: "ann" }), await signIn({ id: "bob" })];
  await server().sendToUser("ann", "mail", { subject: "hi" });
  for (const pusher of [first, second]) assert.deepEqual((await pusher.mail.take("mail")).data, { subject: "hi" });
  await server().sendToUser("bob", "last", 1);
  await bob.mail.take("last");
  assert.deepEqual(bob.mail.names(), []);
});

await test("sign-in by the customer's endpoint", async () => {
  const endpoint = await authServer(({ socket_id }) => server().authenticateUser(socket_id, { id: "eve" }));
  const pusher = await connect(main, { userAuthentication: { endpoint, transport: "ajax" } });
  pusher.signin();
  await within(pusher.user.signinDonePromise, "sign-in");
  assert.equal(pusher.user.user_data.id, "eve");
});

await test("a wrong signature signs nobody in", async () => {
  const forger = server({ ...main, secret: "not-the-secret-of-it" });
  const handler = ({ socketId }, done) => done(null, forger.authenticateUser(socketId, { id: "ann" }));
  const pusher = await connect(main, { userAuthentication: { customHandler: handler } });
  const errors = new Inbox(pusher.connection);
  pusher.signin();
  assert.match((await errors.take("error")).data.data.message, /Invalid signature/);
  assert.equal(pusher.user.user_data, null);
});

await test("another user's channel is refused", async () => {
  const pusher = await signIn({ id: "mallory" });
  const errors = new Inbox(pusher.connection);
  pusher.send_event("pusher:subscribe", { auth: "", channel: "#server-to-user-ann" });
  assert.match((await errors.take("error")).data.data.message, /Only the user/);
  await signIn({ id: "ann" });
  await server().sendToUser("ann", "secret", 1);
  await server().sendToUser("mallory", "last", 1);
  await pusher.mail.take("last");
  assert.deepEqual(pusher.mail.names(), []);
});

await test("a watchlist tells who is online, who comes and who goes", async () => {
  const friend = await signIn({ id: "friend" });
  const watcher = client(main, { userAuthentication: userSigner({ id: "watcher", watchlist: ["friend", "absent"] }) });
  const events = new Inbox(watcher.user.watchlist);
  watcher.signin();
  assert.deepEqual((await events.take("online")).data.user_ids, ["friend"]);
  assert.deepEqual((await events.take("offline")).data.user_ids, ["absent"]);

  const absent = await signIn({ id: "absent" });
  assert.deepEqual((await events.take("online")).data.user_ids, ["absent"]);
  const again = await signIn({ id: "absent" });
  await disconnect(absent); // one connection is left
  await disconnect(friend);
  assert.deepEqual((await events.take("offline")).data.user_ids, ["friend"]);
  await disconnect(again);
  assert.deepEqual((await events.take("offline")).data.user_ids, ["absent"]);
});

await test("terminateUserConnections ends that user's connections only", async () => {
  const [first, second, bob] = [await signIn({ id: "ann" }), await signIn({ id: "ann" }), await signIn({ id: "bob" })];
  const namesake = await signIn({ id: "ann" }, other);
  const ends = [first, second].map(async (pusher) => {
    const errors = new Inbox(pusher.connection);
    await once(pusher.connection, "disconnected");
    return (await errors.take("error")).data.data.code;
  });
  await server().terminateUserConnections("ann");
  assert.deepEqual(await Promise.all(ends), [4009, 4009]);
  await server().sendToUser("bob", "alive", 1);
  await bob.mail.take("alive");
  await server(other).sendToUser("ann", "alive", 1);
  await namesake.mail.take("alive");

  first.connect(); // the user may come back
  await once(first.connection, "connected");
  await subscribe(first, "orders");
});

finish();
