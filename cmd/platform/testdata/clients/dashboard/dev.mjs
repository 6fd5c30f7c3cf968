// The link that dev prints signs in, once.
import assert from "node:assert/strict";
import { config, test } from "../lib.mjs";
import { button, heading, openWindow } from "./pages.mjs";

await test("the link of dev signs in once", async () => {
  const { page, problems } = await openWindow();
  await page.goto(config.signIn);
  await button(page, "Sign in").click();
  await heading(page, "Apps").waitFor();
  await page.getByRole("link", { name: /Demo/ }).click();
  await heading(page, "Demo").waitFor();
  assert.deepEqual(problems, []);
  const again = await openWindow();
  await again.page.goto(config.signIn);
  await button(again.page, "Sign in").click();
  await again.page.getByText("link_invalid").waitFor();
});
