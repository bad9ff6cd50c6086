/**
 * An interval over time, the expected value in it, and what happened.
 *
 * `x`: ascending, as long as `point`, `lower` and `upper`: POSIX seconds with `time`, else any number (`xLabel` names it).
 * `actual`: what is known, null elsewhere. `unit`: of the values. `label`: what the chart is of. `names`: other words for
 * the lines. A null among the values breaks the line.
 */
import type { JSX } from "react";
import { useMemo } from "react";
import type uPlot from "uplot";

import { formatUnit, Time } from "../parts";
import { t } from "../strings/en";
import { padded, xAxis, yAxis } from "./axes";
import { ChartFrame, Marks } from "./chart";
import { number } from "./format";
import { faint } from "./palette";
import type { Build } from "./plot";
import { Plot } from "./plot";

type Values = readonly (number | null)[];

export interface FanProps {
  x: readonly number[];
  point: Values;
  lower: Values;
  upper: Values;
  actual?: Values | undefined;
  unit: string;
  label: string;
  time?: boolean | undefined;
  xLabel?: string | undefined;
  height?: number | undefined;
  names?: { point?: string; interval?: string; actual?: string } | undefined;
}

export function Fan(props: FanProps): JSX.Element {
  const { x, point, lower, upper, actual, label, time = false, xLabel, height = 240, names = {} } = props;
  const unit = formatUnit(props.unit);
  const data = useMemo(
    (): uPlot.AlignedData => [[...x], [...point], [...upper], [...lower], ...(actual ? [[...actual]] : [])],
    [x, point, lower, upper, actual],
  );
  const known = actual !== undefined;
  const build = useMemo((): Build => fanOptions(unit, time, xLabel, known), [unit, time, xLabel, known]);
  const words = {
    point: names.point ?? t("charts.point"), interval: names.interval ?? t("charts.interval"), actual: names.actual ?? t("charts.actual"),
  };
  return (
    <ChartFrame
      label={label}
      legend={<Marks marks={[
        { kind: "line", place: 0, text: words.point }, { kind: "band", place: 0, text: words.interval },
        ...(known ? [{ kind: "dashed", place: 1, text: words.actual } as const] : []),
      ]} />}
      chart={<Plot build={build} data={data} height={height} />}
      table={<FanTable {...props} unit={unit} words={words} />}
    />
  );
}

function fanOptions(unit: string, time: boolean, xLabel: string | undefined, known: boolean): Build {
  return (palette) => {
    const [first = palette.text, second = palette.text] = palette.series;
    const edge: uPlot.Series = { stroke: faint(first, 0.6), width: 1, points: { show: false } };
    return {
      series: [
        {}, { stroke: first, width: 2, points: { show: false } }, edge, { ...edge },
        ...(known ? [{ stroke: second, width: 2, dash: [5, 3], points: { show: false } }] : []),
      ],
      bands: [{ series: [2, 3], fill: faint(first, 0.18) }],
      scales: { x: { time }, y: { range: padded } },
      axes: [xAxis(palette, time ? undefined : (xLabel ?? "")), yAxis(palette, "y", unit)],
      legend: { show: false },
      padding: [8, 12, 0, 0],
      cursor: { y: false, drag: { x: false, y: false } },
    };
  };
}

function FanTable({ x, point, lower, upper, actual, unit, label, time, xLabel, words }: FanProps & {
  words: { point: string; actual: string };
}): JSX.Element {
  const cell = (values: Values, at: number): string => {
    const value = values[at];
    return typeof value === "number" ? number(value) : "";
  };
  return (
    <table className="chart-table">
      <caption className="hidden">{label}</caption>
      <thead>
        <tr>
          <th scope="col">{time ? t("charts.time") : (xLabel ?? "x")}</th>
          <th scope="col" className="number">{t("charts.lower")} ({unit})</th>
          <th scope="col" className="number">{words.point} ({unit})</th>
          <th scope="col" className="number">{t("charts.upper")} ({unit})</th>
          {actual ? <th scope="col" className="number">{words.actual} ({unit})</th> : null}
        </tr>
      </thead>
      <tbody>
        {x.map((value, at) => (
          <tr key={`${String(value)} ${String(at)}`}>
            <th scope="row">{time ? <Time at={value} /> : number(value)}</th>
            <td className="number">{cell(lower, at)}</td>
            <td className="number">{cell(point, at)}</td>
            <td className="number">{cell(upper, at)}</td>
            {actual ? <td className="number">{cell(actual, at)}</td> : null}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
