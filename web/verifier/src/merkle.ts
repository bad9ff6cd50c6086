/** The tree of RFC 9162 §2.1 over SHA-256: proofs of inclusion, of consistency, and of many entries at once. */

import { sha256 } from "@noble/hashes/sha2";

import { equalBytes } from "./bytes.js";
import { demand } from "./errors.js";

export const HASH_SIZE = 32;
/** Sizes stay below it. */
export const MAX_SIZE = 1n << 63n;
export const EMPTY_ROOT = sha256(new Uint8Array(0));

export function hashLeaf(entry: Uint8Array): Uint8Array {
  return sha256.create().update(Uint8Array.of(0)).update(entry).digest();
}

const pair = new Uint8Array(65);
pair[0] = 1;

export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  pair.set(left, 1);
  pair.set(right, 33);
  return sha256(pair);
}

function isPowerOfTwo(n: bigint): boolean {
  return (n & (n - 1n)) === 0n;
}

/** The root that the path leads to from a leaf (RFC 9162 §2.1.3.2). */
export function inclusionRoot(index: bigint, size: bigint, leaf: Uint8Array, path: readonly Uint8Array[]): Uint8Array {
  demand(index >= 0n && index < size, "inclusion proof", `index ${index} is outside a tree of ${size} entries`);
  let node = index;
  let last = size - 1n;
  let root = leaf;
  demand(leaf.length === HASH_SIZE, "inclusion proof", "begins at no hash of 32 bytes");
  for (const hash of path) {
    demand(last !== 0n, "inclusion proof", "has too many hashes");
    demand(hash.length === HASH_SIZE, "inclusion proof", "holds a hash that has not 32 bytes");
    if ((node & 1n) === 1n || node === last) {
      root = hashNode(hash, root);
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else root = hashNode(root, hash);
    node >>= 1n;
    last >>= 1n;
  }
  demand(last === 0n, "inclusion proof", "has too few hashes");
  return root;
}

/** Refuse unless the tree of the first size and root leads to that of the second (RFC 9162 §2.1.4.2). */
export function checkConsistency(
  first: bigint,
  second: bigint,
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): void {
  const field = "consistency proof";
  demand(first <= second, field, `size ${second} does not extend size ${first}`);
  demand([...proof, firstRoot, secondRoot].every((hash) => hash.length === HASH_SIZE), field, "holds a hash that has not 32 bytes");
  if (first === 0n || first === second) {
    demand(proof.length === 0, field, "has too many hashes");
    demand(first !== second || equalBytes(firstRoot, secondRoot), field, "one size has another root");
    demand(first !== 0n || equalBytes(firstRoot, EMPTY_ROOT), field, "size 0 has another root than the empty tree");
    return;
  }
  demand(proof.length > 0, field, "has too few hashes");
  const hashes = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  let node = first - 1n;
  let last = second - 1n;
  while ((node & 1n) === 1n) {
    node >>= 1n;
    last >>= 1n;
  }
  let older = hashes[0]!;
  let newer = hashes[0]!;
  for (const hash of hashes.slice(1)) {
    demand(last !== 0n, field, "has too many hashes");
    if ((node & 1n) === 1n || node === last) {
      older = hashNode(hash, older);
      newer = hashNode(hash, newer);
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else newer = hashNode(newer, hash);
    node >>= 1n;
    last >>= 1n;
  }
  demand(last === 0n, field, "has too few hashes");
  demand(equalBytes(older, firstRoot), "", `the proof does not contain the old root of size ${first}`);
  demand(equalBytes(newer, secondRoot), "", `the proof does not lead to the new root of size ${second}`);
}

/** The root of a multiproof: spec/evidence.md, walk(0, size). Indices ascend without repeats. */
export function multiproofRoot(
  size: bigint,
  leaves: readonly (readonly [index: bigint, leaf: Uint8Array])[],
  nodes: readonly Uint8Array[],
): Uint8Array {
  const field = "multiproof";
  demand(size > 0n, field, "has an entry outside a tree of 0 entries");
  const highest = leaves.at(-1)?.[0] ?? 0n;
  demand(highest < size, field, `has entry ${highest}, outside a tree of ${size} entries`);
  let used = 0;
  const walk = (begin: bigint, end: bigint, from: number, to: number): Uint8Array => {
    if (from === to) {
      const node = nodes[used++];
      demand(node !== undefined, field, "has too few hashes");
      return node;
    }
    if (end - begin === 1n) return leaves[from]![1];
    const middle = begin + (1n << BigInt((end - begin - 1n).toString(2).length - 1));
    let split = from;
    let beyond = to;
    while (split < beyond) {
      const at = (split + beyond) >> 1;
      if (leaves[at]![0] < middle) split = at + 1;
      else beyond = at;
    }
    const left = walk(begin, middle, from, split);
    return hashNode(left, walk(middle, end, split, to));
  };
  const root = walk(0n, size, 0, leaves.length);
  demand(used === nodes.length, field, "has too many hashes");
  return root;
}

/** One byte string of hashes, one after the other. */
export function splitHashes(data: Uint8Array, field: string): Uint8Array[] {
  demand(data.length % HASH_SIZE === 0, field, "not a byte string of 32-byte hashes");
  return Array.from({ length: data.length / HASH_SIZE }, (_, i) => data.subarray(i * HASH_SIZE, (i + 1) * HASH_SIZE));
}

