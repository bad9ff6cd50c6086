import { lazy } from "react";
import type { JSX } from "react";

import type { FleetRow } from "../../api/fleet";
import { getFleet } from "../../api/fleet";
import { useLiveQuery } from "../../api/live";
import { Entry, Icon, Iri, Screen, shortIri, Status, Tabs, Time } from "../../parts";
import { paths, useParam } from "../../route";
import { t } from "../../strings/en";
import { modelName } from "./layout";
import { Overview } from "./overview";
import "./twin.css";

const TwinPrognosis = lazy(() => import("../prognosis/twin-prognosis").then((module) => ({ default: module.TwinPrognosis })));
const Timeline = lazy(() => import("../timeline/timeline").then((module) => ({ default: module.Timeline })));
const TwinEvidence = lazy(() => import("../verify/twin-evidence").then((module) => ({ default: module.TwinEvidence })));
const TwinParts = lazy(() => import("../parts/twin-parts").then((module) => ({ default: module.TwinParts })));

export default function TwinScreen(): JSX.Element {
  const sub = useParam("iri");
  const tab = useParam("tab");
  const row = useFleetRow(sub);
  const tabs = [
    { id: "", label: t("twin.overview"), href: paths.twin(sub) },
    { id: "prognosis", label: t("twin.prognosis"), href: paths.twin(sub, "prognosis") },
    { id: "timeline", label: t("twin.timeline"), href: paths.twin(sub, "timeline") },
    { id: "evidence", label: t("twin.evidence"), href: paths.twin(sub, "evidence") },
    { id: "parts", label: t("twin.parts"), href: paths.twin(sub, "parts") },
  ];
  const name = row?.name ?? shortIri(sub);
  return (
    <Screen title={name} heading={<Iri iri={sub} name={name} copy />} actions={row ? <Status level={row.health} /> : null}>
      {row ? <Facts row={row} /> : null}
      <Tabs label={t("twin.tabs")} tabs={tabs} current={tab} />
      {tab === "prognosis" && <TwinPrognosis sub={sub} />}
      {tab === "timeline" && <Timeline sub={sub} />}
      {tab === "evidence" && <TwinEvidence sub={sub} />}
      {tab === "parts" && <TwinParts sub={sub} />}
      {tab === "" && <Overview key={sub} sub={sub} name={name} />}
    </Screen>
  );
}

/** The fleet's row of one twin: of the IRIs that begin so, its own is the first. */
function useFleetRow(sub: string): FleetRow | null {
  const query = useLiveQuery(["fleet", "row", sub], (signal) => getFleet({ prefix: sub, limit: 1 }, signal), { sub });
  return query.data?.items.find((row) => row.sub === sub) ?? null;
}

const SIGNED = { device: "twin.device", gateway: "twin.gateway", both: "twin.both" } as const;

function Facts({ row }: { row: FleetRow }): JSX.Element {
  return (
    <dl className="twin-facts">
      <div><dt>{t("twin.model")}</dt><dd>{row.model ? <span title={row.model}>{modelName(row.model)}</span> : t("twin.noModel")}</dd></div>
      <div><dt>{t("twin.lifecycle")}</dt><dd>{row.lifecycle ?? t("common.nothing")}</dd></div>
      <div><dt>{t("twin.lastReading")}</dt><dd><Time at={row.newest} relative /></dd></div>
      <div>
        <dt>{t("twin.trust")}</dt>
        <dd>{row.signed ? <><Icon name={row.signed === "gateway" ? "gateway" : "device"} /> {t(SIGNED[row.signed])}</> : t("common.nothing")}</dd>
      </div>
      <div>
        <dt>{t("twin.lastEntry")}</dt>
        <dd className="row">
          <Entry index={row.entry} />
          {row.anchored === null ? null : <span className="muted">{t(row.anchored ? "twin.anchored" : "twin.notAnchored")}</span>}
          {row.gaps ? <Status level="watch" icon="gap" word={t("twin.gaps", { n: row.gaps })} /> : null}
        </dd>
      </div>
      <div><dt>{t("twin.statements")}</dt><dd>{row.statements.toLocaleString("en")}</dd></div>
    </dl>
  );
}
