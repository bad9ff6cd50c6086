/** A trained model's document (spec/model.md): read strictly, from strangers; nothing in it is run. */

import { type Value, decode, isArray, isBytes } from "../cbor.js";
import { demand } from "../errors.js";
import { checkFields, checkText } from "../fields.js";
import { checkUcum } from "../kinds/units.js";
import { Forest, MAX_NUMBER, TOO_BIG, parseTrees } from "./trees.js";

const FORMAT = "twinproof.rul/1";
/** Bytes. */
export const MAX_MODEL = 67_108_864;
const MAX_CARD = 262_144;
const DEPTH = 8;
/** Of a document that keeps the limits below, there are far fewer. */
const MAX_ITEMS = 262_144;
const MAX_SIGNALS = 1_024;
const MAX_SETTINGS = 16;
const MAX_REGIMES = 256;
const MAX_COMBINATIONS = 65_536;
const MAX_CHANNELS = 64;
const MAX_SPANS = 16;
const MAX_WINDOW = 1_024;
const MAX_MEMBERS = 16;
const MAX_LAYERS = 8;
const MAX_WIDTH = 4_096;
const MAX_BINS = 256;
const MAX_COUNT = 2 ** 31 - 1;
const MAX_UNIT = 16;
const NAME = /^[!-~]{1,128}$/;

/** Numbers row by row. */
type Matrix = readonly Float64Array[];

export interface Regimes {
  /** Per setting, [low, high] of each interval. */
  readonly intervals: Matrix[];
  /** Each names an interval per setting. */
  readonly cells: readonly (readonly number[])[];
}

/** Which features are made of each channel. */
export interface Plan {
  readonly emas: readonly number[];
  readonly slopes: readonly number[];
  readonly spreads: readonly number[];
  readonly recent: number;
  readonly baseline: number;
}

const COUNTS = ["oldest", "hold", "minimum", "short", "gap", "settle"] as const;

export interface Limits extends Readonly<Record<(typeof COUNTS)[number], number>> {
  readonly outlier: Float64Array;
  readonly stuck: readonly number[];
  readonly widen: number;
}

export interface Layer {
  /** A row per output. */
  readonly weights: Matrix;
  readonly bias: Float64Array;
}

export interface Network {
  readonly reads: readonly number[];
  readonly mean: Float64Array;
  readonly gain: Float64Array;
  readonly layers: readonly Layer[];
}

export interface Member {
  readonly weight: number;
  readonly answers: Forest | Network;
}

export interface Intervals {
  readonly edges: Float64Array;
  /** Per mille. */
  readonly levels: readonly number[];
  /** Per bin, one per level. */
  readonly residuals: Matrix;
}

export interface Model {
  readonly unit: string;
  readonly cap: number;
  readonly settings: readonly string[];
  readonly signals: readonly string[];
  readonly regimes: Regimes;
  /** Per regime and signal. */
  readonly mean: Matrix;
  readonly gain: Matrix;
  /** Per signal and channel. */
  readonly projection: Matrix;
  readonly channels: number;
  readonly plan: Plan;
  /** How many features the plan makes. */
  readonly width: number;
  readonly limits: Limits;
  readonly members: readonly Member[];
  readonly intervals: Intervals;
  /** UCUM codes of settings, then signals. */
  readonly units: readonly (string | null)[] | undefined;
}

const TOP = [
  "format", "unit", "cap", "settings", "signals", "regimes", "scale", "projection", "features", "limits", "members",
  "intervals", "card",
];

/** The model whose document these bytes are. */
export function parseModel(data: Uint8Array): Model {
  demand(data.length <= MAX_MODEL, "model", `more than ${MAX_MODEL} bytes`);
  const top = checkFields(decode(data, "model", DEPTH, MAX_ITEMS), "model", TOP, ["units"]);
  demand(top.get("format") === FORMAT, "model.format", `not '${FORMAT}'`);
  const settings = names(top.get("settings"), "model.settings", MAX_SETTINGS);
  const signals = names(top.get("signals"), "model.signals", MAX_SIGNALS);
  const apart = signals.length > 0 && !signals.some((name) => settings.includes(name));
  demand(apart, "model.signals", "none, or one that is a setting too");
  const regimes = parseRegimes(top.get("regimes"), settings.length);
  const scale = checkFields(top.get("scale"), "model.scale", ["mean", "gain"]);
  const projection = parseProjection(top.get("projection"), signals.length);
  const channels = projection[0]!.length;
  const plan = parsePlan(top.get("features"));
  const width = (plan.emas.length + plan.slopes.length + plan.spreads.length + 1) * channels + 1;
  const cap = positive(top.get("cap"), "model.cap");
  const card = top.get("card");
  demand(isBytes(card) && card.length <= MAX_CARD, "model.card", `not a byte string, or more than ${MAX_CARD} bytes`);
  const cells = regimes.cells.length;
  return {
    unit: checkText(top.get("unit"), "model.unit", MAX_UNIT),
    cap,
    settings,
    signals,
    regimes,
    mean: matrix(scale.get("mean"), cells, signals.length, "model.scale.mean"),
    gain: matrix(scale.get("gain"), cells, signals.length, "model.scale.gain"),
    projection,
    channels,
    plan,
    width,
    limits: parseLimits(top.get("limits"), signals.length),
    members: parseMembers(top.get("members"), width),
    intervals: parseIntervals(top.get("intervals")),
    units: top.has("units") ? parseUnits(top.get("units"), settings.length + signals.length) : undefined,
  };
}

