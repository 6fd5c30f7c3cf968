// A headless Chromium for the scripts that need a real page.
import { chromium } from "playwright-core";
import { config, keep } from "./lib.mjs";

let browser;

/** openTabs makes a window of its own; its tabs know of each other. It ends with the test. */
export async function openTabs() {
  browser ??= await chromium.launch({
    executablePath: config.chromium,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
  const context = await browser.newContext();
  context.setDefaultTimeout(60_000);
  keep({ disconnect: () => context.close() });
  return context;
}

/** openPage opens an address; what goes wrong in the page is added to problems. */
export async function openPage(context, address, problems = []) {
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`${address}: ${error}`));
  page.on("console", (message) => {
    const icon = message.location().url.endsWith("/favicon.ico"); // asked for by the browser alone
    if (message.type() === "error" && !icon) problems.push(`${address}: ${message.text()}`);
  });
  await page.goto(address);
  return page;
}

/** closeBrowser comes before finish. What a page still asks of this process then cannot be answered any more. */
export function closeBrowser() {
  process.on("unhandledRejection", (error) => {
    if (!/has been closed/.test(error?.message)) throw error;
  });
  return browser?.close();
}
