// Spans, zoom, the table, the file.
import type { JSX } from "react";
import { useState } from "react";

import type { Span } from "../api/telemetry";
import { exportCsv } from "../api/telemetry";
import { t } from "../strings/en";
import type { Preset, View } from "./range";
import { PRESETS, scaled, shifted } from "./range";
import type { Signal } from "./series-data";

interface ToolbarProps {
  view: View;
  shown: Span | null;
  setView: (view: View) => void;
  asTable: boolean;
  setAsTable: (asTable: boolean) => void;
  signals: readonly Signal[];
}

const LONG: Record<Preset, string> = {
  hour: t("charts.hourLong"), day: t("charts.dayLong"), week: t("charts.weekLong"), all: t("charts.allLong"),
};
const SHORT: Record<Preset, string> = {
  hour: t("charts.hour"), day: t("charts.day"), week: t("charts.week"), all: t("charts.all"),
};

export function Toolbar({ view, shown, setView, asTable, setAsTable, signals }: ToolbarProps): JSX.Element {
  const [saved, setSaved] = useState(false);
  const chosen = "preset" in view ? view.preset : null;
  const step = (label: string, sign: string, made: (span: Span) => View): JSX.Element => (
    <button
      type="button" className="chart-button" aria-label={label} title={label} disabled={!shown}
      onClick={() => shown && setView(made(shown))}
    >
      <span aria-hidden="true">{sign}</span>
    </button>
  );
  const save = async (): Promise<void> => {
    setSaved(true);
    try {
      await exportCsv(signals, shown);
    } finally {
      setSaved(false);
    }
  };
  return (
    <div className="series-toolbar" role="toolbar" aria-label={t("charts.steps")}>
      <div className="chart-group" role="group" aria-label={t("charts.span")}>
        {PRESETS.map((preset) => (
          <button
            key={preset} type="button" className="chart-button" title={LONG[preset]}
            aria-pressed={chosen === preset} onClick={() => setView({ preset })}
          >
            {SHORT[preset]}
          </button>
        ))}
      </div>
      <div className="chart-group">
        {step(t("charts.earlier"), "←", (span) => shifted(span, -0.5))}
        {step(t("charts.later"), "→", (span) => shifted(span, 0.5))}
        {step(t("charts.zoomIn"), "+", (span) => scaled(span, 0.5))}
        {step(t("charts.zoomOut"), "−", (span) => scaled(span, 2))}
      </div>
      <div className="chart-group chart-end">
        <button type="button" className="chart-button" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {t("charts.table")}
        </button>
        <button
          type="button" className="chart-button" title={t("charts.exportLong")} disabled={saved || !shown}
          onClick={() => void save()}
        >
          {t("charts.export")}
        </button>
      </div>
    </div>
  );
}
