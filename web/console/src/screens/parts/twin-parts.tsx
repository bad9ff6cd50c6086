import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";
import { Link } from "wouter";

import { useLiveQuery } from "../../api/live";
import { getPart, getParts } from "../../api/parts";
import type { PartItem } from "../../api/parts";
import { getState } from "../../api/twin";
import type { State } from "../../api/twin";
import { Answered, Empty, Entry, Hash, Iri, Panel, Time } from "../../parts";
import { paths } from "../../route";
import { t } from "../../strings/en";
import { PartTable } from "./parts";
import "./parts.css";

/** A twin's own passport if it is a part, and the parts in it. */
export function TwinParts({ sub }: { sub: string }): JSX.Element {
  const own = useLiveQuery(["parts", sub], (signal) => getParts({ sub }, signal), { sub });
  const state = useLiveQuery(["state", sub], (signal) => getState(sub, signal), { sub });
  return (
    <Answered query={own}>
      {({ items }) => <Answered query={state}>{(found) => <All items={items} state={found} />}</Answered>}
    </Answered>
  );
}

function All({ items, state }: { items: readonly PartItem[]; state: State }): JSX.Element {
  if (items.length === 0 && state.installed.length === 0) return <Empty title={t("parts.noneOfTwin")}><p>{t("parts.noneOfTwinText")}</p></Empty>;
  return (
    <div className="stack parts-twin">
      {items.length > 0 && <Panel title={t("parts.ownPassport")} flush><PartTable items={items} /></Panel>}
      {items.map(({ token }) => <Inside key={token} token={token} />)}
      {state.installed.length > 0 && <Installed installed={state.installed} />}
    </div>
  );
}

/** Parts that the contract has in this one. */
function Inside({ token }: { token: string }): JSX.Element | null {
  const query = useQuery({ queryKey: ["part", token], queryFn: ({ signal }) => getPart(token, signal) });
  const children = query.data?.children ?? [];
  if (children.length === 0) return null;
  return (
    <Panel title={t("parts.installedHere")}>
      <ul className="parts-children">{children.map((child) => <li key={child.token}><Link href={paths.part(child.token)} className="parts-link">{child.sub === null ? <Hash hex={child.token} /> : <Iri iri={child.sub} />}</Link></li>)}</ul>
    </Panel>
  );
}

function Installed({ installed }: { installed: State["installed"] }): JSX.Element {
  return (
    <Panel title={t("parts.installedHere")}>
      <ul className="parts-children">
        {installed.map(({ part, entry, time }) => (
          <li key={`${part} ${String(entry)}`} className="row">
            <Link href={paths.part(`0x${part.replace(/^0x/, "")}`)} className="parts-link"><Hash hex={part} /></Link>
            <span className="muted small">{t("parts.installedBy")}</span> <Entry index={entry} /> <Time at={time} relative />
          </li>
        ))}
      </ul>
    </Panel>
  );
}