function parseUnits(value: Value | undefined, count: number): readonly (string | null)[] {
  return array(value, "model.units", MAX_SIGNALS + MAX_SETTINGS, count).map((unit) =>
    unit === null ? null : checkUcum(checkText(unit, "model.units", 32), "model.units"),
  );
}

function parseRegimes(value: Value | undefined, settings: number): Regimes {
  const what = "model.regimes";
  const found = checkFields(value, what, ["intervals", "cells"]);
  let combinations = 1;
  const intervals = array(found.get("intervals"), `${what}.intervals`, MAX_SETTINGS, settings).map((item, number) => {
    const where = `${what}.intervals.${number}`;
    const list = matrix(item, Math.floor(bytes(item, where).length / 16), 2, where);
    const fits = list.every(([low, high], at) => low! <= high! && (at === 0 || list[at - 1]![1]! < low!));
    demand(list.length > 0 && fits, where, "none, or not ascending and apart");
    combinations *= list.length;
    return list;
  });
  demand(combinations <= MAX_COMBINATIONS, `${what}.intervals`, `more than ${MAX_COMBINATIONS} combinations`);
  const cells = array(found.get("cells"), `${what}.cells`, MAX_REGIMES).map((item, number) => {
    const cell = counts(item, `${what}.cells.${number}`, settings, 0);
    const there = cell.every((at, setting) => at < intervals[setting]!.length);
    demand(there, `${what}.cells.${number}`, "names an interval that is not there");
    return cell;
  });
  const sorted = cells.every((cell, at) => at === 0 || before(cells[at - 1]!, cell));
  demand(cells.length > 0 && sorted, `${what}.cells`, "none, or not ascending");
  return { intervals, cells };
}

/** Of two lists of one length: whether the first sorts before the second. */
function before(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((x, i) => x !== b[i]);
  return at >= 0 && a[at]! < b[at]!;
}

function parseProjection(value: Value | undefined, signals: number): Matrix {
  const what = "model.projection";
  const columns = Math.floor(bytes(value, what).length / (8 * signals));
  const fits = columns >= 1 && columns <= MAX_CHANNELS;
  demand(fits, what, `not ${signals} rows of 1..${MAX_CHANNELS} float64 numbers`);
  return matrix(value, signals, columns, what);
}

function parsePlan(value: Value | undefined): Plan {
  const what = "model.features";
  const found = checkFields(value, what, ["emas", "slopes", "spreads", "recent", "baseline"]);
  const [emas, slopes, spreads] = ["emas", "slopes", "spreads"].map((name) => {
    const spans = counts(found.get(name), `${what}.${name}`, undefined, 1, MAX_WINDOW);
    const fits = spans.length > 0 && spans.length <= MAX_SPANS && ascends(spans);
    demand(fits, `${what}.${name}`, `not 1 to ${MAX_SPANS} ascending numbers`);
    return spans;
  }) as [readonly number[], readonly number[], readonly number[]];
  const recent = count(found.get("recent"), `${what}.recent`, 1, MAX_WINDOW);
  const baseline = count(found.get("baseline"), `${what}.baseline`, 1, MAX_WINDOW);
  demand(emas.includes(recent), `${what}.recent`, "not one of the emas");
  return { emas, slopes, spreads, recent, baseline };
}

function parseLimits(value: Value | undefined, signals: number): Limits {
  const what = "model.limits";
  const found = checkFields(value, what, ["outlier", "stuck", "widen", ...COUNTS]);
  const outlier = vector(found.get("outlier"), signals, `${what}.outlier`);
  demand(outlier.every((limit) => limit > 0), `${what}.outlier`, "not positive");
  const widen = positive(found.get("widen"), `${what}.widen`);
  const [oldest, hold, minimum, short, gap, settle] = COUNTS.map((name) =>
    count(found.get(name), `${what}.${name}`, 1, MAX_COUNT),
  ) as [number, number, number, number, number, number];
  const stuck = counts(found.get("stuck"), `${what}.stuck`, signals, 1);
  return { outlier, stuck, widen, oldest, hold, minimum, short, gap, settle };
}

function parseMembers(value: Value | undefined, width: number): readonly Member[] {
  const members = array(value, "model.members", MAX_MEMBERS).map((item, number): Member => {
    const what = `model.members.${number}`;
    const found = checkFields(item, what, ["weight"], ["trees", "network"]);
    demand(found.size === 2, what, "neither trees nor network, or both");
    const weight = positive(found.get("weight"), `${what}.weight`);
    const trees = found.get("trees");
    const answers =
      trees === undefined
        ? parseNetwork(found.get("network"), width, `${what}.network`)
        : parseTrees(bytes(trees, `${what}.trees`), width, `${what}.trees`);
    return { weight, answers };
  });
  demand(members.length > 0, "model.members", "none");
  return members;
}

