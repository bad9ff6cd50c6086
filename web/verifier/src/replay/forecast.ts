/** From rows to the forecast's bits (spec/model.md): the arithmetic, one asset at a time, in the order that the page tells. */

import { Refused } from "../errors.js";
import type { Model, Network } from "./model.js";
import { Forest } from "./trees.js";

/** One cycle of one asset; NaN where a sensor said nothing. */
export interface Row {
  readonly cycle: number;
  readonly settings: readonly number[];
  readonly signals: readonly number[];
}

export const MAX_CYCLE = 2 ** 53 - 1;
const REFUSING = ["blind", "too-short", "regime-lost"];
const WIDENING = ["lost", "jump", "old"];
/** Of signals whose part in a forecast is told. */
const DRIVERS = 5;
const INPUT_LIMIT = 8;
const NEVER = -1;

export interface Forecast {
  readonly verdict: "refused" | "widened" | "stands";
  /** Not sorted. */
  readonly remarks: readonly string[];
  /** NaN if refused. */
  readonly lower: number;
  readonly point: number;
  readonly upper: number;
  /** Nominal. */
  readonly coverage: number;
}

/** Sums of one width over the newest rows. */
interface Window {
  readonly width: number;
  /** Places of the first channel's features. */
  readonly slope: number | undefined;
  readonly spread: number | undefined;
}

const decay = (span: number): number => (span - 1) / (span + 1);

function cut(x: number, low: number, high: number): number {
  const above = x < low ? low : x;
  return above > high ? high : above;
}

/** An asset's memory. Each row costs the same, however long the history is. */
export class Replayer {
  private cycle = NEVER;
  private rows = 0;
  private sinceGap: number;
  private sinceJump: number;
  private unknown = 0;
  private stuckNow = false;
  private outlierNow = false;
  private readonly held: Float64Array;
  private readonly last: Float64Array;
  private readonly run: Float64Array;
  private readonly bad: Float64Array;
  private readonly level: Float64Array;
  private readonly origin: Float64Array;
  private readonly base: Float64Array;
  private readonly sums: readonly Float64Array[];
  private readonly masses: Float64Array;
  /** Per channel, a ring; `newest` is the place of the newest row. */
  private readonly rings: readonly Float64Array[];
  private newest = 0;
  private readonly windows: readonly Window[];
  private readonly depth: number;
  private readonly cells: ReadonlyMap<string, number>;
  readonly features: Float64Array;

  constructor(private readonly model: Model) {
    const { channels, plan, limits, width } = model;
    const signals = model.signals.length;
    const widths = [...new Set([...plan.slopes, ...plan.spreads])].sort((a, b) => a - b);
    const place = (list: readonly number[], of: number, before: number): number | undefined =>
      list.includes(of) ? (before + list.indexOf(of)) * channels : undefined;
    this.windows = widths.map((of) => ({
      width: of,
      slope: place(plan.slopes, of, plan.emas.length),
      spread: place(plan.spreads, of, plan.emas.length + plan.slopes.length),
    }));
    this.depth = widths.at(-1)!;
    this.sinceGap = this.sinceJump = this.depth + limits.settle;
    this.held = new Float64Array(signals);
    this.last = new Float64Array(signals).fill(Number.NaN);
    this.run = new Float64Array(signals);
    this.bad = new Float64Array(signals);
    this.level = new Float64Array(signals);
    this.origin = new Float64Array(signals);
    this.base = new Float64Array(channels);
    this.sums = plan.emas.map(() => new Float64Array(channels));
    this.masses = new Float64Array(plan.emas.length);
    this.rings = Array.from({ length: channels }, () => new Float64Array(this.depth));
    this.cells = new Map(model.regimes.cells.map((cell, at) => [cell.join(), at]));
    this.features = new Float64Array(width);
  }

  take({ cycle, settings, signals }: Row): void {
    const { limits } = this.model;
    if (!(cycle <= MAX_CYCLE)) throw new Refused("cycle", `${cycle} is not a whole number in 0..${MAX_CYCLE}`);
    const missing = this.cycle === NEVER ? 0 : cycle - this.cycle - 1;
    this.sinceGap = missing > 0 ? 0 : this.sinceGap + 1;
    this.sinceJump = missing > limits.gap ? 0 : this.sinceJump + 1;
    this.cycle = cycle;
    this.stuckNow = this.outlierNow = false;
    const regime = this.regimeOf(settings);
    if (regime === undefined) {
      this.unknown++;
    } else {
      this.unknown = 0;
      this.rows++;
      this.believe(regime, signals);
      this.refresh();
    }
    this.features[this.features.length - 1] = cycle;
  }

