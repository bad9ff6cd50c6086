/** What members of payloads have in common (spec/statement.md, "Kinds"): maps of known keys, text, names, times. */

import { compareText, textLength } from "./bytes.js";
import { type CborMap, type Value, decode, isArray, isBytes, isMap, isWhole } from "./cbor.js";
import { demand } from "./errors.js";

export const MAX_IRI = 512;
/** Members of one set, unset, relate or unrelate. */
export const MAX_CHANGES = 2048;
/** A time is below it. */
export const MAX_TIME = 1n << 53n;
/** Decoded maps that are payloads have text keys alone. */
export type Fields = ReadonlyMap<string, Value>;

const HIDDEN =
  "\\u0000-\\u001f\\u007f-\\u00a0\\u00ad\\u061c\\u1680\\u180e\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000" +
  "\\ud800-\\uf8ff\\ufdd0-\\ufdef\\ufeff\\ufff0-\\uffff\\u{e0000}-\\u{10ffff}";
const IRI = new RegExp(`^[A-Za-z][A-Za-z0-9+.-]*:(?:[^${HIDDEN} <>"{}|\\\\^\`%]|%[0-9A-Fa-f]{2})+$`, "u");
const NAME = new RegExp(`^[^${HIDDEN} ](?:[^${HIDDEN}]*[^${HIDDEN} ])?$`, "u");
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** The hidden characters, as the inside of a character class with the flag u. */
export const HIDDEN_CLASS = HIDDEN;

export function isIri(value: Value | undefined): value is string {
  return typeof value === "string" && textLength(value) <= MAX_IRI && IRI.test(value);
}

export function checkIri(value: Value | undefined, field: string): string {
  demand(isIri(value), field, "not an IRI");
  return value;
}

export function isMediaType(value: Value | undefined): value is string {
  return typeof value === "string" && MEDIA_TYPE.test(value);
}

export function isTime(value: Value | undefined): value is bigint {
  return isWhole(value, 1n, MAX_TIME);
}

export function checkTime(value: Value | undefined, field: string): bigint {
  demand(isTime(value), field, "not a time in whole POSIX seconds");
  return value;
}

/** 1 to `limit` characters without controls but tab and line feed. */
export function checkText(value: Value | undefined, field: string, limit: number): string {
  demand(typeof value === "string" && value !== "", field, "not text, or empty");
  demand(textLength(value) <= limit, field, `longer than ${limit} characters`);
  demand(!CONTROL.test(value), field, "holds a control character");
  return value;
}

/** The name of a property, relationship or command. */
export function checkName(value: Value | undefined, field: string): string {
  demand(typeof value === "string" && textLength(value) <= 128, field, "not a name of 1 to 128 characters");
  demand(NAME.test(value), field, "empty, with a space at an end, or with a hidden character");
  return value;
}

export function checkId(value: Value | undefined, field: string): string {
  demand(typeof value === "string" && ID.test(value), field, "not an id");
  return value;
}

export function checkBytes(value: Value | undefined, field: string, size: number): Uint8Array {
  demand(isBytes(value) && value.length === size, field, `not ${size} bytes`);
  return value;
}

export function checkDigest(value: Value | undefined, field: string): Uint8Array {
  return checkBytes(value, field, 32);
}

export function checkWhole(value: Value | undefined, field: string, low: bigint, end: bigint): bigint {
  demand(isWhole(value, low, end), field, `not a whole number from ${low} to ${end - 1n}`);
  return value;
}

/** A finite integer or float, as a float. */
export function checkFinite(value: Value | undefined, field: string): number {
  demand(typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value)), field, "not a finite number");
  return Number(value);
}

export function checkOneOf(value: Value | undefined, field: string, words: readonly string[]): string {
  demand(typeof value === "string" && words.includes(value), field, `not one of ${words.join(", ")}`);
  return value;
}

/** A map with the required keys, and none but the optional ones beside. */
export function checkFields(
  value: Value | undefined,
  field: string,
  required: readonly string[],
  optional: readonly string[] = [],
): Fields {
  demand(isMap(value), field, "not a map");
  for (const key of required) demand(value.has(key), `${field}.${key}`, "missing");
  const found = new Map<string, Value>();
  for (const [key, item] of value) {
    demand(typeof key === "string" && (required.includes(key) || optional.includes(key)), field, `has the unknown key ${key}`);
    found.set(key, item);
  }
  return found;
}

/** A payload that is a map. */
export function payloadFields(
  payload: Uint8Array,
  field: string,
  required: readonly string[],
  optional: readonly string[] = [],
  depth?: number,
): Fields {
  return checkFields(decode(payload, field, depth), field, required, optional);
}

/** Apply a check to a member that may be absent. */
export function optionally<T>(fields: Fields, key: string, check: (value: Value, field: string) => T, where: string): T | undefined {
  const value = fields.get(key);
  return value === undefined ? undefined : check(value, `${where}.${key}`);
}

/** Whether each item sorts before the next one. */
export function ascends<T>(items: readonly T[], compare: (a: T, b: T) => number): boolean {
  return items.every((item, i) => i === 0 || compare(items[i - 1]!, item) < 0);
}

/** An array of 1 to MAX_CHANGES members, empty if absent. */
export function checkChanges(fields: Fields, key: string, where: string): readonly Value[] {
  const value = fields.get(key);
  if (value === undefined) return [];
  const fits = isArray(value) && value.length > 0 && value.length <= MAX_CHANGES;
  demand(fits, `${where}.${key}`, `not an array of 1 to ${MAX_CHANGES}`);
  return value;
}

/** The members `set` and `unset` of a description or of desired properties. */
export function checkPropertyChanges(fields: Fields, where: string): { set: CborMap; unset: readonly string[] } {
  const set = fields.get("set") ?? new Map();
  const fits = isMap(set) && set.size <= MAX_CHANGES && (set.size > 0 || !fields.has("set"));
  demand(fits, `${where}.set`, `not a map of 1 to ${MAX_CHANGES}`);
  for (const name of set.keys()) checkName(name, `${where}.set`);
  const unset = checkChanges(fields, "unset", where).map((name) => checkName(name, `${where}.unset`));
  demand(ascends(unset, compareText), `${where}.unset`, "not sorted without repeats");
  demand(!unset.some((name) => set.has(name)), `${where}.unset`, "names a property that is set too");
  return { set, unset };
}
