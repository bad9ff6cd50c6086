import { get } from "./client";

export type Health = "good" | "watch" | "act" | "unknown";
export const HEALTHS: readonly Health[] = ["act", "watch", "good", "unknown"];

export interface FleetForecast {
  lower: number;
  point: number;
  upper: number;
  /** What share of such intervals the predictor claims to hold, 0 to 1. */
  coverage: number;
  unit: string;
  /** The readings were too bad: the coverage for which the interval was stretched; `coverage` claims nothing then. */
  widened: number | null;
  time: number;
  entry: number;
}

export interface FleetRow {
  sub: string;
  name: string | null;
  model: string | null;
  lifecycle: string | null;
  health: Health;
  statements: number;
  /** The newest entry about it. */
  entry: number;
  time: number;
  alarms: { standing: number; unacknowledged: number; worst: string | null };
  forecast: FleetForecast | null;
  /** POSIX seconds of the newest reading. */
  newest: number | null;
  signed: "device" | "gateway" | "both" | null;
  gaps: number;
  anchored: boolean | null;
  orders: number;
}

export interface FleetPage {
  items: FleetRow[];
  next: string | null;
  /** Entries that the newest anchor covers: it grows without a word about a twin. Null without a chain. */
  anchored_size: number | null;
  reached: number;
}

export interface FleetQuery {
  prefix?: string | undefined;
  model?: string | undefined;
  /** Only rows with entries at or after it. */
  since?: number | undefined;
  after?: string | undefined;
  limit?: number | undefined;
}

export const getFleet = (query: FleetQuery, signal?: AbortSignal): Promise<FleetPage> =>
  get<FleetPage>("fleet", { ...query }, signal);
