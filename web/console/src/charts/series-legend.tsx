// Which line is which, and what it is at the cursor.
import type { JSX } from "react";
import { useCallback, useMemo, useRef, useSyncExternalStore } from "react";

import { t } from "../strings/en";
import { moment, number, quantity } from "./format";
import { DASHES } from "./palette";
import type { Track } from "./series-data";

/** The index under the cursor: kept outside of the chart's own state, as it changes with every movement. */
export interface Hover {
  set: (index: number | null) => void;
  subscribe: (wake: () => void) => () => void;
  read: () => number | null;
}

export function useHover(): Hover {
  const index = useRef<number | null>(null);
  const listeners = useRef(new Set<() => void>());
  const set = useCallback((next: number | null) => {
    if (index.current === next) return;
    index.current = next;
    listeners.current.forEach((wake) => wake());
  }, []);
  const subscribe = useCallback((wake: () => void) => {
    listeners.current.add(wake);
    return () => void listeners.current.delete(wake);
  }, []);
  const read = useCallback(() => index.current, []);
  return useMemo(() => ({ set, subscribe, read }), [set, subscribe, read]);
}

interface LegendProps {
  tracks: readonly Track[];
  hidden: ReadonlySet<number>;
  setHidden: (hidden: ReadonlySet<number>) => void;
  hover: Hover;
  times: ArrayLike<number> | undefined;
}

export function Legend({ tracks, hidden, setHidden, hover, times }: LegendProps): JSX.Element | null {
  const index = useSyncExternalStore(hover.subscribe, hover.read);
  const time = index === null ? null : (times?.[index] ?? null);
  if (!tracks.length) return null;
  const toggle = (place: number): void => {
    const next = new Set(hidden);
    if (!next.delete(place)) next.add(place);
    setHidden(next);
  };
  return (
    <div className="series-legend">
      <ul className="series-names">
        {tracks.map((track) => {
          const off = hidden.has(track.place);
          return (
            <li key={`${track.place} ${track.unit ?? ""}`}>
              <button
                type="button" aria-pressed={!off} className="series-name" onClick={() => toggle(track.place)}
                title={t(off ? "charts.show" : "charts.hide", { name: track.label })}
              >
                <Swatch place={track.place} /> {track.label}
              </button>
              <span className="series-value">{off ? "" : valueAt(track, time)}</span>
            </li>
          );
        })}
      </ul>
      <span className="series-time">{time === null ? "" : moment(time)}</span>
    </div>
  );
}

/** A piece of the line: its colour and dash. */
export function Swatch({ place }: { place: number }): JSX.Element {
  const dash = (DASHES[place % DASHES.length] ?? []).join(" ");
  return (
    <svg className={`swatch swatch-${String((place % 6) + 1)}`} viewBox="0 0 24 8" width="24" height="8" aria-hidden="true">
      <line x1="0" y1="4" x2="24" y2="4" strokeWidth="2" strokeDasharray={dash || undefined} />
    </svg>
  );
}

function valueAt(track: Track, time: number | null): string {
  const at = time === null ? track.times.length - 1 : nearest(track.times, time);
  const mean = track.mean[at];
  if (mean === undefined) return t("common.nothing");
  const text = quantity(mean, track.unit);
  const [low, high] = [track.low?.[at], track.high?.[at]];
  if (low === undefined || high === undefined || low === high) return text;
  return `${text} (${t("charts.range", { low: number(low), high: number(high) })})`;
}

/** Place of the time that is nearest, in a list that ascends. */
export function nearest(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  const before = times[low - 1];
  return before !== undefined && time - before < (times[low] ?? 0) - time ? low - 1 : low;
}
