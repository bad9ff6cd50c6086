/** Values under names, each with the entry that says it. */

import type { CborMap, Value } from "../cbor.js";

/** Value, log index, claimed time. */
export type Held = readonly [value: Value, entry: bigint, time: bigint];

/** First unset, then set. */
export function applyChanges(held: Map<string, Held>, set: CborMap, unset: readonly string[], entry: bigint, time: bigint): void {
  for (const name of unset) held.delete(name);
  for (const [name, value] of set) held.set(String(name), [value, entry, time]);
}

/** The members of a state that are not empty. */
export function present(members: readonly (readonly [name: string, value: Value | null])[]): [string, Value][] {
  const full = (value: Value | null): value is Value =>
    value !== null && (value instanceof Map ? value.size > 0 : !Array.isArray(value) || value.length > 0);
  return members.flatMap(([name, value]): [string, Value][] => (full(value) ? [[name, value]] : []));
}

/** A number as a float. */
export const float = (value: Value | undefined): number => Number(value);
