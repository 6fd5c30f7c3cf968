import type { IncomingMessage } from "node:http";
import type { Server, TokenOptions } from "@tidewire/client/server";

export const names: string[];
export const app: { appId: string; key: string; secret: string };
export const jwt: TokenOptions;
export function createApp(binary: string, dataDir: string): Promise<void>;
export function startPlatform(binary: string, dataDir: string, listen: string, more?: string[]): Promise<{ url: string; stop(signal?: string): Promise<void> }>;
export function serveExamples(options: { url: string; publicUrl?: string; port?: number }): Promise<{ url: string; server: Server; pause(name: string): void; close(): Promise<void> }>;
export function toRequest(req: IncomingMessage): Promise<Request>;
