// How uPlot draws tracks: a line each, a band where there are extremes, an axis per unit.
import type uPlot from "uplot";

import { formatUnit } from "../parts";
import { padded, xAxis, yAxis } from "./axes";
import { DASHES, faint } from "./palette";
import type { Build } from "./plot";
import type { Track } from "./series-data";

export interface Steering {
  /** The span shown; null to let the data decide. */
  x: () => [number, number] | null;
  /** While the chart is being moved. */
  moving: (start: number, end: number) => void;
  zoomed: (start: number, end: number) => void;
  reset: () => void;
  hovered: (index: number | null) => void;
}

/** What decides about the options: while it stays, new data only moves lines. */
export function shapeOf(tracks: readonly Track[]): string {
  return JSON.stringify(tracks.map((track) => [track.sub, track.signal, track.unit, track.place, track.low !== null]));
}

export const scaleOf = (unit: string | null): string => `y ${unit ?? ""}`;

/** Units in the order in which they come: the first has its axis at the left, the second at the right. */
export const unitsOf = (tracks: readonly Track[]): (string | null)[] => [...new Set(tracks.map((track) => track.unit))];

export function seriesOptions(tracks: readonly Track[], words: { value: string }, steering: Steering): Build {
  return (palette) => {
    const units = unitsOf(tracks);
    const series: uPlot.Series[] = [{}];
    const bands: uPlot.Band[] = [];
    for (const track of tracks) {
      const colour = palette.series[track.place % palette.series.length] ?? palette.text;
      const scale = scaleOf(track.unit);
      const dash = DASHES[track.place % DASHES.length] ?? [];
      const points = { size: 5, fill: colour };
      series.push({ label: track.label, scale, stroke: colour, width: 1.5, dash: [...dash], points });
      if (!track.low) continue;
      const at = series.length;
      bands.push({ series: [at, at + 1], fill: faint(colour, 0.2) });
      const edge: uPlot.Series = { label: track.label, scale, points: { show: false }, width: 0 };
      series.push(edge, { ...edge });
    }
    const scales: uPlot.Scales = {
      x: { time: true, range: (_, least, most) => steering.x() ?? [least ?? 0, most ?? 1] },
    };
    for (const unit of units) scales[scaleOf(unit)] = { range: padded };
    const sides = units.slice(0, 2).map((unit, at) => yAxis(palette, scaleOf(unit), unit ? formatUnit(unit) : words.value, at === 1));
    return {
      series, bands, scales,
      axes: [xAxis(palette), ...sides],
      legend: { show: false },
      padding: [8, units.length > 1 ? 0 : 12, 0, 0],
      cursor: cursor(steering),
      hooks: {
        setCursor: [(chart) => steering.hovered(chart.cursor.idx ?? null)],
        setSelect: [(chart) => select(chart, steering)],
      },
    };
  };
}

function select(chart: uPlot, steering: Steering): void {
  const { left, width } = chart.select;
  if (width < 4) return;
  const start = chart.posToVal(left, "x");
  const end = chart.posToVal(left + width, "x");
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  steering.zoomed(start, end);
}

function cursor(steering: Steering): uPlot.Cursor {
  return {
    y: false,
    drag: { x: true, y: false, setScale: false, dist: 4 },
    points: { size: 7 },
    bind: {
      dblclick: () => () => {
        steering.reset();
        return null;
      },
      mousedown: (chart, _, handler) => (event) => {
        if (event.shiftKey && event.button === 0) pan(chart, event, steering);
        else handler(event);
        return null;
      },
    },
  };
}

function pan(chart: uPlot, begin: MouseEvent, steering: Steering): void {
  const { min, max } = chart.scales["x"] ?? {};
  if (typeof min !== "number" || typeof max !== "number") return;
  const perPixel = (max - min) / Math.max(1, chart.over.clientWidth);
  const moved = (event: MouseEvent): number => (begin.clientX - event.clientX) * perPixel;
  const control = new AbortController();
  const { signal } = control;
  document.addEventListener("mousemove", (event) => {
    const by = moved(event);
    steering.moving(min + by, max + by);
    chart.setScale("x", { min: min + by, max: max + by });
  }, { signal });
  document.addEventListener("mouseup", (event) => {
    control.abort();
    const by = moved(event);
    if (by) steering.zoomed(min + by, max + by);
  }, { signal });
}
