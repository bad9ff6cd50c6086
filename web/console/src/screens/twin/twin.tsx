import { lazy } from "react";
import type { JSX } from "react";

import { Iri, Screen, Tabs } from "../../parts";
import { paths, useParam } from "../../route";
import { t } from "../../strings/en";

const TwinPrognosis = lazy(() => import("../prognosis/twin-prognosis").then((module) => ({ default: module.TwinPrognosis })));
const Timeline = lazy(() => import("../timeline/timeline").then((module) => ({ default: module.Timeline })));
const TwinEvidence = lazy(() => import("../verify/twin-evidence").then((module) => ({ default: module.TwinEvidence })));
const TwinParts = lazy(() => import("../parts/twin-parts").then((module) => ({ default: module.TwinParts })));

export default function TwinScreen(): JSX.Element {
  const sub = useParam("iri");
  const tab = useParam("tab");
  const tabs = [
    { id: "", label: t("twin.title"), href: paths.twin(sub) },
    { id: "prognosis", label: t("prognosis.title"), href: paths.twin(sub, "prognosis") },
    { id: "timeline", label: t("timeline.title"), href: paths.twin(sub, "timeline") },
    { id: "evidence", label: t("verify.title"), href: paths.twin(sub, "evidence") },
    { id: "parts", label: t("parts.title"), href: paths.twin(sub, "parts") },
  ];
  return (
    <Screen title={sub} heading={<Iri iri={sub} copy />}>
      <Tabs label={t("twin.title")} tabs={tabs} current={tab} />
      {tab === "prognosis" && <TwinPrognosis sub={sub} />}
      {tab === "timeline" && <Timeline sub={sub} />}
      {tab === "evidence" && <TwinEvidence sub={sub} />}
      {tab === "parts" && <TwinParts sub={sub} />}
    </Screen>
  );
}
