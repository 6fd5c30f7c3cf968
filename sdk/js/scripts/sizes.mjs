// npm run size: what an application ships, ours beside others, bundled and
// minified by the same esbuild and gzipped, in one run. Fails when one of ours
// is over its budget or docs/sdk.md says something else; --write corrects that.
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const here = new URL("../", import.meta.url);
const page = new URL("../../docs/sdk.md", here);
const http = /import\("(\.\/http[^"]*)"\)/.exec(await readFile(new URL("dist/index.js", here), "utf8"))?.[1];
if (!http) throw new Error("the HTTP fallback is not a chunk of its own any more");

// Budgets in kB, of 1000 bytes.
const ours = [
  { name: "**`@tidewire/client`**", code: 'export { createClient } from "./dist/index.js"', budget: 8 },
  { name: "… its HTTP fallback, loaded when needed", code: `export * from "./dist/${http}"`, bundled: true, budget: 2 },
  { name: "… `/react`, every hook, without React", code: 'export * from "./dist/react.js"', budget: 2 },
  { name: "… `/encrypted`, with NaCl", code: 'export { encryption } from "./dist/encrypted.js"', budget: 12 },
  { name: "… `/server`, for backends", code: 'export * from "./dist/server.js"', budget: 5 },
];
const others = [
  { name: "pusher-js", code: 'export { default } from "pusher-js"' },
  { name: "pusher-js", note: "with encryption", code: 'export { default } from "pusher-js/with-encryption"' },
  { name: "ably", code: 'export { Realtime } from "ably"' },
  { name: "ably", note: "modular: WebSocket, presence", code: 'export { BaseRealtime, WebSocketTransport, FetchRequest, RealtimePresence } from "ably/modular"' },
  { name: "centrifuge", code: 'export { Centrifuge } from "centrifuge"' },
  { name: "socket.io-client", code: 'export { io } from "socket.io-client"' },
  { name: "@supabase/realtime-js", code: 'export { RealtimeClient } from "@supabase/realtime-js"' },
];

async function measure({ code, bundled }) {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: here.pathname },
    bundle: true, minify: true, write: false, format: "esm", platform: "browser", target: "es2020",
    external: bundled ? [] : ["react", "./http*"], logLevel: "error",
  });
  const [{ contents }] = outputFiles;
  return { raw: contents.length / 1000, gzip: gzipSync(contents, { level: 9 }).length / 1000 };
}

const { devDependencies } = JSON.parse(await readFile(new URL("package.json", here), "utf8"));
const problems = [];
const rows = [];
for (const one of [...ours, ...others]) {
  const { raw, gzip } = await measure(one);
  if (gzip > one.budget) problems.push(`${one.name} is ${gzip.toFixed(2)} kB, over its budget of ${one.budget} kB`);
  const name = one.budget ? one.name : `\`${one.name}\` ${devDependencies[one.name]}${one.note ? `, ${one.note}` : ""}`;
  rows.push({ name, raw, gzip, budget: one.budget });
}
const table = ["| | minified, kB | gzipped, kB | budget |", "|---|---:|---:|---:|", ...rows.map((row) => `| ${row.name} | ${row.raw.toFixed(1)} | ${row.gzip.toFixed(1)} | ${row.budget ?? ""} |`)].join("\n");
console.log(table);

const marked = /(<!-- sizes: npm run size -- --write -->\n\n)([^]*?)(\n\n<!-- \/sizes -->)/;
const text = await readFile(page, "utf8");
const written = marked.exec(text)?.[2];
if (process.argv.includes("--write")) await writeFile(page, text.replace(marked, (_all, begin, _old, end) => begin + table + end));
else if (!written || !sameSizes(written)) problems.push("docs/sdk.md has other sizes: npm run size -- --write");

/** Another zlib packs a little differently: two tenths are the same. */
function sameSizes(old) {
  const cells = old.split("\n").slice(2).map((line) => line.split("|").map((cell) => cell.trim()));
  return cells.length === rows.length && rows.every((row, i) => cells[i][1] === row.name && Math.abs(cells[i][3] - row.gzip) < 0.2);
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;
