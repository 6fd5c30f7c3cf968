import { describe, expect, test } from "vitest";
import { range } from "../api/queries";
import { nice, steps } from "./chart";
import { bytes } from "./parts";
import { SECRET, snippets } from "../pages/app/snippets";

describe("figures", () => {
  test("an axis ends at a round number", () => {
    expect([1, 2, 3, 7, 11, 200, 201].map(nice)).toEqual([1, 2, 5, 10, 20, 200, 500]);
  });

  test("bytes", () => {
    expect([0, 999, 1500, 2_500_000].map(bytes)).toEqual(["0 B", "999 B", "1.5 kB", "2.5 MB"]);
  });

  test("quiet steps are zeros", () => {
    const usage = { from: "2026-01-01T00:00:00Z", to: "2026-01-01T03:00:00Z", span: "hour", steps: [{ start: "2026-01-01T01:00:00Z", n: 5 }] };
    expect(steps(usage, (s) => s.n).map((p) => p.value)).toEqual([0, 5, 0]);
  });

  test("a span ends with the running step", () => {
    expect(range("day", new Date("2026-01-02T10:20:00Z"))).toEqual({
      from: "2026-01-01T11:00:00.000Z", to: "2026-01-02T11:00:00.000Z", span: "hour",
    });
  });
});

describe("snippets", () => {
  const list = snippets({ app: "7", key: "abc", secret: SECRET, host: "rt.example.com", port: "443", tls: true });

  test("there is one for each kind of client and server, with the app's own values", () => {
    expect(list.map((s) => s.id)).toEqual(["js", "react", "node", "curl", "python", "laravel"]);
    for (const s of list) {
      expect(s.code).toContain("abc");
      expect(s.code).toContain("rt.example.com");
      expect(s.code.includes(SECRET)).toBe(s.side === "server");
    }
  });

  test("a value cannot leave its quotes", () => {
    const [js] = snippets({ app: "7", key: 'a"; alert(1); "', secret: "s", host: "h", port: "1", tls: false });
    expect(js?.code).toContain('"a\\"; alert(1); \\""');
  });
});
