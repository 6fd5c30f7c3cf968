// Runs the parts that Go names, one after the other, in one browser and on one
// installation.
import { closeBrowser } from "../browser.mjs";
import { config, finish } from "../lib.mjs";
import { mail } from "./pages.mjs";

for (const part of config.parts) await import(`./${part}.mjs`);

mail.server.close();
await closeBrowser();
finish();
