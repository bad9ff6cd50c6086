// Alarms that stand, in the words of ISA-18.2, and people's responses.
import type { JSX } from "react";
import { useEffect, useRef, useState } from "react";

import type { AlarmHeld, Case, Response, RuleHeld, State } from "../../api/twin";
import { sendResponse } from "../../api/twin";
import { Bars } from "../../charts/bars";
import { announce, Button, Dialog, Empty, Entry, Field, formatNumber, Panel, Status, Time } from "../../parts";
import type { Level } from "../../parts";
import { t, word } from "../../strings/en";
import { ReadsOnly, Refusal, useActing, useOperates } from "./acting";

export const SEVERITY: Record<string, Level> = { critical: "act", high: "act", medium: "watch", low: "watch" };

export interface Asked {
  rule: string;
  response: Response;
}

export function AlarmsPanel({ state }: { state: State }): JSX.Element {
  const operates = useOperates();
  const [asked, setAsked] = useState<Asked | null>(null);
  const alarms = Object.entries(state.alarms).sort(([, one], [, other]) => other.entry - one.entry);
  const before = useRef(alarms.length);
  useEffect(() => {
    if (before.current !== alarms.length) announce(t("twin.alarmsChanged", { n: alarms.length }));
    before.current = alarms.length;
  }, [alarms.length]);
  return (
    <Panel title={t("twin.alarms")}>
      {alarms.length ? (
        <div className="stack">
          <ul className="twin-alarms">
            {alarms.map(([rule, alarm]) => (
              <Alarm
                key={rule} name={rule} alarm={alarm} rule={state.rules[rule]}
                onAsk={operates ? (response) => setAsked({ rule, response }) : null}
              />
            ))}
          </ul>
          {operates === false ? <ReadsOnly /> : null}
        </div>
      ) : <Empty small title={t("twin.noAlarms")} />}
      {asked ? <RespondDialog sub={state.sub} asked={asked} onClose={() => setAsked(null)} /> : null}
    </Panel>
  );
}

const TESTS: Record<string, string> = {
  above: t("twin.testAbove"), below: t("twin.testBelow"), rises_faster: t("twin.testRises"), falls_faster: t("twin.testFalls"),
  missing: t("twin.testMissing"), strays: t("twin.testStrays"),
};

interface AlarmProps {
  name: string;
  alarm: AlarmHeld;
  rule: RuleHeld | undefined;
  onAsk: ((response: Response) => void) | null;
}

function Alarm({ name, alarm, rule, onAsk }: AlarmProps): JSX.Element {
  const severity = rule?.severity ?? "";
  const said = word("twin", `severity${severity.charAt(0).toUpperCase()}${severity.slice(1)}`) ?? severity;
  const shelved = alarm.shelved_until !== null && alarm.shelved_until * 1000 > Date.now();
  return (
    <li className="twin-alarm">
      <div className="row">
        <Status level={SEVERITY[severity] ?? "watch"} word={said || t("twin.active")} />
        <strong>{rule?.text ?? name}</strong>
        <Entry index={alarm.entry} />
      </div>
      <p className="small muted">
        {rule ? t("twin.rule", { signal: rule.signal, test: TESTS[rule.test] ?? rule.test, limit: formatNumber(rule.limit) }) : name}
        {alarm.value === null ? "" : ` · ${formatNumber(alarm.value)}`}
      </p>
      <p className="small">
        {t(alarm.active ? "twin.active" : "twin.cleared")} {t("twin.since")} <Time at={alarm.time} relative /> · {t(alarm.acknowledged ? "twin.isAcknowledged" : "twin.unacknowledged")}
        {shelved ? <> · {t("twin.shelvedUntil")} <Time at={alarm.shelved_until} /></> : null}
      </p>
      {alarm.case ? <Why found={alarm.case} /> : null}
      {onAsk ? (
        <div className="row">
          {alarm.acknowledged ? null : <Button small icon="good" onClick={() => onAsk("acknowledge")}>{t("twin.acknowledge")}</Button>}
          {shelved
            ? <Button small onClick={() => onAsk("unshelve")}>{t("twin.unshelve")}</Button>
            : <Button small icon="wait" onClick={() => onAsk("shelve")}>{t("twin.shelve")}</Button>}
        </div>
      ) : null}
    </li>
  );
}

/** What a detector saw: which signals, how far, since when, and what that may mean. */
function Why({ found }: { found: Case }): JSX.Element {
  return (
    <details>
      <summary>{t("twin.caseWhy")}</summary>
      <div className="stack twin-case">
        <dl className="facts">
          <dt>{t("twin.caseSince")}</dt><dd><Time at={found.since} /></dd>
          {found.hints.length ? <><dt>{t("twin.caseHints")}</dt><dd>{found.hints.join(", ")}</dd></> : null}
        </dl>
        <Bars label={t("twin.caseSignals")} items={found.signals.map(({ name, part }) => ({ key: name, name, value: part }))} />
      </div>
    </details>
  );
}

const HOURS = [1, 8, 24, 168];
const VERBS = { acknowledge: "twin.acknowledge", shelve: "twin.shelve", unshelve: "twin.unshelve" } as const;

export function RespondDialog({ sub, asked, onClose }: { sub: string; asked: Asked; onClose: () => void }): JSX.Element {
  const [text, setText] = useState("");
  const [hours, setHours] = useState(8);
  const shelving = asked.response === "shelve";
  const until = shelving ? Math.floor(Date.now() / 1000) + hours * 3600 : undefined;
  const acting = useActing((id) => sendResponse(id, sub, asked.rule, asked.response, until, text.trim()), onClose);
  return (
    <Dialog
      open onClose={onClose} title={t("twin.respondTitle", { rule: asked.rule })}
      actions={<>
        <Button onClick={onClose}>{t("common.cancel")}</Button>
        <Button kind="primary" busy={acting.busy} onClick={acting.act}>{t(VERBS[asked.response])}</Button>
      </>}
    >
      <div className="stack">
        <p>{t("twin.respondText")}</p>
        {shelving ? (
          <Field label={t("twin.shelveFor")}>
            {(control) => (
              <select {...control} value={hours} onChange={(event) => setHours(Number(event.target.value))}>
                {HOURS.map((n) => <option key={n} value={n}>{t("twin.hours", { n })}</option>)}
              </select>
            )}
          </Field>
        ) : null}
        <Field label={`${t("twin.note")} (${t("common.optional")})`}>
          {(control) => <input {...control} maxLength={400} value={text} onChange={(event) => setText(event.target.value)} />}
        </Field>
        <Refusal error={acting.error} />
      </div>
    </Dialog>
  );
}
