// What stands where on a twin's overview: after its model, or after what the log says if there is none.
import type { LatestReading, Model, ModelField, State, Told, Words } from "../../api/twin";
import { t } from "../../strings/en";

/** The model's word for something, in the reader's language, else in English, else its name. */
export function named(words: Words | undefined, name: string): string {
  const found = words ?? {};
  return found[navigator.language] ?? found[navigator.language.slice(0, 2)] ?? found["en"] ?? Object.values(found)[0] ?? name;
}

export interface SignalRow {
  name: string;
  label: string;
  description: string;
  reading: LatestReading | null;
}

export interface PropertyRow {
  name: string;
  label: string;
  reported: Told | null;
  desired: Told | null;
  field: ModelField | null;
}

export interface Group<Row> {
  title: string | null;
  rows: Row[];
}

/** Of "drive.speed" the component "drive", if the model has it. */
function componentOf(name: string, model: Model | null): string | null {
  const at = name.indexOf(".");
  return at > 0 && model && name.slice(0, at) in model.components ? name.slice(0, at) : null;
}

function grouped<Row extends { name: string }>(rows: Row[], known: (name: string) => boolean, model: Model | null): Group<Row>[] {
  const groups = new Map<string, Group<Row>>();
  const strangers: Row[] = [];
  for (const row of rows) {
    if (model && !known(row.name)) {
      strangers.push(row);
      continue;
    }
    const component = componentOf(row.name, model);
    const title = component === null ? null : t("twin.component", { name: component });
    const group = groups.get(title ?? "") ?? { title, rows: [] };
    group.rows.push(row);
    groups.set(title ?? "", group);
  }
  const found = [...groups.values()];
  return strangers.length ? [...found, { title: t("twin.notInModel"), rows: strangers }] : found;
}

export function signalGroups(state: State, model: Model | null): Group<SignalRow>[] {
  const telemetry = model?.telemetry ?? {};
  const names = new Set([...Object.keys(telemetry), ...Object.keys(state.readings).sort()]);
  const rows = [...names].map((name): SignalRow => ({
    name,
    label: named(telemetry[name]?.display_name, name),
    description: named(telemetry[name]?.description, ""),
    reading: state.readings[name] ?? null,
  }));
  return grouped(rows, (name) => name in telemetry, model);
}

export function propertyGroups(state: State, model: Model | null): Group<PropertyRow>[] {
  const fields = model?.properties ?? {};
  const names = new Set([...Object.keys(fields), ...Object.keys(state.properties).sort(), ...Object.keys(state.desired)]);
  const rows = [...names].map((name): PropertyRow => ({
    name,
    label: named(fields[name]?.display_name, name),
    reported: state.properties[name] ?? null,
    desired: state.desired[name] ?? null,
    field: fields[name] ?? null,
  }));
  return grouped(rows, (name) => name in fields, model);
}

const charted = (reading: LatestReading | null): boolean => typeof reading?.value === "number";

/** Signals that the chart begins with: the first two numbers of different units, as each gets an axis. */
export function firstSignals(groups: readonly Group<SignalRow>[]): string[] {
  const rows = groups.flatMap((group) => group.rows).filter((row) => charted(row.reading));
  const [first] = rows;
  const other = rows.find((row) => row.reading?.unit !== first?.reading?.unit);
  return [first, other].flatMap((row) => (row ? [row.name] : []));
}

/** Of a model's identifier the last part and the version. */
export const modelName = (id: string): string => id.replace(/^dtmi:/, "").split(":").at(-1)?.replace(";", " v") ?? id;
