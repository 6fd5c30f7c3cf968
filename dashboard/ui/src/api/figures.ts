import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { api, ask } from "./client";
import { watch } from "./watch";

type Stream = "stats" | "channels";

/** Asks for leave to be told what the stream's own route would answer. */
const tickets = {
  stats: (app: string, socket_id: string) => ask(api.POST("/api/v1/apps/{app}/stats/watch", { params: { path: { app } }, body: { socket_id } })),
  channels: (app: string, socket_id: string) => ask(api.POST("/api/v1/apps/{app}/channels/watch", { params: { path: { app } }, body: { socket_id } })),
};

/**
 * Keeps the answer of a query as the platform tells it, each second, while the page
 * is seen. Where it does not, or no longer, the query's own interval runs out and
 * it is asked as ever; each time something is told that interval begins anew.
 */
export function useFigures(app: string, stream: Stream, queryKey: QueryKey, on = true) {
  const client = useQueryClient();
  const seen = useSyncExternalStore(onVisibility, () => !document.hidden);
  const key = JSON.stringify(queryKey);
  useEffect(() => {
    if (!on || !seen) return;
    return watch({
      channel: `private-${stream}-${app}`,
      event: "figures",
      ticket: (socketId) => tickets[stream](app, socketId),
      onData: (figures) => client.setQueryData(JSON.parse(key) as QueryKey, figures),
    });
  }, [client, app, stream, key, on, seen]);
}

function onVisibility(changed: () => void) {
  document.addEventListener("visibilitychange", changed);
  return () => document.removeEventListener("visibilitychange", changed);
}
