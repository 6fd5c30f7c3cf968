import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, test } from "vitest";
import { ApiError } from "../api/client";
import { ErrorBox, Time } from "./parts";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

function show(element: React.ReactElement) {
  const box = document.createElement("div");
  act(() => createRoot(box).render(element));
  return box;
}

test("a refusal shows its remedy, code and request, as text", () => {
  const problem = {
    type: "about:blank", title: "Forbidden", status: 403, code: "plan_limit", request_id: "r-1",
    detail: "the plan allows no more; <img src=x onerror=alert(1)> remove one",
  };
  const box = show(<ErrorBox error={new ApiError(problem)} />);
  expect(box.textContent).toContain("The plan allows no more; <img");
  expect(box.textContent).toContain("plan_limit");
  expect(box.textContent).toContain("r-1");
  expect(box.querySelector("img")).toBeNull();
});

test("times are local, with UTC to point at; the zero time is never", () => {
  expect(show(<Time at="2026-01-02T03:04:05Z" />).querySelector("time")?.title).toBe("2026-01-02 03:04:05 UTC");
  expect(show(<Time at="0001-01-01T00:00:00Z" />).textContent).toBe("never");
});
