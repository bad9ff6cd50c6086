/** Single statements: transparent statements and tlog-proofs (spec/evidence.md). */

import { equalBytes, fromBase64, fromUtf8, utf8 } from "./bytes.js";
import { type Value, isArray, isBytes } from "./cbor.js";
import { VerificationFailed, demand, refusal } from "./errors.js";
import { EDDSA, PublicKey } from "./keys.js";
import { HASH_SIZE, hashLeaf, inclusionRoot } from "./merkle.js";
import { parseDecimal } from "./note.js";
import type { Policy, TrustedCheckpoint } from "./policy.js";
import { type Receipt, checkReceipt, parseReceipt } from "./receipt.js";
import { type Statement, checkSigned, formatSign1, parseSign1, parseStatement } from "./statement.js";

/** Bytes of a transparent statement. */
export const MAX_TRANSPARENT = 200_704;
const MAX_RECEIPTS = 16;
const RECEIPTS = 394n;
/** Bytes that `extra` of a tlog-proof may have. */
const MAX_EXTRA = 65_536;
const MAX_HASHES = 63;

/** One statement that a trusted log holds. */
export interface ProvenStatement {
  readonly statement: Statement;
  readonly index: bigint;
  /** Entries of the tree that the proof leads to. */
  readonly size: bigint;
  readonly origin: string;
  /** Whether its own signature was checked too: that takes the signer's key. */
  readonly signerChecked: boolean;
}

async function proveReceipt(item: Value, leaf: Uint8Array, policy: Policy): Promise<Receipt> {
  demand(isBytes(item), "receipts", "not a byte string");
  const receipt = parseReceipt(item);
  const keys = policy.receiptKeys(receipt.origin).map((key) => new PublicKey(EDDSA, key.raw));
  const key = keys.find((known) => known.id === receipt.kid);
  demand(key !== undefined, "receipt", `the policy has no Ed25519 key of ${receipt.origin} with the receipt's kid`);
  await checkReceipt(receipt, leaf, key);
  return receipt;
}

/** Verify a statement with receipts in its unprotected header. The policy's quorum is not asked. */
export async function verifyTransparent(data: Uint8Array, policy: Policy, signer?: PublicKey): Promise<ProvenStatement> {
  demand(data.length <= MAX_TRANSPARENT, "transparent statement", `${data.length} bytes, the limit is ${MAX_TRANSPARENT}`);
  const sign1 = parseSign1(data, "transparent statement");
  const receipts = sign1.unprotected.get(RECEIPTS);
  const fits = isArray(receipts) && receipts.length >= 1 && receipts.length <= MAX_RECEIPTS;
  demand(fits && sign1.unprotected.size === 1, "receipts", `not 1 to ${MAX_RECEIPTS} receipts (394) and nothing else`);
  const statement = parseStatement(formatSign1({ ...sign1, unprotected: new Map() }));
  const problems: string[] = [];
  for (const item of receipts) {
    let receipt: Receipt;
    try {
      receipt = await proveReceipt(item, hashLeaf(statement.raw), policy);
    } catch (error) {
      problems.push(refusal(error));
      continue;
    }
    if (signer) await checkSigned(statement, signer);
    const { index, size, origin } = receipt;
    return { statement, index, size, origin, signerChecked: signer !== undefined };
  }
  throw new VerificationFailed(2, "trust a receipt", problems);
}

interface TlogProof {
  readonly index: bigint;
  readonly hashes: readonly Uint8Array[];
  readonly checkpoint: Uint8Array;
}

const MAX_PROOF = 512 * 1024;

/** C2SP tlog-proof@v1: a magic line, perhaps `extra`, the index, hashes, an empty line, the checkpoint. */
function parseTlogProof(data: Uint8Array): TlogProof {
  const field = "tlog-proof";
  demand(data.length <= MAX_PROOF, field, "too large");
  const text = fromUtf8(data, field);
  const end = text.indexOf("\n\n");
  demand(end >= 0, field, "has no empty line before the checkpoint");
  const lines = text.slice(0, end).split("\n");
  demand(lines.shift() === "c2sp.org/tlog-proof@v1", field, "does not begin with c2sp.org/tlog-proof@v1");
  if (lines[0]?.startsWith("extra ")) {
    const extra = fromBase64(lines.shift()!.slice("extra ".length), `${field} extra`);
    demand(extra.length <= MAX_EXTRA, `${field} extra`, `more than ${MAX_EXTRA} bytes`);
  }
  const index = lines.shift();
  demand(index?.startsWith("index ") === true, field, "has no index line");
  demand(lines.length <= MAX_HASHES, field, `more than ${MAX_HASHES} hashes`);
  const hashes = lines.map((line) => {
    const hash = fromBase64(line, `${field} hash`);
    demand(hash.length === HASH_SIZE, `${field} hash`, `not ${HASH_SIZE} bytes`);
    return hash;
  });
  return {
    index: parseDecimal(index.slice("index ".length), `${field} index`),
    hashes,
    checkpoint: utf8(text.slice(end + 2)),
  };
}

/** Verify a tlog-proof of the statement whose bytes are `raw`. */
export async function verifyTlogProof(
  proof: Uint8Array,
  raw: Uint8Array,
  policy: Policy,
  signer?: PublicKey,
): Promise<ProvenStatement & { readonly head: TrustedCheckpoint }> {
  const { index, hashes, checkpoint } = parseTlogProof(proof);
  const head = await policy.check(checkpoint);
  const { size, root, origin } = head.checkpoint;
  const holds = equalBytes(inclusionRoot(index, size, hashLeaf(raw), hashes), root);
  demand(holds, "inclusion proof", "does not lead to the checkpoint's root");
  const statement = parseStatement(raw);
  if (signer) await checkSigned(statement, signer);
  return { statement, index, size, origin, signerChecked: signer !== undefined, head };
}