  private regimeOf(settings: readonly number[]): number | undefined {
    const cell: number[] = [];
    for (const [at, value] of settings.entries()) {
      const number = this.model.regimes.intervals[at]!.findIndex(([low, high]) => low! <= value && value <= high!);
      if (number < 0) return undefined;
      cell.push(number);
    }
    return this.cells.get(cell.join());
  }

  private believe(regime: number, signals: readonly number[]): void {
    const { limits, mean, gain, plan } = this.model;
    const by = decay(plan.recent);
    for (let s = 0; s < signals.length; s++) {
      const x = signals[s]!;
      const scale = gain[regime]![s]!;
      const there = Number.isFinite(x);
      if (scale > 0) this.run[s] = !there ? 0 : x === this.last[s]! ? this.run[s]! + 1 : 1;
      if (there) this.last[s] = x;
      const z = (x - mean[regime]![s]!) * scale;
      const stuck = this.run[s]! > limits.stuck[s]!;
      const inside = -limits.outlier[s]! <= z && z <= limits.outlier[s]!;
      if (there && inside && !stuck) {
        this.held[s] = z;
        this.bad[s] = 0;
      } else {
        this.bad[s]!++;
        if (there && stuck) this.stuckNow = true;
        if (there && !inside) this.outlierNow = true;
      }
      this.level[s] = this.held[s]! + by * this.level[s]!;
      if (this.rows <= plan.baseline) this.origin[s]! += this.held[s]!;
    }
  }

  private refresh(): void {
    const { channels, plan, projection } = this.model;
    const out = this.features;
    const now = new Float64Array(channels);
    for (let s = 0; s < projection.length; s++) {
      const z = this.held[s]!;
      const weights = projection[s]!;
      for (let c = 0; c < channels; c++) now[c]! += z * weights[c]!;
    }
    this.newest = this.newest === 0 ? this.depth - 1 : this.newest - 1;
    let recent = 0;
    for (let e = 0; e < plan.emas.length; e++) {
      const by = decay(plan.emas[e]!);
      const mass = (this.masses[e] = 1 + by * this.masses[e]!);
      const sums = this.sums[e]!;
      if (plan.emas[e] === plan.recent) recent = e * channels;
      for (let c = 0; c < channels; c++) {
        sums[c] = now[c]! + by * sums[c]!;
        out[e * channels + c] = sums[c]! / mass;
      }
    }
    const change = (plan.emas.length + plan.slopes.length + plan.spreads.length) * channels;
    const first = Math.min(this.rows, plan.baseline);
    for (let c = 0; c < channels; c++) {
      this.rings[c]![this.newest] = now[c]!;
      this.lookBack(c);
      if (this.rows <= plan.baseline) this.base[c]! += now[c]!;
      out[change + c] = out[recent + c]! - this.base[c]! / first;
    }
  }

  /** Slopes and spreads: each window is a prefix of the longest, from the newest row back. */
  private lookBack(channel: number): void {
    const ring = this.rings[channel]!;
    const out = this.features;
    let [total, weighted, squares, back, at] = [0, 0, 0, 0, this.newest];
    for (const { width, slope, spread } of this.windows) {
      const n = Math.min(width, this.rows);
      while (back < n) {
        const x = ring[at]!;
        total += x;
        weighted += back * x;
        squares += x * x;
        back++;
        at = at + 1 === ring.length ? 0 : at + 1;
      }
      if (slope !== undefined) {
        out[slope + channel] = n > 1 ? (((n - 1) / 2) * total - weighted) / ((n * (n * n - 1)) / 12) : 0;
      }
      if (spread !== undefined) {
        const mean = total / n;
        const variance = squares / n - mean * mean;
        out[spread + channel] = variance > 0 ? Math.sqrt(variance) : 0;
      }
    }
  }

