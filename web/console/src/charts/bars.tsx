/**
 * Bars beside their names and values: a table that shows its proportions, so nothing needs another form for readers of
 * the screen. Negative values go to the left, and carry their sign.
 *
 * `items`: in the order to be shown; `note` stands under the name. `label`: what the table is of. `unit`: null for none.
 */
import "./charts.css";

import type { JSX, ReactNode } from "react";

import { t } from "../strings/en";
import { quantity } from "./format";

export interface Bar {
  name: ReactNode;
  key: string;
  value: number;
  note?: ReactNode;
}

export interface BarsProps {
  items: readonly Bar[];
  label: string;
  unit?: string | null | undefined;
  /** Word above the names and above the values. */
  heads?: readonly [string, string] | undefined;
  /** The value of a full bar; of the greatest item if left out. */
  full?: number | undefined;
}

export function Bars({ items, label, unit = null, heads, full }: BarsProps): JSX.Element {
  const most = full ?? Math.max(1e-300, ...items.map((item) => Math.abs(item.value)));
  const signed = items.some((item) => item.value < 0);
  const share = (value: number): string => `${String(Math.min(100, (Math.abs(value) / most) * 100))}%`;
  return (
    <table className="bars">
      <caption className="hidden">{label}</caption>
      <thead className="hidden">
        <tr><th scope="col">{heads?.[0] ?? t("charts.signal")}</th><th scope="col">{heads?.[1] ?? label}</th></tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={item.key}>
            <th scope="row">{item.name}{item.note === undefined ? null : <small className="muted">{item.note}</small>}</th>
            <td>
              <span className={signed ? "bar bar-signed" : "bar"} aria-hidden="true">
                {signed ? <span className="bar-half"><i className="bar-below" style={{ width: item.value < 0 ? share(item.value) : "0" }} /></span> : null}
                <span className="bar-half"><i className="bar-above" style={{ width: item.value > 0 ? share(item.value) : "0" }} /></span>
              </span>
              <span className="bar-value">{item.value > 0 && signed ? "+" : ""}{quantity(item.value, unit, 3)}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
