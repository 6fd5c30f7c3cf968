import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The pages are served under a policy that allows our own files only, so
// nothing may be inlined: no scripts, no data: images.
export default defineConfig({
  base: "/dashboard/",
  plugins: [react()],
  // Our own client, from its source.
  resolve: { alias: { "@tidewire/client": fileURLToPath(new URL("../../sdk/js/src/index.ts", import.meta.url)) } },
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 400,
  },
  server: { proxy: { "/api": "http://127.0.0.1:6001", "/app": { target: "ws://127.0.0.1:6001", ws: true } } },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"] },
});
