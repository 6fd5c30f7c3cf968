import { createClient, TidewireError, type ConnectionState } from "@tidewire/client";
import { useEffect, useState, useSyncExternalStore } from "react";
import { api, ApiError, ask } from "../api/client";
import { Log, type Batch } from "./entries";

/** The key that consoles connect with; the ticket says who may look at what. */
const KEY = "~console";

export type Live = { log: Log; state: ConnectionState; error: unknown };

/**
 * Listens to an app's console: our own client, on our own platform. The socket
 * carries no cookie; a ticket, good for this connection only, is asked for when it
 * is open, and again before it runs out.
 */
export function useLive(app: string): Live {
  const [log] = useState(() => new Log());
  const [state, setState] = useState<ConnectionState>("connecting");
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    let problem: unknown; // of the ticket: it says more than the client's error
    const client = createClient<Record<string, { entries: Batch }>>({
      url: location.origin,
      key: KEY,
      auth: async ({ socketId }) => {
        try {
          const ticket = await ask(api.POST("/api/v1/apps/{app}/console", { params: { path: { app } }, body: { socket_id: socketId } }));
          problem = undefined;
          return { auth: ticket.auth };
        } catch (thrown) {
          problem = thrown;
          const passing = !(thrown instanceof ApiError) || thrown.status === 0 || thrown.status >= 500 || thrown.status === 429;
          throw new TidewireError(passing ? "auth_unavailable" : "unauthorized", "no ticket", { retryable: passing, cause: thrown });
        }
      },
    });
    const channel = client.channel(`private-app-${app}`);
    const show = () => {
      setError(problem ?? channel.error ?? client.error);
      setState(client.state === "connected" && channel.state !== "subscribed" ? (channel.state === "failed" ? "failed" : "connecting") : client.state);
    };
    const ends = [client.onState(show), channel.onState(show), channel.on("entries", (batch) => log.add(batch))];
    return () => {
      for (const end of ends) end();
      client.disconnect();
    };
  }, [app, log]);
  return { log, state, error };
}

/** Draws again when something was added. */
export function useLog(log: Log): number {
  return useSyncExternalStore(log.subscribe, () => log.version);
}
