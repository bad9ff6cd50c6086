/** Values of CBOR as people read them. */

import { type CborValue, type Said, type Statement, Tagged, decodeCbor, toHex } from "../verifier/src/index";
import type { Tree } from "./protocol";

const MOST = 200;
const LONG = 64;

const leaf = (name: string, text: string): Tree => ({ name, text, inside: [], more: 0 });

/** Bytes in hexadecimal, long ones cut with their number. */
export const bytesText = (data: Uint8Array): string => (data.length <= LONG ? toHex(data) : `${toHex(data.subarray(0, LONG))}… (${data.length} bytes)`);

/** A value in one line. */
export function valueText(value: CborValue): string {
  if (value instanceof Uint8Array) return bytesText(value);
  if (value instanceof Tagged) return valueText(value.value);
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${key}: ${valueText(item)}`).join(", ")}}`;
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  return value === null ? "null" : String(value);
}

/** A value with what is inside. */
export function treeOf(name: string, value: CborValue): Tree {
  if (value instanceof Tagged) return treeOf(name, value.value);
  if (value instanceof Map) {
    const inside = [...value].slice(0, MOST).map(([key, item]) => treeOf(String(key), item));
    return { name, text: "", inside, more: Math.max(0, value.size - MOST) };
  }
  if (Array.isArray(value)) {
    const items: readonly CborValue[] = value;
    return { name, text: "", inside: items.slice(0, MOST).map((item, at) => treeOf(String(at), item)), more: Math.max(0, items.length - MOST) };
  }
  return leaf(name, valueText(value));
}

const isoTime = (seconds: number): string => {
  const at = new Date(seconds * 1000);
  return Number.isNaN(at.getTime()) ? `${seconds}` : at.toISOString().replace(/\.?0*Z$/, "Z");
};

/** What a statement says: readings one by one, anything else as its payload stands. */
export function payloadTree(said: Said, statement: Statement): Tree {
  if (said.kind !== "readings" && said.kind !== "columns") return treeOf("payload", decodeCbor(statement.payload, "payload"));
  const rows = said.kind === "readings" ? said.payload : [...said.payload.readings()];
  const inside = rows.slice(0, MOST).map(({ name, value, unit, time }) =>
    leaf(name, `${value === null ? "no value" : valueText(value)}${unit ? ` ${unit}` : ""} · ${isoTime(time)}`));
  return { name: "payload", text: "", inside, more: Math.max(0, rows.length - MOST) };
}
