import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

/** A refusal of the server: what is wrong, and what to do about it. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
    this.name = "ApiError";
  }

  get status() {
    return this.problem.status;
  }

  get code() {
    return this.problem.code;
  }

  /** What is wrong with the field at that place of the body, such as "/name". */
  field(pointer: string): string | undefined {
    return this.problem.errors?.find((e) => e.pointer === pointer)?.detail;
  }
}

const offline: Problem = {
  type: "about:blank",
  title: "No answer",
  status: 0,
  code: "no_answer",
  detail: "The server does not answer. Check your network; the page tries again by itself.",
  request_id: "",
};

/** The typed client. The session is in a cookie that no script can read. */
export const api = createClient<paths>({ baseUrl: location.origin, credentials: "same-origin" });

/** Waits for an answer of [api] and returns its body, or throws an [ApiError]. */
export async function ask<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  let got;
  try {
    got = await answer;
  } catch {
    throw new ApiError(offline);
  }
  if (!got.response.ok) throw new ApiError(problemOf(got.error, got.response));
  return got.data as T;
}

function problemOf(body: unknown, response: Response): Problem {
  if (typeof body === "object" && body !== null && "code" in body && "detail" in body) return body as Problem;
  return {
    ...offline,
    title: response.statusText,
    status: response.status,
    code: "unexpected_answer",
    detail: `The server, or something before it, answered ${response.status}. Try again in a moment.`,
  };
}
