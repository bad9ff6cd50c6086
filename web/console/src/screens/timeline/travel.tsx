import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import type { JSX } from "react";

import { Slider } from "../../../../page/slider";
import { StateTable } from "../../../../page/state-table";
import { useLiveQuery } from "../../api/live";
import { getEntries, getStateAt } from "../../api/timeline";
import { getState } from "../../api/twin";
import { Answered, Button, Entry, Panel } from "../../parts";
import { t } from "../../strings/en";
import { rowsOf } from "./state-at";

interface TravelProps {
  sub: string;
  /** Null is now. */
  at: number | null;
  onMove: (entry: number | null) => void;
}

/** A slider over the twin's entries, and the twin as it was there beside what it is now. */
export function Travel({ sub, at, onMove }: TravelProps): JSX.Element {
  const entries = useLiveQuery(["entries", sub], (signal) => getEntries(sub, signal), { sub, every: 5000 });
  return (
    <Panel title={t("timeline.travel")} actions={at === null ? null : <Button small onClick={() => onMove(null)}>{t("timeline.close")}</Button>}>
      <div className="stack">
        <p className="muted small">{t("timeline.travelHint")}</p>
        <Answered query={entries} lines={1}>{(found) => <Moments sub={sub} entries={found} at={at} onMove={onMove} />}</Answered>
      </div>
    </Panel>
  );
}

function Moments({ sub, entries, at, onMove }: TravelProps & { entries: readonly number[] }): JSX.Element | null {
  const end = entries.length - 1;
  // An address may name any entry: the twin's last one that is not beyond it counts.
  const found = at === null ? end : Math.max(0, entries.filter((entry) => entry <= at).length - 1);
  const move = useCallback((to: number) => onMove(to >= end ? null : (entries[to] ?? null)), [entries, end, onMove]);
  const entry = entries[found];
  if (entry === undefined) return null;
  return (
    <>
      <Slider at={found} count={entries.length} entry={entry} onMove={move} />
      {at === null || found === end ? <p className="muted small">{t("timeline.atNow")}</p> : <Then sub={sub} at={entry} />}
    </>
  );
}

const showEntry = (entry: number): JSX.Element => <Entry index={entry} />;

function Then({ sub, at }: { sub: string; at: number }): JSX.Element {
  const then = useQuery({ queryKey: ["state", sub, at], queryFn: ({ signal }) => getStateAt(sub, at, signal), staleTime: Infinity, placeholderData: keepPreviousData });
  const now = useLiveQuery(["state", sub], (signal) => getState(sub, signal), { sub });
  const last = useMemo(() => (now.data ? rowsOf(now.data) : null), [now.data]);
  return (
    <Answered query={then} lines={3}>
      {(state) => (
        <div className="timeline-then">
          <h3 className="verify-pad">{t("timeline.travelled", { entry: String(state.last_index) })}</h3>
          <div className="timeline-then-table"><StateTable rows={rowsOf(state)} last={last} caption={t("timeline.travel")} entry={showEntry} /></div>
        </div>
      )}
    </Answered>
  );
}
