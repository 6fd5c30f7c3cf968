// Watches a page until a text appears in it. The test publishes when it reads
// "ready", which is when a client of the page has subscribed.
import assert from "node:assert/strict";
import { config, eventually, finish, get, test } from "./lib.mjs";
import { closeBrowser, openPage, openTabs } from "./browser.mjs";

await test("the text appears", async () => {
  const problems = [];
  const page = await openPage(await openTabs(), config.page, problems);
  await eventually(() => get("/channels/demo"), ({ occupied }) => occupied, "subscription of the page", 60_000);
  console.log("ready");
  await page.getByText(config.text).waitFor();
  assert.deepEqual(problems, []);
});

await closeBrowser();
finish();
