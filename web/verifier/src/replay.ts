/**
 * Predictions computed again, bit by bit, from the statements that they name: spec/prediction.md, spec/model.md.
 *
 * A module of its own beside index.ts, for pages to load when somebody asks. Predictions that read on where the one
 * before stopped are replayed in one pass, so an honest history costs its length.
 */

import { sha256 } from "@noble/hashes/sha2";

import { compareText, toHex } from "./bytes.js";
import { type Value, isArray, isMap } from "./cbor.js";
import { Refused, demand } from "./errors.js";
import type { Fields } from "./fields.js";
import type { Said } from "./kinds/index.js";
import { type Forecast, Replayer } from "./replay/forecast.js";
import { type Model, parseModel } from "./replay/model.js";
import { RowReader, isOverhaul } from "./replay/rows.js";
import type { Statement } from "./statement.js";

/** Replays that are kept to go on; of a history with more, the oldest begins again. */
const MAX_PASSES = 64;
/** Rows, and statements without any, that are read in all unless the caller says otherwise; an honest history has each once a model. */
export const MAX_ROWS = 20_000_000;
/** The coverage of an interval that was stretched. */
const UNCLAIMED = 0.001;

/** An entry of a verified history. */
export type ReplayEntry = Said & { readonly index: bigint; readonly statement: Statement };

/** A prediction that says something else than its readings and its model do. */
export interface Difference {
  readonly entry: bigint;
  /** Hexadecimal digest. */
  readonly model: string;
  readonly field: string;
  /** Undefined where the difference is none of two values. */
  readonly stated: string | undefined;
  readonly replayed: string | undefined;
  /** In words, with the field. */
  readonly why: string;
}

/** A prediction of which nothing can be said: its model, or statements that it read, are not here. */
export interface Unreplayable {
  readonly entry: bigint;
  readonly model: string;
  readonly why: string;
}

export interface Replay {
  /** How many predictions were computed again, every bit the same. */
  readonly replayed: number;
  readonly differing: readonly Difference[];
  readonly unreplayable: readonly Unreplayable[];
}

export interface ReplayOptions {
  /** Rows to read at most; what is left over then is not replayable. */
  readonly mostRows?: number;
  /** Called after each prediction. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Replay the predictions of one twin's verified history, in log order. `models` are documents by hexadecimal SHA-256, such as
 * the history's blobs; refused if one is not that of its name.
 */
export function replayPredictions(
  entries: readonly ReplayEntry[],
  models: ReadonlyMap<string, Uint8Array>,
  options: ReplayOptions = {},
): Replay {
  const audit = new Audit(models, options.mostRows ?? MAX_ROWS);
  const total = entries.filter(({ kind }) => kind === "prediction").length;
  let [done, replayed] = [0, 0];
  const differing: Difference[] = [];
  const unreplayable: Unreplayable[] = [];
  for (const entry of entries) {
    if (entry.kind === "prediction") {
      const prediction = read(entry.payload);
      const about = { entry: entry.index, model: prediction.model };
      try {
        audit.replay(entry.index, prediction);
        replayed++;
      } catch (error) {
        if (error instanceof Missing) unreplayable.push({ ...about, why: error.message });
        else differing.push({ ...about, ...difference(error) });
      }
      options.onProgress?.(++done, total);
    }
    audit.keep(entry);
  }
  return { replayed, differing, unreplayable };
}

function difference(error: unknown): Pick<Difference, "field" | "stated" | "replayed" | "why"> {
  if (!(error instanceof Refused)) throw error;
  const { stated, replayed } = error instanceof Mismatch ? error : { stated: undefined, replayed: undefined };
  return { field: error.field, stated, replayed, why: error.message };
}

/** What a replay takes is not here. */
class Missing extends Error {}

class Mismatch extends Refused {
  constructor(
    field: string,
    reason: string,
    readonly stated?: string,
    readonly replayed?: string,
  ) {
    super(field, reason);
  }
}

interface Range {
  readonly issuer: string;
  readonly first: bigint;
  readonly last: bigint;
  readonly digest: string;
}

interface Prediction {
  /** Hexadecimal. */
  readonly rul: string;
  readonly coverage: number;
  readonly unit: string;
  readonly model: string;
  readonly reads: readonly Range[];
  readonly until: bigint | undefined;
  readonly drivers: ReadonlyMap<string, number>;
  readonly episode: string | undefined;
  readonly cycle: string | undefined;
  readonly remarks: readonly string[];
  readonly widened: number | undefined;
}

/** The members of a payload that `parsePrediction` has checked. */
function read(fields: Fields): Prediction {
  const rul = fields.get("rul") as Uint8Array;
  const text = (key: string): string | undefined => fields.get(key) as string | undefined;
  const list = (value: Value | undefined): readonly Value[] => (isArray(value) ? value : []);
  const drivers = fields.get("drivers");
  return {
    rul: toHex(rul),
    coverage: new DataView(rul.buffer, rul.byteOffset, 32).getFloat64(24),
    unit: text("unit")!,
    model: toHex(fields.get("model") as Uint8Array),
    reads: list(fields.get("reads")).map((item) => {
      const [issuer, first, last, digest] = list(item) as readonly [string, bigint, bigint, Uint8Array];
      return { issuer, first, last, digest: toHex(digest) };
    }),
    until: fields.get("until") as bigint | undefined,
    drivers: new Map(isMap(drivers) ? [...drivers].map(([name, amount]) => [String(name), Number(amount)]) : []),
    episode: text("episode"),
    cycle: text("cycle"),
    remarks: list(fields.get("remarks")) as readonly string[],
    widened: fields.get("widened") as number | undefined,
  };
}

/** The statements of one issuer, by ascending seq. */
class Stream {
  readonly entries: ReplayEntry[] = [];

