/** The fleet's rows, kept up to date by the poll; they stay while other screens are shown. */

import { useState } from "react";

import { onRestart, useLive } from "../../api/live";
import type { Beat } from "../../api/live";
import type { FleetRow } from "../../api/fleet";

export interface FleetRows {
  rows: readonly FleetRow[];
  /** Whether all were told once. */
  known: boolean;
  /** Whether the log is anchored on a chain at all. */
  chained: boolean;
}

let kept: FleetRows = { rows: [], known: false, chained: false };
const places = new Map<string, number>();
let covered: number | null = null;

function take(beat: Beat): FleetRows {
  const { rows: changed, whole, anchored } = beat;
  const grown = anchored !== covered;
  if (!whole && changed.length === 0 && !grown) return kept;
  covered = anchored;
  if (whole) places.clear();
  const rows = whole ? [] : kept.rows.slice();
  for (const row of changed) {
    const place = places.get(row.sub);
    if (place !== undefined) rows[place] = row;
    else places.set(row.sub, rows.push(row) - 1);
  }
  if (grown && anchored !== null) {
    // An anchor covers twins about which nothing new was said.
    rows.forEach((row, place) => {
      if (row.anchored !== row.entry < anchored) rows[place] = { ...row, anchored: row.entry < anchored };
    });
  }
  kept = { rows, known: true, chained: anchored !== null };
  return kept;
}

export function useFleet(): FleetRows {
  const [shown, setShown] = useState(kept);
  useLive("", (beat) => setShown(take(beat)));
  return shown;
}

onRestart(() => {
  kept = { rows: [], known: false, chained: false };
  places.clear();
  covered = null;
});
