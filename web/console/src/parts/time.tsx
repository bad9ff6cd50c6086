import { useSyncExternalStore } from "react";
import type { JSX } from "react";

import { t } from "../strings/en";
import type { Key } from "../strings/en";

const sleepers = new Set<() => void>();
let seconds = Math.floor(Date.now() / 1000);
let timer: ReturnType<typeof setInterval> | null = null;

function subscribe(wake: () => void): () => void {
  sleepers.add(wake);
  timer ??= setInterval(() => {
    if (document.visibilityState !== "visible") return;
    seconds = Math.floor(Date.now() / 1000);
    sleepers.forEach((listener) => listener());
  }, 1000);
  return () => {
    sleepers.delete(wake);
    if (sleepers.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

/** The time now in POSIX seconds; renders each second. */
export const useNow = (): number => useSyncExternalStore(subscribe, () => seconds);

const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** Date and time in the reader's zone. */
export const formatTime = (at: number): string => full.format(at * 1000);

/** Date and time in UTC, ISO 8601. */
export const formatUtc = (at: number): string => new Date(at * 1000).toISOString().replace(/\.000Z$/, "Z");

const STEPS: readonly (readonly [seconds: number, past: Key, future: Key])[] = [
  [86_400, "common.daysAgo", "common.inDays"],
  [3600, "common.hoursAgo", "common.inHours"],
  [60, "common.minutesAgo", "common.inMinutes"],
  [1, "common.secondsAgo", "common.inSeconds"],
];

/** "5 s ago", "in 3 d", from seconds apart. */
export function formatAgo(apart: number): string {
  const size = Math.abs(apart);
  for (const [unit, past, future] of STEPS) {
    // Two units of the larger one, before it is used: "90 s" says more than "1 min".
    if (size >= (unit === 1 ? 1 : unit * 2)) return t(apart > 0 ? past : future, { n: Math.floor(size / unit) });
  }
  return t("common.now");
}

const LIMIT = 8.64e12;

/** A time in POSIX seconds: the reader's zone on the screen, UTC in the title. `relative` says how long ago instead. */
export function Time({ at, relative = false }: { at: number | null | undefined; relative?: boolean }): JSX.Element {
  if (at === null || at === undefined || !Number.isFinite(at) || Math.abs(at) > LIMIT) return <span className="muted">{t("common.nothing")}</span>;
  return relative ? <Ago at={at} /> : <time dateTime={formatUtc(at)} title={formatUtc(at)}>{formatTime(at)}</time>;
}

function Ago({ at }: { at: number }): JSX.Element {
  const now = useNow();
  return <time dateTime={formatUtc(at)} title={formatUtc(at)}>{formatAgo(now - at)}</time>;
}
