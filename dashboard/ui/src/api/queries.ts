import { queryOptions, useQuery, type QueryClient } from "@tanstack/react-query";
import { api, ApiError, ask } from "./client";

/** Most pages need all there is; the server bounds each page and every kind of thing has a limit. */
const PAGE = 100;

type PageOf<T> = { data: T[]; has_more: boolean; next_cursor?: string };

/** Reads a list whole, up to ten pages. */
export async function whole<T>(page: (cursor?: string) => Promise<PageOf<T>>): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  for (let i = 0; i < 10; i++) {
    const got = await page(cursor);
    all.push(...got.data);
    if (!got.has_more || !got.next_cursor) break;
    cursor = got.next_cursor;
  }
  return all;
}

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: () => ask(api.GET("/api/v1/me")),
  staleTime: 60_000,
});

export const installationQuery = queryOptions({
  queryKey: ["installation"],
  queryFn: () => ask(api.GET("/api/v1/installation")),
  staleTime: Infinity,
});

export const appsQuery = (tenant: string) =>
  queryOptions({
    queryKey: ["tenant", tenant, "apps"],
    queryFn: () =>
      whole((cursor) =>
        ask(api.GET("/api/v1/tenants/{tenant}/apps", { params: { path: { tenant }, query: { limit: PAGE, cursor } } })),
      ),
  });

export const appQuery = (app: string) =>
  queryOptions({
    queryKey: ["app", app],
    queryFn: () => ask(api.GET("/api/v1/apps/{app}", { params: { path: { app } } })),
  });

/** How an app stands now, asked every two seconds while somebody looks and nobody tells. */
export const statsQuery = (app: string) =>
  queryOptions({
    queryKey: ["app", app, "stats"],
    queryFn: () => ask(api.GET("/api/v1/apps/{app}/stats", { params: { path: { app } } })),
    refetchInterval: 2000,
  });

export type Span = "hour" | "day" | "week" | "month";

/** A span as a range of whole steps that ends with the running one. */
export function range(span: Span, now = new Date()): { from: string; to: string; span: "hour" | "day" } {
  const hour = 3600_000;
  const step = span === "hour" || span === "day" ? "hour" : "day";
  const size = step === "hour" ? hour : 24 * hour;
  const steps = { hour: 6, day: 24, week: 7, month: 30 }[span];
  const end = Math.floor(now.getTime() / size) * size + size;
  return { from: new Date(end - steps * size).toISOString(), to: new Date(end).toISOString(), span: step };
}

export const appUsageQuery = (app: string, span: Span) =>
  queryOptions({
    queryKey: ["app", app, "usage", span],
    queryFn: () => ask(api.GET("/api/v1/apps/{app}/usage", { params: { path: { app }, query: range(span) } })),
    refetchInterval: 30_000,
  });

export const tenantUsageQuery = (tenant: string, span: Span) =>
  queryOptions({
    queryKey: ["tenant", tenant, "usage", span],
    queryFn: () =>
      ask(api.GET("/api/v1/tenants/{tenant}/usage", { params: { path: { tenant }, query: range(span) } })),
    refetchInterval: 30_000,
  });

export const planQuery = (tenant: string) =>
  queryOptions({
    queryKey: ["tenant", tenant, "plan"],
    queryFn: () => ask(api.GET("/api/v1/tenants/{tenant}/plan", { params: { path: { tenant } } })),
  });

/** What the signed-in person may do in a tenant; the server decides, this only hides dead ends. */
export function useMay(tenant: string | undefined) {
  const { data: me } = useQuery(meQuery);
  const role = me?.tenants.find((t) => t.tenant.id === tenant || t.tenant.slug === tenant)?.role;
  const own = role === "owner";
  const admin = own || role === "admin";
  return { role, own, admin, develop: admin || role === "developer" };
}

/** What every query and mutation of the application shares. */
export function retry(count: number, error: unknown): boolean {
  const mayPass = !(error instanceof ApiError) || error.status === 0 || error.status >= 500;
  return mayPass && count < 3;
}

export async function signedIn(client: QueryClient) {
  client.clear();
  return client.fetchQuery(meQuery);
}
