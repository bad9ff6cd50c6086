import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { JSX } from "react";
import { useSearch } from "wouter";

import { HEALTHS } from "../../api/fleet";
import type { FleetRow } from "../../api/fleet";
import { hurry, usePulse } from "../../api/live";
import { Button, Empty, Failed, Icon, healthWord, Loading, Screen, shortIri, Table } from "../../parts";
import type { Sort } from "../../parts";
import { sorted } from "../../parts/table-rows";
import { navigate, paths } from "../../route";
import { t } from "../../strings/en";
import { columnsOf, groupWord, lifecycleWord, nameOf } from "./columns";
import { countHealths, formatView, GROUPS, HAVES, isFiltered, matches, NONE, parseView, valuesOf } from "./filter";
import type { Facet, Group, View } from "./filter";
import "./fleet.css";
import { useFleet } from "./rows";
import { Views } from "./views";

export default function FleetScreen(): JSX.Element {
  const { rows, known, chained } = useFleet();
  const pulse = usePulse();
  const search = useSearch();
  const view = useMemo(() => parseView(search), [search]);
  if (!known) {
    return (
      <Screen title={t("fleet.title")}>
        {pulse.error ? <Failed error={pulse.error} retry={hurry} /> : <Loading lines={8} />}
      </Screen>
    );
  }
  if (rows.length === 0) return <Screen title={t("fleet.title")}><Empty title={t("fleet.empty")}><p>{t("fleet.emptyText")}</p></Empty></Screen>;
  return <Fleet rows={rows} view={view} chained={chained} />;
}

function show(view: View): void {
  const search = formatView(view);
  navigate(search ? `${paths.fleet}?${search}` : paths.fleet, { replace: true });
}

function Fleet({ rows, view, chained }: { rows: readonly FleetRow[]; view: View; chained: boolean }): JSX.Element {
  const scale = useMemo(() => scaleOf(rows), [rows]);
  const columns = useMemo(() => columnsOf(scale, chained), [scale, chained]);
  const matching = useMemo(() => rows.filter((row) => matches(row, view)), [rows, view]);
  const ordered = useMemo(() => {
    const value = columns.find(({ id }) => id === view.sort.column)?.value;
    // Of the same value the names decide.
    const named = sorted(matching, nameOf, false);
    return value ? sorted(named, value, view.sort.down) : named;
  }, [matching, columns, view.sort]);
  const { group } = view;
  const groupBy = useMemo(() => group && ((row: FleetRow) => groupWord(row, group)), [group]);
  const sort = useCallback((next: Sort) => show({ ...view, sort: next }), [view]);
  const clear = (): void => show({ ...view, text: "", facets: {} });
  const actions = (
    <>
      <span role="status" className="muted">{t("fleet.shown", { shown: matching.length, n: rows.length })}</span>
      {isFiltered(view) && <Button icon="close" onClick={clear}>{t("fleet.clear")}</Button>}
      <Views search={formatView(view)} />
    </>
  );
  return (
    <Screen title={t("fleet.title")} actions={actions}>
      <Summary rows={rows} view={view} />
      <Filters rows={rows} view={view} chained={chained} />
      <div className="panel fleet-table">
        <Table
          caption={t("fleet.title")} columns={columns} rows={ordered} rowKey={keyOf} sort={view.sort} onSort={sort} groupBy={groupBy}
          rowHeight={56}
          empty={<Empty title={t("fleet.noMatch")}><Button onClick={clear}>{t("fleet.clear")}</Button></Empty>}
        />
      </div>
    </Screen>
  );
}

const keyOf = (row: FleetRow): string => row.sub;

/** Where the bars of remaining life end: a round number above nearly all of them. */
function scaleOf(rows: readonly FleetRow[]): number {
  let most = 0;
  for (const { forecast } of rows) if (forecast && forecast.upper > most) most = forecast.upper;
  if (most === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 5, 10].find((step) => step * power >= most) ?? 10) * power;
}

