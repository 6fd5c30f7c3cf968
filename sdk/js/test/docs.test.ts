// The pages of the examples show code that is there.
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { names } from "../examples/app.mjs";
import { pieces } from "./pages.js";

const here = import.meta.url; // Vite would make an asset of new URL(…, import.meta.url)

describe("docs", () => {
  it.each(names)("the page of the example %s shows its own code", async (name) => {
    const shown = [...(await pieces(`examples/${name}.md`))].filter(([file]) => file.includes("/"));
    expect(shown.length).toBeGreaterThan(1);
    for (const [file, code] of shown) {
      expect(file.startsWith(`${name}/`)).toBe(true);
      const source = await readFile(new URL(`../examples/${file}`, here), "utf8");
      for (const line of code.trimEnd().split("\n")) expect(source.split("\n"), file).toContain(line);
    }
  });
});
