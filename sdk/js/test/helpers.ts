import { vi } from "vitest";
import { createClient, type Client, type ClientOptions } from "@tidewire/client";
import { FakeServer } from "./fake-server.js";

export interface Setup {
  server: FakeServer;
  client: Client;
  errors: string[];
}

/** A fake server and a client of it. */
export function setup(options: Partial<ClientOptions> = {}): Setup {
  const server = new FakeServer();
  const client = createClient({ url: "http://tide.test", key: "k", WebSocket: server.WebSocket, transports: ["websocket"], ...options });
  const errors: string[] = [];
  client.onError((error) => errors.push(error.message));
  return { server, client, errors };
}

/** A promise of everything that is due now. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await vi.advanceTimersByTimeAsync(1);
}

export function jwt(claims: Record<string, unknown>): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${encode({ alg: "none" })}.${encode(claims)}.x`;
}
