/** Rules, alarms, and what people answer to alarms (spec/live.md). */

import { type Value, decode, isMap } from "../cbor.js";
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

export function parseRule(payload: Uint8Array): Fields {
  const field = "rule";
  const value = decode(payload, field);
  if (isMap(value) && value.has("remove")) return parseRemoval(value, field);
  const optional = ["deadband", "delay_on", "delay_off", "text"];
  const fields = checkFields(value, field, ["id", "signal", "test", "severity"], optional);
  checkId(fields.get("id"), "rule.id");
  checkReadingName(fields.get("signal"), "rule.signal");
  checkOneOf(fields.get("severity"), "rule.severity", ["low", "medium", "high", "critical"]);
  const test = fields.get("test");
  demand(isMap(test) && test.size === 1, "rule.test", "not a map of one kind of test");
  const [[kind, limit]] = [...test] as [[Value, Value]];
  checkOneOf(kind, "rule.test", ["above", "below", "rises_faster", "falls_faster", "missing"]);
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
  const fields = payloadFields(payload, "alarm", ["rule", "transition"], ["value", "time"]);
  checkId(fields.get("rule"), "alarm.rule");
  checkOneOf(fields.get("transition"), "alarm.transition", ["raise", "clear"]);
  optionally(fields, "value", checkFinite, "alarm");
  optionally(fields, "time", checkFinite, "alarm");
  return fields;
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
