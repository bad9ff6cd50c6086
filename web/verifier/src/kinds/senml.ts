/** SenML packs (RFC 8428; spec/readings.md). */

import { type CborMap, type Value, decode, isArray, isBytes, isMap } from "../cbor.js";
import { Refused, demand } from "../errors.js";
import { SECONDARY_UNITS, SENML_UNITS } from "./units.js";

/** Bytes of a payload with measurements. */
export const MAX_PAYLOAD = 61_440;
export const MAX_RECORDS = 8_192;
const MAX_INTEGER = 1n << 53n;
/** Times below it are relative to iat. */
export const RELATIVE_BELOW = 268_435_456;
/** Seconds; times are below it. */
export const TIME_LIMIT = 253_402_300_800;
const NAME = /^[A-Za-z0-9][A-Za-z0-9\-:./_]{0,254}$/;

/** One measurement. */
export interface Reading {
  readonly name: string;
  /** Null stands for a sum without a value; an integer is a bigint. */
  readonly value: bigint | number | string | boolean | Uint8Array | null;
  /** SenML symbol in a pack, UCUM code in columns. */
  readonly unit: string | null;
  /** POSIX seconds. */
  readonly time: number;
  readonly sum: bigint | number | null;
}

export function checkReadingName(value: Value | undefined, field: string): string {
  demand(typeof value === "string" && NAME.test(value), field, "not the name of a reading");
  return value;
}

const BVER = -1n;
const BN = -2n;
const BT = -3n;
const BU = -4n;
const BV = -5n;
const BS = -6n;
const LABELS: ReadonlyMap<bigint | string, string> = new Map([
  [BVER, "bver"], [BN, "bn"], [BT, "bt"], [BU, "bu"], [BV, "bv"], [BS, "bs"],
  [0n, "n"], [1n, "u"], [2n, "v"], [3n, "vs"], [4n, "vb"], [5n, "s"], [6n, "t"], [7n, "ut"], [8n, "vd"],
]);
const VALUE_LABELS = [2n, 3n, 4n, 8n] as const;

type Num = bigint | number;

function checkNumber(value: Value | undefined, field: string): Num {
  if (typeof value === "bigint") {
    demand(value >= -MAX_INTEGER && value <= MAX_INTEGER, field, "an integer beyond 2^53");
    return value;
  }
  demand(typeof value === "number" && Number.isFinite(value), field, "not a finite number");
  return value;
}

/** An integer if both are, else the sum of two doubles. */
function add(a: Num, b: Num, field: string): Num {
  const sum = typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b);
  return checkNumber(sum, field);
}

class Pack {
  private version = 10n;
  private name = "";
  private time = 0;
  private unit: string | null = null;
  private value: Num = 0n;
  private sum: Num | null = null;

  constructor(private readonly issuedAt: number) {}

  record(record: CborMap, first: boolean, where: string): Reading {
    for (const label of record.keys()) demand(LABELS.has(label), where, `has the unknown label ${label}`);
    this.base(record, first, where);
    const name = record.has(0n) ? record.get(0n) : "";
    demand(typeof name === "string", `${where}, n`, "not text");
    const ownUnit = record.get(1n);
    const total = this.total(record, where);
    const value = this.valueOf(record, total, where);
    const update = record.get(7n);
    demand(update === undefined || checkNumber(update, `${where}, ut`) >= 0, `${where}, ut`, "negative");
    const own = record.get(6n);
    let time = this.time + (own === undefined ? 0 : Number(checkNumber(own, `${where}, t`)));
    if (time < RELATIVE_BELOW) time += this.issuedAt;
    demand(time >= 0 && time < TIME_LIMIT, `${where}, t`, "not before the year 10000, or before 1970");
    return {
      name: checkReadingName(this.name + name, `${where}, n`),
      value,
      unit: ownUnit === undefined ? this.unit : this.symbol(ownUnit, `${where}, u`),
      time,
      sum: total,
    };
  }

  private base(record: CborMap, first: boolean, where: string): void {
    const version = record.get(BVER);
    if (version !== undefined) {
      demand(version === 10n || version === 26n, `${where}, bver`, "neither 10 nor 26");
      demand(first || version === this.version, `${where}, bver`, "not what the pack began with");
      this.version = version;
    }
    const [name, time, unit] = [record.get(BN), record.get(BT), record.get(BU)];
    const [value, sum] = [record.get(BV), record.get(BS)];
    if (name !== undefined) {
      demand(typeof name === "string", `${where}, bn`, "not text");
      this.name = name;
    }
    if (time !== undefined) this.time = Number(checkNumber(time, `${where}, bt`));
    if (unit !== undefined) this.unit = this.symbol(unit, `${where}, bu`);
    if (value !== undefined) this.value = checkNumber(value, `${where}, bv`);
    if (sum !== undefined) this.sum = checkNumber(sum, `${where}, bs`);
  }

  private symbol(value: Value, field: string): string {
    demand(typeof value === "string", field, "not text");
    const known = SENML_UNITS.has(value) || (this.version === 26n && SECONDARY_UNITS.has(value));
    demand(known, field, "not a registered SenML unit of this version");
    return value;
  }

  private total(record: CborMap, where: string): Num | null {
    const sum = record.get(5n);
    if (sum === undefined) return this.sum;
    const own = checkNumber(sum, `${where}, s`);
    return this.sum === null || this.sum == 0 ? own : add(this.sum, own, `${where}, s`);
  }

  private valueOf(record: CborMap, total: Num | null, where: string): Reading["value"] {
    const present = VALUE_LABELS.filter((label) => record.has(label));
    demand(present.length <= 1, where, "has more than one value");
    const label = present[0];
    if (label === undefined) {
      demand(total !== null, `${where}, v`, "no value and no sum");
      demand(this.value == 0, `${where}, v`, "a sum without a value under a base value");
      return null;
    }
    const value = record.get(label)!;
    if (label === 2n) {
      const own = checkNumber(value, `${where}, v`);
      return this.value == 0 ? own : add(this.value, own, `${where}, v`);
    }
    const field = `${where}, ${LABELS.get(label)}`;
    if (label === 3n && typeof value === "string") return value;
    if (label === 4n && typeof value === "boolean") return value;
    if (label === 8n && isBytes(value)) return value;
    throw new Refused(field, "of another type");
  }
}

export function parseSenml(payload: Uint8Array, issuedAt: bigint): readonly Reading[] {
  demand(payload.length <= MAX_PAYLOAD, "SenML pack", `${payload.length} bytes, the limit is ${MAX_PAYLOAD}`);
  const records = decode(payload, "SenML pack");
  const fits = isArray(records) && records.length >= 1 && records.length <= MAX_RECORDS;
  demand(fits, "SenML pack", `not an array of 1 to ${MAX_RECORDS} records`);
  const pack = new Pack(Number(issuedAt));
  return records.map((record, i) => {
    demand(isMap(record), `record ${i + 1}`, "not a map");
    return pack.record(record, i === 0, `record ${i + 1}`);
  });
}
