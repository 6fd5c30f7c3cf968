// How many are there: counts for clients, and the HTTP API.
import assert from "node:assert/strict";
import { connect, eventually, finish, get, main, other, refused, server, signer, subscribe, test } from "./lib.mjs";

async function counted(channel, n) {
  for (;;) {
    const { data } = await channel.inbox.take("pusher:subscription_count");
    if (data.subscription_count === n) return;
  }
}

await test("subscription_count follows those who come and go", async () => {
  const [one, two] = [await connect(), await connect()];
  const channel = await subscribe(one, "counted");
  await counted(channel, 1);
  await subscribe(two, "counted");
  await counted(channel, 2);
  assert.equal(channel.subscriptionCount, 2);
  two.unsubscribe("counted");
  await counted(channel, 1);
});

await test("no subscription_count where the app has it off", async () => {
  const pusher = await connect(other);
  const channel = await subscribe(pusher, "counted");
  await subscribe(await connect(other), "counted");
  await server(other).trigger("counted", "last", 1);
  await channel.inbox.take("last");
  assert.equal(channel.inbox.count("pusher:subscription_count"), 0);
});

await test("GET /channels lists what is occupied", async () => {
  const pusher = await connect(main, { channelAuthorization: signer(main, { user_id: "ann" }) });
  for (const name of ["list-a", "list-b", "private-list", "presence-list"]) await subscribe(pusher, name);
  await eventually(async () => Object.keys((await get("/channels", { filter_by_prefix: "list-" })).channels).sort(),
    (names) => names.join() === "list-a,list-b", "channels with the prefix list-");
  const { channels } = await get("/channels");
  for (const name of ["list-a", "private-list", "presence-list"]) assert.deepEqual(channels[name], {});
  assert.deepEqual((await get("/channels", { filter_by_prefix: "nothing-" })).channels, {});
});

await test("GET /channels/x tells its state", async () => {
  assert.deepEqual(await get("/channels/nobody"), { occupied: false });
  const pusher = await connect();
  await subscribe(pusher, "state");
  await subscribe(await connect(), "state");
  await eventually(() => get("/channels/state", { info: "subscription_count" }),
    (answer) => answer.occupied === true && answer.subscription_count === 2, "subscription_count of the channel");
  pusher.unsubscribe("state");
  await eventually(() => get("/channels/state", { info: "subscription_count" }),
    (answer) => answer.subscription_count === 1, "subscription_count after leaving");
});

await test("trigger answers with counts if asked", async () => {
  await subscribe(await connect(), "asked");
  const answer = await eventually(
    async () => (await server().trigger("asked", "news", 1, { info: "subscription_count" })).json(),
    ({ channels }) => channels?.asked?.subscription_count === 1, "subscription_count of a trigger");
  assert.deepEqual(answer, { channels: { asked: { subscription_count: 1 } } });
});

await test("questions that make no sense are refused in words", async () => {
  for (const [path, params, text] of [
    ["/channels", { info: "user_count" }, /user_count may only be requested for presence channels/],
    ["/channels/public", { info: "user_count" }, /Cannot retrieve the user count unless the channel is a presence channel/],
    ["/channels/public/users", undefined, /Users can only be retrieved for presence channels/],
  ]) {
    const error = await refused(get(path, params));
    assert.equal(error.status, 400, path);
    assert.match(error.body, text);
  }
});

finish();
