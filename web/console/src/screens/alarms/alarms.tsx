import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { JSX } from "react";

import { getAlarms } from "../../api/alarms";
import type { Alarm } from "../../api/alarms";
import { useLiveQuery } from "../../api/live";
import { getState } from "../../api/twin";
import type { Response } from "../../api/twin";
import { Answered, Button, Empty, Entry, formatNumber, Icon, Iri, Loading, Screen, Status, Time } from "../../parts";
import type { Level } from "../../parts";
import { useOperates } from "../../session/session";
import { t, word } from "../../strings/en";
import { RespondDialog } from "../twin/alarms-panel";
import "./alarms.css";
import { Evidence } from "./evidence";

const SEVERITIES = ["critical", "high", "medium", "low"];
const LEVELS: Readonly<Record<string, Level>> = { critical: "act", high: "act", medium: "watch", low: "watch" };
const PAGE = 50;
/** Milliseconds between two questions: the list is asked whole. */
const EVERY = 2000;

const idOf = ({ sub, rule }: Alarm): string => `${sub} ${rule}`;
const isShelved = ({ state }: Alarm): boolean => state.startsWith("shelved");
const isNew = ({ state }: Alarm): boolean => state.includes("unacknowledged");

/** What needs somebody first: not shelved, severe, new, recent. */
export function rank(alarms: readonly Alarm[]): Alarm[] {
  const weight = (alarm: Alarm): number[] => {
    const severity = SEVERITIES.indexOf(alarm.severity ?? "");
    return [Number(isShelved(alarm)), severity < 0 ? SEVERITIES.length : severity, Number(!isNew(alarm)), -alarm.entry];
  };
  const weighed = alarms.map((alarm): [number[], Alarm] => [weight(alarm), alarm]);
  weighed.sort(([one], [other]) => one.map((part, at) => part - (other[at] ?? 0)).find((apart) => apart !== 0) ?? 0);
  return weighed.map(([, alarm]) => alarm);
}

export default function AlarmsScreen(): JSX.Element {
  const query = useLiveQuery(["alarms"], getAlarms, { every: EVERY });
  return (
    <Screen title={t("alarms.title")}>
      <Answered query={query} lines={6}>{({ items }) => <List alarms={items} />}</Answered>
    </Screen>
  );
}

interface Asked {
  sub: string;
  rule: string;
  response: Response;
}

function List({ alarms }: { alarms: readonly Alarm[] }): JSX.Element {
  const operates = useOperates();
  const [severity, setSeverity] = useState("");
  const [shown, setShown] = useState(PAGE);
  const [asked, setAsked] = useState<Asked | null>(null);
  const queries = useQueryClient();
  const close = (): void => {
    setAsked(null);
    void queries.invalidateQueries({ queryKey: ["alarms"] });
  };
  const ranked = useMemo(() => rank(alarms), [alarms]);
  const matching = severity ? ranked.filter((alarm) => alarm.severity === severity) : ranked;
  if (alarms.length === 0) return <Empty title={t("alarms.none")}><p>{t("alarms.noneText")}</p></Empty>;
  return (
    <>
      <div className="row">
        <select className="input alarm-filter" aria-label={t("alarms.severity")} value={severity} onChange={(event) => setSeverity(event.target.value)}>
          <option value="">{t("alarms.anySeverity")}</option>
          {SEVERITIES.map((one) => <option key={one} value={one}>{wordOf(one)}</option>)}
        </select>
        <span role="status" className="muted">{t("alarms.count", { n: matching.length, fresh: alarms.filter(isNew).length })}</span>
      </div>
      {operates === false && <p className="muted"><Icon name="lock" /> {t("alarms.readsOnly")}</p>}
      <ul className="alarm-list">
        {matching.slice(0, shown).map((alarm) => (
          <Item key={idOf(alarm)} alarm={alarm} ask={operates ? (response) => setAsked({ sub: alarm.sub, rule: alarm.rule, response }) : null} />
        ))}
      </ul>
      {matching.length > shown && <div className="row"><Button onClick={() => setShown(shown + PAGE)}>{t("alarms.more", { n: matching.length - shown })}</Button></div>}
      {asked && <RespondDialog sub={asked.sub} asked={asked} onClose={close} />}
    </>
  );
}

