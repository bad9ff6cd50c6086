import type { JSX } from "react";

import type { Opening } from "../../api/orders";
import type { Offer, Part } from "../../api/parts";
import { Copy, Icon, Panel, Status, Time } from "../../parts";
import { paths } from "../../route";
import { t } from "../../strings/en";
import { Party } from "../acting/accounts";
import { Actions } from "../acting/actions";
import { partName } from "./parts";
import { QrCode } from "./qr-code";

const GIVING = ["part.offer", "part.cancel-offer"];
const TAKING = ["part.accept", "part.accept-assembly"];

/** Two steps of two parties: an offer with a link to it, and its acceptance. `accept`: the reader came by that link. */
export function HandOver({ part, accept }: { part: Part; accept: boolean }): JSX.Element {
  const chosen = (names: readonly string[]): Opening[] => part.actions.filter(({ action }) => names.includes(action));
  const { offer } = part;
  if (accept) return <Accept part={part} openings={chosen(TAKING)} />;
  return (
    <Panel title={t("parts.handOver")} actions={offer?.open ? <Status level="watch" icon="wait" word={t("parts.event-Offered")} /> : undefined}>
      <div className="stack">
        {offer?.open ? <Standing part={part} offer={offer} /> : <p className="muted">{t(offer ? "parts.offerOver" : "parts.noOffer")}</p>}
        <Actions openings={[...chosen(TAKING), ...chosen(GIVING)]} block={part.block} />
      </div>
    </Panel>
  );
}

function Standing({ part, offer }: { part: Part; offer: Offer }): JSX.Element {
  const link = `${window.location.href.split("#", 1)[0] ?? ""}#${paths.part(part.token)}?accept=1`;
  return (
    <div className="offer">
      <div className="stack">
        <dl className="facts">
          <dt>{t("parts.offeredTo")}</dt><dd><Party address={offer.to} copy /></dd>
          <dt>{t("parts.offerUntil")}</dt><dd><Time at={offer.until} /> (<Time at={offer.until} relative />)</dd>
        </dl>
        <p>{t("parts.offerWait")}</p>
        <div>
          <h3>{t("parts.link")}</h3>
          <p className="offer-link"><a href={link} className="mono">{link}</a> <Copy text={link} what={t("parts.link")} /></p>
          <p className="small muted">{t("parts.linkText")}</p>
        </div>
      </div>
      <QrCode text={link} label={t("parts.qr")} />
    </div>
  );
}

function Accept({ part, openings }: { part: Part; openings: readonly Opening[] }): JSX.Element {
  const { offer } = part;
  const open = offer?.open === true && openings.length > 0;
  const name = partName(part) ?? t("parts.part");
  return (
    <Panel title={t(open ? "parts.acceptTitle" : "parts.handOver")}>
      <div className="stack">
        {open
          ? <p>{t("parts.acceptText", { name, to: `${offer.to.slice(0, 8)}…${offer.to.slice(-4)}` })} {t("parts.offerUntil")} <Time at={offer.until} />.</p>
          : <p className="row"><Icon name="info" /> {t("parts.acceptNone")}</p>}
        <Actions openings={openings} block={part.block} />
      </div>
    </Panel>
  );
}
