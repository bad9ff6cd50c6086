/** Columns of typed arrays (RFC 8746; spec/readings.md). The form is checked; samples are read when somebody asks. */

import { type Value, Tagged, decode, isArray, isBytes } from "../cbor.js";
import { demand } from "../errors.js";
import { checkFields } from "../fields.js";
import { MAX_PAYLOAD, RELATIVE_BELOW, type Reading, TIME_LIMIT, checkReadingName } from "./senml.js";
import { checkUcum } from "./units.js";

export const MAX_COLUMNS = 1_024;

type Sample = bigint | number;
type Read = (view: DataView, at: number) => Sample;

const integer = (read: (view: DataView, at: number) => number): Read => (view, at) => BigInt(read(view, at));

/** By tag: bytes of an element, and how to read it. */
const FORMS: ReadonlyMap<bigint, readonly [size: number, read: Read]> = new Map<bigint, readonly [number, Read]>([
  [64n, [1, integer((view, at) => view.getUint8(at))]],
  [69n, [2, integer((view, at) => view.getUint16(at, true))]],
  [70n, [4, integer((view, at) => view.getUint32(at, true))]],
  [71n, [8, (view, at) => view.getBigUint64(at, true)]],
  [72n, [1, integer((view, at) => view.getInt8(at))]],
  [77n, [2, integer((view, at) => view.getInt16(at, true))]],
  [78n, [4, integer((view, at) => view.getInt32(at, true))]],
  [79n, [8, (view, at) => view.getBigInt64(at, true)]],
  [85n, [4, (view, at) => view.getFloat32(at, true)]],
  [86n, [8, (view, at) => view.getFloat64(at, true)]],
]);

/** Elements of one type, not converted. */
export class TypedArray {
  readonly length: number;
  private readonly view: DataView;

  private constructor(
    readonly tag: bigint,
    data: Uint8Array,
    private readonly size: number,
    private readonly read: Read,
  ) {
    this.length = data.length / size;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  static parse(value: Value | undefined, field: string): TypedArray {
    const form = value instanceof Tagged ? FORMS.get(value.tag) : undefined;
    demand(value instanceof Tagged && form !== undefined && isBytes(value.value), field, "not a typed array");
    demand(value.value.length % form[0] === 0, field, "not a whole number of elements");
    return new TypedArray(value.tag, value.value, form[0], form[1]);
  }

  at(index: number): Sample {
    return this.read(this.view, index * this.size);
  }

  /** No infinite sample, and no NaN but the one that says that a sample is missing. */
  checkSamples(field: string): void {
    if (this.tag < 85n) return;
    for (let i = 0; i < this.length; i++) {
      const sample = Number(this.at(i));
      if (Number.isFinite(sample)) continue;
      demand(Number.isNaN(sample), field, "an infinite sample");
      const canonical =
        this.tag === 85n
          ? this.view.getUint32(i * 4, true) === 0x7fc00000
          : this.view.getBigUint64(i * 8, true) === 0x7ff8000000000000n;
      demand(canonical, field, "a NaN that is not the canonical one");
    }
  }
}

export interface Column {
  readonly name: string;
  /** UCUM code. */
  readonly unit: string | null;
  readonly samples: TypedArray;
}

export interface Columns {
  readonly rows: number;
  readonly columns: readonly Column[];
  /** Time of a row in POSIX seconds. */
  timeOf(row: number): number;
  /** Row by row, without missing samples. */
  readings(): Generator<Reading>;
}

function seconds(value: Value | undefined, field: string): number {
  const finite = typeof value === "bigint" || (typeof value === "number" && Number.isFinite(value));
  demand(finite, field, "not a finite number");
  const found = Number(value);
  const integerFits = typeof value !== "bigint" || (value <= BigInt(TIME_LIMIT) && value >= -BigInt(TIME_LIMIT));
  demand(integerFits && Math.abs(found) <= TIME_LIMIT, field, "beyond the range of times");
  return found;
}

/** Time of each row before the base time is added, and how many rows there are. */
function offsets(fields: ReadonlyMap<string, Value>): { rows: number; offsetOf: (row: number) => number } {
  if (fields.has("t")) {
    const times = TypedArray.parse(fields.get("t"), "columns.t");
    demand(times.tag === 86n && times.length > 0, "columns.t", "not binary64 of at least one element");
    for (let i = 0; i < times.length; i++) {
      const time = Number(times.at(i));
      demand(Number.isFinite(time), "columns.t", "an offset that is not finite");
      demand(i === 0 || time >= Number(times.at(i - 1)), "columns.t", "an offset less than the one before");
    }
    return { rows: times.length, offsetOf: (row) => Number(times.at(row)) };
  }
  const step = seconds(fields.get("dt"), "columns.dt");
  demand(step > 0, "columns.dt", "not above 0");
  const rows = fields.get("n");
  demand(typeof rows === "bigint" && rows > 0n, "columns.n", "not an integer above 0");
  return { rows: Number(rows), offsetOf: (row) => row * step };
}

export function parseColumns(payload: Uint8Array, issuedAt: bigint): Columns {
  demand(payload.length <= MAX_PAYLOAD, "columns", `${payload.length} bytes, the limit is ${MAX_PAYLOAD}`);
  const value = decode(payload, "columns");
  const timed = value instanceof Map && value.has("t");
  const fields = checkFields(value, "columns", timed ? ["bt", "t", "c"] : ["bt", "dt", "n", "c"]);
  let base = seconds(fields.get("bt"), "columns.bt");
  if (base < RELATIVE_BELOW) base += Number(issuedAt);
  const { rows, offsetOf } = offsets(fields);
  const timeOf = (row: number): number => base + offsetOf(row);
  for (const time of [timeOf(0), timeOf(rows - 1)]) {
    demand(time >= 0 && time < TIME_LIMIT, "columns", "a row's time is not before the year 10000, or before 1970");
  }
  const list = fields.get("c");
  const fits = isArray(list) && list.length >= 1 && list.length <= MAX_COLUMNS;
  demand(fits, "columns.c", `not an array of 1 to ${MAX_COLUMNS} columns`);
  const columns = list.map((item, i) => parseColumn(item, rows, `columns.c[${i}]`));
  demand(new Set(columns.map((column) => column.name)).size === columns.length, "columns.c", "a name twice");
  return { rows, columns, timeOf, readings: () => readings(rows, columns, timeOf) };
}

function parseColumn(value: Value, rows: number, field: string): Column {
  demand(isArray(value) && value.length === 3, field, "not [name, unit, samples]");
  const name = checkReadingName(value[0], field);
  const unit = value[1] === null ? null : checkUcum(value[1], field);
  const samples = TypedArray.parse(value[2], field);
  demand(samples.length === rows, field, `has ${samples.length} samples for ${rows} rows`);
  samples.checkSamples(field);
  return { name, unit, samples };
}

function* readings(rows: number, columns: readonly Column[], timeOf: (row: number) => number): Generator<Reading> {
  for (let row = 0; row < rows; row++) {
    const time = timeOf(row);
    for (const { name, unit, samples } of columns) {
      const value = samples.at(row);
      if (!Number.isNaN(value)) yield { name, value, unit, time, sum: null };
    }
  }
}