const wordOf = (severity: string): string => word("alarms", `severity-${severity}`) ?? severity;
const stateOf = (state: string): string => word("alarms", `state-${state.replaceAll(" ", "-")}`) ?? state;

interface ItemProps {
  alarm: Alarm;
  ask: ((response: Response) => void) | null;
}

function Item({ alarm, ask }: ItemProps): JSX.Element {
  const [open, setOpen] = useState(false);
  const level = LEVELS[alarm.severity ?? ""] ?? "watch";
  const shelved = isShelved(alarm);
  return (
    <li className={shelved ? "panel alarm alarm-shelved" : "panel alarm"}>
      <div className="alarm-row">
        <div className="alarm-what">
          <Status level={shelved ? "unknown" : level} icon={level} word={alarm.severity ? wordOf(alarm.severity) : t("alarms.noSeverity")} />
          <strong>{alarm.rule}</strong>
          <Iri iri={alarm.sub} twin />
        </div>
        <div className="alarm-when muted">
          <span>{stateOf(alarm.state)}</span>
          <Time at={alarm.time} relative />
          <Entry index={alarm.entry} />
        </div>
        <div className="alarm-acts">
          {ask && isNew(alarm) && <Button small icon="good" onClick={() => ask("acknowledge")}>{t("alarms.acknowledge")}</Button>}
          {ask && <Button small icon={shelved ? "alarm" : "wait"} onClick={() => ask(shelved ? "unshelve" : "shelve")}>{t(shelved ? "alarms.unshelve" : "alarms.shelve")}</Button>}
          <Button small icon={open ? "up" : "down"} aria-expanded={open} onClick={() => setOpen(!open)}>{t("alarms.evidence")}</Button>
        </div>
      </div>
      {alarm.part_of !== null && <p className="alarm-part small"><Icon name="fleet" size={14} /> {t("alarms.partOf")} <Iri iri={alarm.part_of} /></p>}
      {open && <div className="alarm-evidence stack"><Decided alarm={alarm} />{alarm.case && <Evidence evidence={alarm.case} />}</div>}
    </li>
  );
}

/** The rule and the value that decided, from the twin's state. */
function Decided({ alarm }: { alarm: Alarm }): JSX.Element {
  const { data, error } = useQuery({ queryKey: ["state", alarm.sub], queryFn: ({ signal }) => getState(alarm.sub, signal) });
  if (!data) return error ? <p role="alert">{error.message}</p> : <Loading lines={2} />;
  const rule = data.rules[alarm.rule];
  const held = data.alarms[alarm.rule];
  const reading = rule && data.readings[rule.signal];
  return (
    <dl className="facts">
      {rule?.text && <><dt>{t("alarms.meaning")}</dt><dd>{rule.text}</dd></>}
      {rule && <><dt>{t("alarms.rule")}</dt><dd>{rule.signal} {word("alarms", `test-${rule.test}`) ?? rule.test} {formatNumber(rule.limit)} <Entry index={rule.entry} /></dd></>}
      {!rule && <><dt>{t("alarms.rule")}</dt><dd>{t("alarms.ruleOfModel")}</dd></>}
      {held && held.value !== null && <><dt>{t("alarms.value")}</dt><dd>{formatNumber(held.value)} <Entry index={held.entry} /></dd></>}
      {reading && typeof reading.value === "number" && <><dt>{t("alarms.valueNow")}</dt><dd>{formatNumber(reading.value)} {reading.unit} · <Time at={reading.time} relative /> <Entry index={reading.entry} /></dd></>}
    </dl>
  );
}
