import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask, type Schemas } from "../../api/client";
import { whole } from "../../api/queries";

export type Webhook = Schemas["Webhook"];
export type Delivery = Schemas["Delivery"];

export const webhooksQuery = (app: string) =>
  queryOptions({
    queryKey: ["app", app, "webhooks"],
    queryFn: () => whole((cursor) => ask(api.GET("/api/v1/apps/{app}/webhooks", { params: { path: { app }, query: { cursor } } }))),
  });

export const webhookQuery = (webhook: string) =>
  queryOptions({
    queryKey: ["webhook", webhook],
    queryFn: () => ask(api.GET("/api/v1/webhooks/{webhook}", { params: { path: { webhook } } })),
    refetchInterval: 10_000, // the server stops an endpoint that fails too long
  });

export const statuses = [["", "All"], ["pending", "Pending"], ["delivered", "Delivered"], ["dead", "Dead"]] as const;
export type Status = (typeof statuses)[number][0];

export const deliveriesKey = (webhook: string, status?: Status) => ["webhook", webhook, "deliveries", ...(status === undefined ? [] : [status])];

/** One page of deliveries, the newest first. */
export const deliveriesPage = (webhook: string, status: Status, cursor?: string) =>
  ask(api.GET("/api/v1/webhooks/{webhook}/deliveries", { params: { path: { webhook }, query: { status: status || undefined, limit: 25, cursor } } }));

export const deliveryQuery = (delivery: string) =>
  queryOptions({
    queryKey: ["delivery", delivery],
    queryFn: () => ask(api.GET("/api/v1/deliveries/{delivery}", { params: { path: { delivery } } })),
    // What is finished does not change by itself.
    refetchInterval: ({ state }) => (state.data?.status === "pending" ? 2000 : false),
  });

/** Changes an endpoint, if it still is what is shown, and shows what it has become. */
export function useChange(webhook: Webhook) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: Schemas["WebhookBody"]) =>
      ask(api.PATCH("/api/v1/webhooks/{webhook}", { params: { path: { webhook: webhook.id }, header: { "If-Match": `"${webhook.revision}"` } }, body })),
    onSuccess: (changed) => {
      client.setQueryData(webhookQuery(webhook.id).queryKey, changed);
      void client.invalidateQueries({ queryKey: webhooksQuery(webhook.app_id).queryKey });
    },
  });
}
