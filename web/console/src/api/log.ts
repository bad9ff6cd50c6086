/** The log: its head, kept checkpoints, witnesses, anchors, proofs between two sizes, the check of all of it. */

import { get, post } from "./client";

export interface Head {
  origin: string;
  size: number;
  /** Hex. */
  root: string;
  time: number;
  /** The signed note (C2SP tlog-checkpoint). */
  checkpoint: string;
}

export interface Checkpoint {
  size: number;
  time: number;
  checkpoint: string;
}

export interface Witness {
  name: string;
  key_id: string;
  /** In the node's policy; null if that does not name it. */
  key: string | null;
  size: number | null;
  time: number | null;
  problem: string | null;
}

export interface Anchor {
  size: number;
  /** Hex. */
  root: string;
  time: number;
  block: number;
  transaction: string;
  gas: number | null;
  fee_wei: string | null;
}

export interface Consistency {
  from: number;
  to: number;
  /** Base64, as are the hashes of the proof. */
  from_root: string;
  to_root: string;
  proof: string[];
}

export interface Finding {
  kind: string;
  where: string;
  problem: string;
}

export interface CheckReport {
  running: boolean;
  done: number;
  total: number;
  started: number | null;
  ended: number | null;
  sound: boolean | null;
  found: number;
  findings: Finding[] | null;
  problem: string | null;
}

export const getHead = (signal?: AbortSignal): Promise<Head> => get<Head>("log/head", {}, signal);

export const getGrowth = (signal?: AbortSignal): Promise<{ points: { time: number; size: number }[] }> => get("log/growth", { n: 500 }, signal);

/** The kept checkpoint of the least size that is at least `size`. */
export async function checkpointFrom(size: number, signal?: AbortSignal): Promise<Checkpoint | null> {
  const page: { items: Checkpoint[] } = await get("log/checkpoints", { after: size - 1, limit: 1 }, signal);
  return page.items[0] ?? null;
}

export const getWitnesses = (signal?: AbortSignal): Promise<{ items: Witness[] }> => get("log/witnesses", {}, signal);

export const getAnchors = (signal?: AbortSignal): Promise<{ chain_id: number | null; items: Anchor[]; next: number | null }> =>
  get("log/anchors", { limit: 500 }, signal);

export const getConsistency = (from: number, to: number, signal?: AbortSignal): Promise<Consistency> => get("log/consistency", { from, to }, signal);

export const getCheck = (signal?: AbortSignal): Promise<CheckReport> => get("log/check", {}, signal);

export const startCheck = (): Promise<CheckReport> => post("log/check", {});
