import { useState } from "react";
import type { JSX } from "react";

import type { Plan, PlannedTwin } from "../../api/prognosis";
import { Button, Entry, Iri, Panel, Status, Table } from "../../parts";
import type { Column } from "../../parts";
import { t, word } from "../../strings/en";
import { about, percent, unitWord } from "../prognosis/words";
import { Gantt } from "./gantt";

/** A plan, or why there is none. */
export function PlanResult({ plan, slots }: { plan: Plan; slots: number }): JSX.Element {
  const [asTable, setAsTable] = useState(false);
  return (
    <>
      <Panel title={t("plan.result")} actions={<Status level={plan.feasible ? "good" : "act"} word={word("plan", `status-${plan.status}`) ?? plan.status} />}>
        <div className="stack" role="status">{plan.feasible ? <Numbers plan={plan} /> : <Shortages plan={plan} />}<Rest plan={plan} /></div>
      </Panel>
      {plan.twins.length > 0 && (
        <Panel title={t("plan.gantt")} flush actions={<Button small aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>{t("plan.table")}</Button>}>
          {asTable ? <Rows plan={plan} /> : <Gantt twins={plan.twins} slots={slots} />}
        </Panel>
      )}
    </>
  );
}

function Numbers({ plan: { cost, bound, certified, gap } }: { plan: Plan }): JSX.Element {
  return (
    <dl className="facts">
      {cost !== null && <><dt>{t("plan.cost")}</dt><dd><strong className="plan-cost">{about(cost, 4)}</strong></dd></>}
      {bound !== null && <><dt>{t("plan.bound")}</dt><dd>{gap === null ? about(bound, 4) : t("plan.boundText", { bound: about(bound, 4), gap: percent(gap < 1e-6 ? 0 : gap, 2) })}</dd></>}
      {certified !== null && <><dt>{t("plan.certified")}</dt><dd>{about(certified, 4)}</dd></>}
    </dl>
  );
}

function Shortages({ plan: { shortages, together, without_slot: without } }: { plan: Plan }): JSX.Element {
  return (
    <div className="prognosis-refused stack">
      <strong>{t("plan.infeasible")}</strong>
      {shortages.length > 0 && (
        <div>
          <p>{t(together ? "plan.together" : "plan.each")}</p>
          <ul>{shortages.map(({ limit, excess }) => <li key={limit}>{t("plan.excess", { limit, excess: excess.join(", ") })}</li>)}</ul>
        </div>
      )}
      {without.length > 0 && <p>{t("plan.noSlot")} {without.map((sub) => <Iri key={sub} iri={sub} twin />)}</p>}
    </div>
  );
}

function Rest({ plan: { left_out: left, assumed } }: { plan: Plan }): JSX.Element {
  return (
    <>
      {left.length > 0 && <details><summary>{t("plan.leftOut", { n: left.length })}</summary><ul>{left.map(({ sub, why }) => <li key={sub}><Iri iri={sub} twin /> {why}</li>)}</ul></details>}
      <details><summary>{t("plan.assumed", { n: assumed.length })}</summary><ul>{assumed.map((text) => <li key={text}>{text}</li>)}</ul></details>
    </>
  );
}

function Rows({ plan: { twins, unit } }: { plan: Plan }): JSX.Element {
  const named = unitWord(unit);
  const columns: readonly Column<PlannedTwin>[] = [
    { id: "twin", header: t("plan.twin"), value: ({ sub }) => sub, cell: ({ sub }) => <Iri iri={sub} twin /> },
    { id: "slot", header: t("plan.slotHead"), value: ({ slot }) => slot ?? Infinity, cell: ({ slot }) => (slot === null ? t("plan.later") : t("plan.slot", { n: slot + 1 })) },
    { id: "date", header: t("plan.date"), number: true, value: ({ date }) => date, cell: ({ date }) => `${String(date)} ${named}` },
    { id: "life", header: t("plan.life"), number: true, value: ({ point }) => point, cell: ({ point }) => `${about(point)} ${named}` },
    { id: "risk", header: t("plan.risk"), number: true, value: ({ risk }) => risk, cell: ({ risk }) => percent(risk, 2) },
    { id: "cost", header: t("plan.twinCost"), number: true, value: ({ cost }) => cost, cell: ({ cost }) => (cost === null ? t("common.nothing") : about(cost)) },
    { id: "best", header: t("plan.bestCost"), number: true, minor: true, value: ({ best }) => best, cell: ({ best }) => (best === null ? t("common.nothing") : about(best)) },
    { id: "entry", header: t("plan.entry"), cell: ({ entry }) => <Entry index={entry} /> },
  ];
  return <Table caption={t("plan.result")} columns={columns} rows={twins} rowKey={({ sub }) => sub} />;
}
