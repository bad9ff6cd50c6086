// The same values as the chart, for readers of the screen and for whoever wants the numbers.
import type { JSX } from "react";
import { Fragment, useMemo } from "react";

import type { Span } from "../api/telemetry";
import { Entry, formatUnit, Time } from "../parts";
import { t } from "../strings/en";
import { duration, number } from "./format";
import type { Gap, Loaded, Track } from "./series-data";

const SHOWN = 500;

interface Row {
  time: number;
  /** Place in each track's lists; null where it has nothing then. */
  at: (number | null)[];
  gaps: { label: string; gap: Gap }[];
}

function rowsOf(tracks: readonly Track[], span: Span): Row[] {
  const rows = new Map<number, Row>();
  const row = (time: number): Row => {
    let found = rows.get(time);
    if (!found) rows.set(time, (found = { time, at: tracks.map(() => null), gaps: [] }));
    return found;
  };
  tracks.forEach((track, number) => {
    track.times.forEach((time, at) => {
      if (time >= span.start && time <= span.end) row(time).at[number] = at;
    });
    for (const gap of track.gaps) {
      if (gap.end >= span.start && gap.start <= span.end) row(gap.start).gaps.push({ label: track.label, gap });
    }
  });
  return [...rows.values()].sort((one, other) => one.time - other.time);
}

/** Name, with the unit if there is one. */
function headed(track: Track, name: string): string {
  const unit = track.unit ? formatUnit(track.unit) : "";
  return unit ? `${name} (${unit})` : name;
}

export function SeriesTable({ loaded, span, label }: { loaded: Loaded; span: Span; label: string }): JSX.Element {
  const { tracks } = loaded;
  const rows = useMemo(() => rowsOf(tracks, span), [tracks, span]);
  const spans = loaded.width !== null;
  const width = 1 + tracks.length * (spans ? 3 : 2);
  if (!rows.length) return <p className="muted">{t("charts.empty")}</p>;
  return (
    <div className="series-rows" role="region" aria-label={t("charts.caption", { label })} tabIndex={0}>
      <table className="chart-table">
        <caption className="hidden">{t("charts.caption", { label })}</caption>
        <thead>
          <tr>
            <th scope="col">{t("charts.time")}</th>
            {tracks.map((track) => (
              <Fragment key={`${String(track.place)} ${track.unit ?? ""}`}>
                {(spans ? (["charts.mean", "charts.low", "charts.high"] as const) : (["charts.value"] as const)).map((key) => (
                  <th scope="col" className="number" key={key}>{headed(track, t(key, { name: track.label }))}</th>
                ))}
                {spans ? null : <th scope="col">{t("charts.entry")}</th>}
              </Fragment>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, SHOWN).map((row) => (
            <Fragment key={row.time}>
              {row.at.some((at) => at !== null) ? (
                <tr>
                  <th scope="row"><Time at={row.time} /></th>
                  {tracks.map((track, place) => <Cells key={place} track={track} at={row.at[place] ?? null} spans={spans} />)}
                </tr>
              ) : null}
              {row.gaps.map(({ label: name, gap }) => (
                <tr className="chart-gap" key={`${name} ${String(gap.start)}`}>
                  <td colSpan={width}>{t("charts.gap", { name, span: duration(gap.end - gap.start) })}</td>
                </tr>
              ))}
            </Fragment>
          ))}
        </tbody>
      </table>
      {rows.length > SHOWN ? <p className="muted">{t("charts.moreRows", { shown: SHOWN, n: rows.length })}</p> : null}
    </div>
  );
}

function Cells({ track, at, spans }: { track: Track; at: number | null; spans: boolean }): JSX.Element {
  const cell = (values: readonly number[] | null): string => {
    const value = at === null ? undefined : values?.[at];
    return value === undefined ? "" : number(value, 7);
  };
  const entry = at === null ? undefined : track.entries?.[at];
  return (
    <>
      <td className="number">{cell(track.mean)}</td>
      {spans ? <td className="number">{cell(track.low)}</td> : null}
      {spans ? <td className="number">{cell(track.high)}</td> : null}
      {spans ? null : <td>{entry === undefined ? null : <Entry index={entry} />}</td>}
    </>
  );
}
