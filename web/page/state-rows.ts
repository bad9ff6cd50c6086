/** A twin's state, as the verifier's fold has it, in rows for a table. */

import type { CborMap, CborValue } from "../verifier/src/index";
import type { StateRow } from "./protocol";
import { bytesText, valueText } from "./tree";

type Items = readonly CborValue[];

const list = (value: CborValue | undefined): Items => (Array.isArray(value) ? value : []);
const number = (value: CborValue | undefined): number | null => (typeof value === "bigint" || typeof value === "number" ? Number(value) : null);
const text = (value: CborValue | undefined): string => (value === undefined ? "" : valueText(value));

function members(value: CborValue | undefined): [string, Items][] {
  return value instanceof Map ? [...value].map(([name, items]): [string, Items] => [String(name), list(items)]) : [];
}

const row = (section: string, name: string, value: string, entry: CborValue | undefined, time?: CborValue): StateRow =>
  ({ section, name, value, entry: number(entry), time: number(time) });

/** Lower, point and upper of a prediction's payload. */
function lifeText(payload: CborValue | undefined): string {
  if (!(payload instanceof Map)) return "";
  const rul = payload.get("rul");
  if (!(rul instanceof Uint8Array) || rul.length !== 32) return "";
  const view = new DataView(rul.buffer, rul.byteOffset, 32);
  const [lower, point, upper, coverage] = [0, 8, 16, 24].map((at) => view.getFloat64(at));
  return `${lower} … ${point} … ${upper} ${text(payload.get("unit"))} (${coverage})`;
}

function ruleText(payload: CborValue | undefined): string {
  if (!(payload instanceof Map)) return "";
  const test = payload.get("test");
  const [kind, limit] = test instanceof Map ? ([...test][0] ?? []) : [];
  return [payload.get("signal"), kind, limit, payload.get("severity")].map((one) => text(one)).join(" ");
}

function alarmText([active, acknowledged, shelved]: Items): string {
  return [active ? "active" : "inactive", acknowledged ? "acknowledged" : "unacknowledged", shelved === null ? "" : "shelved"].filter(Boolean).join(", ");
}

/** Rows in the order of the specification. */
export function stateRows(state: CborMap): StateRow[] {
  const at = (name: string): CborValue | undefined => state.get(name);
  const one = (section: string): StateRow[] => {
    const found = list(at(section));
    return found.length ? [row(section, section, text(found[0]), found[1], found[2])] : [];
  };
  const prediction = list(at("prediction"));
  return [
    ...one("model"),
    ...one("lifecycle"),
    ...members(at("properties")).map(([name, [value, entry, time]]) => row("properties", name, text(value), entry, time)),
    ...list(at("relationships")).map((item) => list(item)).map(([name, target, entry, time]) => row("relationships", `${text(name)} ${text(target)}`, text(target), entry, time)),
    ...members(at("readings")).map(([name, [value, unit, time, entry]]) => row("readings", name, `${text(value)}${unit ? ` ${text(unit)}` : ""}`, entry, time)),
    ...members(at("alarms")).map(([name, items]) => row("alarms", name, alarmText(items), items[4], items[5])),
    ...(prediction.length ? [row("prediction", "life", lifeText(prediction[0]), prediction[2], prediction[3])] : []),
    ...members(at("desired")).map(([name, [value, entry, time]]) => row("desired", name, text(value), entry, time)),
    ...list(at("requests")).map((item) => list(item)).map(([digest, name, status, entry, time]) =>
      row("requests", name === null ? bytesText(digest instanceof Uint8Array ? digest.subarray(0, 8) : new Uint8Array()) : text(name), text(status), entry, time)),
    ...members(at("rules")).map(([name, [payload, entry]]) => row("rules", name, ruleText(payload), entry)),
    ...list(at("attestations")).map((item) => list(item)).map(([type, entry, time]) => row("attestations", text(type), "", entry, time)),
    ...list(at("losses")).map((item) => list(item)).map(([reason, entry, time]) => row("losses", text(reason), "", entry, time)),
    ...members(at("policies")).map(([name, [payload, entry]]) => row("policies", name, text(payload), entry)),
    ...list(at("installed")).map((item) => list(item)).map(([part, order, entry, time]) => row("installed", text(part), text(order), entry, time)),
    ...list(at("tokens")).map((item) => list(item)).map((items) => row("tokens", text(items[2]), text(items[4]), items[8])),
    ...list(at("orders")).map((item) => list(item)).map((items) => row("orders", text(items[2]), text(items[4]), items[9], items[5])),
    ...list(at("predictors")).map((item) => list(item)).map(([payload, entry]) =>
      row("predictors", payload instanceof Map ? text(payload.get("model")) : "", payload instanceof Map ? text(payload.get("stage")) : "", entry)),
  ];
}
