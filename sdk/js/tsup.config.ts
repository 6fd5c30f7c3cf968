import { defineConfig, type Options } from "tsup";

// Names with an underscore are our own: nobody outside needs to spell them.
const mangle: NonNullable<Options["esbuildOptions"]> = (options) => {
  options.mangleProps = /^_[a-z]/;
};
const entry = { index: "src/index.ts", react: "src/react.ts", server: "src/server/index.ts", encrypted: "src/encrypted.ts" };
// Web APIs only, everywhere: what a dependency would require of Node is left out.
const shared: Options = { platform: "browser", target: "es2020", sourcemap: true, treeshake: false, esbuildOptions: mangle, external: ["react"], noExternal: ["tweetnacl"] };

export default defineConfig([
  { ...shared, entry, format: "esm", splitting: true, dts: true, clean: true, minifySyntax: true } as Options,
  { ...shared, entry, format: "cjs", splitting: false },
  { ...shared, entry: { global: "src/index.ts" }, format: "iife", globalName: "Tidewire", minify: true, outExtension: () => ({ js: ".js" }) },
]);
