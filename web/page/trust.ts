/** Whom the reader trusts: typed or chosen by the reader, kept in this browser if the reader says so. */

import { useCallback, useMemo, useState } from "react";

import { Refused, parsePolicy } from "../verifier/src/index";
import type { Trust } from "./protocol";

/** Where a policy comes from: only the reader's own proves something against the others. */
export type Source = "own" | "node" | "page";

export interface Trusting extends Trust {
  readonly source: Source;
}

const KEY = "twinproof.trust";
const HASH = /^(0x)?[0-9a-f]{64}$/i;

/** Why this is no policy; null if it is one. */
export function policyProblem(text: string): string | null {
  try {
    parsePolicy(new TextEncoder().encode(text));
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

export const operatorFits = (text: string): boolean => text.trim() === "" || /^[0-9a-f]{64}$/i.test(text.trim());

/** Hashes of a text, one a line. */
export const blocksOf = (text: string): string[] => text.split(/\s+/).filter((line) => line !== "");

/** The first that is no hash. */
export const badBlock = (blocks: readonly string[]): string | null => blocks.find((line) => !HASH.test(line)) ?? null;

export interface PolicyFacts {
  logs: string[];
  witnesses: number;
  quorum: string | null;
}

export function policyFacts(text: string): PolicyFacts {
  const policy = parsePolicy(new TextEncoder().encode(text));
  return { logs: [...new Set(policy.logs.map(({ name }) => name))], witnesses: policy.witnesses.size, quorum: policy.quorum ?? null };
}

function remembered(): Trusting | null {
  let value: unknown;
  try {
    value = JSON.parse(window.localStorage.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const member = (name: string): unknown => Reflect.get(value, name);
  const [policy, operator, blocks] = [member("policy"), member("operator"), member("blocks")];
  if (typeof policy !== "string" || typeof operator !== "string" || !Array.isArray(blocks) || policyProblem(policy)) return null;
  return { policy, operator, blocks: blocks.filter((block) => typeof block === "string" && HASH.test(block)), source: "own" };
}

function keep(trust: Trusting | null): void {
  try {
    if (trust) window.localStorage.setItem(KEY, JSON.stringify({ policy: trust.policy, operator: trust.operator, blocks: trust.blocks }));
    else window.localStorage.removeItem(KEY);
  } catch {
    // Storage is closed to this page: the policy lives as long as the page.
  }
}

export interface TrustHandle {
  readonly trust: Trusting | null;
  /** Whether the browser keeps it. */
  readonly kept: boolean;
  readonly set: (trust: Trusting, remember: boolean) => void;
  readonly forget: () => void;
}

/** Chosen in this page's life: another screen need not ask again. */
let chosen: Trusting | null = null;

/** What the reader trusts; `given` stands in as long as the reader has said nothing. */
export function useTrust(given: Trusting | null = null): TrustHandle {
  const [state, setState] = useState(() => {
    const kept = remembered();
    return { trust: chosen ?? kept, kept: kept !== null };
  });
  const set = useCallback((trust: Trusting, remember: boolean): void => {
    chosen = trust;
    if (trust.source === "own") keep(remember ? trust : null);
    setState({ trust, kept: remember && trust.source === "own" });
  }, []);
  const forget = useCallback((): void => {
    chosen = null;
    keep(null);
    setState({ trust: null, kept: false });
  }, []);
  return useMemo(() => ({ trust: state.trust ?? given, kept: state.kept, set, forget }), [state, given, set, forget]);
}
