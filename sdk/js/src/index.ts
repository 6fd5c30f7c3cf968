/**
 * The client of Tidewire.
 *
 * @module client
 */
export { createClient } from "./client.js";
export { TidewireError, type ErrorCode } from "./errors.js";
export { VERSION } from "./version.js";
export type * from "./types.js";
