// make examples: a Tidewire server of its own, the six pages, and their addresses.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createApp, names, serveExamples, startPlatform } from "./app.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const binary = process.env.PLATFORM ?? `${root}bin/platform`;
if (!existsSync(binary)) throw new Error(`${binary} is not there: run \`make build\` first`);
const dataDir = process.env.DATA_DIR ?? `${root}data/examples`;

await createApp(binary, dataDir);
const platform = await startPlatform(binary, dataDir, process.env.LISTEN ?? "127.0.0.1:6010");
const pages = await serveExamples({ url: platform.url, port: Number(process.env.PORT ?? 5173) });
console.log("\nThe six examples. Open each in two windows:\n");
for (const name of names) console.log(`  ${name.padEnd(14)} ${pages.url}/${name}/`);
console.log("");

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, async () => {
    await pages.close();
    await platform.stop();
    process.exit(0);
  });
}