/** Counts by health; pressed, they filter. */
function Summary({ rows, view }: { rows: readonly FleetRow[]; view: View }): JSX.Element {
  const counts = useMemo(() => countHealths(rows), [rows]);
  const standing = useMemo(() => rows.reduce((sum, row) => sum + row.alarms.standing, 0), [rows]);
  const orders = useMemo(() => rows.reduce((sum, row) => sum + row.orders, 0), [rows]);
  const press = (facet: Facet, value: string): void => {
    const facets = { ...view.facets };
    if (facets[facet] === value) delete facets[facet];
    else facets[facet] = value;
    show({ ...view, facets });
  };
  return (
    <section className="summary" aria-label={t("fleet.summary")}>
      {HEALTHS.map((health) => (
        <button key={health} type="button" className={`tile tile-${health}`} aria-pressed={view.facets.health === health} onClick={() => press("health", health)}>
          <span className="tile-words"><Icon name={health} size={14} /> {healthWord(health)}</span>
          <span className="tile-count">{counts[health]}</span>
        </button>
      ))}
      <button type="button" className="tile" aria-pressed={view.facets.with === "alarms"} onClick={() => press("with", "alarms")}>
        <span className="tile-words"><Icon name="alarm" size={14} /> {t("fleet.alarmsStanding")}</span>
        <span className="tile-count">{standing}</span>
      </button>
      <button type="button" className="tile" aria-pressed={view.facets.with === "orders"} onClick={() => press("with", "orders")}>
        <span className="tile-words"><Icon name="order" size={14} /> {t("fleet.ordersOpen")}</span>
        <span className="tile-count">{orders}</span>
      </button>
    </section>
  );
}

interface FiltersProps {
  rows: readonly FleetRow[];
  view: View;
  chained: boolean;
}

function Filters({ rows, view, chained }: FiltersProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener("keydown", focus);
    return () => window.removeEventListener("keydown", focus);
  }, []);
  const pick = (facet: Facet) => (value: string): void => {
    const facets = { ...view.facets };
    if (value) facets[facet] = value;
    else delete facets[facet];
    show({ ...view, facets });
  };
  const models = useMemo(() => valuesOf(rows, "model"), [rows]);
  const lives = useMemo(() => valuesOf(rows, "lifecycle"), [rows]);
  const haves = HAVES.filter((have) => have !== "unanchored" || chained);
  return (
    <div className={open ? "filters filters-open" : "filters"} role="search">
      <div className="filter-text">
        <Icon name="search" />
        <input
          ref={input} className="input" type="search" aria-label={t("fleet.filter")} placeholder={t("fleet.filterHint")} value={view.text}
          onChange={(event) => show({ ...view, text: event.target.value })}
        />
      </div>
      <Button className="filters-more" aria-expanded={open} icon={open ? "up" : "down"} onClick={() => setOpen(!open)}>{t("fleet.more")}</Button>
      <Choice label={t("fleet.model")} all={t("fleet.allModels")} value={view.facets.model ?? ""} values={models} words={(model) => (model === NONE ? t("fleet.noModel") : shortIri(model))} pick={pick("model")} />
      <Choice label={t("fleet.lifecycle")} all={t("fleet.allLifecycles")} value={view.facets.lifecycle ?? ""} values={lives} words={(code) => (code === NONE ? t("fleet.noLifecycle") : lifecycleWord(code))} pick={pick("lifecycle")} />
      <Choice label={t("fleet.with")} all={t("fleet.withAnything")} value={view.facets.with ?? ""} values={haves} words={haveWord} pick={pick("with")} />
      <Choice label={t("fleet.signedBy")} all={t("fleet.signedByAny")} value={view.facets.signed ?? ""} values={["device", "gateway", "both"]} words={signerWord} pick={pick("signed")} />
      <Choice label={t("fleet.group")} all={t("fleet.notGrouped")} value={view.group ?? ""} values={GROUPS} words={groupName} pick={(value) => show({ ...view, group: GROUPS.find((one) => one === value) ?? null })} />
    </div>
  );
}

const HAVE_WORDS = {
  alarms: "fleet.withAlarms", unacknowledged: "fleet.withUnacknowledged", forecast: "fleet.withForecast",
  orders: "fleet.withOrders", gaps: "fleet.withGaps", unanchored: "fleet.withUnanchored",
} as const;
const haveWord = (value: string): string => {
  const have = HAVES.find((one) => one === value);
  return have ? t(HAVE_WORDS[have]) : value;
};
const signerWord = (value: string): string => t(value === "device" ? "fleet.byDevice" : value === "gateway" ? "fleet.byGateway" : "fleet.byBoth");
const GROUP_WORDS: Readonly<Record<Group, "fleet.byModel" | "fleet.byHealth" | "fleet.byLifecycle">> = { model: "fleet.byModel", health: "fleet.byHealth", lifecycle: "fleet.byLifecycle" };
const groupName = (value: string): string => {
  const group = GROUPS.find((one) => one === value);
  return group ? t(GROUP_WORDS[group]) : value;
};

interface ChoiceProps {
  label: string;
  all: string;
  value: string;
  values: readonly string[];
  words: (value: string) => string;
  pick: (value: string) => void;
}

function Choice({ label, all, value, values, words, pick }: ChoiceProps): JSX.Element {
  return (
    <select className="input" aria-label={label} value={value} onChange={(event) => pick(event.target.value)}>
      <option value="">{all}</option>
      {values.map((one) => <option key={one} value={one}>{words(one)}</option>)}
    </select>
  );
}
