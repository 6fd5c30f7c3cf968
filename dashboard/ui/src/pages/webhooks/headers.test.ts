import { expect, test } from "vitest";
import { parseHeaders } from "./headers";

test("a line is a name and a value, which may hold colons", () => {
  expect(parseHeaders("Authorization: Bearer a:b\n\n X-Env :prod ")).toEqual({ headers: { Authorization: "Bearer a:b", "X-Env": "prod" } });
  expect(parseHeaders("")).toEqual({ headers: {} });
  expect(parseHeaders("__proto__: x")).toMatchObject({ headers: { ["__proto__"]: "x" } });
});

test.each(["no colon", ": value", "A: 1\nA: 2"])("%j is refused", (text) => {
  expect(parseHeaders(text)).toHaveProperty("wrong");
});
