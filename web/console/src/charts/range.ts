// Which span of time a chart shows.
import type { Span } from "../api/telemetry";

export type Preset = "hour" | "day" | "week" | "all";
export const PRESETS: readonly Preset[] = ["hour", "day", "week", "all"];
const SECONDS: Record<Exclude<Preset, "all">, number> = { hour: 3600, day: 86_400, week: 604_800 };
/** Seconds; less than this cannot be told apart on a clock's double. */
const LEAST = 1e-3;

/** A preset follows the newest reading, a span stays. */
export type View = { preset: Preset } | { span: Span };

export function spanOf(view: View, newest: number | null): Span | null {
  if ("span" in view) return view.span;
  if (view.preset === "all") return null;
  // The end is excluded, and the newest reading is to be seen.
  const end = (newest ?? Date.now() / 1000) + Math.max(0.001, SECONDS[view.preset] / 500);
  return { start: end - SECONDS[view.preset], end };
}

/** The span times `factor`, around its middle or a moment. */
export function scaled(span: Span, factor: number, around?: number | null): View {
  const middle = around ?? (span.start + span.end) / 2;
  const share = (middle - span.start) / (span.end - span.start);
  const length = Math.max(LEAST, (span.end - span.start) * factor);
  return { span: { start: middle - share * length, end: middle + (1 - share) * length } };
}

/** The span moved by a share of its length. */
export function shifted(span: Span, share: number): View {
  const by = (span.end - span.start) * share;
  return { span: { start: span.start + by, end: span.end + by } };
}
