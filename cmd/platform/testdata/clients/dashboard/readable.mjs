// Every page, looked at by axe in light or dark, and on a phone: nothing serious
// is found, and no page is wider than the screen. With SHOTS set to a folder it
// is light and dark, and pictures are left there to look at.
import assert from "node:assert/strict";
import path from "node:path";
import process from "node:process";
import { connect, eventually, refused, server, signer, subscribe, test } from "../lib.mjs";
import { accessible, button, confirm, field, heading, makeApp, openWindow, operate, Receiver, shownOnce, signUp, watch } from "./pages.mjs";

const { SHOTS } = process.env;

/** look is all that is asked of a page. */
async function look(page, name) {
  await page.locator("h1").first().waitFor();
  await page.locator(".skeleton").first().waitFor({ state: "detached" });
  await accessible(page, name);
  if (SHOTS) await pictures(page, name);
  const size = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${name} is ${wide} wide on a screen of 390`);
  await page.setViewportSize(size);
}

async function pictures(page, name) {
  await eventually(() => page.locator(".toast").count(), (n) => n === 0, "what is said in passing passes");
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, height] of [[1440, 900], [390, 844]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: path.join(SHOTS, `${name.replace(/\W+/g, "-")}-${colorScheme}-${width}.png`) });
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** happen has the app do what a console shows, refusals among it. */
async function happen(app) {
  const shop = await connect(app);
  for (const channel of ["orders", "prices"]) await subscribe(shop, channel);
  for (let i = 1; i <= 6; i++) {
    await server(app).trigger("orders", "order.placed", { order: 4710 + i, total: `${20 * i}.00 EUR` });
    await server(app).trigger("prices", "price.changed", { article: `tea-${i}`, price: `${3 + i}.50` });
  }
  const wrong = { ...app, secret: "of another app" };
  await refused(server(wrong).trigger("orders", "order.placed", {}));
  (await connect(app, { channelAuthorization: signer(wrong) })).subscribe("private-orders");
}

await test("the pages of who is not signed in", async () => {
  const { page, problems, at } = await openWindow();
  for (const where of ["sign-in", "sign-up", "forgot", "reset?token=1", "verify?token=1", "login?token=1", "setup?token=1", "invitation?token=1"]) {
    await at(`/${where}`);
    await look(page, where.split("?")[0]);
  }
  assert.deepEqual(problems, []);
});

await test("the pages of a customer", async () => {
  const window = await openWindow();
  const { page, problems, at } = window;
  await page.setViewportSize({ width: 1440, height: 900 });
  await signUp(window, "grace@example.com", "Lumen");
  await look(page, "no-apps");
  await confirm(window, "grace@example.com");
  await at("/");
  const app = await makeApp(page, "Chat (production)");
  await at(`/apps/${app.id}/console`);
  await look(page, "console-empty");
  const live = await watch(page, app);
  const receiver = await new Receiver().listen();
  await at(`/apps/${app.id}/webhooks`);
  await look(page, "no-webhooks");
  await button(page, "New endpoint").first().click();
  await accessible(page, "new-endpoint");
  await field(page, "Address").fill(receiver.url);
  await button(page, "Make the endpoint").click();
  await shownOnce(page, 1);
  for (const user of ["ada", "grace", "linus"]) {
    const member = { user_id: user, user_info: { name: user } };
    await subscribe(await connect(app, { channelAuthorization: signer(app, member) }), "presence-lobby");
  }
  await server(app).trigger("presence-lobby", "message", { text: "hello" });
  await happen(app);
  await live.setViewportSize({ width: 1440, height: 900 });
  await live.locator(".cn-row.bad").filter({ hasText: "private-orders" }).click();
  await live.getByRole("complementary", { name: "Entry" }).waitFor();
  await look(live, "app-console");
  await live.close();
  await button(page, "Send a test").click();
  await page.getByText("delivered", { exact: true }).first().waitFor();
  await look(page, "endpoint");
  await page.getByRole("row").filter({ hasText: "member_added" }).getByRole("link").first().click();
  await page.getByText("answered 200").waitFor();
  await look(page, "delivery");
  await at(`/apps/${app.id}`);
  await page.getByText("signature_wrong").waitFor();
  for (const where of ["", "start", "channels", "connections", "send", "keys", "jwt", "settings", "limits", "webhooks"]) {
    await at(`/apps/${app.id}/${where}`);
    await look(page, `app-${where || "overview"}`);
  }
  for (const where of ["apps", "team", "tokens", "usage", "audit-log", "settings"]) {
    await at(`/t/lumen/${where}`);
    await look(page, where);
  }
  await at("/account");
  await look(page, "account");
  await at("/nowhere");
  await accessible(page, "nowhere");
  assert.deepEqual(problems, []);
}, 240_000);

await test("the pages of the operator", async () => {
  const { page, problems } = await operate();
  await page.setViewportSize({ width: 1440, height: 900 });
  for (const view of ["Tenants", "Plans", "Nodes"]) {
    await button(page, view).click();
    await heading(page, "Operator").waitFor();
    await page.locator("tbody tr").first().waitFor();
    await look(page, `operator-${view}`);
  }
  assert.deepEqual(problems, []);
}, 180_000);
