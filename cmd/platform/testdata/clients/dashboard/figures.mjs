// The numbers of an app are told by the platform; where no socket can be had, the
// pages ask for them.
import assert from "node:assert/strict";
import { connect, disconnect, subscribe, test } from "../lib.mjs";
import { makeApp, openWindow, signIn, signUp } from "./pages.mjs";

const stat = (page, label) => page.locator(".stat").filter({ hasText: label }).locator("b");
const shows = (where, text) => where.getByText(text, { exact: true }).waitFor();

let app;

await test("the numbers of an app are told", async () => {
  const window = await openWindow();
  const { page, problems, at } = window;
  await signUp(window, "mary@example.com", "Tide");
  app = await makeApp(page, "Numbers");
  await at(`/apps/${app.id}`);
  await shows(stat(page, "Connections now"), "0");
  const ask = /\/api\/v1\/apps\/\d+\/(stats|channels)(\?|$)/;
  await page.route(ask, (route) => route.abort());
  const first = await connect(app);
  await subscribe(first, "news");
  await shows(stat(page, "Connections now"), "1");
  await shows(stat(page, "Occupied channels"), "1");
  await page.unroute(ask);
  await page.getByRole("link", { name: "Channels", exact: true }).click();
  const row = page.getByRole("row").filter({ hasText: "news" });
  await shows(row.getByRole("cell"), "1");
  await page.route(ask, (route) => route.abort());
  await subscribe(await connect(app), "news");
  await shows(row.getByRole("cell"), "2");
  await disconnect(first);
  await shows(row.getByRole("cell"), "1");
  assert.deepEqual(problems, []);
});

await test("without a socket they are asked for", async () => {
  const window = await openWindow();
  const { page, context, problems, at } = window;
  await context.routeWebSocket(/~console/, (socket) => socket.close());
  await signIn(window, "mary@example.com");
  await at(`/apps/${app.id}`);
  await shows(stat(page, "Connections now"), "0");
  await subscribe(await connect(app), "news");
  await shows(stat(page, "Connections now"), "1");
  await page.getByRole("link", { name: "Channels", exact: true }).click();
  await shows(page.getByRole("row").filter({ hasText: "news" }).getByRole("cell"), "1");
  assert.deepEqual(problems, []);
});
