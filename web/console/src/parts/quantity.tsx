import type { JSX } from "react";

import { t } from "../strings/en";

/** A number as people read it: about `digits` significant digits, thousands grouped, very large and small ones in scientific form. */
export function formatNumber(value: number, digits = 5): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const scientific = size !== 0 && (size >= 1e9 || size < 1e-4);
  return new Intl.NumberFormat("en", {
    maximumSignificantDigits: Number.isInteger(value) && size < 1e9 ? 15 : digits,
    notation: scientific ? "scientific" : "standard",
  }).format(value);
}

const SHOWN: Readonly<Record<string, string>> = { Cel: "°C", "[degF]": "°F", "%": "%", "1": "", "1/min": "1/min", deg: "°", "[lbf_av]": "lbf", "[psi]": "psi" };

/** A UCUM unit as people write it. */
export const formatUnit = (unit: string): string => SHOWN[unit] ?? unit.replace(/^\{(.*)\}$/, "$1");

/** A value with its unit. */
export function Quantity({ value, unit, digits }: { value: number | null | undefined; unit?: string | null; digits?: number }): JSX.Element {
  if (value === null || value === undefined) return <span className="muted">{t("common.nothing")}</span>;
  const shown = unit ? formatUnit(unit) : "";
  return <span className="quantity">{formatNumber(value, digits)}{shown && <span className="muted" title={unit ?? undefined}>&nbsp;{shown}</span>}</span>;
}
