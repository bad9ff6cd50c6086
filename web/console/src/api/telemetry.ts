// Readings and what is made of them: docs/telemetry.md.
import { bytes, get } from "./client";

export type Cell = string | number | boolean | null | { base64: string };

export interface ReadingItem {
  sub: string;
  signal: string;
  unit: string | null;
  time: number;
  value: Cell;
  entry: number;
  row: number;
}

export interface Readings {
  items: ReadingItem[];
  next: string | null;
  reached: number;
}

export interface BucketSeries {
  sub: string;
  signal: string;
  unit: string | null;
  times: number[];
  values: Partial<Record<Aggregate, (number | null)[]>>;
}

export interface Buckets {
  grid: { start: number; end: number; width: number; count: number } | null;
  series: BucketSeries[];
  reached: number;
}

export type Aggregate = "min" | "max" | "mean" | "first" | "last" | "count";

export interface Span {
  /** POSIX seconds, included. */
  start: number;
  /** POSIX seconds, excluded. */
  end: number;
}

const span = (of: Span | null): Record<string, number> => (of ? { start: of.start, end: of.end } : {});

/** Aggregates of a twin's signals over at most `n` equal spans; of the whole series if `of` is null. */
export function buckets(
  sub: string, signal: readonly string[], of: Span | null, n: number, signalStop: AbortSignal,
): Promise<Buckets> {
  const query = { sub, signal, ...span(of), n, aggregate: ["min", "max", "mean", "count"] };
  return get<Buckets>("telemetry/buckets", query, signalStop);
}

/** At most 10,000 readings of a twin's signals, by time. */
export function raw(
  sub: string, signal: readonly string[], of: Span | null, limit: number, signalStop: AbortSignal,
): Promise<Readings> {
  return get<Readings>("telemetry/raw", { sub, signal, ...span(of), limit }, signalStop);
}

/** Save readings of the first twin among `signals` as a file. */
export async function exportCsv(signals: readonly { sub: string; signal: string }[], of: Span | null): Promise<void> {
  const sub = signals[0]?.sub;
  if (sub === undefined) return;
  const names = signals.filter((one) => one.sub === sub).map((one) => one.signal);
  const content = await bytes("api/v1/telemetry/export", { sub, signal: names, ...span(of), format: "csv" });
  const address = URL.createObjectURL(new Blob([content.slice()], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = "readings.csv";
  link.click();
  URL.revokeObjectURL(address);
}
