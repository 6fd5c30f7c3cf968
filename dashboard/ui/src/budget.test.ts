// @vitest-environment node
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const BUDGET = 260_000; // bytes, compressed: what somebody waits for who comes the first time

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const read = (name: string) => readFileSync(`${dist}/assets/${name}`, "utf8");
const size = (names: Iterable<string>) => [...names].reduce((sum, name) => sum + gzipSync(read(name)).length, 0);

/** What a file needs before it runs, itself included. */
function needs(name: string, found = new Set<string>()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  if (name.endsWith(".js")) for (const [, next] of read(name).matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) needs(next!, found);
  return found;
}

test("the first load is within its budget, whichever page it is, and pages are loaded apart", () => {
  expect(existsSync(`${dist}/index.html`), "the dashboard is not built: run make dashboard").toBe(true);
  const first = new Set<string>();
  for (const [, name] of readFileSync(`${dist}/index.html`, "utf8").matchAll(/\/assets\/([^"]+)"/g)) needs(name!, first);
  const base = size(first);
  const pages = readdirSync(`${dist}/assets`).filter((name) => name.endsWith(".js") && !first.has(name));
  const whole = pages.map((page) => [base + size([...needs(page)].filter((name) => !first.has(name))), page] as const).sort((a, b) => b[0] - a[0]);
  const styles = size(readdirSync(`${dist}/assets`).filter((name) => name.endsWith(".css") && !first.has(name)));
  console.log(`first load: ${base} bytes, with the largest page ${whole[0]?.[0]} (${whole[0]?.[1]}), of ${BUDGET}`);
  expect(pages.length).toBeGreaterThan(15);
  expect((whole[0]?.[0] ?? 0) + styles).toBeLessThan(BUDGET);
});
