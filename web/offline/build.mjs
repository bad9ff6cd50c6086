// Builds the page that checks evidence on its own: node offline/build.mjs [OUTFILE]. One file: script, style and
// worker inside, and a content policy that names their hashes and allows nothing else.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const web = fileURLToPath(new URL("..", import.meta.url));
const outfile = resolve(process.argv[2] ?? `${web}../src/twinproof/server/web/verify.html`);

const common = { absWorkingDir: web, bundle: true, write: false, minify: true, format: "iife", platform: "browser", target: "es2022", legalComments: "none", charset: "utf8", logLevel: "warning" };

const worker = await build({ ...common, entryPoints: ["page/worker.ts"] });
const page = await build({
  ...common,
  entryPoints: ["offline/main.tsx"],
  outdir: "unwritten",
  jsx: "automatic",
  define: { WORKER_SOURCE: JSON.stringify(worker.outputFiles[0].text), "process.env.NODE_ENV": '"production"' },
});
const of = (suffix) => page.outputFiles.find(({ path }) => path.endsWith(suffix)).text;
// Inside of a script element these would end or change it.
const script = of(".js").replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
const style = of(".css").trim();
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; worker-src blob:; base-uri 'none'; form-action 'none'`;

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Twinproof verifier</title>
<style>${style}</style>
</head>
<body>
<div id="root"></div>
<noscript>This page checks evidence with JavaScript, which is switched off here.</noscript>
<!--evidence-->
<script>${script}</script>
</body>
</html>
`;

mkdirSync(dirname(outfile), { recursive: true });
writeFileSync(outfile, html);
console.log(`${outfile}: ${html.length} characters, ${gzipSync(html, { level: 9 }).length} bytes with gzip`);
