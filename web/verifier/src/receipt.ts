/** COSE Receipts of inclusion (RFC 9942; spec/log.md, "Receipts"). */

import { toHex } from "./bytes.js";
import { decode, isArray, isBytes, isMap, isWhole } from "./cbor.js";
import { demand } from "./errors.js";
import { EDDSA, PublicKey } from "./keys.js";
import { HASH_SIZE, MAX_SIZE, inclusionRoot } from "./merkle.js";
import { parseHeader, parseSign1, signedBytes } from "./statement.js";

/** Bytes. */
export const MAX_RECEIPT = 8_192;
export const MAX_PATH = 126;

export interface Receipt {
  readonly origin: string;
  /** Hexadecimal thumbprint of the log's key. */
  readonly kid: string;
  readonly size: bigint;
  readonly index: bigint;
  readonly path: readonly Uint8Array[];
  readonly header: Uint8Array;
  readonly signature: Uint8Array;
}

export function parseReceipt(data: Uint8Array): Receipt {
  const field = "receipt";
  demand(data.length <= MAX_RECEIPT, field, `${data.length} bytes, the limit is ${MAX_RECEIPT}`);
  const sign1 = parseSign1(data, field);
  const header = parseHeader(sign1.protected, "receipt header");
  const [kid, claims, treeSize] = [header.get(4n), header.get(15n), header.get(-70003n)];
  const known = header.size === 5 && header.get(1n) === EDDSA && header.get(395n) === 1n;
  demand(known && isBytes(kid) && isMap(claims), "receipt header", "not that of a receipt of RFC9162_SHA256");
  const [origin, subject] = [claims.get(1n), claims.get(2n)];
  const named = claims.size === 2 && typeof origin === "string" && origin === subject;
  demand(named, "receipt header", "its claims are not the log's origin, twice");
  demand(sign1.payload === null, "receipt payload", "not detached");
  const proofs = sign1.unprotected.get(396n);
  demand(sign1.unprotected.size === 1 && isMap(proofs), "receipt", "the unprotected header holds just the proofs (396)");
  const inclusion = proofs.get(-1n);
  const single = proofs.size === 1 && isArray(inclusion) && inclusion.length === 1 ? inclusion[0] : undefined;
  demand(isBytes(single), "receipt proofs", "not one proof of inclusion (-1)");
  const proof = decode(single, "receipt proof");
  demand(isArray(proof) && proof.length === 3, "receipt proof", "not [size, index, path]");
  const [size, index, path] = proof;
  demand(isWhole(size, 0n, MAX_SIZE) && isWhole(index, 0n, MAX_SIZE), "receipt proof", "size or index out of range");
  demand(size === treeSize, "receipt tree size", "not that of the protected header");
  demand(isArray(path) && path.length >= 1 && path.length <= MAX_PATH, "receipt path", `not 1 to ${MAX_PATH} hashes`);
  const hashes = path.filter((hash): hash is Uint8Array => isBytes(hash) && hash.length === HASH_SIZE);
  demand(hashes.length === path.length, "receipt path", "holds what is no hash");
  return { origin, kid: toHex(kid), size, index, path: hashes, header: sign1.protected, signature: sign1.signature };
}

/** Refuse unless the log's key signed the root that the path leads to from this leaf. */
export async function checkReceipt(receipt: Receipt, leaf: Uint8Array, key: PublicKey): Promise<void> {
  const root = inclusionRoot(receipt.index, receipt.size, leaf, receipt.path);
  const holds = await key.verifies(signedBytes(receipt.header, root), receipt.signature);
  demand(holds, "receipt", "the log's signature over the root does not verify");
}
