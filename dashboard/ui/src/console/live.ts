import type { ConnectionState } from "@tidewire/client";
import { useEffect, useState, useSyncExternalStore } from "react";
import { api, ask } from "../api/client";
import { watch } from "../api/watch";
import { Log, type Batch } from "./entries";

export type Live = { log: Log; state: ConnectionState; error: unknown };

/** Listens to an app's console. */
export function useLive(app: string): Live {
  const [log] = useState(() => new Log());
  const [state, setState] = useState<ConnectionState>("connecting");
  const [error, setError] = useState<unknown>();
  useEffect(() => watch<Batch>({
    channel: `private-app-${app}`,
    event: "entries",
    ticket: (socket_id) => ask(api.POST("/api/v1/apps/{app}/console", { params: { path: { app } }, body: { socket_id } })),
    onData: (batch) => log.add(batch),
    onState: (now, problem) => {
      setState(now);
      setError(problem);
    },
  }), [app, log]);
  return { log, state, error };
}

/** Draws again when something was added. */
export function useLog(log: Log): number {
  return useSyncExternalStore(log.subscribe, () => log.version);
}
