// Watches a page until a text appears in it. The test publishes again and again
// from "ready" on: somebody has subscribed, who need not be this page.
import assert from "node:assert/strict";
import { config, eventually, finish, get, test } from "./lib.mjs";
import { closeBrowser, openPage, openTabs } from "./browser.mjs";

await test("the text appears", async () => {
  const problems = [];
  const page = await openPage(await openTabs(), config.page, problems);
  await eventually(() => get("/channels/demo"), ({ occupied }) => occupied, "subscription of the page", 60_000);
  console.log("ready");
  await page.getByText(config.text).first().waitFor();
  assert.deepEqual(problems, []);
});

await closeBrowser();
finish();
