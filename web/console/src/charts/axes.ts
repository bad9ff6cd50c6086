// Axes and cursors that all charts share.
import type uPlot from "uplot";

import { number } from "./format";
import type { Palette } from "./palette";

const FONT = "12px system-ui, sans-serif";

/** Least step in seconds, its form, and what stands below the first one and where the day or year changes. */
const DAY = "\n{D} {MMM}";
const YEAR = "\n{YYYY}";
const TIMES: (string | number | null)[][] = [
  [86400 * 365, "{YYYY}", null, null, null, null, null, null, 1],
  [86400 * 28, "{MMM}", YEAR, null, null, null, null, null, 1],
  [86400, "{D} {MMM}", YEAR, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
  [0.001, ":{ss}.{fff}", "\n{HH}:{mm}", null, null, null, "\n{HH}:{mm}", null, 1],
];

/** `label` names numbers; times need none. */
export function xAxis(palette: Palette, label?: string, time = label === undefined): uPlot.Axis {
  return {
    ...(time ? { values: TIMES, space: 72 } : {}),
    stroke: palette.muted,
    font: FONT,
    labelFont: FONT,
    grid: { show: false },
    ticks: { stroke: palette.line, width: 1, size: 4 },
    ...(label === undefined ? {} : { label, labelSize: 18, size: 34 }),
  };
}

/** An axis at the left, or at the right without lines of its own. */
export function yAxis(palette: Palette, scale: string, label: string, right = false): uPlot.Axis {
  return {
    scale,
    side: right ? 1 : 3,
    stroke: palette.muted,
    font: FONT,
    labelFont: FONT,
    label,
    labelSize: 18,
    size: (_, values) => 14 + 7 * Math.max(3, ...(values ?? []).map((text) => text.length)),
    grid: right ? { show: false } : { stroke: palette.line, width: 1 },
    ticks: { stroke: palette.line, width: 1, size: 4 },
    values: (_, splits) => splits.map((value) => number(value, 6)),
  };
}

/** Room above and below what is drawn; a flat line gets room too. */
export const padded: uPlot.Range.Function = (_, least, most) => {
  if (least === null || most === null) return [0, 1];
  const room = most > least ? (most - least) * 0.06 : Math.max(Math.abs(most) * 0.05, 0.5);
  return [least - room, most + room];
};
