// Compile the contracts with the locked compiler: the same sources give the same bytes on every machine.
//
//   node build.mjs                     all of src/ into ../src/twinproof/chain/artifacts,
//                                      all of test/ (harnesses) into ../tests/contracts/artifacts
//   node build.mjs NAME...             only these
//   node build.mjs --out DIR           both kinds into DIR instead
//   node build.mjs --out DIR --debug   source maps, syntax trees and sources too, as coverage needs them
//
// One JSON file per deployable contract, named like its source file, keys sorted: abi, bytecode, compiler,
// deployedBytecode, settings, storageLayout. Any warning about our own sources is an error.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const destinations = {
  src: join(here, "../src/twinproof/chain/artifacts"),
  test: join(here, "../tests/contracts/artifacts"),
};
const settings = {
  evmVersion: "cancun",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 10000 },
  viaIR: true,
};
const product = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"];
const extra = ["evm.bytecode", "evm.deployedBytecode"];

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { debug: { type: "boolean", default: false }, out: { type: "string" } },
});
if (options.debug && !options.out) fail("--debug needs --out: its files do not belong into the package");

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** JSON with sorted keys: a diff of artefacts shows what changed and nothing else. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** The source files to compile, as solc names them. */
function roots() {
  const found = Object.keys(destinations).flatMap((folder) =>
    readdirSync(join(here, folder))
      .filter((file) => file.endsWith(".sol"))
      .map((file) => ({ folder, name: file.slice(0, -4), unit: `${folder}/${file}` })),
  );
  const unknown = names.filter((name) => !found.some((root) => root.name === name));
  if (unknown.length) fail(`no such source: ${unknown.join(", ")}`);
  return found.filter((root) => !names.length || names.includes(root.name)).sort((a, b) => (a.unit < b.unit ? -1 : 1));
}

/** solc-js installs handlers that turn any later exception of this process into its own; they are not wanted. */
function loadCompiler() {
  const before = new Set(process.listeners("uncaughtException"));
  const solc = createRequire(import.meta.url)("solc");
  for (const listener of process.listeners("uncaughtException"))
    if (!before.has(listener)) process.removeListener("uncaughtException", listener);
  return solc;
}

const solc = loadCompiler();
const sources = new Map();

function read(unit) {
  const path = unit.startsWith("@") ? join(here, "node_modules", unit) : join(here, unit);
  try {
    const contents = readFileSync(path, "utf8");
    sources.set(unit, contents);
    return { contents };
  } catch (problem) {
    return { error: problem.message };
  }
}

/** Each root is compiled alone: identifiers that the compiler counts over its input would else change its output. */
function compile(root) {
  const input = {
    language: "Solidity",
    sources: { [root.unit]: { content: read(root.unit).contents } },
    settings: {
      ...settings,
      outputSelection: {
        [root.unit]: { "*": options.debug ? [...product, ...extra] : product },
        "*": { "": options.debug ? ["ast"] : [] },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const own = (problem) => !problem.sourceLocation || !problem.sourceLocation.file.startsWith("@");
  const problems = (output.errors ?? []).filter((problem) => problem.severity === "error" || own(problem));
  if (problems.length) fail(problems.map((problem) => problem.formattedMessage).join("\n"));
  return output;
}

for (const root of roots()) {
  const output = compile(root);
  const contract = output.contracts[root.unit]?.[root.name];
  // An interface has no code; a library of internal functions is compiled into those that use it.
  if (!contract?.evm.bytecode.object || !contract.abi.some((item) => item.type !== "error")) continue;
  const artefact = {
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    compiler: solc.version().split(".Emscripten")[0],
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
    settings,
    storageLayout: contract.storageLayout,
  };
  if (options.debug) {
    const { bytecode, deployedBytecode } = contract.evm;
    const files = Object.entries(output.sources).map(([unit, { id, ast }]) => [unit, { id, ast, content: sources.get(unit) }]);
    artefact.debug = { bytecode, deployedBytecode, sources: Object.fromEntries(files) };
  }
  const folder = options.out ? resolve(options.out) : destinations[root.folder];
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${root.name}.json`), `${JSON.stringify(sorted(artefact), null, 1)}\n`);
}
