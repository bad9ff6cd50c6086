/** From readings in the log to the rows that a model reads (spec/prediction.md, "Rows" and "Episodes"). */

import type { Said } from "../kinds/index.js";
import type { Reading } from "../kinds/senml.js";
import { MAX_CYCLE, type Row } from "./forecast.js";
import type { Model } from "./model.js";

const OVERHAUL = "urn:twinproof:overhaul";

/** UCUM codes of SenML's symbols (spec/readings.md): those that are not their own. */
const UCUM: ReadonlyMap<string, string> = new Map([
  ["lat", "deg{lat}"], ["lon", "deg{lon}"], ["pH", "[pH]"], ["dBW", "dB[W]"], ["Bspl", "B[SPL]"], ["count", "{count}"],
  ["/", "1"], ["%", "{%}"], ["%RH", "%{RH}"], ["%EL", "%{EL}"], ["EL", "s{EL}"], ["beat/min", "{beat}/min"],
  ["beats", "{beat}"], ["B", "By"], ["VA", "V.A"], ["VAs", "V.A.s"], ["var", "V.A{reactive}"], ["vars", "V.A.s{reactive}"],
  ["NTU", "{NTU}"], ["kVA", "kV.A"], ["kvar", "kV.A{reactive}"], ["Ah", "A.h"], ["Wh", "W.h"], ["kWh", "kW.h"],
  ["varh", "V.A.h{reactive}"], ["kvarh", "kV.A.h{reactive}"], ["kVAh", "kV.A.h"], ["Wh/km", "W.h/km"], ["KiB", "KiBy"],
  ["GB", "GBy"], ["B/s", "By/s"], ["MB/s", "MBy/s"], ["dBm", "dB{mW}"], ["ppm", "[ppm]"], ["/100", "%"],
  ["/1000", "[ppth]"], ["ppb", "[ppb]"], ["ppt", "[pptr]"], ["VAh", "V.A.h"],
]);

type Units = ReadonlyMap<string, string | null>;

/** Numbers by name. */
type Sample = ReadonlyMap<string, number>;

/** Whether a statement begins an episode. */
export function isOverhaul(said: Said): boolean {
  return said.kind === "attestation" && said.payload.get("type") === OVERHAUL;
}

/** What a statement measured: one map per time, ascending. A number in another unit than the wanted one is NaN. */
function samplesOf(said: Said, units: Units): readonly Sample[] {
  if (said.kind === "readings") return byTime(said.payload, units, (unit) => UCUM.get(unit) ?? unit);
  if (said.kind !== "columns") return [];
  if (said.payload.rows > 1) return byTime(said.payload.readings(), units, (unit) => unit);
  const found = new Map<string, number>();
  for (const { name, unit, samples } of said.payload.columns) {
    const value = Number(samples.at(0));
    if (!Number.isNaN(value)) found.set(name, fits(units, name, unit) ? value : Number.NaN);
  }
  return [found];
}

function fits(units: Units, name: string, unit: string | null): boolean {
  const wanted = units.get(name);
  return wanted === undefined || wanted === unit;
}

function byTime(readings: Iterable<Reading>, units: Units, codeOf: (unit: string) => string): readonly Sample[] {
  const found = new Map<number, Map<string, number>>();
  for (const { name, value, unit, time } of readings) {
    if (typeof value !== "number" && typeof value !== "bigint") continue;
    let sample = found.get(time);
    if (!sample) found.set(time, (sample = new Map()));
    sample.set(name, fits(units, name, unit === null ? null : codeOf(unit)) ? Number(value) : Number.NaN);
  }
  return [...found].sort(([a], [b]) => a - b).map(([, sample]) => sample);
}

/** Turns one twin's statements, in log order, into the rows of one episode. */
export class RowReader {
  /** What is taken off the numbers of cycles; undefined until a renewed asset's first row. */
  private before: number | undefined;
  /** The last row's number. */
  private newest = -1;
  private readonly units: Units;
  /** Times of measurements in the newest statement, whether or not they gave rows. */
  looked = 0;

  /** `cycle` names the reading that numbers the rows. `renewed`: the episode began with an overhaul. */
  constructor(
    private readonly model: Pick<Model, "settings" | "signals" | "units">,
    private readonly cycle: string | undefined,
    renewed: boolean,
  ) {
    this.before = renewed ? undefined : 0;
    const names = [...model.settings, ...model.signals];
    this.units = new Map(model.units?.map((unit, at) => [names[at]!, unit]));
  }

  /** The rows of the next statement; most kinds have none. */
  take(said: Said): readonly Row[] {
    const { settings, signals } = this.model;
    const rows: Row[] = [];
    const samples = samplesOf(said, this.units);
    this.looked = samples.length;
    for (const sample of samples) {
      if (!signals.some((name) => sample.has(name))) continue;
      const number = this.cycle === undefined ? Math.max(this.newest, 0) + 1 : sample.get(this.cycle);
      if (number === undefined || !Number.isInteger(number) || number <= this.newest || number > MAX_CYCLE) continue;
      // Zero has no sign.
      this.newest = number + 0;
      this.before ??= this.newest - 1;
      const values = (names: readonly string[]): number[] => names.map((name) => sample.get(name) ?? Number.NaN);
      rows.push({ cycle: this.newest - this.before, settings: values(settings), signals: values(signals) });
    }
    return rows;
  }
}
