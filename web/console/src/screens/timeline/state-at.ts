/** A state of the node's API in rows for a table. */

import type { StateRow } from "../../../../page/protocol";
import type { Json, State } from "../../api/twin";

const text = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));

export function rowsOf(state: State): StateRow[] {
  const row = (section: string, name: string, value: string, entry: number, time: number | null = null): StateRow => ({ section, name, value, entry, time });
  return [
    ...(state.model ? [row("model", "model", text(state.model.value), state.model.entry, state.model.time)] : []),
    ...(state.lifecycle ? [row("lifecycle", "lifecycle", text(state.lifecycle.value), state.lifecycle.entry, state.lifecycle.time)] : []),
    ...Object.entries(state.properties).map(([name, told]) => row("properties", name, text(told.value), told.entry, told.time)),
    ...state.relationships.map(({ name, target, entry, time }) => row("relationships", `${name} ${target}`, target, entry, time)),
    ...Object.entries(state.readings).map(([name, { value, unit, entry, time }]) => row("readings", name, `${text(value)}${unit ? ` ${unit}` : ""}`, entry, time)),
    ...Object.entries(state.alarms).map(([name, alarm]) => row("alarms", name, alarm.state, alarm.entry, alarm.time)),
    ...(state.prediction ? [row("prediction", "life", lifeText(state.prediction), state.prediction.entry)] : []),
    ...Object.entries(state.desired).map(([name, told]) => row("desired", name, text(told.value), told.entry, told.time)),
    ...state.requests.map(({ id, name, status, entry, time }) => row("requests", name ?? id.slice(0, 16), status, entry, time)),
    ...Object.entries(state.rules).map(([name, rule]) => row("rules", name, `${rule.signal} ${rule.test} ${rule.limit} ${rule.severity}`, rule.entry)),
    ...state.losses.map(({ value, entry, time }) => row("losses", text(value), "", entry, time)),
    ...state.installed.map(({ part, order, entry, time }) => row("installed", part, order, entry, time)),
    ...state.tokens.map(({ token, status, entry }) => row("tokens", token, status, entry)),
  ];
}

/** The interval, where the answer has it. */
function lifeText(prediction: object): string {
  const member = (name: string): string => {
    const value: unknown = Reflect.get(prediction, name);
    return typeof value === "number" || typeof value === "string" ? String(value) : "";
  };
  return [member("lower"), member("point"), member("upper")].filter(Boolean).join(" … ").concat(` ${member("unit")}`).trim();
}
