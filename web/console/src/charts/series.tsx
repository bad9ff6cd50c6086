/**
 * Readings over time.
 *
 * `signals`: what to draw, at most six; each gets a colour and a dash, each unit an axis (the first two are shown).
 * `label`: what the chart is of, for readers of the screen. `newest`: POSIX seconds of the newest reading: when it grows,
 * a chart that follows asks again, at most every two seconds. It asks for as many spans as there are pixels, or for the
 * readings if they are few. Drag zooms, Shift and drag moves, double-click shows everything; keys and buttons do the same.
 */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { JSX, KeyboardEvent } from "react";
import { useCallback, useEffect, useId, useMemo, useRef, useState } from "react";
import type uPlot from "uplot";

import type { Span } from "../api/telemetry";
import { Failed } from "../parts";
import { t } from "../strings/en";
import { Plot } from "./plot";
import type { Preset, View } from "./range";
import { scaled, shifted, spanOf } from "./range";
import type { Loaded, Signal, Track } from "./series-data";
import { align, load } from "./series-data";
import { Legend, useHover } from "./series-legend";
import type { Steering } from "./series-plot";
import { seriesOptions, shapeOf } from "./series-plot";
import { SeriesTable } from "./series-table";
import { Toolbar } from "./series-toolbar";
import { duration } from "./format";

export type { Signal } from "./series-data";

export interface SeriesProps {
  signals: readonly Signal[];
  label: string;
  newest?: number | null;
  height?: number;
  initial?: Preset;
  /** Called when the chart has something to show, or knows that there is nothing. */
  onShown?: () => void;
}

const NONE: readonly Track[] = [];

export function Series({ signals, label, newest = null, height = 260, initial = "all", onShown }: SeriesProps): JSX.Element {
  const [view, setView] = useState<View>({ preset: initial });
  const [asTable, setAsTable] = useState(false);
  const [pixels, setPixels] = useState(0);
  const followed = useFollowed(newest, 2000);
  const span = spanOf(view, followed);
  const { data, error, refetch, isFetching } = useQuery({
    queryKey: ["series", signals, span, "span" in view ? null : followed, pixels],
    queryFn: ({ signal }) => load(signals, span, pixels, signal),
    enabled: pixels > 0 && signals.length > 0,
    placeholderData: keepPreviousData,
    gcTime: 60_000,
  });
  const shown = span ?? data?.span ?? null;
  const settled = data !== undefined || error !== null;
  const tell = useRef(onShown);
  tell.current = onShown;
  useEffect(() => {
    if (settled) tell.current?.();
  }, [settled]);
  const help = useId();
  return (
    <div className="series" data-busy={isFetching || undefined}>
      <Toolbar view={view} shown={shown} setView={setView} asTable={asTable} setAsTable={setAsTable} signals={signals} />
      {error && !data ? <Failed error={error} retry={() => void refetch()} /> : null}
      <div hidden={asTable}>
        <Canvas
          label={label} help={help} height={height} data={data} shown={shown} fixed={span} setView={setView} onWidth={setPixels}
        />
      </div>
      {asTable && data && shown ? <SeriesTable loaded={data} span={shown} label={label} /> : null}
      <p className="series-note" id={help}>{data ? describe(data) : t("charts.loading")}</p>
    </div>
  );
}

function describe(loaded: Loaded): string {
  const gaps = loaded.tracks.reduce((sum, track) => sum + track.gaps.length, 0);
  if (!loaded.tracks.length) return loaded.span ? t("charts.empty") : t("charts.emptyAll");
  const first = loaded.width === null
    ? t("charts.points", { n: loaded.readings })
    : t("charts.buckets", { n: loaded.readings, span: duration(loaded.width) });
  return gaps ? `${first} · ${t("charts.gaps", { n: gaps })}` : first;
}

