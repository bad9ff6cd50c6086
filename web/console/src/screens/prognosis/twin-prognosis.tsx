import { useMemo } from "react";
import type { JSX } from "react";
import { Link } from "wouter";

import { getAlarms } from "../../api/alarms";
import { useLiveQuery } from "../../api/live";
import { getPredictions } from "../../api/prognosis";
import type { Prediction, Predictions } from "../../api/prognosis";
import { Bars } from "../../charts/bars";
import { Fan } from "../../charts/fan";
import { Answered, Copy, Empty, Entry, Hash, Iri, Panel, shortIri, Status, Time } from "../../parts";
import { paths } from "../../route";
import { t, word } from "../../strings/en";
import { Evidence } from "../alarms/evidence";
import { VerifyEntry } from "../verify/verify-entry";
import "./prognosis.css";
import { WhatIfPanel } from "./what-if";
import { about, claim, onCycles, UNCLAIMED, unitWord } from "./words";

/** What is foreseen of a twin, by whom, why, and what would follow. */
export function TwinPrognosis({ sub }: { sub: string }): JSX.Element {
  const query = useLiveQuery(["predictions", sub], (signal) => getPredictions(sub, signal), { sub, every: 2000 });
  return <Answered query={query} lines={6}>{(answer) => <Prognosis key={sub} sub={sub} answer={answer} />}</Answered>;
}

function Prognosis({ sub, answer }: { sub: string; answer: Predictions }): JSX.Element {
  const newest = answer.items.at(-1);
  if (!newest) return <><Empty title={t("prognosis.none")}><p>{t("prognosis.noneText")}</p></Empty><Cases sub={sub} /></>;
  return (
    <div className="prognosis">
      <div className="stack prognosis-wide">
        <CoursePanel answer={answer} />
        <WhatIfPanel sub={sub} newest={newest.entry} />
      </div>
      <div className="stack">
        <NewestPanel newest={newest} ended={answer.ended} />
        <DriversPanel newest={newest} />
        <Cases sub={sub} />
        <ReplayPanel sub={sub} newest={newest} />
      </div>
    </div>
  );
}

function NewestPanel({ newest, ended }: { newest: Prediction; ended: boolean }): JSX.Element {
  const { unit, point, coverage, remarks, widened } = newest;
  return (
    <Panel title={t("prognosis.newest")} actions={<VerifyEntry index={newest.entry} />}>
      <div className="stack" role="status">
        <p className="prognosis-claim">{claim(newest)}</p>
        <p className="muted">{t("prognosis.point", { point: about(point), unit: unitWord(unit) })}</p>
        {ended && <p><Status level="info" word={t("prognosis.ended")} /></p>}
        {coverage <= UNCLAIMED && <p><Status level="watch" word={t("prognosis.unclaimed")} /></p>}
        {widened !== null && widened > 0 && <p className="small">{t("prognosis.widened")}</p>}
        {remarks.length > 0 && (
          <div>
            <h3>{t("prognosis.remarks")}</h3>
            <ul className="prognosis-remarks">{remarks.map((remark) => <li key={remark}><strong>{remark}</strong>: {word("prognosis", `remark-${remark}`) ?? t("prognosis.remarkOther")}</li>)}</ul>
          </div>
        )}
        <dl className="facts">
          <dt>{t("prognosis.said")}</dt><dd><Time at={newest.time} relative /> · <Entry index={newest.entry} /></dd>
          <dt>{t("prognosis.by")}</dt><dd><Iri iri={newest.iss} copy /></dd>
          <dt>{t("prognosis.model")}</dt><dd className="row"><Link href={`${paths.models}?model=${newest.model}`}>{t("prognosis.toModel")}</Link> <Hash hex={newest.model} copy /></dd>
          {newest.x !== null && <><dt>{t("prognosis.readUpTo")}</dt><dd>{t("prognosis.cycle", { n: newest.x })}</dd></>}
          {newest.episode !== null && <><dt>{t("prognosis.episode")}</dt><dd><Hash hex={newest.episode} /></dd></>}
        </dl>
      </div>
    </Panel>
  );
}

function CoursePanel({ answer: { items, ended } }: { answer: Predictions }): JSX.Element {
  const newest = items.at(-1);
  const columns = useMemo(() => {
    const byCycle = onCycles(items);
    const happened = items.map((item) => item.happened);
    return {
      byCycle,
      x: items.map((item) => (byCycle ? (item.x ?? 0) : item.time)),
      point: items.map((item) => item.point),
      lower: items.map((item) => item.lower),
      upper: items.map((item) => item.upper),
      actual: happened.some((value) => value !== null) ? happened : undefined,
    };
  }, [items]);
  const { byCycle, ...values } = columns;
  return (
    <Panel title={t("prognosis.course")}>
      <div className="stack">
        <Fan {...values} unit={unitWord(newest?.unit ?? "")} label={t("prognosis.courseLabel")} time={!byCycle} xLabel={t("prognosis.cycleAxis")} />
        <p className="small muted">{t(ended ? "prognosis.courseEnded" : "prognosis.courseRunning", { n: items.length })}</p>
      </div>
    </Panel>
  );
}

function DriversPanel({ newest }: { newest: Prediction }): JSX.Element {
  const items = Object.entries(newest.drivers).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one)).map(([name, value]) => ({ key: name, name, value }));
  return (
    <Panel title={t("prognosis.drivers")}>
      {items.length === 0 ? <Empty small title={t("prognosis.noDrivers")} /> : (
        <div className="stack">
          <Bars items={items} label={t("prognosis.drivers")} unit={newest.unit} heads={[t("prognosis.signal"), t("prognosis.share")]} />
          <p className="small muted">{t("prognosis.driversText", { unit: unitWord(newest.unit) })}</p>
        </div>
      )}
    </Panel>
  );
}

/** Alarms of the twin that a detector explains. */
function Cases({ sub }: { sub: string }): JSX.Element | null {
  const query = useLiveQuery(["alarms"], getAlarms, { every: 5000 });
  const cases = (query.data?.items ?? []).flatMap((alarm) => (alarm.sub === sub && alarm.case ? [{ ...alarm, case: alarm.case }] : []));
  if (cases.length === 0) return null;
  return (
    <Panel title={t("prognosis.cases")}>
      <div className="stack">
        {cases.map((alarm) => (
          <div key={alarm.rule} className="stack">
            <p className="row"><Status level="watch" word={alarm.rule} /> <Time at={alarm.time} relative /> <Entry index={alarm.entry} /></p>
            <Evidence evidence={alarm.case} />
          </div>
        ))}
      </div>
    </Panel>
  );
}

function ReplayPanel({ sub, newest }: { sub: string; newest: Prediction }): JSX.Element {
  const file = `${shortIri(sub).replace(/[^A-Za-z0-9]+/g, "-")}.twinproof`;
  const command = `twinproof prove ${sub} -o ${file} --with-models --folder ./node\ntwinproof verify ${file} --policy policy.txt --operator operator.json --replay`;
  return (
    <Panel title={t("prognosis.replay")} actions={<Copy text={command} what={t("prognosis.commands")} />}>
      <div className="stack">
        <p>{t("prognosis.replayText")}</p>
        <pre className="prognosis-command" tabIndex={0} aria-label={t("prognosis.commands")}>{command}</pre>
        <p className="small muted">{t("prognosis.replayEntry", { entry: String(newest.entry) })} <Link href={paths.twin(sub, "evidence")}>{t("prognosis.toEvidence")}</Link></p>
      </div>
    </Panel>
  );
}