function parseNetwork(value: Value | undefined, width: number, what: string): Network {
  const found = checkFields(value, what, ["reads", "mean", "gain", "layers"]);
  const reads = counts(found.get("reads"), `${what}.reads`, undefined, 0, width - 1);
  demand(reads.length > 0 && ascends(reads), `${what}.reads`, "none, or not ascending");
  let inputs = reads.length;
  const layers = array(found.get("layers"), `${what}.layers`, MAX_LAYERS).map((item, number): Layer => {
    const where = `${what}.layers.${number}`;
    const [taken, given, packed] = array(item, where, 3, 3);
    const outputs = count(given, where, 1, MAX_WIDTH);
    demand(taken === BigInt(inputs), where, `does not take ${inputs} numbers`);
    const flat = vector(packed, inputs * outputs + outputs, where);
    const weights = Array.from({ length: outputs }, (_, row) => flat.subarray(row * inputs, (row + 1) * inputs));
    const bias = flat.subarray(inputs * outputs);
    inputs = outputs;
    return { weights, bias };
  });
  demand(layers.length > 0 && inputs === 1, `${what}.layers`, "do not end in one number");
  const mean = vector(found.get("mean"), reads.length, `${what}.mean`);
  return { reads, mean, gain: vector(found.get("gain"), reads.length, `${what}.gain`), layers };
}

function parseIntervals(value: Value | undefined): Intervals {
  const what = "model.intervals";
  const found = checkFields(value, what, ["edges", "levels", "residuals"]);
  const packed = bytes(found.get("edges"), `${what}.edges`);
  const size = Math.floor(packed.length / 8);
  const edges = size ? vector(packed, size, `${what}.edges`) : new Float64Array(0);
  demand(packed.length === 8 * size && ascends(edges), `${what}.edges`, "not ascending float64 numbers");
  demand(edges.length < MAX_BINS, `${what}.edges`, `more than ${MAX_BINS} bins`);
  const levels = counts(found.get("levels"), `${what}.levels`, undefined, 1, 999);
  demand(levels.length > 0 && ascends(levels), `${what}.levels`, "none, or not ascending");
  const residuals = matrix(found.get("residuals"), edges.length + 1, levels.length, `${what}.residuals`);
  const sorted = residuals.every((row) => row.every((x, at) => at === 0 || row[at - 1]! <= x));
  demand(sorted, `${what}.residuals`, "not ascending within a bin");
  return { edges, levels, residuals };
}

// --- values -------------------------------------------------------------------------------------

function names(value: Value | undefined, what: string, limit: number): readonly string[] {
  const found = array(value, what, limit).filter((name): name is string => typeof name === "string" && NAME.test(name));
  const fits = found.length === (value as readonly Value[]).length && new Set(found).size === found.length;
  demand(fits, what, "not all are different names of 1..128 printable ASCII characters");
  return found;
}

function array(value: Value | undefined, what: string, limit: number, size?: number): readonly Value[] {
  const fits = isArray(value) && (size === undefined || value.length === size);
  demand(fits, what, size === undefined ? "not an array" : `not an array of ${size}`);
  demand(value.length <= limit, what, `more than ${limit}`);
  return value;
}

function bytes(value: Value | undefined, what: string): Uint8Array {
  demand(isBytes(value), what, "not a byte string");
  return value;
}

function count(value: Value | undefined, what: string, low: number, high: number): number {
  const fits = typeof value === "bigint" && value >= low && value <= high;
  demand(fits, what, `not a whole number in ${low}..${high}`);
  return Number(value);
}

function counts(value: Value | undefined, what: string, size: number | undefined, low: number, high = MAX_COUNT): readonly number[] {
  return array(value, what, MAX_SIGNALS, size).map((item) => count(item, what, low, high));
}

function positive(value: Value | undefined, what: string): number {
  const fits = typeof value === "number" && value > 0 && value <= MAX_NUMBER;
  demand(fits, what, "not a positive float up to 1e+12");
  return value;
}

function ascends(list: readonly number[] | Float64Array): boolean {
  for (let at = 1; at < list.length; at++) if (!(list[at - 1]! < list[at]!)) return false;
  return true;
}

/** Big-endian binary64 numbers, row by row. */
function matrix(value: Value | undefined, rows: number, columns: number, what: string): Matrix {
  const data = bytes(value, what);
  demand(data.length === 8 * rows * columns, what, `not ${rows} rows of ${columns} float64 numbers`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const flat = new Float64Array(rows * columns);
  for (let at = 0; at < flat.length; at++) flat[at] = view.getFloat64(8 * at);
  demand(flat.every((x) => -MAX_NUMBER <= x && x <= MAX_NUMBER), what, TOO_BIG);
  return Array.from({ length: rows }, (_, row) => flat.subarray(row * columns, (row + 1) * columns));
}

function vector(value: Value | undefined, size: number, what: string): Float64Array {
  return matrix(value, 1, size, what)[0]!;
}
