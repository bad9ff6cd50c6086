import { useState } from "react";
import type { JSX } from "react";
import { Link } from "wouter";

import { useLiveQuery } from "../../api/live";
import { getAgreements, getOrders } from "../../api/orders";
import type { Asked, OrderItem } from "../../api/orders";
import { Answered, Empty, Entry, Icon, Iri, Panel, Screen, Table, Time } from "../../parts";
import type { Column } from "../../parts";
import { paths } from "../../route";
import { useSession } from "../../session/session";
import { t, word } from "../../strings/en";
import { money } from "../acting/money";
import { AgreementCard } from "./agreement";
import { OrderState } from "./state";
import "./orders.css";

const STATES = ["placed", "accepted", "shipped", "received", "disputed", "fulfilled", "cancelled", "refunded", "resolved"];
/** Milliseconds between two questions. */
const EVERY = 3000;

export default function OrdersScreen(): JSX.Element {
  const { session } = useSession();
  const [state, setState] = useState("");
  const orders = useLiveQuery(["orders", state], (signal) => getOrders(state, signal), { every: EVERY });
  const agreements = useLiveQuery(["agreements"], getAgreements, { every: EVERY });
  const nothing = orders.data?.items.length === 0 && agreements.data?.items.length === 0 && state === "";
  if (session && session.chain === null && nothing) {
    return <Screen title={t("orders.title")}><Empty title={t("orders.noChain")}><p>{t("orders.noChainText")}</p></Empty></Screen>;
  }
  return (
    <Screen title={t("orders.title")}>
      <Behind asked={orders.data} />
      <Panel
        title={t("orders.title")} flush
        actions={<select className="input orders-filter" aria-label={t("orders.state")} value={state} onChange={(event) => setState(event.target.value)}>
          <option value="">{t("orders.anyState")}</option>
          {STATES.map((one) => <option key={one} value={one}>{word("orders", `state-${one}`)}</option>)}
        </select>}
      >
        <Answered query={orders}>{({ items }) => <List items={items} filtered={state !== ""} />}</Answered>
      </Panel>
      <h2 className="orders-heading">{t("orders.agreements")}</h2>
      <Answered query={agreements}>
        {({ items, block }) => items.length === 0
          ? <Empty title={t("orders.noAgreements")} small>{t("orders.noAgreementsText")}</Empty>
          : <div className="orders-agreements">{items.map((agreement) => <AgreementCard key={`${agreement.contract} ${agreement.agreement}`} agreement={agreement} block={block} />)}</div>}
      </Answered>
    </Screen>
  );
}

/** Says so if the log's word alone is shown. */
export function Behind({ asked }: { asked: Asked | undefined }): JSX.Element | null {
  if (!asked?.problem) return null;
  return <p className="orders-behind" role="status"><Icon name="watch" /> <span>{t("orders.problem")} <span className="small mono">{asked.problem}</span></span></p>;
}

const COLUMNS: readonly Column<OrderItem>[] = [
  { id: "order", header: t("orders.order"), width: "110px", value: ({ order }) => order, cell: ({ order }) => <Link href={paths.order(order)} className="orders-link">{order}</Link> },
  { id: "twin", header: t("orders.twin"), value: ({ sub }) => sub, cell: ({ sub }) => <Iri iri={sub} twin /> },
  { id: "state", header: t("orders.state"), width: "130px", value: ({ state }) => STATES.indexOf(state), cell: ({ state }) => <OrderState state={state} /> },
  { id: "deadline", header: t("orders.deadline"), value: ({ deadline }) => deadline, cell: ({ deadline }) => <Time at={deadline} relative /> },
  { id: "price", header: t("orders.price"), number: true, cell: ({ price, currency }) => money(price, currency) },
  { id: "part", header: t("orders.part"), minor: true, cell: ({ token }) => (token === null ? t("common.nothing") : <Link href={paths.part(token)} className="orders-link">{t("orders.partLink")}</Link>) },
  { id: "since", header: t("orders.since"), minor: true, value: ({ since }) => since, cell: ({ since }) => <Time at={since} relative /> },
  { id: "entry", header: t("orders.entry"), width: "100px", value: ({ entry }) => entry, cell: ({ entry }) => <Entry index={entry} /> },
];

function List({ items, filtered }: { items: readonly OrderItem[]; filtered: boolean }): JSX.Element {
  if (items.length === 0) return filtered ? <Empty title={t("orders.noneOfState")} small /> : <Empty title={t("orders.none")} small>{t("orders.noneText")}</Empty>;
  return <Table caption={t("orders.title")} columns={COLUMNS} rows={items} rowKey={({ order }) => order} />;
}
