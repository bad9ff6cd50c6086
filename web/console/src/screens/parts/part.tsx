import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";
import { Link, useSearch } from "wouter";

import { getPart } from "../../api/parts";
import type { Hop, Part } from "../../api/parts";
import { Answered, Entry, Hash, Iri, Panel, Screen, Time } from "../../parts";
import { paths, useParam } from "../../route";
import { t, word } from "../../strings/en";
import { Party } from "../acting/accounts";
import { Actions } from "../acting/actions";
import { Behind } from "../orders/orders";
import { HandOver } from "./hand-over";
import { partName } from "./parts";
import "./parts.css";
import { PartStatus } from "./status";

/** Milliseconds: the other side acts on the chain before this log tells of it. */
const EVERY = 3000;

export default function PartScreen(): JSX.Element {
  const token = useParam("token");
  const accept = new URLSearchParams(useSearch()).get("accept") === "1";
  const query = useQuery({ queryKey: ["part", token], queryFn: ({ signal }) => getPart(token, signal), refetchInterval: EVERY });
  const name = query.data ? partName(query.data) : null;
  const title = name === null ? t("parts.unnamed", { token: `${token.slice(0, 8)}…` }) : t("parts.partTitle", { name });
  return (
    <Screen title={title} actions={query.data && <PartStatus status={query.data.status} />}>
      <Answered query={query} lines={6}>{(part) => <Detail part={part} accept={accept} />}</Answered>
    </Screen>
  );
}

function Detail({ part, accept }: { part: Part; accept: boolean }): JSX.Element {
  // The hand-over has its own buttons.
  const others = part.actions.filter(({ action }) => !["part.offer", "part.accept", "part.accept-assembly", "part.cancel-offer"].includes(action));
  return (
    <>
      <Behind asked={part} />
      <HandOver part={part} accept={accept} />
      <div className="parts-pair">
        <Panel title={t("parts.custody")} flush><Custody hops={part.custody} /></Panel>
        <div className="stack">
          <Passport part={part} />
          <Panel title={t("parts.actions")}><Actions openings={others} block={part.block} /></Panel>
        </div>
      </div>
    </>
  );
}

function Passport({ part }: { part: Part }): JSX.Element {
  return (
    <Panel title={t("parts.passport")}>
      <div className="stack">
        {!part.told && <p className="muted">{t("parts.untold")}</p>}
        <dl className="facts">
          {part.sub !== null && <><dt>{t("parts.twin")}</dt><dd><Iri iri={part.sub} twin copy /></dd></>}
          {part.part_number !== null && <><dt>{t("parts.partNumber")}</dt><dd>{part.part_number}</dd></>}
          {part.serial !== null && <><dt>{t("parts.serial")}</dt><dd>{part.serial}</dd></>}
          <dt>{t("parts.owner")}</dt><dd><Party address={part.owner} copy /></dd>
          {part.user !== null && <><dt>{t("parts.user")}</dt><dd><Party address={part.user} copy /></dd></>}
          <dt>{t("parts.manufacturer")}</dt><dd><Party address={part.manufacturer} copy /></dd>
          {part.birth && <><dt>{t("parts.birth")}</dt><dd>{part.birth.entry === null ? <>{t("parts.birthElsewhere")} <Hash hex={part.birth.leaf} copy /></> : <Entry index={part.birth.entry} />}</dd></>}
          {part.parent !== null && <><dt>{t("parts.parent")}</dt><dd><Link href={paths.part(part.parent)} className="parts-link">{part.parent_sub ?? <Hash hex={part.parent} />}</Link></dd></>}
          {part.children.length > 0 && <><dt>{t("parts.children")}</dt><dd><ul className="parts-children">{part.children.map(({ token, sub }) => <li key={token}><Link href={paths.part(token)} className="parts-link">{sub === null ? <Hash hex={token} /> : <Iri iri={sub} />}</Link></li>)}</ul></dd></>}
          <dt>{t("parts.token")}</dt><dd><Hash hex={part.token} ends={8} copy /></dd>
          <dt>{t("parts.contract")}</dt><dd><Hash hex={part.contract} copy /> <span className="muted">{t("parts.chain", { n: String(part.chain) })}</span></dd>
        </dl>
      </div>
    </Panel>
  );
}

function Custody({ hops }: { hops: readonly Hop[] }): JSX.Element {
  return (
    <>
      <p className="parts-text muted small">{t("parts.custodyText")}</p>
      <ol className="custody">
        {hops.map((hop) => <Step key={`${hop.transaction} ${hop.event} ${String(hop.entry)}`} hop={hop} />)}
      </ol>
    </>
  );
}

function Step({ hop }: { hop: Hop }): JSX.Element {
  const { event, from, to, until, status, parent, by, time, block, transaction, entry } = hop;
  return (
    <li className={event === "HandedOver" || event === "Minted" ? "custody-hop custody-owner" : "custody-hop"}>
      <div className="row">
        <strong>{word("parts", `event-${event}`) ?? event}</strong>
        {status !== null && <PartStatus status={status} />}
        {parent !== null && <Link href={paths.part(parent)} className="parts-link"><Hash hex={parent} ends={4} /></Link>}
        {from !== null && <Party address={from} />}
        {to !== null && <><span className="muted" aria-label={t("parts.to")}>→</span> <Party address={to} /></>}
        {by !== null && <Party address={by} />}
      </div>
      <div className="row small muted">
        <Time at={time} />
        <span>{t("parts.block")} {String(block)}</span>
        <Hash hex={transaction} ends={4} copy />
        {until !== null && <span>{t("parts.offerUntil")} <Time at={until} /></span>}
        {entry === null ? <span>{t("parts.notTold")}</span> : <Entry index={entry} />}
      </div>
    </li>
  );
}
