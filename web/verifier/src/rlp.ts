/** RLP, in the shortest form only (Yellow Paper, appendix B; spec/anchor.md). */

import { demand } from "./errors.js";
import { toNumber } from "./bytes.js";

/** A string, or a list with the bytes that it was read from. */
export type Item = Uint8Array | List;

export class List {
  constructor(
    readonly items: readonly Item[],
    readonly encoding: Uint8Array,
  ) {}
}

/** Lists inside each other. */
const MAX_DEPTH = 8;

export function decodeRlp(data: Uint8Array, field: string): Item {
  const [item, end] = readItem(data, 0, MAX_DEPTH, field);
  demand(end === data.length, field, "bytes after the end");
  return item;
}

function readItem(data: Uint8Array, at: number, depth: number, field: string): readonly [item: Item, end: number] {
  demand(at < data.length, field, "ends early");
  const first = data[at]!;
  if (first < 0x80) return [data.subarray(at, at + 1), at + 1];
  const isList = first >= 0xc0;
  const short = first - (isList ? 0xc0 : 0x80);
  let begin = at + 1;
  let length = short;
  if (short > 55) {
    const size = short - 55;
    begin += size;
    demand(begin <= data.length, field, "ends early");
    demand(data[at + 1] !== 0, field, "a length is not in its shortest form");
    length = Number(toNumber(data.subarray(at + 1, begin)));
    demand(length > 55, field, "a length is not in its shortest form");
  }
  const end = begin + length;
  demand(end <= data.length, field, "ends early");
  if (!isList) {
    demand(length !== 1 || data[begin]! >= 0x80, field, "a byte is not in its shortest form");
    return [data.subarray(begin, end), end];
  }
  demand(depth > 0, field, "lists nested too deep");
  const items: Item[] = [];
  const inside = data.subarray(0, end);
  for (let next = begin; next < end; ) {
    const [item, after] = readItem(inside, next, depth - 1, field);
    items.push(item);
    next = after;
  }
  return [new List(items, data.subarray(at, end)), end];
}

export function listOf(item: Item | undefined, field: string): readonly Item[] {
  demand(item instanceof List, field, "not a list");
  return item.items;
}

/** A string, just `size` bytes long if that is given. */
export function stringOf(item: Item | undefined, field: string, size?: number): Uint8Array {
  demand(item instanceof Uint8Array, field, "not a string");
  demand(size === undefined || item.length === size, field, `not ${size} bytes`);
  return item;
}

/** A string without leading zeros, of at most 8 bytes. */
export function numberOf(item: Item | undefined, field: string): bigint {
  const raw = stringOf(item, field);
  demand(raw.length <= 8 && raw[0] !== 0, field, "not a number of at most 8 bytes without leading zeros");
  return toNumber(raw);
}

/** The shortest encoding of a number. */
export function encodeNumber(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return bytes.length === 1 && bytes[0]! < 0x80 ? Uint8Array.from(bytes) : Uint8Array.of(0x80 + bytes.length, ...bytes);
}
