// A figure: a canvas for the eye, a table for everybody; one is shown at a time.
import type { JSX, ReactNode } from "react";
import { useState } from "react";

import { t } from "../strings/en";

export interface ChartFrameProps {
  label: string;
  legend: ReactNode;
  chart: ReactNode;
  table: ReactNode;
}

export function ChartFrame({ label, legend, chart, table }: ChartFrameProps): JSX.Element {
  const [asTable, setAsTable] = useState(false);
  return (
    <figure className="series" aria-label={label}>
      <div className="series-toolbar">
        <div className="series-legend">{legend}</div>
        <button type="button" className="chart-button chart-end" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {t("charts.table")}
        </button>
      </div>
      <div hidden={asTable} role="img" aria-label={label}>{chart}</div>
      {asTable ? <div className="series-rows" role="region" aria-label={t("charts.caption", { label })} tabIndex={0}>{table}</div> : null}
    </figure>
  );
}

export interface Mark {
  kind: "line" | "dashed" | "band" | "dot";
  place: number;
  text: string;
}

export function Marks({ marks }: { marks: readonly Mark[] }): JSX.Element {
  return (
    <ul className="series-names">
      {marks.map(({ kind, place, text }) => (
        <li key={text}>
          <svg className={`swatch swatch-${String(place + 1)}`} viewBox="0 0 24 8" width="24" height="8" aria-hidden="true">
            {kind === "band" ? <rect className="swatch-band" width="24" height="8" /> : null}
            {kind === "dot" ? <circle cx="12" cy="4" r="3" /> : null}
            {kind === "line" ? <line x1="0" y1="4" x2="24" y2="4" strokeWidth="2" /> : null}
            {kind === "dashed" ? <line x1="0" y1="4" x2="24" y2="4" strokeWidth="2" strokeDasharray="5 3" /> : null}
          </svg>
          {text}
        </li>
      ))}
    </ul>
  );
}
