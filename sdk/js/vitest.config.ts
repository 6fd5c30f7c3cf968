import { defineConfig } from "vitest/config";

const src = (file: string) => new URL(`./src/${file}`, import.meta.url).pathname;

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@tidewire\/client$/, replacement: src("index.ts") },
      { find: /^@tidewire\/client\/react$/, replacement: src("react.ts") },
      { find: /^@tidewire\/client\/server$/, replacement: src("server/index.ts") },
      { find: /^@tidewire\/client\/encrypted$/, replacement: src("encrypted.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    // Not a browser's page and a server's process by turns: each file says what it needs.
    environment: "node",
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
