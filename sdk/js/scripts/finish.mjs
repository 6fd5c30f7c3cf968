// After the build: marks the React entry for server components, makes what the
// server embeds, and the bundles whose size is limited.
import { build } from "esbuild";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";

const dist = new URL("../dist/", import.meta.url);
for (const file of ["react.js", "react.cjs"]) {
  const path = new URL(file, dist);
  const code = await readFile(path, "utf8");
  if (!code.startsWith('"use client"')) await writeFile(path, `"use client";\n${code}`);
}
// CommonJS has the same types, under names that say so.
for (const file of await readdir(dist)) {
  if (!file.endsWith(".d.ts")) continue;
  const types = await readFile(new URL(file, dist), "utf8");
  await writeFile(new URL(file.replace(/ts$/, "cts"), dist), types.replace(/(['"]\.\/[^'"]+)\.js(['"])/g, "$1.cjs$2"));
}

const at = (file) => new URL(file, dist).pathname;
const options = { bundle: true, minify: true, format: "esm", target: "es2020", external: ["react", "./http*"], logLevel: "warning", logOverride: { "ignored-bare-import": "silent" } };
await mkdir(new URL("bundle/", dist), { recursive: true });
const bundle = (contents, outfile, more) =>
  build({ ...options, ...more, stdin: { contents, resolveDir: at(".") }, outfile: at(`bundle/${outfile}`) });
// What an application ships: the exports it imports, and what they need.
await bundle('export { createClient, TidewireError } from "./index.js"', "core.js");
await bundle('export * from "./react.js"', "react.js");
const http = (await readFile(at("index.js"), "utf8")).match(/import\("(\.\/http[^"]*)"\)/)?.[1];
if (!http) throw new Error("the HTTP fallback is not a chunk of its own any more");
await bundle(`export * from "${http}"`, "http.js", { external: [] });
// The whole client as one module, and as a script that defines Tidewire.
await build({ ...options, external: [], entryPoints: [at("index.js")], outfile: at("client.mjs") });
