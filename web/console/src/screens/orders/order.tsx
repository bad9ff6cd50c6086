import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";
import { Link } from "wouter";

import { getOrder } from "../../api/orders";
import type { Order, Step } from "../../api/orders";
import { Answered, Entry, Hash, Icon, Iri, Panel, Screen, Time, useNow } from "../../parts";
import { paths, useParam } from "../../route";
import { t, word } from "../../strings/en";
import { Party } from "../acting/accounts";
import { Actions } from "../acting/actions";
import { money } from "../acting/money";
import { Behind } from "./orders";
import { OrderState } from "./state";
import "./orders.css";

/** Milliseconds: the contract is ahead of the log, so the log's growth alone does not tell when to ask. */
const EVERY = 4000;
const REGULAR = ["placed", "accepted", "shipped", "received", "fulfilled"];
const EVENTS: Readonly<Record<string, string>> = { placed: "OrderPlaced", accepted: "OrderAccepted", shipped: "OrderShipped", received: "OrderReceived", fulfilled: "OrderFulfilled" };

export default function OrderScreen(): JSX.Element {
  const key = useParam("key");
  const query = useQuery({ queryKey: ["order", key], queryFn: ({ signal }) => getOrder(key, signal), refetchInterval: EVERY });
  return (
    <Screen title={t("orders.orderTitle", { key })} actions={query.data && <OrderState state={query.data.state} />}>
      <Answered query={query} lines={6}>{(order) => <Detail order={order} />}</Answered>
    </Screen>
  );
}

function Detail({ order }: { order: Order }): JSX.Element {
  return (
    <>
      <Behind asked={order} />
      <div className="orders-pair">
        <div className="stack">
          <Panel title={t("orders.steps")}><Steps order={order} /></Panel>
          <Panel title={t("orders.actions")}><Actions openings={order.actions} block={order.block} currency={order.currency} /></Panel>
        </div>
        <div className="stack">
          <Facts order={order} />
          <Money order={order} />
        </div>
      </div>
    </>
  );
}

/** What happened, what is now, and what would follow. */
function Steps({ order }: { order: Order }): JSX.Element {
  const { steps, state, told, deadline } = order;
  const at = REGULAR.indexOf(state);
  const said = new Set(steps.map(({ event }) => event));
  // The contract may be ahead of the log by a step or two.
  const ahead = REGULAR.filter((one, place) => place <= at && !said.has(EVENTS[one] ?? ""));
  const later = at < 0 ? [] : REGULAR.slice(at + 1);
  return (
    <div className="stack">
      <ol className="order-steps">
        {steps.map((step) => <Done key={`${step.transaction} ${step.event} ${String(step.entry)}`} step={step} />)}
        {ahead.map((one) => <li key={one} className="order-step order-done"><Icon name="good" /><div><strong>{word("orders", `event-${EVENTS[one] ?? ""}`)}</strong> <span className="muted small">{t("orders.done")}</span></div></li>)}
        {later.map((one, place) => (
          <li key={one} className={place === 0 ? "order-step order-now" : "order-step order-later"} aria-current={place === 0 ? "step" : undefined}>
            <Icon name={place === 0 ? "wait" : "right"} />
            <div><strong>{word("orders", `event-${EVENTS[one] ?? ""}`)}</strong> {place === 0 && deadline !== null ? <Due at={deadline} /> : <span className="muted small">{t("orders.later")}</span>}</div>
          </li>
        ))}
      </ol>
      {told !== state && state !== "refunded" && <p className="small muted" role="status">{t("orders.ahead", { state: word("orders", `state-${state}`) ?? state })}</p>}
    </div>
  );
}

function Due({ at }: { at: number }): JSX.Element {
  const now = useNow();
  return <span className={now >= at ? "order-overdue small" : "small"}>{t(now >= at ? "orders.overdue" : "orders.nowUntil")} <Time at={at} /></span>;
}

function Done({ step }: { step: Step }): JSX.Element {
  return (
    <li className="order-step order-done">
      <Icon name="good" />
      <div>
        <strong>{word("orders", `event-${step.event}`) ?? step.event}</strong>{" "}
        {step.reason !== null && <span>{word("orders", `reason-${step.reason}`) ?? step.reason}</span>}
        <div className="row small"><Time at={step.time} /> <span className="muted">{t("orders.stepBlock", { n: String(step.block) })}</span> <Entry index={step.entry} /> {step.by !== null && <Party address={step.by} />}</div>
      </div>
    </li>
  );
}

function Facts({ order }: { order: Order }): JSX.Element {
  return (
    <Panel title={t("orders.parties")}>
      <dl className="facts">
        <dt>{t("orders.twin")}</dt><dd><Iri iri={order.sub} twin copy /></dd>
        <dt>{t("orders.operator")}</dt><dd><Party address={order.operator} copy /></dd>
        <dt>{t("orders.supplier")}</dt><dd><Party address={order.supplier} copy /></dd>
        <dt>{t("orders.arbiter")}</dt><dd>{order.arbiter === null ? t("orders.noArbiter") : <Party address={order.arbiter} copy />}</dd>
        <dt>{t("orders.prediction")}</dt><dd>{order.prediction === null ? t("common.nothing") : <Entry index={order.prediction} />}</dd>
        {order.token !== null && <><dt>{t("orders.part")}</dt><dd className="row"><Link href={paths.part(order.token)} className="orders-link">{t("orders.partLink")}</Link> <Hash hex={order.token} /></dd></>}
        {order.installation !== null && <><dt>{t("orders.installation")}</dt><dd><Entry index={order.installation} /></dd></>}
        <dt>{t("orders.agreements")}</dt><dd><Link href={paths.orders} className="orders-link">{t("orders.agreement", { n: order.agreement })}</Link></dd>
      </dl>
    </Panel>
  );
}

function Money({ order: { escrow, price, currency } }: { order: Order }): JSX.Element {
  return (
    <Panel title={t("orders.money")}>
      <dl className="facts">
        <dt>{t("orders.price")}</dt><dd>{money(price, currency)}</dd>
        {escrow && (
          <>
            <dt>{t("orders.setAside")}</dt><dd>{money(escrow.set_aside, currency)}</dd>
            <dt>{t("orders.free")}</dt><dd>{money(escrow.free, currency)}</dd>
            <dt>{t("orders.paid")}</dt><dd>{t(escrow.paid ? "orders.yes" : "orders.notYet")}</dd>
            {Object.entries(escrow.owed).filter(([, amount]) => amount !== "0").map(([party, amount]) => <Owed key={party} party={party} amount={money(amount, currency)} />)}
          </>
        )}
      </dl>
    </Panel>
  );
}

function Owed({ party, amount }: { party: string; amount: string }): JSX.Element {
  return <><dt>{t("orders.owed")}</dt><dd className="row">{amount} · <Party address={party} /></dd></>;
}
