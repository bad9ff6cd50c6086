/** Predictions and predictors (spec/prediction.md). */

import { compareText } from "../bytes.js";
import { type Value, isArray, isMap } from "../cbor.js";
import { demand } from "../errors.js";
import {
  type Fields,
  ascends,
  checkBytes,
  checkDigest,
  checkFields,
  checkFinite,
  checkIri,
  checkName,
  checkOneOf,
  checkText,
  checkWhole,
  optionally,
  payloadFields,
} from "../fields.js";

const MAX_63 = 1n << 63n;
const MAX_53 = 1n << 53n;
const UNIT = /^[\u0021-\u007e]{1,16}$/;
const WORD = /^[a-z-]{1,32}$/;
const SIGN = 1n << 63n;

export function checkLifeUnit(value: Value | undefined, field: string): string {
  demand(typeof value === "string" && UNIT.test(value), field, "not 1 to 16 printable characters without space");
  return value;
}

/** Above 0 and at most 1, or below 1. */
export function checkCoverage(value: Value | undefined, field: string, most: "at most 1" | "below 1"): number {
  const coverage = checkFinite(value, field);
  const fits = coverage > 0 && (most === "below 1" ? coverage < 1 : coverage <= 1);
  demand(fits, field, `not above 0 and ${most}`);
  return coverage;
}

function checkRul(data: Uint8Array): void {
  const field = "prediction.rul";
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < 32; at += 8) {
    demand((view.getBigUint64(at) & SIGN) === 0n && Number.isFinite(view.getFloat64(at)), field, "negative or not finite");
  }
  const [lower, point, upper, coverage] = [0, 8, 16, 24].map((at) => view.getFloat64(at)) as [number, number, number, number];
  demand(lower <= point && point <= upper, field, "the point is outside the interval");
  demand(coverage > 0 && coverage <= 1, field, "the coverage is not above 0 and at most 1");
}

interface Range {
  readonly issuer: string;
  readonly first: bigint;
  readonly last: bigint;
}

function parseReads(value: Value | undefined): void {
  const field = "prediction.reads";
  demand(isArray(value) && value.length >= 1 && value.length <= 256, field, "not an array of 1 to 256");
  const ranges = value.map((item): Range => {
    demand(isArray(item) && item.length === 4, field, "not [IRI, first, last, digest]");
    const first = checkWhole(item[1], field, 0n, MAX_63);
    checkDigest(item[3], field);
    return { issuer: checkIri(item[0], field), first, last: checkWhole(item[2], field, first, MAX_63) };
  });
  // Beyond the one before, in one stream: sorted, and no overlap.
  const order = (a: Range, b: Range): number => compareText(a.issuer, b.issuer) || (a.last < b.first ? -1 : 1);
  demand(ascends(ranges, order), field, "not sorted, or ranges of one stream overlap");
}

function parseDrivers(value: Value, field: string): void {
  demand(isMap(value) && value.size >= 1 && value.size <= 64, field, "not a map of 1 to 64");
  for (const [name, amount] of value) {
    checkName(name, field);
    checkFinite(amount, field);
  }
}

function parseRemarks(value: Value, field: string): void {
  demand(isArray(value) && value.length >= 1 && value.length <= 32, field, "not an array of 1 to 32");
  const words = value.map((word) => {
    demand(typeof word === "string" && WORD.test(word), field, "not a word of 1 to 32 a-z and -");
    return word;
  });
  demand(ascends(words, compareText), field, "not sorted without repeats");
}

export function parsePrediction(payload: Uint8Array): Fields {
  const field = "prediction";
  const optional = ["until", "drivers", "episode", "cycle", "remarks", "widened"];
  const fields = payloadFields(payload, field, ["rul", "unit", "model", "reads"], optional);
  const rul = checkBytes(fields.get("rul"), "prediction.rul", 32);
  checkRul(rul);
  checkLifeUnit(fields.get("unit"), "prediction.unit");
  checkDigest(fields.get("model"), "prediction.model");
  parseReads(fields.get("reads"));
  optionally(fields, "until", (value, where) => checkWhole(value, where, 1n, MAX_63), field);
  optionally(fields, "drivers", parseDrivers, field);
  optionally(fields, "episode", (value, where) => checkText(value, where, 64), field);
  optionally(fields, "cycle", checkName, field);
  optionally(fields, "remarks", parseRemarks, field);
  const widened = optionally(fields, "widened", (value, where) => checkCoverage(value, where, "below 1"), field);
  if (widened !== undefined) {
    const claimed = new DataView(rul.buffer, rul.byteOffset, 32).getFloat64(24);
    demand(claimed === 0.001, "prediction.widened", "there, but the coverage in rul is not 0.001");
  }
  return fields;
}

export function parsePredictor(payload: Uint8Array): Fields {
  const field = "predictor";
  const required = ["model", "stage", "unit", "coverage", "trained"];
  const fields = payloadFields(payload, field, required, ["cycle", "card", "text"]);
  checkDigest(fields.get("model"), "predictor.model");
  checkOneOf(fields.get("stage"), "predictor.stage", ["candidate", "active", "retired"]);
  checkLifeUnit(fields.get("unit"), "predictor.unit");
  checkCoverage(fields.get("coverage"), "predictor.coverage", "below 1");
  const trained = checkFields(fields.get("trained"), "predictor.trained", ["size", "root", "twins", "failed", "rows"]);
  checkWhole(trained.get("size"), "predictor.trained.size", 1n, MAX_63);
  checkDigest(trained.get("root"), "predictor.trained.root");
  const counts = ["twins", "failed", "rows"].map((key) => checkWhole(trained.get(key), `predictor.trained.${key}`, 0n, MAX_53));
  demand(counts[1]! <= counts[0]!, "predictor.trained.failed", "more than there are twins");
  optionally(fields, "cycle", checkName, field);
  optionally(fields, "card", checkDigest, field);
  optionally(fields, "text", (value, where) => checkText(value, where, 1000), field);
  return fields;
}
