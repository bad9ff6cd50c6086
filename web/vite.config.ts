// Builds the console into the Python package, which serves it.
import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here("console"),
  base: "./",
  plugins: [react()],
  worker: { format: "es" },
  build: {
    outDir: here("../src/twinproof/server/web"),
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    // The pages' policy allows no inline anything.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: "manifest.json",
  },
});
