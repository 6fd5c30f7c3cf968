// Hostile text in every place where a page shows what somebody else wrote: it
// is read as text. No dialog opens, the policy of the pages has nothing to
// report, and nothing is asked for elsewhere.
import assert from "node:assert/strict";
import { connect, eventually, server, signer, subscribe, test } from "../lib.mjs";
import { button, confirm, field, heading, makeApp, openWindow, Receiver, shownOnce, signUp, watch } from "./pages.mjs";

const away = "http://127.0.0.1:9/x";
const payloads = [
  "<script>alert(1)</script>", "<script src=//127.0.0.1:9/x></script>", "<img src=x onerror=alert(1)>", `<img src=${away}>`,
  "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<iframe src=javascript:alert(1)>", `<iframe src=${away}></iframe>`,
  "<body onload=alert(1)>", "<input autofocus onfocus=alert(1)>", "<details open ontoggle=alert(1)>", "<video><source onerror=alert(1)>",
  "<audio src=x onerror=alert(1)>", "<object data=javascript:alert(1)>", "<embed src=javascript:alert(1)>", "<math href=javascript:alert(1)>x</math>",
  "<a href=javascript:alert(1)>x</a>", "<form action=javascript:alert(1)><button>x", "<base href=//127.0.0.1:9/>", "<meta http-equiv=refresh content=0;url=//127.0.0.1:9>",
  "<link rel=stylesheet href=//127.0.0.1:9/x>", `<style>@import'${away}'</style>`, "<div style=background:url(//127.0.0.1:9/x)>", "\"><script>alert(1)</script>",
  "'><img src=x onerror=alert(1)>", "\" autofocus onfocus=alert(1) x=\"", "' onmouseover=alert(1) x='", "</title><script>alert(1)</script>",
  "</textarea><script>alert(1)</script>", "</script><script>alert(1)</script>", "--><script>alert(1)</script>", "]]><script>alert(1)</script>",
  "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "{{constructor.constructor('alert(1)')()}}", "${alert(1)}",
  "<x onclick=alert(1) autofocus tabindex=1>", "<marquee onstart=alert(1)>", "<template><img src=x onerror=alert(1)></template>", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
];

/** packed puts payloads together in texts of at most that many characters. */
function packed(most) {
  const texts = [""];
  for (const p of payloads) {
    if (texts.at(-1).length + p.length + 1 > most) texts.push("");
    texts.push(`${texts.pop()} ${p}`.trim());
  }
  return texts;
}

/** reads waits until a place of the page has all those texts, as text. */
const reads = (place, texts, what) => eventually(async () => {
  const found = await place.allInnerTexts();
  return texts.filter((text) => !found.join("\n").includes(text));
}, (missing) => missing.length === 0, `missing in ${what}`);

async function appNames({ page, at }, app) {
  const names = packed(100);
  for (const name of names) {
    const status = await page.evaluate(async ([id, body]) => (await fetch(`/api/v1/apps/${id}`, {
      method: "PATCH", headers: { "Content-Type": "application/json" }, body,
    })).status, [app.id, JSON.stringify({ name })]);
    assert.equal(status, 200, name);
    await at(`/apps/${app.id}`);
    await reads(page.locator("h1"), [name], "the title");
    await reads(page.locator(".nav-title"), [name], "the sidebar");
  }
  await at("/");
  await heading(page, "Apps").waitFor();
  await reads(page.locator("main"), names.slice(-1), "the list of apps");
}

