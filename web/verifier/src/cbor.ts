/**
 * Deterministic CBOR (RFC 8949 §4.2.1; spec/README.md): every value has one encoding, and nothing else is read.
 *
 * An integer is a bigint and a float a number, so that no rule about integers can meet `1.0` unnoticed.
 */

import { compareBytes, concat, fromUtf8, utf8 } from "./bytes.js";
import { Refused } from "./errors.js";

export type Key = bigint | string;
export type CborMap = ReadonlyMap<Key, Value>;
export type Value = bigint | number | string | boolean | null | Uint8Array | readonly Value[] | CborMap | Tagged;

/** A value under a tag. */
export class Tagged {
  constructor(
    readonly tag: bigint,
    readonly value: Value,
  ) {}
}

/** Arrays, maps and tags inside each other. */
export const MAX_DEPTH = 16;

export function isArray(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMap(value: Value | undefined): value is CborMap {
  return value instanceof Map;
}

export function isBytes(value: Value | undefined): value is Uint8Array {
  return value instanceof Uint8Array;
}

/** Whether a value of an integer lies in low ≤ value < end. */
export function isWhole(value: Value | undefined, low: bigint, end: bigint): value is bigint {
  return typeof value === "bigint" && value >= low && value < end;
}

// --- decoding -----------------------------------------------------------------------------------

class Decoder {
  at = 0;
  private readonly view: DataView;

  constructor(
    private readonly data: Uint8Array,
    private readonly what: string,
    private left: number,
  ) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  refuse(reason: string): never {
    throw new Refused(this.what, `${reason} at byte ${this.at}`);
  }

  private need(size: number): void {
    if (size > this.data.length - this.at) this.refuse("ends in the middle of an item");
  }

  /** The argument of a head whose low bits are 24 or more; the head itself is read. */
  private long(low: number): bigint {
    if (low > 27) this.refuse("indefinite length or reserved form");
    const size = 1 << (low - 24);
    this.need(size);
    const at = this.at;
    this.at += size;
    if (size === 8) {
      const value = this.view.getBigUint64(at);
      if (value < 0x1_0000_0000n) this.refuse("not the shortest form");
      return value;
    }
    const value = size === 1 ? this.data[at]! : size === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
    if (value < (size === 1 ? 24 : size === 2 ? 0x100 : 0x10000)) this.refuse("not the shortest form");
    return BigInt(value);
  }

  /** A length of bytes or of items, each of which takes `each` bytes at least. */
  private length(low: number, each: number): number {
    const length = low < 24 ? low : Number(this.long(low));
    this.need(length * each);
    return length;
  }

  value(depth: number): Value {
    if (--this.left < 0) this.refuse("more items than bytes of this size may hold");
    this.need(1);
    const head = this.data[this.at++]!;
    const low = head & 31;
    switch (head >> 5) {
      case 0:
        return low < 24 ? BigInt(low) : this.long(low);
      case 1:
        return -1n - (low < 24 ? BigInt(low) : this.long(low));
      case 2: {
        const length = this.length(low, 1);
        this.at += length;
        return this.data.subarray(this.at - length, this.at);
      }
      case 3: {
        const length = this.length(low, 1);
        this.at += length;
        return fromUtf8(this.data.subarray(this.at - length, this.at), this.what);
      }
      case 7:
        return this.simple(low);
    }
    if (depth === 0) this.refuse("nested too deep");
    switch (head >> 5) {
      case 4: {
        const items: Value[] = [];
        for (let left = this.length(low, 1); left; left--) items.push(this.value(depth - 1));
        return items;
      }
      case 5:
        return this.map(this.length(low, 2), depth - 1);
      default:
        return new Tagged(low < 24 ? BigInt(low) : this.long(low), this.value(depth - 1));
    }
  }

  private map(pairs: number, depth: number): CborMap {
    const map = new Map<Key, Value>();
    let previous: Uint8Array | undefined;
    for (; pairs; pairs--) {
      const start = this.at;
      const key = this.value(depth);
      if (typeof key !== "bigint" && typeof key !== "string") this.refuse("map key is neither integer nor text");
      const encoded = this.data.subarray(start, this.at);
      if (previous && compareBytes(previous, encoded) >= 0) this.refuse("map key is repeated or out of order");
      previous = encoded;
      map.set(key, this.value(depth));
    }
    return map;
  }

  private simple(low: number): Value {
    if (low === 20 || low === 21) return low === 21;
    if (low === 22) return null;
    if (low < 25 || low > 27) this.refuse("simple value or break that is not accepted");
    const size = 1 << (low - 24);
    this.need(size);
    const at = this.at;
    this.at += size;
    const value = size === 2 ? half(this.view.getUint16(at)) : size === 4 ? this.view.getFloat32(at) : this.view.getFloat64(at);
    if (Number.isNaN(value)) {
      if (size !== 2 || this.view.getUint16(at) !== 0x7e00) this.refuse("NaN is not the canonical one");
    } else if (size !== floatSize(value)) this.refuse("float is not in its shortest form");
    return value;
  }
}

function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  const size =
    exponent === 31
      ? fraction ? Number.NaN : Number.POSITIVE_INFINITY
      : exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

const single = new DataView(new ArrayBuffer(4));

/** Bytes of the shortest float that holds a value that is not NaN. */
function floatSize(value: number): 2 | 4 | 8 {
  if (Math.fround(value) !== value) return 8;
  if (value === 0 || Math.abs(value) === Number.POSITIVE_INFINITY) return 2;
  single.setFloat32(0, value);
  const bits = single.getUint32(0);
  const exponent = ((bits >> 23) & 255) - 127;
  const spare = exponent >= -14 ? 13 : -exponent - 1;
  return exponent >= -24 && exponent <= 15 && (bits & 0x7fffff & ((1 << spare) - 1)) === 0 ? 2 : 4;
}

/** The value that `data` is the one encoding of; it has at most `most` items, map keys counted too. */
export function decode(data: Uint8Array, what: string, depth = MAX_DEPTH, most = Number.POSITIVE_INFINITY): Value {
  const decoder = new Decoder(data, what, most);
  const value = decoder.value(depth);
  if (decoder.at !== data.length) throw new Refused(what, `${data.length - decoder.at} bytes after the item`);
  return value;
}

// --- encoding -----------------------------------------------------------------------------------

function head(major: number, argument: bigint): Uint8Array {
  const first = major << 5;
  if (argument < 24n) return Uint8Array.of(first | Number(argument));
  const form = argument < 0x100n ? 0 : argument < 0x10000n ? 1 : argument < 0x1_0000_0000n ? 2 : 3;
  const data = new Uint8Array(1 + (1 << form));
  data[0] = first | (24 + form);
  for (let i = data.length - 1, rest = argument; i > 0; i--, rest >>= 8n) data[i] = Number(rest & 0xffn);
  return data;
}

function float(value: number): Uint8Array {
  if (Number.isNaN(value)) return Uint8Array.of(0xf9, 0x7e, 0x00);
  const size = floatSize(value);
  const data = new Uint8Array(1 + size);
  const view = new DataView(data.buffer);
  data[0] = size === 2 ? 0xf9 : size === 4 ? 0xfa : 0xfb;
  if (size === 8) view.setFloat64(1, value);
  else if (size === 4) view.setFloat32(1, value);
  else view.setUint16(1, halfBits(value));
  return data;
}

/** Bits of a value that binary16 holds. */
function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | (size * 2 ** 24);
  single.setFloat32(0, size);
  const bits = single.getUint32(0);
  return sign | (((bits >> 23) - 112) << 10) | ((bits >> 13) & 0x3ff);
}

/** The one encoding of a value. */
export function encode(value: Value): Uint8Array {
  if (typeof value === "number") return float(value);
  if (typeof value === "bigint") return value >= 0n ? head(0, value) : head(1, -1n - value);
  if (value instanceof Uint8Array) return concat(head(2, BigInt(value.length)), value);
  if (typeof value === "string") {
    const data = utf8(value);
    return concat(head(3, BigInt(data.length)), data);
  }
  if (isArray(value)) return concat(head(4, BigInt(value.length)), ...value.map(encode));
  if (isMap(value)) {
    const pairs = [...value].map(([key, item]) => [encode(key), encode(item)] as const);
    pairs.sort((a, b) => compareBytes(a[0], b[0]));
    return concat(head(5, BigInt(pairs.length)), ...pairs.flat());
  }
  if (value instanceof Tagged) return concat(head(6, value.tag), encode(value.value));
  if (value === null) return Uint8Array.of(0xf6);
  return Uint8Array.of(value ? 0xf5 : 0xf4);
}
