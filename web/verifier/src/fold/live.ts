/** Desired properties, requests, rules, alarms (spec/live.md, "State"). */

import { toHex } from "../bytes.js";
import { type Value, isArray, isBytes, isMap } from "../cbor.js";
import { type Fields, checkPropertyChanges } from "../fields.js";
import type { Said } from "../kinds/index.js";
import type { Statement } from "../statement.js";
import { type Held, applyChanges, float, present } from "./properties.js";

const MAX_REQUESTS = 64;
const OPEN: readonly string[] = ["requested", "accepted"];

interface Request {
  readonly digest: Uint8Array;
  readonly name: Value;
  readonly entry: bigint;
  readonly time: bigint;
  status: string;
  answer: bigint | null;
}

interface Alarm {
  readonly active: boolean;
  readonly acknowledged: boolean;
  readonly shelved: Value;
  readonly value: number | null;
  readonly case: Value | undefined;
  readonly entry: bigint;
  readonly time: bigint;
}

export class LiveFold {
  private readonly desired = new Map<string, Held>();
  /** By hexadecimal digest, in log order. */
  private readonly requests = new Map<string, Request>();
  private readonly rules = new Map<string, Value>();
  private readonly alarms = new Map<string, Alarm>();

  apply(said: Said, entry: bigint, statement: Statement): void {
    switch (said.kind) {
      case "desired": {
        const { set, unset } = checkPropertyChanges(said.payload, "desired");
        applyChanges(this.desired, set, unset, entry, statement.issuedAt);
        return this.request(null, entry, statement);
      }
      case "command":
        return this.request(said.payload.get("name")!, entry, statement);
      case "acknowledgement":
        return this.acknowledge(said.payload, entry);
      case "rule":
        return this.rule(said.payload, entry);
      case "alarm":
      case "alarm-response":
        return this.transition(said.payload, entry, statement.issuedAt);
    }
  }

  private request(name: Value, entry: bigint, { digest, digestHex, issuedAt: time }: Statement): void {
    if (this.requests.size >= MAX_REQUESTS) {
      const all = [...this.requests];
      const [oldest] = all.find(([, { status }]) => !OPEN.includes(status)) ?? all[0]!;
      this.requests.delete(oldest);
    }
    this.requests.set(digestHex, { digest, name, entry, time, status: "requested", answer: null });
  }

  private acknowledge(said: Fields, entry: bigint): void {
    const named = said.get("request");
    const request = isBytes(named) ? this.requests.get(toHex(named)) : undefined;
    if (!request || !OPEN.includes(request.status)) return;
    request.status = String(said.get("status"));
    request.answer = entry;
  }

  private rule(said: Fields, entry: bigint): void {
    const id = String(said.get("id"));
    if (said.has("remove")) {
      this.rules.delete(id);
      this.alarms.delete(id);
    } else this.rules.set(id, [rulePayload(said), entry]);
  }

  private transition(said: Fields, entry: bigint, time: bigint): void {
    const id = String(said.get("rule"));
    const before = this.alarms.get(id) ?? { active: false, acknowledged: true, shelved: null, value: null, case: undefined };
    const after: Alarm = { ...before, ...change(said), entry, time };
    if (!after.active && after.acknowledged && after.shelved === null) this.alarms.delete(id);
    else this.alarms.set(id, after);
  }

  members(): [string, Value][] {
    const requests = [...this.requests.values()].map((one) => [one.digest, one.name, one.status, one.entry, one.time, one.answer]);
    const alarms = [...this.alarms].map(([id, alarm]): [string, Value] => {
      const { active, acknowledged, shelved, value, entry, time } = alarm;
      return [id, [active, acknowledged, shelved, value, entry, time, ...(alarm.case === undefined ? [] : [alarm.case])]];
    });
    return present([
      ["desired", new Map(this.desired)],
      ["requests", requests],
      ["rules", new Map(this.rules)],
      ["alarms", new Map(alarms)],
    ]);
  }
}

/** The payload with its numbers as floats but for the delays, without deadband and delays of 0. */
function rulePayload(said: Fields): Value {
  const payload = new Map(said);
  const test = said.get("test");
  if (isMap(test)) payload.set("test", new Map([...test].map(([kind, limit]): [string, Value] => [String(kind), float(limit)])));
  if (payload.has("deadband")) payload.set("deadband", float(said.get("deadband")));
  for (const name of ["deadband", "delay_on", "delay_off"]) if (Number(payload.get(name)) === 0) payload.delete(name);
  return payload;
}

function change(said: Fields): Partial<Alarm> {
  switch (said.get("transition")) {
    case "raise": {
      const value = said.get("value");
      const number = value === undefined ? null : float(value);
      return { active: true, acknowledged: false, value: number, case: casePayload(said.get("case")) };
    }
    case "clear":
      return { active: false };
    case "acknowledge":
      return { acknowledged: true };
    case "shelve":
      return { shelved: said.get("until")! };
    default:
      return { shelved: null };
  }
}

function casePayload(said: Value | undefined): Value | undefined {
  if (!isMap(said)) return undefined;
  const payload = new Map(said);
  for (const name of ["score", "since"]) payload.set(name, float(said.get(name)));
  const signals = said.get("signals");
  if (isArray(signals)) payload.set("signals", signals.map((item) => (isArray(item) ? [item[0]!, float(item[1])] : item)));
  return payload;
}
