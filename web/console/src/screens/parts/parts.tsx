import { useMemo, useState } from "react";
import type { FormEvent, JSX } from "react";
import { Link } from "wouter";

import { useLiveQuery } from "../../api/live";
import { getParts } from "../../api/parts";
import type { PartItem } from "../../api/parts";
import { Answered, Button, Empty, Entry, Field, Hash, Icon, Iri, Panel, Screen, Table } from "../../parts";
import type { Column } from "../../parts";
import { navigate, paths } from "../../route";
import { useSession } from "../../session/session";
import { t } from "../../strings/en";
import { Party, useAccounts, accountName } from "../acting/accounts";
import { matching, tokenIn } from "./find";
import "./parts.css";
import { PartStatus } from "./status";

export default function PartsScreen(): JSX.Element {
  const { session } = useSession();
  const query = useLiveQuery(["parts"], (signal) => getParts({}, signal), { every: 3000 });
  if (session && session.chain === null && query.data?.items.length === 0) {
    return <Screen title={t("parts.title")}><Empty title={t("parts.noChain")}><p>{t("parts.noChainText")}</p></Empty></Screen>;
  }
  return <Screen title={t("parts.title")}><Answered query={query}>{({ items }) => <All items={items} />}</Answered></Screen>;
}

function All({ items }: { items: readonly PartItem[] }): JSX.Element {
  const [wanted, setWanted] = useState("");
  const [found, setFound] = useState("");
  const [owner, setOwner] = useState("");
  const shown = useMemo(
    () => (found ? matching(items, found) : items).filter((item) => !owner || item.owner === owner),
    [items, found, owner],
  );
  const find = (event: FormEvent): void => {
    event.preventDefault();
    const token = tokenIn(wanted);
    const fitting = token === null ? matching(items, wanted) : [];
    if (token !== null) navigate(paths.part(token));
    else if (wanted.trim() && fitting.length === 1 && fitting[0]) navigate(paths.part(fitting[0].token));
    else setFound(wanted.trim());
  };
  const missing = found !== "" && matching(items, found).length === 0;
  return (
    <>
      <form className="parts-find" onSubmit={find}>
        <Field label={t("parts.find")} hint={t("parts.findHint")} error={missing ? t("parts.notFound") : null}>
          {(control) => <input {...control} type="search" autoComplete="off" value={wanted} onChange={(event) => setWanted(event.target.value)} />}
        </Field>
        <Button type="submit" icon="search">{t("parts.go")}</Button>
        {found !== "" && <Button kind="quiet" onClick={() => { setFound(""); setWanted(""); }}>{t("parts.clear")}</Button>}
        <Owners owners={[...new Set(items.flatMap((item) => item.owner ?? []))]} owner={owner} onChange={setOwner} />
      </form>
      {found !== "" && !missing && <p role="status" className="muted">{t("parts.several", { n: shown.length })}</p>}
      <Panel title={t("parts.title")} flush>
        {items.length === 0 ? <Empty title={t("parts.none")} small>{t("parts.noneText")}</Empty> : <PartTable items={missing ? [] : shown} />}
      </Panel>
    </>
  );
}

function Owners({ owners, owner, onChange }: { owners: readonly string[]; owner: string; onChange: (owner: string) => void }): JSX.Element {
  const accounts = useAccounts();
  return (
    <select className="input parts-owner" aria-label={t("parts.owner")} value={owner} onChange={(event) => onChange(event.target.value)}>
      <option value="">{t("parts.anyOwner")}</option>
      {owners.map((one) => {
        const held = accounts.find(({ address }) => address === one);
        return <option key={one} value={one}>{held ? `${accountName(held.name)} ` : ""}{one.slice(0, 8)}…{one.slice(-4)}</option>;
      })}
    </select>
  );
}

/** What people call a part. */
export const partName = ({ part_number: number, serial }: { part_number: string | null; serial: string | null }): string | null =>
  number === null ? null : serial === null ? number : `${number} ${serial}`;

const COLUMNS: readonly Column<PartItem>[] = [
  {
    id: "part", header: t("parts.part"), value: (item) => partName(item) ?? item.token,
    cell: (item) => <Link href={paths.part(item.token)} className="parts-link">{partName(item) ?? t("parts.unnamed", { token: `${item.token.slice(0, 6)}…` })}</Link>,
  },
  { id: "status", header: t("parts.status"), width: "130px", value: ({ status }) => status, cell: ({ status }) => <PartStatus status={status} /> },
  { id: "owner", header: t("parts.owner"), value: ({ owner }) => owner, cell: ({ owner }) => <Party address={owner} /> },
  { id: "twin", header: t("parts.twin"), value: ({ sub }) => sub, cell: ({ sub }) => <Iri iri={sub} twin /> },
  { id: "inside", header: t("parts.inside"), minor: true, cell: ({ parent }) => (parent === null ? t("common.nothing") : <Link href={paths.part(parent)} className="parts-link"><Icon name="part" size={14} /> <Hash hex={parent} ends={4} /></Link>) },
  { id: "entry", header: t("parts.entry"), width: "100px", value: ({ entry }) => entry, cell: ({ entry }) => <Entry index={entry} /> },
];

export function PartTable({ items }: { items: readonly PartItem[] }): JSX.Element {
  return <Table caption={t("parts.title")} columns={COLUMNS} rows={items} rowKey={({ token }) => token} />;
}