  /** For the newest row; all but `horizon`. */
  private remarks(): string[] {
    const { limits } = this.model;
    const lost = this.bad.filter((bad) => bad > limits.hold).length;
    const found: readonly (readonly [string, boolean])[] = [
      ["held", this.bad.some((bad) => bad > 0)],
      ["lost", lost > 0],
      ["stuck", this.stuckNow],
      ["outlier", this.outlierNow],
      ["gap", this.sinceGap < limits.settle],
      ["jump", this.sinceJump < limits.settle],
      ["unknown-regime", this.unknown > 0],
      ["short", this.rows < limits.short],
      ["old", this.cycle > limits.oldest],
      ["blind", 3 * lost > this.bad.length],
      ["too-short", this.rows < limits.minimum],
      ["regime-lost", this.unknown > limits.hold],
    ];
    return found.filter(([, holds]) => holds).map(([name]) => name);
  }

  /** After the newest row. `coverage` is in per mille; refused is one that the model has no interval of. */
  forecast(coverage: number): Forecast {
    const { intervals, cap, limits } = this.model;
    const tail = (1000 - coverage) / 2;
    const [low, high] = [intervals.levels.indexOf(tail), intervals.levels.indexOf(1000 - tail)];
    if (!(coverage > 0 && coverage < 1000) || low < 0 || high < 0) {
      throw new Refused("coverage", `the model has no interval of ${coverage} per mille`);
    }
    const remarks = this.remarks();
    const share = coverage / 1000;
    if (remarks.some((word) => REFUSING.includes(word))) {
      const [lower, point, upper] = [Number.NaN, Number.NaN, Number.NaN];
      return { verdict: "refused", remarks, lower, point, upper, coverage: share };
    }
    const point = this.answer(this.features);
    let bin = 0;
    while (bin < intervals.edges.length && point >= intervals.edges[bin]!) bin++;
    let [below, above] = [intervals.residuals[bin]![low]!, intervals.residuals[bin]![high]!];
    const isWide = remarks.some((word) => WIDENING.includes(word));
    if (isWide) [below, above] = [below * limits.widen, above * limits.widen];
    const lower = cut(point + below, 0, point);
    const upper = point + above > cap ? cap : point + above;
    const bound = upper < point ? point : upper;
    if (bound === cap) remarks.push("horizon");
    const verdict = isWide ? "widened" : "stands";
    // Zeros have no sign.
    return { verdict, remarks, lower: lower + 0, point: point + 0, upper: bound + 0, coverage: share };
  }

  private answer(features: Float64Array): number {
    let point = 0;
    for (const { weight, answers } of this.model.members) {
      point += weight * (answers instanceof Forest ? answers.answer(features) : answerOf(answers, features));
    }
    return cut(point, 0, this.model.cap);
  }

  /** By how much signals moved the point of `forecast`, which is that after the newest row. */
  drivers(forecast: Forecast): ReadonlyMap<string, number> {
    const { channels, plan, projection, signals } = this.model;
    const found = new Map<string, number>();
    if (forecast.verdict === "refused" || forecast.remarks.includes("horizon")) return found;
    const first = Math.min(this.rows, plan.baseline);
    const mass = this.masses[plan.emas.indexOf(plan.recent)]!;
    const moved = this.level.map((level, s) => level / mass - this.origin[s]! / first);
    const weights = moved.map((by, s) => Math.abs(by * projection[s]![0]!));
    const change = (plan.emas.length + plan.slopes.length + plan.spreads.length) * channels;
    const firsts = [...plan.emas.keys()].map((e) => e * channels);
    // Sorting is stable: of equals the first.
    const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]!);
    for (const s of order.slice(0, DRIVERS)) {
      const features = this.features.slice();
      for (let c = 0; c < channels; c++) {
        for (const begin of [...firsts, change]) features[begin + c]! -= moved[s]! * projection[s]![c]!;
      }
      const effect = forecast.point - this.answer(features);
      if (effect !== 0) found.set(signals[s]!, effect);
    }
    return found;
  }
}

function answerOf({ reads, mean, gain, layers }: Network, features: Float64Array): number {
  let values = Float64Array.from(reads, (at, i) => cut((features[at]! - mean[i]!) * gain[i]!, -INPUT_LIMIT, INPUT_LIMIT));
  for (const [number, { weights, bias }] of layers.entries()) {
    const following = new Float64Array(bias.length);
    for (let row = 0; row < bias.length; row++) {
      const by = weights[row]!;
      let total = bias[row]!;
      for (let i = 0; i < values.length; i++) total += values[i]! * by[i]!;
      following[row] = number === layers.length - 1 || total > 0 ? total : 0;
    }
    values = following;
  }
  return values[0]!;
}
