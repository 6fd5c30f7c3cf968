import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// In a project of your own none of the aliases are needed: the package is installed.
export default defineConfig({
  root: here("."),
  appType: "mpa",
  plugins: [react()],
  cacheDir: here("../node_modules/.vite-examples"),
  resolve: {
    alias: [
      { find: /^@tidewire\/client$/, replacement: here("../dist/index.js") },
      { find: /^@tidewire\/client\/react$/, replacement: here("../dist/react.js") },
    ],
  },
});
