/** What the tests ask of the verifier's parts, beside its public API. */

export * from "../src/index.js";
export { decode, MAX_DEPTH } from "../src/cbor.js";
export { fromHex, toHex } from "../src/bytes.js";
export { hashLeaf, inclusionRoot, checkConsistency, multiproofRoot, splitHashes } from "../src/merkle.js";
export { parseNote, parseVerifierKey } from "../src/note.js";
export { parseReceipt } from "../src/receipt.js";
export { parseColumns } from "../src/kinds/columns.js";
export { parseSenml } from "../src/kinds/senml.js";
export { parseBundle } from "../src/bundle.js";
export { signedBytes } from "../src/statement.js";
