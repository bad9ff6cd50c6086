// The newest reading of each signal.
import type { JSX } from "react";
import { Fragment } from "react";

import type { Json } from "../../api/twin";
import { duration } from "../../charts/format";
import { Empty, Entry, formatNumber, formatUnit, Panel, Status, Time, useNow } from "../../parts";
import { t } from "../../strings/en";
import type { Group, SignalRow } from "./layout";

/** Seconds after which a value is called old. */
const STALE = 600;

interface ValuesProps {
  groups: readonly Group<SignalRow>[];
  chosen: readonly string[];
  choose: (signal: string) => void;
}

export function ValuesPanel({ groups, chosen, choose }: ValuesProps): JSX.Element {
  const some = groups.some((group) => group.rows.length > 0);
  return (
    <Panel title={t("twin.values")} flush>
      {some ? (
        <div className="twin-scroll" role="group" aria-label={t("twin.values")} tabIndex={0}>
          <table className="twin-table">
            <caption className="hidden">{t("twin.values")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("twin.signal")}</th>
                <th scope="col" className="number">{t("twin.value")}</th>
                <th scope="col">{t("twin.measured")}</th>
                <th scope="col">{t("twin.chart")}</th>
              </tr>
            </thead>
            {groups.map((group) => (
              <tbody key={group.title ?? ""}>
                {group.title ? <tr className="twin-group"><th colSpan={4} scope="rowgroup">{group.title}</th></tr> : null}
                {group.rows.map((row) => (
                  <ValueRow key={row.name} row={row} chosen={chosen.includes(row.name)} choose={choose} />
                ))}
              </tbody>
            ))}
          </table>
        </div>
      ) : <Empty small title={t("twin.noValues")}><p>{t("twin.noValuesText")}</p></Empty>}
    </Panel>
  );
}

function ValueRow({ row, chosen, choose }: { row: SignalRow; chosen: boolean; choose: (signal: string) => void }): JSX.Element {
  const { name, label, description, reading } = row;
  const charted = typeof reading?.value === "number" || typeof reading?.value === "boolean";
  return (
    <tr>
      <th scope="row"><span title={description || name}>{label}</span></th>
      {reading ? (
        <Fragment>
          <td className="number"><Value value={reading.value} unit={reading.unit} /></td>
          <td><Freshness at={reading.time} entry={reading.entry} /></td>
        </Fragment>
      ) : <td colSpan={2} className="muted">{t("twin.silent")}</td>}
      <td>
        {charted ? (
          <label className="twin-check">
            <input type="checkbox" checked={chosen} onChange={() => choose(name)} aria-label={t("twin.chartOf", { name: label })} />
          </label>
        ) : null}
      </td>
    </tr>
  );
}

function Freshness({ at, entry }: { at: number; entry: number }): JSX.Element {
  const age = useNow() - at;
  return (
    <span className="row twin-fresh">
      <Time at={at} relative />
      <Entry index={entry} />
      {age > STALE ? <Status level="unknown" icon="wait" word={t("twin.stale")} title={t("twin.staleTitle", { span: duration(age) })} /> : null}
    </span>
  );
}

/** Any value that the log can hold, in a line. */
export function Value({ value, unit = null }: { value: Json; unit?: string | null }): JSX.Element {
  if (typeof value === "number") {
    const shown = unit ? formatUnit(unit) : "";
    return <span className="quantity">{formatNumber(value)}{shown ? <span className="muted" title={unit ?? undefined}> {shown}</span> : null}</span>;
  }
  if (value === null) return <span className="muted">{t("common.nothing")}</span>;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return <span className="twin-text" title={text.length > 40 ? text : undefined}>{text}</span>;
}
