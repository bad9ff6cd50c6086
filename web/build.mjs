// Builds one ES module: node build.mjs [OUTFILE [ENTRY]]. Nothing that it writes is kept in the repository.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const [outfile = "dist/verifier.js", entry = "verifier/src/index.ts"] = process.argv.slice(2);

await build({
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
});

const path = fileURLToPath(new URL(outfile, import.meta.url));
const data = readFileSync(path);
console.log(`${path}: ${data.length} bytes, ${gzipSync(data, { level: 9 }).length} with gzip`);
