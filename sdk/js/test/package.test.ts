// What is published, as a stranger gets it: packed, installed, built, opened in
// a real browser; and the same client as the server hands it out.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { app } from "../examples/app.mjs";
import { launch } from "./browser.js";
import { freePort } from "./network.js";
import { pieces, serve } from "./pages.js";
import { platform, type Platform } from "./platform.js";

const root = fileURLToPath(new URL("../", import.meta.url));
const modules = join(root, "node_modules");
const run = promisify(execFile);
let real: Platform;
let browser: Browser;
let dir: string;
let tarball: string;
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidewire-package-"));
  const [packed] = JSON.parse((await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", dir], { cwd: root })).stdout) as [{ filename: string }];
  tarball = join(dir, packed.filename.replace("@", "").replace("/", "-"));
  real = await platform();
  browser = await launch();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  for (const end of ends) await end();
  await real?.stop();
  await rm(dir, { recursive: true, force: true });
});

const types: Record<string, string> = { html: "text/html", js: "text/javascript" };

/** Opens a page made of files, and fails on every error in it. */
async function open(file: (path: string) => Promise<string>): Promise<Page> {
  const port = await freePort();
  ends.push(
    await serve(port, async (request) => {
      const path = new URL(request.url).pathname.replace(/\/$/, "/index.html");
      return new Response(await file(path), { headers: { "Content-Type": types[path.split(".").pop() as string] ?? "text/plain" } });
    }),
  );
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => expect.unreachable(error.message));
  await page.goto(`http://127.0.0.1:${port}/`);
  return page;
}

const main = `
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createClient } from "@tidewire/client";
import { TidewireProvider, useChannel, useLatestEvent } from "@tidewire/client/react";

type Schema = { fresh: { hello: { to: string } } };
const client = createClient<Schema>({ url: "URL", key: "KEY" });

function App() {
  const { state } = useChannel<Schema, "fresh">("fresh");
  const hello = useLatestEvent<Schema, "fresh", "hello">("fresh", "hello");
  return <p>{state} {hello?.to}</p>;
}

createRoot(document.getElementById("root") as HTMLElement).render(<StrictMode><TidewireProvider client={client}><App /></TidewireProvider></StrictMode>);
`;

/** A new Vite project with React, and the tarball installed into it. */
async function freshApp(react: string, reactDom: string): Promise<string> {
  const at = join(dir, react);
  await mkdir(join(at, "src"), { recursive: true });
  await Promise.all([
    writeFile(join(at, "package.json"), '{"name":"fresh","private":true,"type":"module"}'),
    writeFile(join(at, "index.html"), '<!doctype html><link rel="icon" href="data:," /><div id="root"></div><script type="module" src="/src/main.tsx"></script>'),
    writeFile(join(at, "vite.config.js"), 'import react from "@vitejs/plugin-react";\nexport default { plugins: [react()] };\n'),
    writeFile(join(at, "tsconfig.json"), '{"compilerOptions":{"strict":true,"noEmit":true,"module":"ESNext","moduleResolution":"Bundler","target":"ES2022","lib":["ES2022","DOM"],"jsx":"react-jsx","types":[]},"include":["src"]}'),
    writeFile(join(at, "src/main.tsx"), main.replace("URL", real.url).replace("KEY", app.key)),
  ]);
  await run("npm", ["install", tarball, "--offline", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: at });
  // The rest is installed here already: React is copied, because it must be found from where it lies.
  const scheduler = dirname(createRequire(join(modules, reactDom, "package.json")).resolve("scheduler/package.json"));
  for (const [name, from] of [["react", join(modules, react)], ["react-dom", join(modules, reactDom)], ["scheduler", scheduler], ...["@types/react", "@types/react-dom", "csstype"].map((name) => [name, join(modules, name)])] as [string, string][]) {
    await cp(from, join(at, "node_modules", name), { recursive: true });
  }
  await mkdir(join(at, "node_modules/@vitejs"));
  for (const name of ["vite", "@vitejs/plugin-react", "typescript"]) await symlink(join(modules, name), join(at, "node_modules", name));
  return at;
}

describe("the package", () => {
  it.each([["19", "react", "react-dom"], ["18", "react-18", "react-dom-18"]])("a fresh Vite app with React %s: installs, builds and runs", async (version, react, reactDom) => {
    const at = await freshApp(react, reactDom);
    expect(JSON.parse(await readFile(join(at, "node_modules/react/package.json"), "utf8")).version).toMatch(new RegExp(`^${version}\\.`));
    if (version === "19") await run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."], { cwd: at }); // the types of React here are those of 19
    await run(process.execPath, ["node_modules/vite/bin/vite.js", "build", "--logLevel", "error"], { cwd: at, env: { ...process.env, NODE_ENV: "production" } });
    const page = await open((path) => readFile(join(at, "dist", path), "utf8"));
    await page.getByText("subscribed").waitFor();
    await real.server.trigger("fresh", "hello", { to: "everybody" });
    await page.getByText("subscribed everybody").waitFor();
    await page.close();
  }, 60_000);

  it("every entry loads in Node, by import and by require", async () => {
    const at = join(dir, "node");
    await mkdir(at);
    await writeFile(join(at, "package.json"), '{"name":"fresh"}');
    await run("npm", ["install", tarball, "--offline", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: at });
    const entries = ["", "/server", "/encrypted"].map((entry) => `@tidewire/client${entry}`);
    await run(process.execPath, ["--input-type=module", "-e", entries.map((entry) => `if (Object.keys(await import("${entry}")).length < 1) process.exit(1);`).join("")], { cwd: at });
    await run(process.execPath, ["-e", entries.map((entry) => `if (Object.keys(require("${entry}")).length < 1) process.exit(1);`).join("")], { cwd: at });
  });

  it("has no any in what it exports", async () => {
    const declared = (await readdir(join(root, "dist"))).filter((name) => name.endsWith(".d.ts"));
    expect(declared).toEqual(expect.arrayContaining(["index.d.ts", "react.d.ts", "server.d.ts", "encrypted.d.ts"]));
    for (const name of declared) {
      const source = ts.createSourceFile(name, await readFile(join(root, "dist", name), "utf8"), ts.ScriptTarget.Latest, true);
      const visit = (node: ts.Node): void => {
        if (node.kind === ts.SyntaxKind.AnyKeyword) expect.unreachable(`${name}: ${node.parent.getText()}`);
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
  });
});

describe("/sdk of the server", () => {
  it("the page in the documentation works: as a script and as a module", async () => {
    const html = (await pieces("sdk.md")).get("html");
    if (!html) throw new Error("docs/sdk.md has no page any more");
    const own = html.replaceAll("https://realtime.example.com", real.url).replaceAll("your-key", app.key);
    const page = await open(async () => `<!doctype html><link rel="icon" href="data:," />${own}`);
    for (const text of ["script: subscribed", "module: subscribed"]) await page.getByText(text).waitFor();
    await real.server.trigger("orders", "updated", { id: 7 });
    for (const text of ["script: order 7", "module: order 7"]) await page.getByText(text).waitFor();
    await page.close();
  });
});
