import { createClient, TidewireError, type ConnectionState } from "@tidewire/client";
import { ApiError } from "./client";

/** The key of the platform's own app, whose channels carry what can be watched. */
const KEY = "~console";

type Watch<Data> = {
  channel: string;
  event: string;
  /** Asks for a ticket: it says who may watch what, on this connection only. */
  ticket: (socketId: string) => Promise<{ auth: string }>;
  onData: (data: Data) => void;
  onState?: (state: ConnectionState, error: unknown) => void;
};

/**
 * Listens to what the platform tells of an app, until what it returns is called: our
 * own client, on our own platform. The socket carries no cookie; a ticket is asked
 * for when it is open, and again before it runs out.
 */
export function watch<Data>({ channel: name, event, ticket, onData, onState }: Watch<Data>): () => void {
  let problem: unknown; // of the ticket: it says more than the client's error
  const client = createClient<Record<string, Record<string, Data>>>({
    url: location.origin,
    key: KEY,
    auth: async ({ socketId }) => {
      try {
        const { auth } = await ticket(socketId);
        problem = undefined;
        return { auth };
      } catch (thrown) {
        problem = thrown;
        const passing = !(thrown instanceof ApiError) || thrown.status === 0 || thrown.status >= 500 || thrown.status === 429;
        throw new TidewireError(passing ? "auth_unavailable" : "unauthorized", "no ticket", { retryable: passing, cause: thrown });
      }
    },
  });
  const channel = client.channel(name);
  const show = () => {
    const state = client.state === "connected" && channel.state !== "subscribed" ? (channel.state === "failed" ? "failed" : "connecting") : client.state;
    onState?.(state, problem ?? channel.error ?? client.error);
  };
  const ends = [client.onState(show), channel.onState(show), channel.on(event, onData)];
  return () => {
    for (const end of ends) end();
    client.disconnect();
  };
}
