import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { FormEvent, JSX } from "react";

import { askPlan } from "../../api/prognosis";
import type { PlanQuestion } from "../../api/prognosis";
import { Button, Field, Loading, Panel, Screen } from "../../parts";
import { NumberField, numberOf } from "../../parts/number-field";
import { t } from "../../strings/en";
import { costProblems, Refused } from "../prognosis/what-if";
import "../prognosis/prognosis.css";
import "./plan.css";
import { PlanResult } from "./result";

interface Texts {
  prefix: string;
  slots: string;
  cycles: string;
  planned: string;
  failure: string;
  lead: string;
  price: string;
  crew: string;
  spares: string;
}

const FIRST: Texts = { prefix: "", slots: "8", cycles: "5", planned: "1", failure: "10", lead: "5", price: "0.05", crew: "1", spares: "1" };

/** "2" for all slots, or a number for each. */
function amounts(text: string, slots: number): number[] | null {
  const parts = text.split(",").map((part) => numberOf(part, true));
  if (parts.some((part) => part === null || part > 1_000_000)) return null;
  const found = parts.flatMap((part) => part ?? []);
  if (found.length === 1) return Array.from({ length: slots }, () => found[0] ?? 0);
  return found.length === slots ? found : null;
}

/** The question that the form asks; null as long as something in it is wrong. */
function questionOf(texts: Texts): PlanQuestion | null {
  const [slots, cycles, lead] = [numberOf(texts.slots, true), numberOf(texts.cycles, true), numberOf(texts.lead, true)];
  const [planned, failure, price] = [numberOf(texts.planned), numberOf(texts.failure), numberOf(texts.price)];
  if (slots === null || slots < 1 || slots > 52 || !cycles || lead === null || !planned || failure === null || failure < planned || !price) return null;
  const [crew, spares] = [amounts(texts.crew, slots), amounts(texts.spares, slots)];
  if (crew === null || spares === null) return null;
  return { prefix: texts.prefix.trim(), slots, cycles_per_slot: cycles, planned, failure, lead, price, crew, spares };
}

export default function PlanScreen(): JSX.Element {
  const [texts, setTexts] = useState(FIRST);
  const plan = useMutation({ mutationFn: (question: PlanQuestion) => askPlan(question) });
  const question = questionOf(texts);
  const go = (event: FormEvent): void => {
    event.preventDefault();
    if (question && !plan.isPending) plan.mutate(question);
  };
  return (
    <Screen title={t("plan.title")}>
      <Panel title={t("plan.ask")}>
        <form className="stack" onSubmit={go}>
          <p className="muted">{t("plan.text")}</p>
          <Inputs texts={texts} onChange={setTexts} />
          <div className="row"><Button type="submit" kind="primary" icon="plan" busy={plan.isPending} disabled={question === null}>{t("plan.go")}</Button></div>
        </form>
      </Panel>
      {plan.isPending ? <Loading lines={5} /> : plan.error ? <Refused error={plan.error} /> : plan.data && plan.variables ? <PlanResult plan={plan.data} slots={plan.variables.slots} /> : null}
    </Screen>
  );
}

function Inputs({ texts, onChange }: { texts: Texts; onChange: (texts: Texts) => void }): JSX.Element {
  const set = (name: keyof Texts) => (value: string): void => onChange({ ...texts, [name]: value });
  const slots = numberOf(texts.slots, true);
  const wrong = costProblems(texts);
  const list = (text: string): string | null => (slots !== null && slots >= 1 && slots <= 52 && amounts(text, slots) === null ? t("plan.wrongList", { n: slots }) : null);
  return (
    <>
      <div className="plan-wide">
        <Field label={t("plan.prefix")} hint={t("plan.prefixHint")}>
          {(control) => <input {...control} type="text" autoComplete="off" value={texts.prefix} onChange={(event) => set("prefix")(event.target.value)} />}
        </Field>
      </div>
      <div className="prognosis-form">
        <NumberField label={t("plan.slots")} value={texts.slots} onChange={set("slots")} whole error={slots !== null && (slots < 1 || slots > 52) ? t("plan.wrongSlots") : null} />
        <NumberField label={t("plan.perSlot")} value={texts.cycles} onChange={set("cycles")} whole error={numberOf(texts.cycles, true) === 0 ? t("plan.wrongCycles") : null} />
        <NumberField label={t("prognosis.planned")} value={texts.planned} onChange={set("planned")} error={wrong.planned} />
        <NumberField label={t("prognosis.failure")} value={texts.failure} onChange={set("failure")} error={wrong.failure} />
        <NumberField label={t("prognosis.lead")} value={texts.lead} onChange={set("lead")} whole />
        <NumberField label={t("plan.worth")} value={texts.price} onChange={set("price")} error={wrong.price} />
      </div>
      <div className="plan-lists">
        {(["crew", "spares"] as const).map((name) => (
          <Field key={name} label={t(`plan.${name}`)} hint={t("plan.listHint")} error={list(texts[name])}>
            {(control) => <input {...control} type="text" inputMode="numeric" autoComplete="off" value={texts[name]} onChange={(event) => set(name)(event.target.value)} />}
          </Field>
        ))}
      </div>
    </>
  );
}
