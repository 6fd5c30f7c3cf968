// npm run reference: the pages in docs/sdk/, made from the comments in src/.
// --check writes nothing and fails when a page says something else.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application } from "typedoc";

const at = (path) => new URL(`../${path}`, import.meta.url).pathname;
const pages = at("../../docs/sdk");
const check = process.argv.includes("--check");
const out = check ? await mkdtemp(join(tmpdir(), "tidewire-reference-")) : pages;

const app = await Application.bootstrapWithPlugins({
  plugin: ["typedoc-plugin-markdown"],
  entryPoints: ["src/index.ts", "src/react.ts", "src/server/index.ts", "src/encrypted.ts"].map(at),
  tsconfig: at("tsconfig.json"),
  name: "@tidewire/client",
  sortEntryPoints: false,
  indexFormat: "table",
  readme: "none",
  logLevel: "Warn",
  treatWarningsAsErrors: true,
  skipErrorChecking: true, // npm run check has done it
  excludeExternals: true,
  excludePrivate: true,
  disableSources: true,
  hideGenerator: true,
  // One page for each entry, with tables where a list would be long.
  router: "module",
  hidePageHeader: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  typeDeclarationFormat: "table",
  tableColumnSettings: { hideModifiers: true },
  out,
});
const project = await app.convert();
if (!project) process.exit(1);
app.validate(project);
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);

if (check) {
  const read = async (dir) => Promise.all((await readdir(dir)).sort().map(async (name) => `${name}\n${await readFile(join(dir, name), "utf8")}`));
  const same = (await read(out)).join() === (await read(pages).catch(() => [])).join();
  await rm(out, { recursive: true });
  if (!same) {
    console.error("docs/sdk is not what src/ says: npm run reference");
    process.exitCode = 1;
  }
}
