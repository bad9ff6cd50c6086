// What a chart of readings shows of a span of time: the readings themselves if they are few, else minimum, maximum and
// mean of as many equal spans as there are pixels. Where no reading came for long, the line breaks.
import type uPlot from "uplot";

import type { Buckets, BucketSeries, ReadingItem, Span } from "../api/telemetry";
import { buckets, raw } from "../api/telemetry";

/** One line of the chart. */
export interface Signal {
  sub: string;
  signal: string;
  label: string;
}

export interface Gap {
  start: number;
  end: number;
}

export interface Track {
  sub: string;
  signal: string;
  label: string;
  /** Place of the asked signal: colour and dash. */
  place: number;
  unit: string | null;
  times: number[];
  mean: number[];
  /** Extremes of each span; null for readings. */
  low: number[] | null;
  high: number[] | null;
  counts: number[] | null;
  /** Log entries of readings; null for spans. */
  entries: number[] | null;
  gaps: Gap[];
}

export interface Loaded {
  tracks: Track[];
  /** The span asked for, or that of the whole series. */
  span: Span | null;
  /** Seconds of one span; null for readings. */
  width: number | null;
  /** Readings that the tracks take in. */
  readings: number;
  reached: number;
}

/** This many times the usual distance without a reading is a gap. */
const GAP = 5;
const FEW = 5000;

/** A bit more than the span, so that lines reach its edges. */
function wider(span: Span | null): Span | null {
  if (!span) return null;
  const room = (span.end - span.start) * 0.02;
  return { start: span.start - room, end: span.end + room };
}

export async function load(
  signals: readonly Signal[], span: Span | null, pixels: number, stop: AbortSignal,
): Promise<Loaded> {
  const twins = [...new Set(signals.map((one) => one.sub))];
  const names = (sub: string): string[] => signals.filter((one) => one.sub === sub).map((one) => one.signal);
  const asked = wider(span);
  const cut = await Promise.all(twins.map((sub) => buckets(sub, names(sub), asked, pixels, stop)));
  const all = cut.flatMap((answer) => answer.series);
  const readings = all.reduce((sum, series) => sum + total(series), 0);
  const reached = Math.max(0, ...cut.map((answer) => answer.reached));
  const whole = span ?? overall(cut);
  if (readings <= Math.min(FEW, 2 * pixels)) {
    const pages = await Promise.all(twins.map((sub) => raw(sub, names(sub), asked, FEW + 1, stop)));
    if (pages.every((page) => page.next === null)) {
      const items = pages.flatMap((page) => page.items);
      return { tracks: tracksOfReadings(signals, items), span: whole, width: null, readings: items.length, reached };
    }
  }
  const tracks = cut.flatMap((answer) => tracksOfBuckets(signals, answer));
  return { tracks: inOrder(tracks), span: whole, width: cut[0]?.grid?.width ?? null, readings, reached };
}

function total(series: BucketSeries): number {
  return (series.values.count ?? []).reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

function overall(answers: readonly Buckets[]): Span | null {
  const grids = answers.flatMap((answer) => (answer.grid ? [answer.grid] : []));
  if (!grids.length) return null;
  const start = Math.min(...grids.map((grid) => grid.start));
  const end = Math.max(...grids.map((grid) => grid.end));
  // A single reading stands in the middle of a minute.
  return end - start < 0.001 ? { start: start - 30, end: end + 30 } : { start, end };
}

function inOrder(tracks: Track[]): Track[] {
  return tracks.sort((one, other) => one.place - other.place);
}

function placeOf(signals: readonly Signal[], sub: string, signal: string): { place: number; label: string } {
  const place = signals.findIndex((one) => one.sub === sub && one.signal === signal);
  return { place, label: signals[place]?.label ?? signal };
}

function tracksOfBuckets(signals: readonly Signal[], answer: Buckets): Track[] {
  const width = answer.grid?.width ?? 0;
  return answer.series.map((series) => {
    const { mean = [], min = [], max = [], count = [] } = series.values;
    const kept = series.times.flatMap((_, at) => (typeof mean[at] === "number" ? [at] : []));
    const pick = (values: (number | null)[]): number[] => kept.map((at) => values[at] ?? Number.NaN);
    const counts = pick(count);
    const usual = (width * kept.length) / Math.max(1, counts.reduce((sum, one) => sum + one, 0));
    // The middle of the span stands for all of it.
    const times = kept.map((at) => (series.times[at] ?? 0) + width / 2);
    return {
      sub: series.sub, signal: series.signal, unit: series.unit, ...placeOf(signals, series.sub, series.signal),
      times, mean: pick(mean), low: pick(min), high: pick(max), counts, entries: null,
      gaps: gapsOf(times, Math.max(width * 1.01, width + GAP * usual)),
    };
  });
}

function tracksOfReadings(signals: readonly Signal[], items: readonly ReadingItem[]): Track[] {
  const tracks = new Map<string, Track>();
  for (const item of items) {
    const value = typeof item.value === "boolean" ? Number(item.value) : item.value;
    if (typeof value !== "number") continue;
    const key = JSON.stringify([item.sub, item.signal, item.unit]);
    let track = tracks.get(key);
    if (!track) {
      track = {
        sub: item.sub, signal: item.signal, unit: item.unit, ...placeOf(signals, item.sub, item.signal),
        times: [], mean: [], low: null, high: null, counts: null, entries: [], gaps: [],
      };
      tracks.set(key, track);
    }
    track.times.push(item.time);
    track.mean.push(value);
    track.entries?.push(item.entry);
  }
  const found = [...tracks.values()];
  for (const track of found) track.gaps = gapsOf(track.times, GAP * usualDistance(track.times));
  return inOrder(found);
}

/** The median of the distances: outages do not move it. */
export function usualDistance(times: readonly number[]): number {
  const distances: number[] = [];
  for (let at = 1; at < times.length; at += 1) distances.push((times[at] ?? 0) - (times[at - 1] ?? 0));
  const apart = distances.filter((distance) => distance > 0).sort((one, other) => one - other);
  return apart[apart.length >> 1] ?? Number.POSITIVE_INFINITY;
}

export function gapsOf(times: readonly number[], longest: number): Gap[] {
  const gaps: Gap[] = [];
  for (let at = 1; at < times.length; at += 1) {
    const start = times[at - 1] ?? 0;
    const end = times[at] ?? 0;
    if (end - start > longest) gaps.push({ start, end });
  }
  return gaps;
}

type Column = (number | null | undefined)[];

/** All tracks over one list of times: mean, then of spans the greatest and the least; null breaks a line, undefined does not. */
export function align(tracks: readonly Track[]): uPlot.AlignedData {
  const moments = new Set<number>();
  for (const track of tracks) {
    for (const time of track.times) moments.add(time);
    for (const gap of track.gaps) moments.add((gap.start + gap.end) / 2);
  }
  const times = Float64Array.from(moments).sort();
  const at = new Map<number, number>();
  times.forEach((time, index) => at.set(time, index));
  const column = (track: Track, values: readonly number[]): Column => {
    const cells: Column = Array.from({ length: times.length });
    track.times.forEach((time, index) => { cells[at.get(time) ?? 0] = values[index]; });
    for (const gap of track.gaps) cells[at.get((gap.start + gap.end) / 2) ?? 0] = null;
    return cells;
  };
  const columns = tracks.flatMap((track) =>
    track.low && track.high
      ? [column(track, track.mean), column(track, track.high), column(track, track.low)]
      : [column(track, track.mean)],
  );
  return [Array.from(times), ...columns];
}
