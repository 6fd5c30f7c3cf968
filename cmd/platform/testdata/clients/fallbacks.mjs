// The HTTP fallbacks of pusher-js, in a browser: each alone, and chosen by the
// library itself where a proxy refuses WebSockets. The other end is always a
// client of Node's, on a WebSocket and on the other node if there is one.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { config, connect, disconnect, eventually, finish, get, main, server, signer, subscribe, test, within } from "./lib.mjs";
import { closeBrowser, openPage, openTabs } from "./browser.mjs";

const resolve = createRequire(import.meta.url).resolve;
const backend = server(main);
const person = (user_id) => ({ user_id, user_info: { name: user_id } });
let names = 0;

/** open loads pusher-js in a page and connects it to an address by the transports named. */
async function open(address, transports, user) {
  const context = await openTabs();
  const page = await openPage(context, `${config.api}/healthz`);
  await page.exposeFunction("authorize", (id, channel) =>
    backend.authorizeChannel(id, channel, channel.startsWith("presence-") ? person(user) : undefined));
  await page.addScriptTag({ path: resolve("pusher-js/dist/web/pusher.js") });
  const { hostname, port } = new URL(address);
  await within(page.evaluate(([key, host, port, enabledTransports]) => new Promise((connected) => {
    const events = (window.events = []);
    window.states = [];
    window.pusher = new window.Pusher(key, {
      wsHost: host, wsPort: port, wssPort: port, httpHost: host, httpPort: port, httpsPort: port,
      forceTLS: false, cluster: "main", ...(enabledTransports && { enabledTransports }),
      channelAuthorization: { customHandler: ({ socketId, channelName }, done) =>
        window.authorize(socketId, channelName).then((data) => done(null, data), done) },
    });
    window.pusher.bind_global((event, data) => events.push({ event, data }));
    window.pusher.connection.bind("state_change", ({ current }) => window.states.push(current));
    window.pusher.connection.bind("connected", connected);
  }), [main.key, hostname, Number(port), transports]), "connection of the page", 45_000);
  return {
    page,
    transport: () => page.evaluate(() => window.pusher.connection.connection.transport.name),
    states: () => page.evaluate(() => window.states),
    subscribe: (name) => within(page.evaluate((name) => new Promise((subscribed, failed) => {
      const channel = window.pusher.subscribe(name);
      channel.bind("pusher:subscription_succeeded", () => subscribed());
      channel.bind("pusher:subscription_error", failed);
    }), name), `subscription of the page to ${name}`),
    members: (name) => page.evaluate((name) => Object.keys(window.pusher.channel(name).members.members).sort(), name),
    events: (event) => page.evaluate((event) => window.events.filter((e) => e.event === event).map((e) => e.data), event),
    trigger: (name, event, data) => page.evaluate(([name, event, data]) => window.pusher.channel(name).trigger(event, data), [name, event, data]),
    disconnect: () => page.evaluate(() => window.pusher.disconnect()),
  };
}

async function exercise(label, address, transports, expected) {
  let tab;
  const n = ++names;
  await test(`${label}: connects`, async () => {
    tab = await open(address, transports, "tab");
    assert.match(await tab.transport(), expected);

    const open1 = `open-${n}`;
    await tab.subscribe(open1);
    const sent = Array.from({ length: 30 }, (_, i) => ({ i, text: "ü 😀 \u2028 \"quoted\"" }));
    for (const data of sent) await server().trigger(open1, "news", data);
    const got = await eventually(() => tab.events("news"), (list) => list.length >= sent.length, "events in the page");
    assert.deepEqual(got, sent);

    // More than a streaming response carries: pusher-js goes on in a second one.
    for (let i = 0; i < 40; i++) await server().trigger(open1, "large", `${i} ${"x".repeat(9_500)}`);
    const large = await eventually(() => tab.events("large"), (list) => list.length >= 40, "large events in the page");
    assert.deepEqual(large.map((text) => Number.parseInt(text, 10)), Array.from({ length: 40 }, (_, i) => i));
    assert.deepEqual(await tab.states(), ["connected"], "and was connected all the time");

    const room = `presence-room-${n}`;
    const peer = await connect(main, { channelAuthorization: signer(main, person("peer")) });
    const theirs = await subscribe(peer, room);
    await tab.subscribe(room);
    assert.deepEqual(await tab.members(room), ["peer", "tab"]);
    assert.equal((await theirs.inbox.take("pusher:member_added")).data.id, "tab");
    theirs.trigger("client-hello", { from: "peer" });
    assert.deepEqual(await eventually(() => tab.events("client-hello"), (list) => list.length > 0, "client event in the page"), [{ from: "peer" }]);
    await tab.trigger(room, "client-answer", { from: "tab" });
    assert.deepEqual((await theirs.inbox.take("client-answer")).data, { from: "tab" });
    await eventually(() => get(`/channels/${room}`, { info: "user_count" }), ({ user_count }) => user_count === 2, "user_count");

    await disconnect(peer);
    await eventually(() => tab.members(room), (list) => list.join() === "tab", "the page without the peer");
    const watcher = await connect(main, { channelAuthorization: signer(main, person("watcher")) });
    const seen = await subscribe(watcher, room);
    await tab.disconnect();
    assert.equal((await seen.inbox.take("pusher:member_removed")).data.id, "tab", "who closes the page is gone soon");
  });

  await test(`${label}: a refusal reaches the page with its code`, async () => {
    const context = await openTabs();
    const page = await openPage(context, `${config.api}/healthz`);
    await page.addScriptTag({ path: resolve("pusher-js/dist/web/pusher.js") });
    const { hostname, port } = new URL(address);
    const code = await within(page.evaluate(([host, port, enabledTransports]) => new Promise((refused) => {
      const pusher = new window.Pusher("00000000000000000000", {
        wsHost: host, wsPort: port, httpHost: host, httpPort: port, forceTLS: false, cluster: "main",
        ...(enabledTransports && { enabledTransports }),
      });
      let error;
      pusher.connection.bind("error", ({ error: { data } }) => (error = data.code));
      pusher.connection.bind("disconnected", () => refused(error));
    }), [hostname, Number(port), transports]), "refusal", 45_000);
    assert.equal(code, 4001);
  });
}

await exercise("xhr_streaming", config.api, ["xhr_streaming"], /^xhr_streaming$/);
await exercise("xhr_polling", config.api, ["xhr_polling"], /^xhr_polling$/);
await exercise("behind a proxy that refuses upgrades", config.proxy, undefined, /^xhr_(streaming|polling)$/);

await closeBrowser();
finish();
