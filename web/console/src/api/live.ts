/**
 * Live: one poller for the whole page. Each second, while the page is visible, it asks for the fleet's rows with
 * entries since the one reached; the answer says how far the node is and which twins have changed. Screens listen.
 * When the node is away it asks ever more seldom, up to every 30 s, and at once when the page is looked at again.
 */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { QueryKey, UseQueryResult } from "@tanstack/react-query";
import { useEffect, useRef, useSyncExternalStore } from "react";

import { ApiError } from "./client";
import { getFleet } from "./fleet";
import type { FleetRow } from "./fleet";

export const BEAT = 1000;
const LONGEST = 30_000;
const PAGE = 5000;

export type LiveState = "connecting" | "live" | "lost" | "refused";

export interface Pulse {
  state: LiveState;
  /** Entries that the newest answer takes in; null before the first. */
  reached: number | null;
  /** Milliseconds since the epoch of the newest answer. */
  at: number | null;
  error: ApiError | null;
}

/** What one answer brought: rows that changed (all of them if `whole`), and how far the node was. */
export interface Beat {
  rows: readonly FleetRow[];
  whole: boolean;
  /** Entries that the newest anchor covers; null without a chain. */
  anchored: number | null;
  reached: number;
}

interface Listener {
  /** Rows of these twins are wanted; "" of all; null of none. */
  prefix: string | null;
  hear: (beat: Beat) => void;
}

const sleepers = new Set<() => void>();
const listeners = new Set<Listener>();
let pulse: Pulse = { state: "connecting", reached: null, at: null, error: null };
/** What the rows told so far are of, and up to where; a wider wish begins anew. */
let told: { prefix: string; since: number } | null = null;
let timer: ReturnType<typeof setTimeout> | null = null;
let asking: AbortController | null = null;
let failures = 0;

function setPulse(next: Pulse): void {
  pulse = next;
  sleepers.forEach((wake) => wake());
}

/** The prefix that all listeners share; null if none wants rows. */
function wanted(): string | null {
  const prefixes = [...listeners].flatMap(({ prefix }) => (prefix === null ? [] : [prefix]));
  if (prefixes.length === 0) return null;
  return prefixes.reduce((shared, prefix) => {
    let length = 0;
    while (length < shared.length && shared[length] === prefix[length]) length++;
    return shared.slice(0, length);
  });
}

async function ask(signal: AbortSignal): Promise<Beat> {
  const prefix = wanted();
  if (prefix === null) {
    // Nobody wants rows: how far the node is, and no more.
    const { reached, anchored_size: anchored } = await getFleet({ since: pulse.reached ?? 0, limit: 1 }, signal);
    told = null;
    return { rows: [], whole: false, anchored, reached };
  }
  const whole = told === null || told.prefix !== prefix;
  const since = whole ? undefined : told?.since;
  const rows: FleetRow[] = [];
  let reached: number | null = null;
  let anchored: number | null = null;
  let after: string | undefined;
  do {
    const page = await getFleet({ prefix: prefix || undefined, since, after, limit: PAGE }, signal);
    rows.push(...page.items);
    // Of several pages the first counts: what came between them is told again.
    reached ??= page.reached;
    anchored ??= page.anchored_size;
    after = page.next ?? undefined;
  } while (after !== undefined);
  told = { prefix, since: reached };
  return { rows, whole, anchored, reached };
}

async function beat(): Promise<void> {
  timer = null;
  if (asking) return;
  const control = new AbortController();
  asking = control;
  let wait = BEAT;
  try {
    const found = await ask(control.signal);
    failures = 0;
    setPulse({ state: "live", reached: found.reached, at: Date.now(), error: null });
    listeners.forEach(({ hear }) => hear(found));
  } catch (problem) {
    if (!(problem instanceof ApiError)) {
      if (control.signal.aborted) return;
      throw problem;
    }
    failures++;
    wait = Math.max(Math.min(BEAT * 2 ** failures, LONGEST), (problem.retryAfter ?? 0) * 1000);
    const state = problem.status === 401 || problem.status === 403 ? "refused" : "lost";
    setPulse({ ...pulse, state, error: problem });
  } finally {
    if (asking === control) {
      asking = null;
      if (active() && timer === null) timer = setTimeout(() => void beat(), wait);
    }
  }
}

