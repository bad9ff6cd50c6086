// Which part of a machine an alarm or a driver of the forecast speaks of: by names alone.
import type { Model, State } from "../../../api/twin";
import type { Level } from "../../../parts";
import { t } from "../../../strings/en";
import { SEVERITY } from "../alarms-panel";

export interface PartHealth {
  key: string;
  label: string;
  level: Level;
  why: string[];
}

export type Kind = "turbofan" | "pump" | "block";

export function kindOf(model: string | null): Kind {
  const name = (model ?? "").toLowerCase();
  if (/engine|turbofan|turbine|fd00\d/.test(name)) return "turbofan";
  return /pump|compressor|motor|fan|valve/.test(name) ? "pump" : "block";
}

/** Parts of the shapes that the console draws itself; the last stands for the whole. */
export const PARTS = {
  turbofan: [
    ["fan", t("twin.partFan")], ["compressor", t("twin.partCompressor")], ["combustor", t("twin.partCombustor")],
    ["turbine", t("twin.partTurbine")], ["nozzle", t("twin.partNozzle")], ["housing", t("twin.partHousing")],
  ],
  pump: [
    ["inlet", t("twin.partInlet")], ["rotor", t("twin.partRotor")], ["outlet", t("twin.partOutlet")],
    ["motor", t("twin.partMotor")], ["base", t("twin.partBase")], ["housing", t("twin.partHousing")],
  ],
  block: [["base", t("twin.partBase")], ["body", t("twin.partBody")]],
} as const satisfies Record<Kind, readonly (readonly [string, string])[]>;

/** Stations of a turbofan, as the names of its sensors give them: 2 inlet, 15 bypass, 24 and 30 compressor, 50 turbine. */
const STATIONS: readonly (readonly [RegExp, string])[] = [
  [/^(t2|p2|p15|nf|nrf|bpr|nf_dmd|pcnfr_dmd)$/i, "fan"],
  [/^(t24|t30|p24|p30|ps30|nc|nrc|htbleed)$/i, "compressor"],
  [/^(phi|farb|wf|t40|p40)$/i, "combustor"],
  [/^(t48|t50|p50|w31|w32|epr)$/i, "turbine"],
];

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/** The part that a signal's name speaks of; null for none. */
function partOf(signal: string, keys: readonly string[], kind: Kind): string | null {
  const lead = plain(signal.split(/[./]/, 1)[0] ?? "");
  const name = plain(signal);
  const own = keys.find((key) => plain(key) === lead) ?? keys.find((key) => name.includes(plain(key)))
    ?? keys.find((key) => name.length > 1 && plain(key).includes(name));
  if (own !== undefined) return own;
  const station = kind === "turbofan" ? STATIONS.find(([pattern]) => pattern.test(signal))?.[1] : undefined;
  return station !== undefined && keys.includes(station) ? station : null;
}

const RANK: Record<Level, number> = { act: 3, watch: 2, info: 1, good: 0, unknown: 0 };
const DRIVERS = 3;
/** Signals of a detector's case that colour their parts: those that strayed most. */
const STRAYED = 1;

/** Health of parts of these keys; what speaks of none of them speaks of the last. */
export function partsHealth(state: State, parts: readonly (readonly [string, string])[], kind: Kind): PartHealth[] {
  const rows = parts.map(([key, label]): PartHealth => ({ key, label, level: "good", why: [] }));
  const keys = parts.map(([key]) => key);
  const tell = (key: string | null, level: Level, why: string): void => {
    const row = rows.find((one) => one.key === key) ?? (RANK[level] > 1 ? rows.at(-1) : undefined);
    if (!row) return;
    if (RANK[level] > RANK[row.level]) row.level = level;
    row.why.push(why);
  };
  for (const [name, alarm] of Object.entries(state.alarms)) {
    const rule = state.rules[name];
    if (!alarm.active && alarm.acknowledged) continue;
    const level = SEVERITY[rule?.severity ?? ""] ?? "watch";
    const strayed = alarm.case?.signals.slice(0, STRAYED).map((one) => one.name) ?? [rule?.signal ?? name];
    for (const part of new Set(strayed.map((signal) => partOf(signal, keys, kind)))) tell(part, level, rule?.text ?? name);
  }
  const drivers = Object.entries(state.prediction?.drivers ?? {}).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  for (const [name] of drivers.slice(0, DRIVERS)) tell(partOf(name, keys, kind), "info", t("twin.view3dDriver", { name }));
  return rows;
}

/** Names in a file that mean a component of the model, or a part that signals speak of. */
export function fileParts(names: readonly string[], model: Model | null): (readonly [string, string])[] {
  const known = new Map(Object.keys(model?.components ?? {}).map((name) => [plain(name), name]));
  const found = new Map<string, readonly [string, string]>();
  for (const name of names) {
    const key = plain(name);
    if (key) found.set(key, [key, known.get(key) ?? name]);
  }
  return [...found.values()];
}

export const partKey = plain;