/** Members, and the last event of a channel. */
async function channels({ page, at }, app) {
  const channel = "presence-cache-hostile";
  for (let i = 0; i < 8; i++) {
    const member = { user_id: payloads[i], user_info: { texts: payloads.slice(5 * i, 5 * i + 5) } };
    await subscribe(await connect(app, { channelAuthorization: signer(app, member) }), channel);
  }
  await server(app).trigger(channel, payloads[2], JSON.stringify(payloads));
  await at(`/apps/${app.id}/channels`);
  await button(page, channel).click();
  const written = payloads.map((p) => JSON.stringify(p).slice(1, -1));
  await reads(page.locator("dialog table"), [...written, ...payloads.slice(0, 8)], "the members");
  await reads(page.locator("dialog pre"), written, "the last event");
  await reads(page.locator("dialog h3"), [payloads[2]], "the name of the event");
  await button(page, "Close").click();
}

/** selected walks through the lines of a console, from the newest, and returns what the open ones say. */
async function selected(tab, count) {
  const texts = [];
  await tab.getByRole("log").focus();
  for (let i = 0; i < count; i++) {
    await tab.keyboard.press("ArrowUp");
    texts.push(await tab.locator(".cn-detail").innerText());
  }
  return texts;
}

/** Names of events, data, users and refused channels in the live console. */
async function lines({ page }, app) {
  const tab = await watch(page, app);
  for (const i of [0, 10, 20, 30]) {
    await server(app).triggerBatch(payloads.slice(i, i + 10).map((p) => ({ channel: "news", name: p, data: p })));
  }
  const client = await connect(app);
  for (const p of payloads) client.subscribe(p);
  const foot = tab.locator(".cn-foot");
  await eventually(() => foot.innerText(), (text) => Number(/^\d+/.exec(text)?.[0]) > 2 * payloads.length, "all lines");
  const open = await selected(tab, 2 * payloads.length);
  for (const p of payloads) assert.equal(open.filter((text) => text.includes(p)).length >= 2, true, p);
  await tab.close();
}

/** What a webhook's receiver answers, and what is refused at a field. */
async function answers({ page, at }, app) {
  const receiver = await new Receiver().listen();
  await at(`/apps/${app.id}/send`);
  for (const name of [payloads[0], payloads[3]]) {
    await field(page, "Channels").fill(name);
    await button(page, "Send").click();
    await page.getByRole("alert").first().waitFor();
  }
  await at(`/apps/${app.id}/webhooks`);
  await button(page, "New endpoint").first().click();
  await field(page, "Address").fill(receiver.url);
  await field(page, "Headers").fill(`X-Env: ${payloads[0]}`);
  await button(page, "Make the endpoint").click();
  await shownOnce(page, 1);
  const [head, ...rest] = packed(800); // of the answer's head the beginning is kept
  const body = rest.join("\n");
  // What is answered from this machine no tenant may read: the server leaves the body out.
  await page.route("**/api/v1/deliveries/*", async (route) => {
    const response = await route.fetch();
    const delivery = await response.json();
    for (const attempt of delivery.log) attempt.response_body = body;
    await route.fulfill({ response, json: delivery });
  });
  receiver.head = { Server: head, Location: away, "Content-Type": "text/html" };
  await button(page, "Send a test").click();
  await page.getByText("delivered", { exact: true }).first().waitFor();
  await page.locator("tbody").getByRole("link").first().click();
  await reads(page.getByLabel("response to attempt 1", { exact: true }), [head, ...rest], "the answer");
}

async function audit({ page, at }) {
  const { tenants } = await page.evaluate(async () => (await fetch("/api/v1/me")).json());
  await at(`/t/${tenants[0].tenant.slug}/audit-log`);
  await page.locator("tbody tr").first().waitFor();
  await reads(page.getByLabel("Tenant").locator("option"), [payloads[2]], "the tenants");
}

await test("40 hostile texts are read as text everywhere", async () => {
  assert.equal(payloads.length, 40);
  const window = await openWindow();
  await signUp(window, "eve@example.com", payloads[2]);
  await confirm(window, "eve@example.com");
  const app = await makeApp(window.page, payloads[0]);
  for (const visit of [appNames, channels, lines, answers, audit]) {
    await visit(window, app);
    assert.deepEqual(window.problems, [], visit.name);
  }
}, 240_000);