const active = (): boolean => sleepers.size + listeners.size > 0 && document.visibilityState === "visible";

/** Ask now. */
export function hurry(): void {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  failures = 0;
  if (active()) void beat();
}

const forgetters = new Set<() => void>();

/** Be told when somebody else reads: what was kept of the answers must go. */
export function onRestart(forget: () => void): void {
  forgetters.add(forget);
}

/** Forget what was told, as after signing in as somebody else, and ask now. */
export function restart(): void {
  forgetters.forEach((forget) => forget());
  asking?.abort();
  asking = null;
  told = null;
  setPulse({ state: "connecting", reached: null, at: null, error: null });
  hurry();
}

function pause(): void {
  if (active()) return;
  if (timer !== null) clearTimeout(timer);
  timer = null;
}

document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? hurry() : pause()));
window.addEventListener("online", hurry);

function subscribe(wake: () => void): () => void {
  sleepers.add(wake);
  if (timer === null && !asking) hurry();
  return () => {
    sleepers.delete(wake);
    pause();
  };
}

/**
 * Hear of changes of twins whose IRI begins with `prefix` ("" means all). The first beat brings all of them, unless
 * `whole` is false: for those who know already how things stood.
 */
export function listen(prefix: string | null, hear: (beat: Beat) => void, whole = true): () => void {
  const listener = { prefix, hear };
  listeners.add(listener);
  if (prefix !== null && whole) {
    // It has been told nothing yet, and does not wait for what is asked without it.
    told = null;
    asking?.abort();
    asking = null;
  }
  if (!asking) hurry();
  return () => {
    listeners.delete(listener);
    pause();
  };
}

/** How the connection stands and how far the node is. Renders with every answer. */
export function usePulse(): Pulse {
  return useSyncExternalStore(subscribe, () => pulse);
}

/** Call `hear` with every answer; see `listen`. */
export function useLive(prefix: string | null, hear: (beat: Beat) => void, whole = true): void {
  const newest = useRef(hear);
  useEffect(() => {
    newest.current = hear;
  });
  useEffect(() => listen(prefix, (found) => newest.current(found), whole), [prefix, whole]);
}

export interface LiveOptions {
  /** The twin whose entries make the answer new; without it any new entry does. */
  sub?: string | undefined;
  /** Milliseconds that lie at least between two questions. */
  every?: number | undefined;
  enabled?: boolean | undefined;
}

interface Seen {
  /** The newest entry that was told of. */
  newest: number | null;
  asked: number;
  due: ReturnType<typeof setTimeout> | null;
}

/** Derived answers say how many entries they take in. */
function reachedOf(answer: unknown): number | null {
  if (typeof answer !== "object" || answer === null) return null;
  const reached: unknown = Reflect.get(answer, "reached");
  return typeof reached === "number" ? reached : null;
}

/** A query that is asked again when the log has grown, or when it says something new about `sub`. */
export function useLiveQuery<T>(
  key: QueryKey,
  ask: (signal: AbortSignal) => Promise<T>,
  { sub, every = BEAT, enabled = true }: LiveOptions = {},
): UseQueryResult<T> {
  const query = useQuery({ queryKey: key, queryFn: ({ signal }) => ask(signal), enabled, placeholderData: keepPreviousData });
  const seen = useRef<Seen>({ newest: null, asked: 0, due: null });
  const { refetch, data } = query;
  useEffect(() => {
    const kept = seen.current;
    return () => {
      if (kept.due !== null) clearTimeout(kept.due);
      kept.due = null;
    };
  }, []);
  useLive(sub ?? null, ({ rows, reached }) => {
    const kept = seen.current;
    const newest = sub === undefined ? reached - 1 : rows.find((row) => row.sub === sub)?.entry;
    if (newest === undefined) return;
    const known = reachedOf(data);
    const changed = known !== null ? newest >= known : kept.newest !== null && newest > kept.newest;
    kept.newest = newest;
    if (!changed || !enabled || kept.due !== null) return;
    const wait = Math.max(0, kept.asked + every - Date.now());
    kept.due = setTimeout(() => {
      kept.due = null;
      kept.asked = Date.now();
      void refetch({ cancelRefetch: false });
    }, wait);
  }, false);
  return query;
}
