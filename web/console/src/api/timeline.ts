/** A twin's history: who said what under which grant, and the three times of each entry; the twin as it was. */

import { get } from "./client";
import type { Json, State } from "./twin";

export interface GrantRelied {
  entry: number;
  digest: string;
  can: string[];
  scope: Record<string, string>;
}

export interface TimelineItem {
  entry: number;
  kind: string;
  iss: string;
  /** A gateway signed on behalf of equipment that cannot. */
  gateway: boolean;
  seq: number;
  digest: string;
  /** The signer's claim, POSIX seconds. */
  time: number;
  grant: GrantRelied | null;
  capability: string | null;
  integrated: { size: number; time: number } | null;
  anchored: { size: number; time: number; block: number; transaction: string } | null;
  said: Record<string, Json>;
}

export interface TimelinePage {
  items: TimelineItem[];
  next: number | null;
  reached: number;
}

export interface EntryFacts {
  entry: number;
  kind: string;
  iss: string;
  sub: string;
  iat: number;
}

const PAGE = 100;

/** Newest first; `before` of the page before, or null. */
export const getTimeline = (sub: string, kind: string, before: number | null, signal?: AbortSignal): Promise<TimelinePage> =>
  get<TimelinePage>("timeline", { sub, kind: kind || undefined, before, limit: PAGE }, signal);

export const getEntry = (index: number, signal?: AbortSignal): Promise<EntryFacts> => get<EntryFacts>(`log/entries/${index}`, {}, signal);

const MOST = 20_000;

/** Entries about a twin in log order: the newest `MOST` if there are more. */
export async function getEntries(sub: string, signal?: AbortSignal): Promise<number[]> {
  const found: number[] = [];
  let after: number | null = null;
  do {
    const page: { items: { entry: number }[]; next: number | null } = await get("history", { sub, after, limit: 1000 }, signal);
    found.push(...page.items.map(({ entry }) => entry));
    after = page.next;
  } while (after !== null && found.length < MOST);
  return found;
}

/** The twin as it was after that entry. */
export const getStateAt = (sub: string, at: number, signal?: AbortSignal): Promise<State> => get<State>("state", { sub, at }, signal);
