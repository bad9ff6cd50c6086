/** Rules, alarms, and what people answer to alarms (spec/live.md). */

import { type Value, decode, isArray, isBytes, isMap } from "../cbor.js";
import { demand } from "../errors.js";
import {
  type Fields,
  checkFields,
  checkFinite,
  checkId,
  checkOneOf,
  checkText,
  checkTime,
  checkWhole,
  optionally,
  payloadFields,
} from "../fields.js";
import { checkReadingName } from "./senml.js";

/** Seconds. */
const MAX_DELAY = 2_592_000n;
const MAX_MONITOR = 49_152;
const INDEX_END = 1n << 63n;

export function parseRule(payload: Uint8Array): Fields {
  const field = "rule";
  const value = decode(payload, field);
  if (isMap(value) && value.has("remove")) return parseRemoval(value, field);
  const optional = ["deadband", "delay_on", "delay_off", "text", "monitor"];
  const fields = checkFields(value, field, ["id", "signal", "test", "severity"], optional);
  checkId(fields.get("id"), "rule.id");
  checkReadingName(fields.get("signal"), "rule.signal");
  checkOneOf(fields.get("severity"), "rule.severity", ["low", "medium", "high", "critical"]);
  const test = fields.get("test");
  demand(isMap(test) && test.size === 1, "rule.test", "not a map of one kind of test");
  const [[kind, limit]] = [...test] as [[Value, Value]];
  checkOneOf(kind, "rule.test", ["above", "below", "rises_faster", "falls_faster", "missing", "strays"]);
  const monitor = fields.get("monitor");
  demand((kind === "strays") === (monitor !== undefined), "rule.monitor", "there just with strays");
  const fits = monitor === undefined || (isBytes(monitor) && monitor.length > 0 && monitor.length <= MAX_MONITOR);
  demand(fits, "rule.monitor", `not 1 to ${MAX_MONITOR} bytes`);
  const positive = kind === "above" || kind === "below" || checkFinite(limit, "rule.test") > 0;
  checkFinite(limit, "rule.test");
  demand(positive, "rule.test", "a rate or a time that is not positive");
  const deadband = optionally(fields, "deadband", checkFinite, field);
  demand(deadband === undefined || deadband >= 0, "rule.deadband", "negative");
  const delay = (found: Value, where: string): bigint => checkWhole(found, where, 0n, MAX_DELAY + 1n);
  optionally(fields, "delay_on", delay, field);
  optionally(fields, "delay_off", delay, field);
  optionally(fields, "text", (found, where) => checkText(found, where, 500), field);
  return fields;
}

/** `{"id": id, "remove": true}`, of a rule or of a policy. */
export function parseRemoval(value: Value, field: string): Fields {
  const fields = checkFields(value, field, ["id", "remove"]);
  checkId(fields.get("id"), `${field}.id`);
  demand(fields.get("remove") === true, `${field}.remove`, "not true");
  return fields;
}

export function parseAlarm(payload: Uint8Array): Fields {
  const fields = payloadFields(payload, "alarm", ["rule", "transition"], ["value", "time", "entry", "case"]);
  checkId(fields.get("rule"), "alarm.rule");
  checkOneOf(fields.get("transition"), "alarm.transition", ["raise", "clear"]);
  optionally(fields, "value", checkFinite, "alarm");
  optionally(fields, "time", checkFinite, "alarm");
  optionally(fields, "entry", (value, where) => checkWhole(value, where, 0n, INDEX_END), "alarm");
  optionally(fields, "case", checkCase, "alarm");
  return fields;
}

function checkCase(value: Value, field: string): void {
  const fields = checkFields(value, field, ["detector", "score", "since", "signals"], ["hints", "fleet"]);
  checkId(fields.get("detector"), `${field}.detector`);
  checkFinite(fields.get("score"), `${field}.score`);
  checkFinite(fields.get("since"), `${field}.since`);
  const names = new Set<Value>();
  let least = Infinity;
  for (const stray of checkSome(fields.get("signals"), `${field}.signals`, 16)) {
    demand(isArray(stray) && stray.length === 2, `${field}.signals`, "not a name and a number");
    names.add(checkReadingName(stray[0], `${field}.signals`));
    const size = Math.abs(checkFinite(stray[1], `${field}.signals`));
    demand(size <= least, `${field}.signals`, "not the most first");
    least = size;
  }
  demand(names.size === checkSome(fields.get("signals"), field, 16).length, `${field}.signals`, "names one twice");
  optionally(fields, "hints", (hints, where) => checkSome(hints, where, 4).forEach((hint) => checkText(hint, where, 100)), field);
  optionally(fields, "fleet", checkFleet, field);
}

function checkSome(value: Value | undefined, field: string, limit: number): readonly Value[] {
  demand(isArray(value) && value.length > 0 && value.length <= limit, field, `not an array of 1 to ${limit}`);
  return value;
}

function checkFleet(value: Value, field: string): void {
  demand(isArray(value) && value.length === 2, field, "not two numbers");
  const twins = checkWhole(value[1], field, 1n, INDEX_END);
  checkWhole(value[0], field, 1n, twins + 1n);
}

export function parseAlarmResponse(payload: Uint8Array): Fields {
  const field = "alarm-response";
  const fields = payloadFields(payload, field, ["rule", "transition"], ["until", "text"]);
  checkId(fields.get("rule"), `${field}.rule`);
  const transition = checkOneOf(fields.get("transition"), `${field}.transition`, ["acknowledge", "shelve", "unshelve"]);
  demand(fields.has("until") === (transition === "shelve"), `${field}.until`, "there just in a shelving");
  optionally(fields, "until", checkTime, field);
  optionally(fields, "text", (value, where) => checkText(value, where, 500), field);
  return fields;
}
