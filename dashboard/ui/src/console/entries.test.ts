import { afterEach, expect, test, vi } from "vitest";
import { KEPT, lines, Log, matcher, pretty, summary, type Entry } from "./entries";

afterEach(() => vi.unstubAllGlobals());

const entry = (more: Partial<Entry> = {}): Entry => ({ seq: 1, time: 0, kind: "subscription", code: "auth_missing", node: "a", channel: "private-orders", socket_id: "1.2", refused: true, ...more });
const fits = (query: string, e = entry()) => matcher({ kind: "", refusals: false, query })(e);

test("a search is words anywhere and fields by name, all of them", () => {
  expect(fits("orders")).toBe(true);
  expect(fits("ORDERS code:auth")).toBe(true);
  expect(fits("socket:1.2 channel:private-")).toBe(true);
  expect(fits("channel:1.2")).toBe(false);
  expect(fits("orders nowhere")).toBe(false);
  expect(fits("https://x", entry({ text: "see https://x" }))).toBe(true);
  expect(matcher({ kind: "publish", refusals: false, query: "" })(entry())).toBe(false);
  expect(matcher({ kind: "", refusals: true, query: "" })(entry({ refused: false }))).toBe(false);
});

test("a log draws once for many batches, keeps a bounded number, and counts what was left out", () => {
  const frames: (() => void)[] = [];
  vi.stubGlobal("requestAnimationFrame", (f: () => void) => frames.push(f));
  const log = new Log();
  let drawn = 0;
  log.subscribe(() => drawn++);
  for (let i = 0; i < 60; i++) {
    log.add({ node: i % 2 ? "a" : "b", entries: Array.from({ length: 100 }, () => ({ time: i, kind: "publish", code: "published" })), skipped: { publish: 2 } });
  }
  expect(frames).toHaveLength(1);
  frames[0]!();
  expect(drawn).toBe(1);
  expect(log.all).toHaveLength(KEPT);
  expect(log.all.at(-1)!.seq).toBe(6000);
  expect(log.skipped).toEqual({ publish: 120 });
  expect([...log.nodes].sort()).toEqual(["a", "b"]);
});

test("an export is one JSON object on each line, whatever the data holds", () => {
  const text = lines([entry({ data: 'a\n"b"' }), entry({ seq: 2 })]);
  const parsed = text.trim().split("\n").map((line) => JSON.parse(line));
  expect(parsed).toHaveLength(2);
  expect(parsed[0]).toMatchObject({ time: "1970-01-01T00:00:00.000Z", data: 'a\n"b"' });
  expect(parsed[0].seq).toBeUndefined();
});

test("data is indented if it is JSON and left alone if not", () => {
  expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(pretty("<b>")).toBe("<b>");
  expect(summary(entry({ code: "published", event: "e", data: "d" }))).toBe("e  d");
});