  /** Of the entries, from which to before which have a seq in first..last. */
  between(first: bigint, last: bigint): readonly [begin: number, end: number] {
    return [
      firstWhere(this.entries, ({ statement }) => statement.seq >= first),
      firstWhere(this.entries, ({ statement }) => statement.seq > last),
    ];
  }
}

/** The place of the first item of which a test is true, where it is of all after it; the length if of none. */
function firstWhere<T>(items: readonly T[], test: (item: T) => boolean): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(items[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A replay that goes on. */
class Pass {
  /** Issuer to the last seq that was read. */
  lasts: ReadonlyMap<string, bigint> = new Map();
  /** Greatest index that was read. */
  newest = -1n;

  constructor(
    readonly rows: RowReader,
    readonly replayer: Replayer,
  ) {}

  goesBack(reads: readonly Range[]): boolean {
    return reads.some(({ issuer, last }) => last < (this.lasts.get(issuer) ?? -1n));
  }
}

class Audit {
  private readonly models = new Map<string, Model | Missing>();
  private readonly streams = new Map<string, Stream>();
  private readonly passes = new Map<string, Pass>();
  /** Of the statements that began them, ascending. */
  private readonly episodes: { readonly index: bigint; readonly name: string }[] = [];

  constructor(
    private readonly documents: ReadonlyMap<string, Uint8Array>,
    private rowsLeft: number,
  ) {
    for (const [name, data] of documents) {
      demand(toHex(sha256(data)) === name, "model", `the bytes are not those of ${name}`);
    }
  }

  keep(entry: ReplayEntry): void {
    const { issuer, digestHex } = entry.statement;
    let stream = this.streams.get(issuer);
    if (!stream) this.streams.set(issuer, (stream = new Stream()));
    stream.entries.push(entry);
    if (isOverhaul(entry)) this.episodes.push({ index: entry.index, name: digestHex });
  }

  /** Throws what is wrong with a prediction: `Missing`, or `Refused` if it differs. */
  replay(index: bigint, prediction: Prediction): void {
    const model = this.model(prediction.model);
    this.checkReads(prediction);
    this.checkEpisode(index, prediction);
    const { replayer } = this.pass(prediction, model);
    const forecast = replayer.forecast(nominal(prediction));
    checkStated(prediction, forecast, model.unit);
    // Who states none says nothing about them.
    if (prediction.drivers.size) checkDrivers(prediction.drivers, replayer.drivers(forecast));
  }

  private model(name: string): Model {
    let model = this.models.get(name);
    if (!model) this.models.set(name, (model = this.open(name)));
    if (model instanceof Missing) throw model;
    return model;
  }

  private open(name: string): Model | Missing {
    const data = this.documents.get(name);
    if (!data) return new Missing(`the model ${name} is missing; bring it with --predictor FILE`);
    try {
      return parseModel(data);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return new Missing(`the model ${name} is none that can be replayed: ${error.message}`);
    }
  }

  private checkReads({ reads, until }: Prediction): void {
    for (const { issuer, first, last, digest } of reads) {
      const stream = this.streams.get(issuer);
      const [begin, end] = stream?.between(first, last) ?? [0, 0];
      if (BigInt(end - begin) !== last - first + 1n) {
        throw new Missing(`of ${issuer}'s statements ${first} to ${last} before it, ${end - begin} are here`);
      }
      const { index, statement } = stream!.entries[end - 1]!;
      if (statement.digestHex !== digest) {
        const why = `statement ${last} of ${issuer} is another one: entry ${index}`;
        throw new Mismatch("reads", why, digest, statement.digestHex);
      }
      if (until !== undefined && index >= until) {
        throw new Mismatch("until", `entry ${index} was read, but is not below ${until}`);
      }
    }
  }

  /** It is about the newest episode that it could know of, and reads nothing from before. */
  private checkEpisode(index: bigint, { episode, reads, until }: Prediction): void {
    const newest = this.episodes[firstWhere(this.episodes, (begun) => begun.index >= (until ?? index)) - 1];
    if (episode !== newest?.name) {
      const found = newest ? `entry ${newest.index} began ${newest.name}` : "the log has none";
      throw new Mismatch("episode", `stated ${episode || "none"}, but ${found}`, episode, newest?.name);
    }
    if (!newest) return;
    for (const { issuer, first, last } of reads) {
      const stream = this.streams.get(issuer)!;
      const entry = stream.entries[stream.between(first, last)[0]]!.index;
      if (entry < newest.index) {
        throw new Mismatch("episode", `entry ${entry} was read, but the episode began with entry ${newest.index}`);
      }
    }
  }

  private pass(prediction: Prediction, model: Model): Pass {
    // From here on a pass may have stopped half way.
    this.checkRowsLeft();
    const { cycle, episode, reads } = prediction;
    const begins = reads.map(({ issuer, first }) => [issuer, String(first)]);
    const key = JSON.stringify([prediction.model, cycle ?? null, episode ?? null, begins]);
    const before = this.passes.get(key);
    let held = before;
    let fresh = this.unread(reads, held);
    if (!held || (fresh.length && fresh[0]!.index <= held.newest) || held.goesBack(reads)) {
      const oldest = this.passes.keys().next();
      if (!before && this.passes.size >= MAX_PASSES && !oldest.done) this.passes.delete(oldest.value);
      held = new Pass(new RowReader(model, cycle, episode !== undefined), new Replayer(model));
      this.passes.set(key, held);
      fresh = this.unread(reads, held);
    }
    for (const entry of fresh) {
      const rows = held.rows.take(entry);
      this.rowsLeft -= Math.max(held.rows.looked, 1);
      this.checkRowsLeft();
      for (const row of rows) held.replayer.take(row);
      held.newest = entry.index;
    }
    const { lasts } = held;
    held.lasts = new Map(reads.map(({ issuer, last }) => [issuer, greater(last, lasts.get(issuer) ?? -1n)]));
    return held;
  }

  private checkRowsLeft(): void {
    if (this.rowsLeft < 0) throw new Missing("there are more rows than this replay was allowed to read");
  }

  /** In log order. */
  private unread(reads: readonly Range[], held: Pass | undefined): readonly ReplayEntry[] {
    const found: ReplayEntry[] = [];
    for (const { issuer, first, last } of reads) {
      const stream = this.streams.get(issuer)!;
      const from = greater(first, (held?.lasts.get(issuer) ?? -1n) + 1n);
      const [begin, end] = stream.between(from, last);
      for (let at = begin; at < end; at++) found.push(stream.entries[at]!);
    }
    return found.sort((a, b) => (a.index < b.index ? -1 : 1));
  }
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The coverage, in per mille, of the model's interval that a prediction is made of. */
function nominal({ coverage, widened }: Prediction): number {
  const share = widened ?? coverage;
  const mille = Math.round(share * 1000);
  const field = widened === undefined ? "prediction.coverage" : "prediction.widened";
  demand(mille / 1000 === share, field, `${decimal(share)} is no whole number of per mille`);
  return mille;
}

/** The shortest digits, with an exponent of two digits or more below 0.0001. */
function decimal(share: number): string {
  return share < 0.0001 ? share.toExponential().replace(/-(\d)$/, "-0$1") : String(share);
}

function checkStated(stated: Prediction, forecast: Forecast, unit: string): void {
  if (forecast.verdict === "refused") {
    throw new Mismatch("rul", `the readings allow no forecast: ${forecast.remarks.join(", ")}`, stated.rul);
  }
  demandSame("unit", stated.unit, unit, `stated ${stated.unit}, the model's is ${unit}`);
  const isWide = forecast.verdict === "widened";
  const coverage = isWide ? UNCLAIMED : forecast.coverage;
  const rul = [forecast.lower, forecast.point, forecast.upper, coverage].map(bitsOf).join("");
  demandSame("rul", stated.rul, rul);
  const [said, found] = [stated.remarks, [...forecast.remarks].sort()].map((words) => words.join(", ") || "none") as [string, string];
  demandSame("remarks", said, found);
  if ((stated.widened !== undefined) !== isWide) {
    const words = (wide: boolean): string => (wide ? "widened" : "not widened");
    const why = "the statement and the replay do not agree on whether the interval is widened";
    throw new Mismatch("widened", why, words(!isWide), words(isWide));
  }
}

function checkDrivers(stated: ReadonlyMap<string, number>, replayed: ReadonlyMap<string, number>): void {
  const bits = (amount: number | undefined): string => (amount === undefined ? "none" : bitsOf(amount));
  for (const name of [...new Set([...stated.keys(), ...replayed.keys()])].sort(compareText)) {
    const [said, found] = [bits(stated.get(name)), bits(replayed.get(name))];
    demandSame("drivers", said, found, `${name}: stated ${said}, replayed ${found}`);
  }
}

function demandSame(field: string, said: string, found: string, why = `stated ${said}, replayed ${found}`): void {
  if (said !== found) throw new Mismatch(field, why, said, found);
}

function bitsOf(x: number): string {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setFloat64(0, x);
  return toHex(data);
}
