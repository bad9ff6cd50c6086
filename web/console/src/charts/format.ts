// Numbers and times as the charts write them.
import { formatNumber, formatTime, formatUnit } from "../parts";

/** A number as a chart writes it: whole ones too are rounded. */
export const number = (value: number, digits = 5): string =>
  Number.isFinite(value) ? formatNumber(Number(value.toPrecision(digits)), digits) : "";

/** A value and its unit; UCUM's unit one says nothing. */
export function quantity(value: number, unit: string | null, digits = 5): string {
  const text = number(value, digits);
  const shown = unit ? formatUnit(unit) : "";
  return shown ? `${text} ${shown}` : text;
}

/** POSIX seconds in the reader's zone. */
export const moment = formatTime;

const STEPS: readonly (readonly [number, string])[] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** A span of time in its two greatest units, such as 2 h 5 min. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${number(seconds, 2)} s`;
  const parts: string[] = [];
  let rest = Math.round(seconds);
  for (const [size, name] of STEPS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(`${String(count)} ${name}`);
    if (parts.length === 2 || (parts.length && !count)) break;
  }
  return parts.join(" ");
}
