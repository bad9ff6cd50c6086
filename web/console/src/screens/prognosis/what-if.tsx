import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { JSX } from "react";

import { ApiError } from "../../api/client";
import { askWhatIf } from "../../api/prognosis";
import type { Costs, WhatIf } from "../../api/prognosis";
import { Curve } from "../../charts/curve";
import { Entry, formatNumber, Icon, Loading, Panel, Status } from "../../parts";
import { NumberField, numberOf } from "../../parts/number-field";
import { t } from "../../strings/en";
import { useSettled } from "./settled";
import { about, percent, unitWord } from "./words";

export interface CostTexts {
  planned: string;
  failure: string;
  lead: string;
  price: string;
}

/** What is typed, as costs; null as long as something in it is no number. */
export function costsOf({ planned, failure, lead, price }: CostTexts): Costs | null {
  const found = { planned: numberOf(planned), failure: numberOf(failure), lead: numberOf(lead, true) };
  const priced = price.trim() === "" ? undefined : numberOf(price);
  if (found.planned === null || found.failure === null || found.lead === null || priced === null) return null;
  if (found.planned <= 0 || found.failure < found.planned || priced === 0) return null;
  return { planned: found.planned, failure: found.failure, lead: found.lead, ...(priced === undefined ? {} : { price: priced }) };
}

/** Why costs that are numbers cannot be costs. */
export function costProblems({ planned, failure, price }: CostTexts): { planned: string | null; failure: string | null; price: string | null } {
  const [one, other] = [numberOf(planned), numberOf(failure)];
  return {
    planned: one === 0 ? t("prognosis.aboveZero") : null,
    failure: one !== null && other !== null && other < one ? t("prognosis.failureLess") : null,
    price: numberOf(price) === 0 ? t("prognosis.aboveZero") : null,
  };
}

/** When should this twin be maintained, under costs that the reader names? */
export function WhatIfPanel({ sub, newest }: { sub: string; newest: number }): JSX.Element {
  const [texts, setTexts] = useState<CostTexts>({ planned: "1", failure: "10", lead: "5", price: "" });
  const settled = useSettled(texts);
  const costs = useMemo(() => costsOf(settled), [settled]);
  const query = useQuery({
    queryKey: ["whatif", sub, newest, costs],
    queryFn: ({ signal }) => askWhatIf(sub, costs ?? { planned: 1, failure: 1, lead: 0 }, signal),
    enabled: costs !== null,
    placeholderData: keepPreviousData,
    retry: false,
  });
  const set = (name: keyof CostTexts) => (value: string): void => setTexts({ ...texts, [name]: value });
  const wrong = costProblems(texts);
  return (
    <Panel title={t("prognosis.whatIf")} actions={<span className="small muted">{t("prognosis.whatIfQuiet")}</span>}>
      <div className="stack">
        <form className="prognosis-form" onSubmit={(event) => event.preventDefault()}>
          <NumberField label={t("prognosis.planned")} value={texts.planned} onChange={set("planned")} error={wrong.planned} />
          <NumberField label={t("prognosis.failure")} value={texts.failure} onChange={set("failure")} error={wrong.failure} />
          <NumberField label={t("prognosis.lead")} value={texts.lead} onChange={set("lead")} whole />
          <NumberField label={t("prognosis.price")} value={texts.price} onChange={set("price")} optional error={wrong.price} />
        </form>
        {query.error ? <Refused error={query.error} /> : query.data ? <Answer found={query.data} /> : costs ? <Loading lines={4} /> : null}
      </div>
    </Panel>
  );
}

/** Why there is no answer; the node's own words where they help. */
export function Refused({ error }: { error: Error }): JSX.Element {
  const extra = error instanceof ApiError && error.status === 501;
  const missing = error instanceof ApiError && error.status === 404;
  return (
    <div className="prognosis-refused" role="alert">
      <Icon name="watch" />
      <div>
        {extra && <p>{t("prognosis.noSolver")}</p>}
        {missing && <p>{t("prognosis.noModelHere")}</p>}
        <p className="small">{error.message}</p>
      </div>
    </div>
  );
}

function Answer({ found }: { found: WhatIf }): JSX.Element {
  const { best, curve, unit } = found;
  const shown = useMemo(() => ({
    x: curve.map(({ date }) => date),
    y: curve.map(({ rate }) => rate),
    secondary: curve.map(({ risk }) => 100 * risk),
  }), [curve]);
  const named = unitWord(unit);
  const values = { n: best.date, unit: named };
  return (
    <div className="stack">
      <div role="status" className="stack">
        <p className="prognosis-best">
          {best.due && <Status level="act" word={t("prognosis.orderNow")} />}
          <strong>{t(best.open ? "prognosis.bestOpen" : "prognosis.best", values)}</strong>
        </p>
        <p className="muted">
          {best.rate !== null && `${t("prognosis.bestRate", { rate: about(best.rate) })} `}
          {t("prognosis.bestRisk", { risk: percent(best.risk, 2) })} {t("prognosis.fromEntry")} <Entry index={found.entry} />
        </p>
      </div>
      <Curve
        {...shown} mark={best.date}
        labels={{ label: t("prognosis.curve"), x: t("prognosis.curveDate", { unit: named }), y: t("prognosis.curveRate"), secondary: t("prognosis.curveRisk"), mark: t("prognosis.curveBest") }}
      />
      <details>
        <summary>{t("prognosis.assumed", { n: found.assumed.length })}</summary>
        <ul className="prognosis-assumed">{found.assumed.map((text) => <li key={text}>{text}</li>)}</ul>
        <p className="small muted">{t("prognosis.age", { n: formatNumber(found.age) })}</p>
      </details>
    </div>
  );
}
