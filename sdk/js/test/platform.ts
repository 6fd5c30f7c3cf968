// The real server for a test. TEST_PLATFORM is the binary; `make test-js` sets it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { ClientOptions } from "@tidewire/client";
import { encrypter } from "@tidewire/client/encrypted";
import { createServer, type Server } from "@tidewire/client/server";
import { app, createApp, startPlatform } from "../examples/app.mjs";
import { freePort } from "./network.js";

/** The WebSocket that Node 20 has not. */
export const webSocket = WebSocket as unknown as NonNullable<ClientOptions["WebSocket"]>;

export interface Platform {
  /** The data folder. */
  dir: string;
  url: string;
  port: number;
  server: Server;
  /** Starts another process of the same installation. */
  node(...more: string[]): Promise<{ url: string; port: number; stop(signal?: string): Promise<void> }>;
  /** Kills the first and starts it again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server with the app of the examples, in a folder of its own. */
export async function platform(...more: string[]): Promise<Platform> {
  const binary = process.env.TEST_PLATFORM;
  if (!binary) throw new Error("TEST_PLATFORM is not set: run `make test-js`");
  const dir = await mkdtemp(join(tmpdir(), "tidewire-sdk-"));
  await createApp(binary, dir);
  const running = new Set<{ stop(signal?: string): Promise<void> }>();
  const run = async (port: number, args: string[]) => {
    const started = { ...(await startPlatform(binary, dir, `127.0.0.1:${port}`, args)), port };
    running.add(started);
    return started;
  };
  let first = await run(await freePort(), more);
  const { url, port } = first;
  return {
    dir,
    url,
    port,
    server: createServer({ url, ...app, encryption: encrypter(btoa("k".repeat(32))) }),
    node: async (...args) => run(await freePort(), args),
    kill: () => first.stop("SIGKILL"),
    start: async () => void (first = await run(port, more)),
    async stop() {
      await Promise.all([...running].map((one) => one.stop("SIGKILL")));
      await rm(dir, { recursive: true, force: true });
    },
  };
}
