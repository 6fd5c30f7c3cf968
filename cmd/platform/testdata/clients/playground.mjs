// The playground page in two tabs, and the browser builds of pusher-js.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { config, finish, main, server, test, within } from "./lib.mjs";
import { closeBrowser, openPage, openTabs } from "./browser.mjs";

await test("send in one tab, see it in both, with the latency", async () => {
  const context = await openTabs();
  const problems = [];
  const tabs = [await openPage(context, config.page, problems), await openPage(context, config.page, problems)];
  for (const tab of tabs) await tab.locator("#state[data-state=live]").waitFor();
  await tabs[0].fill("#event", "greeting");
  await tabs[0].fill("#data", '{"text": "ü <b>"}');
  await tabs[0].click("#submit");
  for (const [i, tab] of tabs.entries()) {
    const row = tab.locator("#events li").first();
    await row.locator(".badge:visible").waitFor();
    assert.equal(await row.locator(".name").textContent(), "greeting");
    assert.equal(await row.locator(".payload").textContent(), '{"text": "ü <b>"}');
    assert.equal(await row.locator(".badge").textContent(), ["this tab", "other tab"][i]);
    for (const figure of [row.locator(".ms"), tab.locator("#latency-last"), tab.locator("#latency-median")]) {
      assert.match(await figure.textContent(), /^\d+\.\d\s?ms$/);
    }
    assert.equal(await tab.locator("#count").textContent(), "1");
  }
  assert.deepEqual(problems, []);
});

await test("an event from outside appears, as text", async () => {
  const context = await openTabs();
  const problems = [];
  const tab = await openPage(context, config.page, problems);
  await tab.locator("#state[data-state=live]").waitFor();
  await server().trigger("demo", "outside", { html: "<img src=x onerror=alert(1)>" });
  const row = tab.locator("#events li", { hasText: "outside" });
  assert.match(await row.locator(".payload").textContent(), /<img src=x/);
  assert.equal(await tab.locator("#events img").count(), 0);
  assert.deepEqual(problems, []);
});

await test("the page without the token can only watch", async () => {
  const context = await openTabs();
  const tab = await openPage(context, config.api);
  await tab.locator("#state[data-state=live]").waitFor();
  assert.equal(await tab.locator("#submit").isDisabled(), true);
});

const resolve = createRequire(import.meta.url).resolve;
const key = Buffer.alloc(32, 7).toString("base64");
const backend = server(main, { encryptionMasterKeyBase64: key });

for (const [build, name] of [["pusher", "private-orders"], ["pusher-with-encryption", "private-encrypted-orders"]]) {
  await test(`the browser build ${build}.js on ${name}`, async () => {
    const context = await openTabs();
    const page = await openPage(context, `${config.api}/healthz`);
    await page.exposeFunction("authorize", (id, channel) => backend.authorizeChannel(id, channel));
    await page.addScriptTag({ path: resolve(`pusher-js/dist/web/${build}.js`) });
    const { hostname, port } = new URL(config.api);
    await within(page.evaluate(([app, host, port, name]) => new Promise((subscribed) => {
      const pusher = new window.Pusher(app, {
        wsHost: host, wsPort: port, wssPort: port, forceTLS: false, enabledTransports: ["ws", "wss"], cluster: "main",
        channelAuthorization: {
          customHandler: ({ socketId, channelName }, done) => window.authorize(socketId, channelName).then((auth) => done(null, auth)),
        },
      });
      const channel = pusher.subscribe(name);
      channel.bind("created", (data) => (window.received = data));
      channel.bind("pusher:subscription_succeeded", subscribed);
    }), [main.key, hostname, Number(port), name]), "subscription");
    await backend.trigger(name, "created", { code: "swordfish" });
    const received = await page.waitForFunction(() => window.received);
    assert.deepEqual(await received.jsonValue(), { code: "swordfish" });
  });
}

await closeBrowser();
finish();
