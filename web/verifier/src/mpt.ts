/** Merkle-Patricia proofs (Yellow Paper, appendix D; spec/anchor.md). */

import { keccak_256 } from "@noble/hashes/sha3";

import { equalBytes } from "./bytes.js";
import { demand } from "./errors.js";
import { type Item, List, decodeRlp, encodeNumber, listOf, stringOf } from "./rlp.js";

function nibbles(data: Uint8Array): number[] {
  return [...data].flatMap((byte) => [byte >> 4, byte & 15]);
}

/** A hex-prefix path: its nibbles, and whether it is that of a leaf. */
function parsePath(item: Item | undefined, field: string): { path: readonly number[]; isLeaf: boolean } {
  const found = nibbles(stringOf(item, field));
  const flag = found[0] ?? 16;
  const odd = flag & 1;
  demand(flag < 4 && (odd === 1 || found[1] === 0), field, "not a hex-prefix path");
  const path = found.slice(odd ? 1 : 2);
  const isLeaf = flag >= 2;
  demand(isLeaf || path.length > 0, field, "an extension without nibbles");
  return { path, isLeaf };
}

/** The value under an index of a block's receipts or transactions; every node of the proof is used, once. */
export function proveValue(root: Uint8Array, index: number, nodes: readonly Uint8Array[], field: string): Uint8Array {
  const key = nibbles(encodeNumber(index));
  let depth = 0;
  let used = 0;
  const follow = (hash: Uint8Array): Item => {
    const node = nodes[used++];
    demand(node !== undefined, field, "ends before the value");
    demand(equalBytes(keccak_256(node), hash), field, `node ${used - 1} has another hash than its parent says`);
    return decodeRlp(node, field);
  };
  const child = (item: Item | undefined): Item => {
    if (!(item instanceof List)) return follow(stringOf(item, field, 32));
    demand(item.encoding.length < 32, field, "an embedded node of 32 bytes or more");
    return item;
  };
  const ends = (item: Item | undefined): Uint8Array => {
    const value = stringOf(item, field);
    demand(value.length > 0, field, "no value there");
    demand(used === nodes.length, field, "has nodes behind the value");
    return value;
  };
  let node = follow(root);
  for (;;) {
    const items = listOf(node, field);
    if (items.length === 17) {
      if (depth === key.length) return ends(items[16]);
      node = child(items[key[depth++]!]);
      continue;
    }
    demand(items.length === 2, field, "a node of neither 17 nor 2 items");
    const { path, isLeaf } = parsePath(items[0], field);
    demand(path.every((nibble, i) => nibble === key[depth + i]), field, "leads elsewhere");
    depth += path.length;
    if (!isLeaf) node = child(items[1]);
    else {
      demand(depth === key.length, field, "ends before the key does");
      return ends(items[1]);
    }
  }
}
