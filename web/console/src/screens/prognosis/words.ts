import type { Prediction } from "../../api/prognosis";
import { formatNumber, formatUnit } from "../../parts";
import { t } from "../../strings/en";

export const percent = (share: number, digits = 3): string => t("prognosis.percent", { n: formatNumber(Number((100 * share).toPrecision(digits))) });

/** A value in so many digits, whole numbers too. */
export const about = (value: number, digits = 3): string => formatNumber(Number(value.toPrecision(digits)));

/** Several of a unit: UCUM annotations are words. */
export function unitWord(unit: string): string {
  const shown = formatUnit(unit);
  return shown === "cycle" ? t("prognosis.cycles") : shown;
}

/** The coverage of a prediction that claims none (spec/prediction.md). */
export const UNCLAIMED = 0.001;

/** What the forecast claims, in a sentence. */
export function claim({ lower, upper, coverage, unit }: Prediction): string {
  const values = { lower: about(lower), upper: about(upper), unit: unitWord(unit) };
  return coverage > UNCLAIMED ? t("prognosis.claim", { ...values, coverage: percent(coverage) }) : t("prognosis.noClaim", values);
}

/** Whether the predictions lie on cycles that grow: else only time orders them. */
export function onCycles(items: readonly Prediction[]): boolean {
  return items.every(({ x }, at) => x !== null && (at === 0 || x > (items[at - 1]?.x ?? Infinity)));
}
