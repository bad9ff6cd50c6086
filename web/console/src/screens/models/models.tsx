import type { JSX } from "react";
import { Link, useSearch } from "wouter";

import { useLiveQuery } from "../../api/live";
import { getPredictors } from "../../api/prognosis";
import type { Predictor } from "../../api/prognosis";
import { Answered, Empty, Entry, Iri, Panel, Screen, Status, Table } from "../../parts";
import type { Column, Level } from "../../parts";
import { paths } from "../../route";
import { t, word } from "../../strings/en";
import { percent } from "../prognosis/words";
import { CardPanel } from "./card";
import "./models.css";
import { OutcomesPanel } from "./outcomes";

export default function ModelsScreen(): JSX.Element {
  const query = useLiveQuery(["predictors"], getPredictors, { every: 5000 });
  const wanted = new URLSearchParams(useSearch()).get("model");
  return (
    <Screen title={t("models.title")}>
      <Answered query={query} lines={6}>{({ items, more }) => <All items={items} more={more} wanted={wanted} />}</Answered>
    </Screen>
  );
}

function All({ items, more, wanted }: { items: readonly Predictor[]; more: boolean; wanted: string | null }): JSX.Element {
  const chosen = items.find(({ model }) => model === wanted) ?? items.find(({ stage }) => stage === "active") ?? items[0];
  if (!chosen) return <Empty title={t("models.none")}><p>{t("models.noneText")}</p></Empty>;
  return (
    <>
      <Panel title={t("models.list")} flush>
        <Table caption={t("models.list")} columns={COLUMNS} rows={items} rowKey={({ about, model }) => `${about} ${model}`} />
      </Panel>
      {more && <p className="muted">{t("models.more")}</p>}
      <OutcomesPanel key={chosen.model} predictor={chosen} />
      <CardPanel predictor={chosen} />
    </>
  );
}

const LEVELS: Readonly<Record<string, Level>> = { active: "good", shadow: "info" };
const short = (digest: string): string => digest.slice(0, 10);

const COLUMNS: readonly Column<Predictor>[] = [
  { id: "model", header: t("models.model"), cell: ({ model }) => <Link href={`${paths.models}?model=${model}`} className="models-link mono" title={model}>{short(model)}</Link> },
  { id: "about", header: t("models.about"), value: ({ about }) => about, cell: ({ about }) => <Iri iri={about} /> },
  { id: "stage", header: t("models.stage"), value: ({ stage }) => stage, width: "110px", cell: ({ stage }) => <Status level={LEVELS[stage] ?? "unknown"} word={word("models", `stage-${stage}`) ?? stage} /> },
  { id: "trained", header: t("models.trained"), minor: true, value: ({ trained }) => trained.rows, cell: ({ trained }) => t("models.trainedOn", { n: trained.twins, failed: trained.failed, rows: trained.rows }) },
  { id: "claimed", header: t("models.claimed"), width: "90px", value: ({ coverage }) => coverage, cell: ({ coverage }) => percent(coverage) },
  { id: "score", header: t("models.scored"), cell: ({ score }) => (score === null ? <span className="muted">{t("models.noScore")}</span> : <span>{score.realised !== null && t("models.scoredText", { realised: percent(score.realised), n: score.twins ?? 0 })} <Entry index={score.entry} /></span>) },
  { id: "entry", header: t("models.entry"), width: "100px", value: ({ entry }) => entry, cell: ({ entry }) => <Entry index={entry} /> },
];
