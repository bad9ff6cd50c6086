import type { JSX } from "react";

import type { Agreement, AsOf, Terms } from "../../api/orders";
import { duration } from "../../charts/format";
import { formatNumber, Iri, Panel } from "../../parts";
import { t } from "../../strings/en";
import { Party } from "../acting/accounts";
import { Actions } from "../acting/actions";
import { money } from "../acting/money";
import { percent, unitWord } from "../prognosis/words";
import { OrderState } from "./state";

/** What two parties agreed on, its money, and what may be done with it. */
export function AgreementCard({ agreement, block }: { agreement: Agreement; block: AsOf | null }): JSX.Element {
  const { terms, state, twins, covered, price, free, unit, orders } = agreement;
  const currency = terms?.currency ?? null;
  return (
    <Panel level={3} title={t("orders.agreement", { n: agreement.agreement })} actions={state === null ? undefined : <OrderState state={state} />}>
      <div className="stack">
        <dl className="facts">
          <dt>{t("orders.about")}</dt>
          <dd>{twins.slice(0, 5).map((sub) => <span key={sub}><Iri iri={sub} twin /> </span>)}{covered !== null && covered > twins.length && <span className="muted">{t("orders.covered", { n: covered })}</span>}</dd>
          {terms && <><dt>{t("orders.threshold")}</dt><dd>{t("orders.thresholdText", { below: formatNumber(terms.below), unit: unit === null ? "" : unitWord(unit), coverage: percent(terms.coverage) })}</dd></>}
          {agreement.part_number !== null && <><dt>{t("orders.partNumber")}</dt><dd>{agreement.part_number}</dd></>}
          {price !== null && <><dt>{t("orders.price")}</dt><dd>{money(price, currency)}</dd></>}
          {free !== null && <><dt>{t("orders.free")}</dt><dd>{money(free, currency)}</dd></>}
          {orders !== null && <><dt>{t("orders.orderCount")}</dt><dd>{orders}</dd></>}
          {terms && <><dt>{t("orders.operator")}</dt><dd><Party address={terms.operator} copy /></dd><dt>{t("orders.supplier")}</dt><dd><Party address={terms.supplier} copy /></dd></>}
        </dl>
        {terms && <details><summary>{t("orders.terms")}</summary><Times terms={terms} /></details>}
        <Actions openings={agreement.actions} block={block} currency={currency} compact />
      </div>
    </Panel>
  );
}

function Times({ terms }: { terms: Terms }): JSX.Element {
  const { arbiter, max_age: age, accept_within: accept, ship_within: ship, receive_within: receive, install_within: install, dispute_within: dispute } = terms;
  return (
    <dl className="facts orders-terms">
      <dt>{t("orders.maxAge")}</dt><dd>{duration(age)}</dd>
      <dt>{t("orders.acceptWithin")}</dt><dd>{duration(accept)}</dd>
      <dt>{t("orders.shipWithin")}</dt><dd>{duration(ship)}</dd>
      <dt>{t("orders.receiveWithin")}</dt><dd>{duration(receive)}</dd>
      <dt>{t("orders.installWithin")}</dt><dd>{duration(install)}</dd>
      <dt>{t("orders.disputeWithin")}</dt><dd>{duration(dispute)}</dd>
      <dt>{t("orders.arbiter")}</dt><dd>{arbiter === null ? t("orders.noArbiter") : <Party address={arbiter} copy />}</dd>
    </dl>
  );
}
