// One uPlot: made anew when its options or the colour scheme change, else fed and resized.
import "uplot/dist/uPlot.min.css";
import "./charts.css";

import type { JSX, RefObject } from "react";
import { useEffect, useRef } from "react";
import uPlot from "uplot";

import type { Palette } from "./palette";
import { readPalette, useScheme } from "./palette";

export type Build = (palette: Palette) => Omit<uPlot.Options, "width" | "height">;

export interface PlotProps {
  /** Must keep its identity while nothing but the data changes. */
  build: Build;
  data: uPlot.AlignedData;
  height: number;
  /** Where the uPlot is put once made, for whoever steers it. */
  plot?: RefObject<uPlot | null>;
  /** CSS pixels of the plotting area, told when it changes. */
  onWidth?: (width: number) => void;
}

export function Plot({ build, data, height, plot, onWidth }: PlotProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const made = useRef<uPlot | null>(null);
  const newest = useRef(data);
  const told = useRef(onWidth);
  const scheme = useScheme();
  newest.current = data;
  told.current = onWidth;

  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const width = Math.max(120, element.clientWidth);
    const options = { ...build(readPalette(element)), width, height };
    const chart = new uPlot(options, newest.current, element);
    made.current = chart;
    if (plot) plot.current = chart;
    told.current?.(chart.over.clientWidth || width);
    const observer = new ResizeObserver(() => {
      // Hidden behind its table, it has no width.
      if (!element.clientWidth) return;
      const next = Math.max(120, element.clientWidth);
      if (next !== chart.width) {
        chart.setSize({ width: next, height });
        told.current?.(chart.over.clientWidth);
      }
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      made.current = null;
      if (plot) plot.current = null;
    };
  }, [build, height, scheme, plot]);

  useEffect(() => {
    if (made.current && made.current.data !== data) made.current.setData(data);
  }, [data]);

  return <div className="plot" ref={host} />;
}
