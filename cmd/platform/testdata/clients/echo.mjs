// Laravel Echo, as its documentation sets it up for Pusher and for Reverb.
import assert from "node:assert/strict";
import Echo from "laravel-echo";
import Pusher from "pusher-js";
import { address, authServer, finish, keep, main, server, test, within } from "./lib.mjs";

let users = 0;

/** start makes an Echo client whose Laravel is answered for by us. */
async function start(broadcaster, name = `user ${++users}`) {
  const id = name.replaceAll(" ", "-");
  const endpoint = await authServer((form, request) => {
    assert.equal(request.headers.authorization, "Bearer token");
    if (form.channel_name === "private-refused") return undefined;
    return server().authorizeChannel(form.socket_id, form.channel_name,
      form.channel_name.startsWith("presence-") ? { user_id: id, user_info: { id, name } } : undefined);
  });
  const { cluster, ...where } = address();
  const echo = new Echo({
    broadcaster, key: main.key, Pusher, ...where, authEndpoint: `${endpoint}/broadcasting/auth`, bearerToken: "token",
    ...(broadcaster === "pusher" && { cluster }), // Reverb's set-up has none
  });
  keep(echo);
  return echo;
}

/** calls collects what a listener is called with. */
function calls() {
  const list = [];
  const waiting = [];
  const listener = (value) => (waiting.length > 0 ? waiting.shift()(value) : list.push(value));
  listener.next = (what) => within(list.length > 0 ? Promise.resolve(list.shift()) : new Promise((resolve) => waiting.push(resolve)), what);
  listener.left = list;
  return listener;
}

const subscribed = (channel) => within(new Promise((resolve) => channel.subscribed(resolve)), "subscription");

for (const broadcaster of ["pusher", "reverb"]) {
  await test(`${broadcaster}: public channel, with namespace, without it, and all`, async () => {
    const echo = await start(broadcaster);
    const [shipped, bare, all] = [calls(), calls(), calls()];
    const channel = echo.channel("orders").listen("OrderShipped", shipped).listen(".order.bare", bare).listenToAll(all);
    await subscribed(channel);
    await server().trigger("orders", "App\\Events\\OrderShipped", { id: 1 });
    await server().trigger("orders", "order.bare", { id: 2 });
    assert.deepEqual(await shipped.next("OrderShipped"), { id: 1 });
    assert.deepEqual(await bare.next("order.bare"), { id: 2 });
    assert.equal(await all.next("any event"), "OrderShipped");
    echo.leave("orders");
    assert.deepEqual(shipped.left, []);
  });

  await test(`${broadcaster}: private channel, notification and whisper`, async () => {
    const [ann, bob] = [await start(broadcaster), await start(broadcaster)];
    const [event, notification, heard] = [calls(), calls(), calls()];
    const hers = ann.private("App.Models.User.1").listen("Invoice", event).notification(notification).listenForWhisper("typing", heard);
    const his = bob.private("App.Models.User.1");
    await Promise.all([subscribed(hers), subscribed(his)]);
    await server().trigger("private-App.Models.User.1", "App\\Events\\Invoice", { n: 1 });
    await server().trigger("private-App.Models.User.1", "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated", { type: "Paid" });
    assert.deepEqual(await event.next("event"), { n: 1 });
    assert.deepEqual(await notification.next("notification"), { type: "Paid" });
    his.whisper("typing", { name: "bob" });
    assert.deepEqual(await heard.next("whisper"), { name: "bob" });
  });

  await test(`${broadcaster}: a private channel that is refused is told so`, async () => {
    const echo = await start(broadcaster);
    const failed = calls();
    echo.private("refused").error(failed);
    assert.match(JSON.stringify(await failed.next("error")), /403/);
  });

  await test(`${broadcaster}: presence channel, here, joining, leaving and whisper`, async () => {
    const room = `room.${broadcaster}`;
    const ann = await start(broadcaster, "ann");
    const [here, joining, leaving, heard] = [calls(), calls(), calls(), calls()];
    ann.join(room).here(here).joining(joining).leaving(leaving).listenForWhisper("typing", heard);
    assert.deepEqual(await here.next("here"), [{ id: "ann", name: "ann" }]);

    const bob = await start(broadcaster, "bob");
    const theirs = calls();
    const joined = bob.join(room).here(theirs);
    assert.deepEqual((await theirs.next("here")).map(({ id }) => id).sort(), ["ann", "bob"]);
    assert.deepEqual(await joining.next("joining"), { id: "bob", name: "bob" });
    joined.whisper("typing", { on: true });
    assert.deepEqual(await heard.next("whisper"), { on: true });
    bob.leave(room);
    assert.equal((await leaving.next("leaving")).id, "bob");
  });

  await test(`${broadcaster}: toOthers leaves the sender out`, async () => {
    const [sender, peer] = [await start(broadcaster), await start(broadcaster)];
    const [own, theirs] = [calls(), calls()];
    await Promise.all([
      subscribed(sender.channel("others").listen(".moved", own).listen(".last", own)),
      subscribed(peer.channel("others").listen(".moved", theirs)),
    ]);
    await server().trigger("others", "moved", "moved", { socket_id: sender.socketId() });
    await server().trigger("others", "last", "last");
    assert.equal(await theirs.next("event"), "moved");
    assert.equal(await own.next("event"), "last");
  });
}

finish();
