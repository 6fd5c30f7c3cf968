// After the build: marks the React entry for server components, names the types
// of CommonJS, and makes the module that the server embeds.
import { build } from "esbuild";
import { readdir, readFile, writeFile } from "node:fs/promises";

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
// The whole client as one module. The script that defines Tidewire is dist/global.js.
await build({
  bundle: true, minify: true, format: "esm", target: "es2020", logLevel: "warning",
  entryPoints: [new URL("index.js", dist).pathname],
  outfile: new URL("client.mjs", dist).pathname,
});