/** `newest`, but changing at most every `pause` milliseconds. */
function useFollowed(newest: number | null, pause: number): number | null {
  const [followed, setFollowed] = useState(newest);
  const latest = useRef(newest);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const last = useRef(0);
  useEffect(() => {
    latest.current = newest;
    if (newest === followed || timer.current !== null) return;
    timer.current = setTimeout(() => {
      timer.current = null;
      last.current = Date.now();
      setFollowed(latest.current);
    }, Math.max(0, last.current + pause - Date.now()));
  }, [newest, followed, pause]);
  useEffect(() => () => {
    if (timer.current !== null) clearTimeout(timer.current);
    timer.current = null;
  }, []);
  return followed;
}

interface CanvasProps {
  label: string;
  help: string;
  height: number;
  data: Loaded | undefined;
  shown: Span | null;
  /** The span that was asked for; null if all. */
  fixed: Span | null;
  setView: (view: View) => void;
  onWidth: (pixels: number) => void;
}

function Canvas({ label, help, height, data, shown, fixed, setView, onWidth }: CanvasProps): JSX.Element {
  const plot = useRef<uPlot | null>(null);
  const hover = useHover();
  const [hiddenPlaces, setHidden] = useState<ReadonlySet<number>>(new Set());
  const tracks = data?.tracks ?? NONE;
  const visible = useMemo(() => tracks.filter((track) => !hiddenPlaces.has(track.place)), [tracks, hiddenPlaces]);
  const aligned = useMemo(() => align(visible), [visible]);
  const x = useRef<[number, number] | null>(null);
  const tell = useRef(setView);
  tell.current = setView;
  const set = hover.set;
  const shape = shapeOf(visible);
  const build = useMemo(() => {
    const steering: Steering = {
      x: () => x.current,
      moving: (start, end) => { x.current = [start, end]; },
      zoomed: (start, end) => tell.current({ span: { start, end } }),
      reset: () => tell.current({ preset: "all" }),
      hovered: set,
    };
    return seriesOptions(visible, { value: "" }, steering);
    // The shape says all about the tracks that the options depend on.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, set]);
  x.current = fixed ? [fixed.start, fixed.end] : shown ? [shown.start, shown.end] : null;
  const [low, high] = [shown?.start ?? null, shown?.end ?? null];
  useEffect(() => {
    if (low !== null && high !== null) plot.current?.setScale("x", { min: low, max: high });
  }, [low, high]);
  // Rounded, so that a scroll bar that comes and goes asks for nothing new.
  const measured = useCallback((width: number) => onWidth(Math.max(60, Math.round(width / 20) * 20)), [onWidth]);
  const keyed = (event: KeyboardEvent): void => onKey(event, plot.current, shown, setView);
  return (
    <>
      <div
        className="series-canvas" role="application" aria-roledescription={t("charts.chart")} aria-label={label}
        aria-description={t("charts.keys")} aria-describedby={help} tabIndex={0} onKeyDown={keyed}
        onBlur={() => hover.set(null)}
      >
        <Plot build={build} data={aligned} height={height} plot={plot} onWidth={measured} />
      </div>
      <Legend tracks={tracks} hidden={hiddenPlaces} setHidden={setHidden} hover={hover} times={aligned[0]} />
    </>
  );
}

function onKey(event: KeyboardEvent, chart: uPlot | null, shown: Span | null, setView: (view: View) => void): void {
  if (!chart || !shown || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = chart.cursor.idx ?? null;
  const times = chart.data[0];
  const moment = at === null ? null : (times[at] ?? null);
  const go = (index: number): void => {
    const time = times[Math.min(times.length - 1, Math.max(0, index))];
    if (time === undefined) return;
    chart.setCursor({ left: chart.valToPos(time, "x"), top: chart.over.clientHeight / 2 });
  };
  const actions: Record<string, () => void> = {
    ArrowLeft: () => (event.shiftKey ? setView(shifted(shown, -0.25)) : go((at ?? times.length) - 1)),
    ArrowRight: () => (event.shiftKey ? setView(shifted(shown, 0.25)) : go((at ?? -1) + 1)),
    Home: () => go(0),
    End: () => go(times.length - 1),
    "+": () => setView(scaled(shown, 0.5, moment)),
    "=": () => setView(scaled(shown, 0.5, moment)),
    "-": () => setView(scaled(shown, 2, moment)),
    "0": () => setView({ preset: "all" }),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
