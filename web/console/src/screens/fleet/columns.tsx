import type { JSX } from "react";
import { Link } from "wouter";

import type { FleetForecast, FleetRow } from "../../api/fleet";
import { Entry, formatNumber, formatUnit, healthWord, Icon, shortIri, Status, Time } from "../../parts";
import type { Column } from "../../parts";
import { paths } from "../../route";
import { t, word } from "../../strings/en";
import { rankOf } from "./filter";

/** A row's columns; `scale` is the remaining life at the bars' end. */
export function columnsOf(scale: number, chained: boolean): Column<FleetRow>[] {
  return [
    { id: "name", header: t("fleet.twin"), width: "22%", value: nameOf, cell: (row) => <Name row={row} /> },
    { id: "health", header: t("fleet.health"), width: "100px", value: ({ health }) => rankOf(health), cell: ({ health }) => <Status level={health} /> },
    { id: "alarms", header: t("fleet.alarms"), width: "15%", value: alarmWeight, cell: (row) => <Alarms row={row} /> },
    { id: "life", header: t("fleet.life"), width: "22%", value: ({ forecast }) => forecast?.lower ?? null, cell: ({ forecast }) => <Life forecast={forecast} scale={scale} /> },
    { id: "newest", header: t("fleet.newest"), width: "112px", value: ({ newest }) => newest, cell: ({ newest }) => <Time at={newest} relative /> },
    { id: "trust", header: t("fleet.trust"), width: "21%", minor: true, cell: (row) => <Trust row={row} chained={chained} /> },
    { id: "orders", header: t("fleet.orders"), width: "96px", number: true, minor: true, value: ({ orders }) => orders, cell: ({ orders }) => <Count count={orders} /> },
    { id: "entry", header: t("fleet.entry"), width: "104px", number: true, minor: true, value: ({ entry }) => entry, cell: ({ entry }) => <Entry index={entry} /> },
  ];
}

export const nameOf = (row: FleetRow): string => row.name ?? shortIri(row.sub);

const SEVERITIES = ["low", "medium", "high", "critical"];
const alarmWeight = ({ alarms }: FleetRow): number => 1000 * (SEVERITIES.indexOf(alarms.worst ?? "") + 1) + alarms.standing;

export const lifecycleWord = (code: string): string => word("fleet", `lifecycle-${code}`) ?? code;
export const severityWord = (code: string): string => word("alarms", `severity-${code}`) ?? code;

function Name({ row }: { row: FleetRow }): JSX.Element {
  const model = row.model === null ? t("fleet.noModel") : shortIri(row.model);
  return (
    <div className="fleet-name">
      <Link href={paths.twin(row.sub)} title={row.sub}>{nameOf(row)}</Link>
      <span className="muted small" title={row.model ?? undefined}>{[model, row.lifecycle && lifecycleWord(row.lifecycle)].filter(Boolean).join(" · ")}</span>
    </div>
  );
}

const Count = ({ count }: { count: number }): JSX.Element => (count ? <strong>{count}</strong> : <span className="muted">{t("common.nothing")}</span>);

function Alarms({ row: { alarms } }: { row: FleetRow }): JSX.Element {
  if (alarms.standing === 0) return <span className="muted">{t("common.nothing")}</span>;
  const serious = alarms.worst === "high" || alarms.worst === "critical";
  return (
    <span className="fleet-alarms">
      <Status level={serious ? "act" : "watch"} icon="alarm" word={`${alarms.standing} ${severityWord(alarms.worst ?? "")}`.trim()} />
      {alarms.unacknowledged > 0 && <span className="small muted">{t("fleet.unacknowledged", { n: alarms.unacknowledged })}</span>}
    </span>
  );
}

/** "16 to 30 cycle (90 %)", and the same drawn: the interval as a bar, the best estimate as a mark. */
function Life({ forecast, scale }: { forecast: FleetForecast | null; scale: number }): JSX.Element {
  if (!forecast) return <span className="muted">{t("common.nothing")}</span>;
  const { lower, point, upper, coverage, unit, widened } = forecast;
  const at = (value: number): string => `${Math.min(100, (100 * value) / scale).toFixed(2)}%`;
  const words = { lower: formatNumber(lower, 3), upper: formatNumber(upper, 3), unit: formatUnit(unit), n: upper };
  return (
    <div className="life" title={t(widened === null ? "fleet.lifeTitle" : "fleet.unsureTitle", { ...words, point: formatNumber(point, 3) })}>
      <span className="life-words">
        {t("fleet.lifeWords", words)}{" "}
        <span className="muted small">{widened === null ? `${formatNumber(coverage * 100, 3)} %` : t("fleet.unsure")}</span>
      </span>
      <span className={widened === null ? "life-bar" : "life-bar life-unsure"} aria-hidden="true">
        <span className="life-span" style={{ left: at(lower), width: at(upper - lower) }} />
        <span className="life-point" style={{ left: at(point) }} />
      </span>
    </div>
  );
}

const SIGNED = { device: ["device", "fleet.byDevice"], gateway: ["gateway", "fleet.byGateway"], both: ["gateway", "fleet.byBoth"] } as const;

function Trust({ row, chained }: { row: FleetRow; chained: boolean }): JSX.Element {
  const [icon, signer] = row.signed ? SIGNED[row.signed] : (["unknown", "fleet.byNobody"] as const);
  return (
    <span className="trust">
      <span title={t("fleet.signedTitle")}><Icon name={icon} size={14} /> {t(signer)}</span>
      {row.gaps > 0 && <span className="trust-gap"><Icon name="gap" size={14} /> {t("fleet.gaps", { n: row.gaps })}</span>}
      {chained && <span title={t("fleet.anchoredTitle")}><Icon name={row.anchored ? "anchor" : "wait"} size={14} /> {t(row.anchored ? "fleet.anchored" : "fleet.notAnchored")}</span>}
    </span>
  );
}

/** What a twin is grouped by, in words. */
export function groupWord(row: FleetRow, group: "model" | "health" | "lifecycle"): string {
  if (group === "health") return healthWord(row.health);
  if (group === "model") return row.model === null ? t("fleet.noModel") : shortIri(row.model);
  return row.lifecycle === null ? t("fleet.noLifecycle") : lifecycleWord(row.lifecycle);
}
