import { chromium, type Browser } from "playwright-core";

/** A real browser. TEST_CHROMIUM is its binary; `make test-js` sets it. */
export async function launch(): Promise<Browser> {
  const executablePath = process.env.TEST_CHROMIUM;
  if (!executablePath) throw new Error("TEST_CHROMIUM is not set: run `make test-js`");
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
