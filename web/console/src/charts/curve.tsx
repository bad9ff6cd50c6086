/**
 * A curve with its best place marked, and a second one on a scale of its own at the right.
 *
 * `x` ascends; `y` and `secondary` are as long. `mark`: the x to be marked, or null. `labels`: words for the x axis, the
 * curve, the second curve, the mark; `label`: what the chart is of. `time`: x is POSIX seconds.
 */
import type { JSX } from "react";
import { useMemo } from "react";
import type uPlot from "uplot";

import { Time } from "../parts";
import { t } from "../strings/en";
import { padded, xAxis, yAxis } from "./axes";
import type { Mark } from "./chart";
import { ChartFrame, Marks } from "./chart";
import { number } from "./format";
import type { Palette } from "./palette";
import type { Build } from "./plot";
import { Plot } from "./plot";

export interface CurveLabels {
  label: string;
  x: string;
  y: string;
  secondary?: string | undefined;
  mark?: string | undefined;
}

export interface CurveProps {
  x: readonly number[];
  y: readonly (number | null)[];
  secondary?: readonly (number | null)[] | undefined;
  mark: number | null;
  labels: CurveLabels;
  time?: boolean | undefined;
  height?: number | undefined;
}

export function Curve({ x, y, secondary, mark, labels, time = false, height = 240 }: CurveProps): JSX.Element {
  const data = useMemo((): uPlot.AlignedData => [[...x], [...y], ...(secondary ? [[...secondary]] : [])], [x, y, secondary]);
  const second = secondary !== undefined;
  const { x: xLabel, y: yLabel, secondary: secondLabel = "" } = labels;
  const build = useMemo(
    (): Build => (palette) => curveOptions(palette, { xLabel, yLabel, secondLabel, second, mark, time }),
    [xLabel, yLabel, secondLabel, second, mark, time],
  );
  const marks: Mark[] = [{ kind: "line", place: 0, text: yLabel }];
  if (second) marks.push({ kind: "dashed", place: 1, text: secondLabel });
  if (mark !== null) marks.push({ kind: "dot", place: 0, text: labels.mark ?? t("charts.best") });
  const shown = (value: number): JSX.Element | string => (time ? <Time at={value} /> : number(value));
  return (
    <ChartFrame
      label={labels.label}
      legend={<Marks marks={marks} />}
      chart={<Plot build={build} data={data} height={height} />}
      table={
        <table className="chart-table">
          <caption className="hidden">{labels.label}</caption>
          <thead>
            <tr>
              <th scope="col">{xLabel}</th>
              <th scope="col" className="number">{yLabel}</th>
              {second ? <th scope="col" className="number">{secondLabel}</th> : null}
            </tr>
          </thead>
          <tbody>
            {x.map((value, at) => (
              <tr key={value} aria-current={value === mark || undefined}>
                <th scope="row">{shown(value)}{value === mark ? ` · ${labels.mark ?? t("charts.best")}` : ""}</th>
                <td className="number">{cell(y[at])}</td>
                {second ? <td className="number">{cell(secondary[at])}</td> : null}
              </tr>
            ))}
          </tbody>
        </table>
      }
    />
  );
}

const cell = (value: number | null | undefined): string => (typeof value === "number" ? number(value) : "");

interface Wanted {
  xLabel: string;
  yLabel: string;
  secondLabel: string;
  second: boolean;
  mark: number | null;
  time: boolean;
}

function curveOptions(palette: Palette, wanted: Wanted): ReturnType<Build> {
  const [first = palette.text, other = palette.text] = palette.series;
  const { mark, second, time } = wanted;
  return {
    series: [
      {}, { stroke: first, width: 2, points: { show: false } },
      ...(second ? [{ scale: "second", stroke: other, width: 1.5, dash: [5, 3], points: { show: false } }] : []),
    ],
    scales: { x: { time }, y: { range: padded }, ...(second ? { second: { range: padded } } : {}) },
    axes: [
      xAxis(palette, time ? undefined : wanted.xLabel), yAxis(palette, "y", wanted.yLabel),
      ...(second ? [yAxis(palette, "second", wanted.secondLabel, true)] : []),
    ],
    legend: { show: false },
    padding: [12, second ? 0 : 12, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    hooks: { draw: [(chart) => { if (mark !== null) drawMark(chart, mark, palette, first); }] },
  };
}

/** A line down to the axis, and a dot where the curve is. */
function drawMark(chart: uPlot, mark: number, palette: Palette, colour: string): void {
  const { ctx, bbox } = chart;
  const left = chart.valToPos(mark, "x", true);
  if (left < bbox.left || left > bbox.left + bbox.width) return;
  const value = chart.data[1]?.[chart.valToIdx(mark)];
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.strokeStyle = palette.muted;
  ctx.lineWidth = ratio;
  ctx.setLineDash([4 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(left, bbox.top);
  ctx.lineTo(left, bbox.top + bbox.height);
  ctx.stroke();
  if (typeof value === "number") {
    ctx.setLineDash([]);
    ctx.fillStyle = colour;
    ctx.strokeStyle = palette.surface;
    ctx.lineWidth = 2 * ratio;
    ctx.beginPath();
    ctx.arc(left, chart.valToPos(value, "y", true), 5 * ratio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}
