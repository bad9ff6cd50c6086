import { useMemo } from "react";
import type { JSX } from "react";
import type uPlot from "uplot";

import type { Head } from "../../api/log";
import { padded, xAxis, yAxis } from "../../charts/axes";
import { ChartFrame, Marks } from "../../charts/chart";
import { faint } from "../../charts/palette";
import { Plot } from "../../charts/plot";
import type { Build } from "../../charts/plot";
import { Empty, formatNumber, Time } from "../../parts";
import { t } from "../../strings/en";

interface Point {
  time: number;
  size: number;
}

const build: Build = (palette) => {
  const [first = palette.text] = palette.series;
  return {
    series: [{}, { stroke: first, width: 2, fill: faint(first, 0.12), points: { show: false } }],
    scales: { x: { time: true }, y: { range: (chart, least, most, key) => [0, padded(chart, least, most, key)[1]] } },
    axes: [xAxis(palette), yAxis(palette, "y", t("ledger.entriesAxis"))],
    legend: { show: false },
    padding: [8, 32, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
  };
};

/** Entries of the log over time, by kept checkpoints and the newest head. */
export function Growth({ points, head }: { points: readonly Point[]; head: Head | undefined }): JSX.Element {
  const all = useMemo((): Point[] => {
    const last = points.at(-1);
    const known = head && head.time > 0 && (!last || head.size > last.size || head.time > last.time);
    return known ? [...points, { time: head.time, size: head.size }] : [...points];
  }, [points, head]);
  const data = useMemo((): uPlot.AlignedData => [all.map(({ time }) => time), all.map(({ size }) => size)], [all]);
  if (all.length === 0) return <Empty title={t("ledger.noGrowth")} small />;
  return (
    <ChartFrame
      label={t("ledger.growth")}
      legend={<Marks marks={[{ kind: "line", place: 0, text: t("ledger.entriesAxis") }]} />}
      chart={<Plot build={build} data={data} height={200} />}
      table={(
        <table>
          <caption className="hidden">{t("ledger.growth")}</caption>
          <thead><tr><th scope="col">{t("ledger.when")}</th><th scope="col">{t("ledger.entriesAxis")}</th></tr></thead>
          <tbody>{all.map(({ time, size }) => <tr key={`${time} ${size}`}><td><Time at={time} /></td><td className="number">{formatNumber(size)}</td></tr>)}</tbody>
        </table>
      )}
    />
  );
}
