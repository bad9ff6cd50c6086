/** The check that one tree of the log extends another, made here: RFC 9162 §2.1.4.2, by the verifier's own code. */

import { checkConsistency } from "../../../../verifier/src/merkle";
import type { Anchor, Consistency } from "../../api/log";
import { t } from "../../strings/en";

/** Where a root was said besides the answer that is checked. */
export interface Witnessed {
  size: number;
  root: Uint8Array;
  by: "checkpoint" | "anchor";
  /** Of the checkpoint or the block. */
  time: number;
}

export interface Checked {
  from: number;
  to: number;
  fromRoot: Uint8Array;
  toRoot: Uint8Array;
  hashes: number;
  /** Roots of these sizes that were signed or anchored, and are the same. */
  agreed: Witnessed[];
}

/** The check failed: why, in the verifier's words. */
export class Inconsistent extends Error {
  override readonly name = "Inconsistent";
}

export function decodeBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new Inconsistent(t("ledger.noBase64"));
  }
}

export function encodeHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function decodeHex(text: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Inconsistent(t("ledger.noHex"));
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Size and root of a checkpoint (C2SP tlog-checkpoint: origin, size, root in base64, each on a line). */
export function rootOf(checkpoint: string, time: number): Witnessed | null {
  const [, size = "", root = ""] = checkpoint.split("\n", 3);
  return /^(0|[1-9][0-9]{0,15})$/.test(size) ? { size: Number(size), root: decodeBase64(root), by: "checkpoint", time } : null;
}

export const rootOfAnchor = ({ size, root, time }: Anchor): Witnessed => ({ size, root: decodeHex(root), by: "anchor", time });

const same = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** Check the proof, and the roots against what was said of these sizes elsewhere; raises `Inconsistent`. */
export function check(asked: { from: number; to: number }, answer: Consistency, witnessed: readonly Witnessed[]): Checked {
  const { from, to } = asked;
  if (answer.from !== from || answer.to !== to) throw new Inconsistent(t("ledger.otherSizes"));
  const fromRoot = decodeBase64(answer.from_root);
  const toRoot = decodeBase64(answer.to_root);
  const proof = answer.proof.map(decodeBase64);
  try {
    checkConsistency(BigInt(from), BigInt(to), fromRoot, toRoot, proof);
  } catch (problem) {
    throw new Inconsistent(problem instanceof Error ? problem.message : String(problem));
  }
  const agreed: Witnessed[] = [];
  for (const one of witnessed) {
    const root = one.size === from ? fromRoot : one.size === to ? toRoot : null;
    if (root === null) continue;
    if (!same(root, one.root)) throw new Inconsistent(t(one.by === "anchor" ? "ledger.otherAnchor" : "ledger.otherCheckpoint", { n: one.size }));
    agreed.push(one);
  }
  return { from, to, fromRoot, toRoot, hashes: proof.length, agreed };
}
