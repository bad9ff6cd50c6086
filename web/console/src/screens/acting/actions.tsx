import { useState } from "react";
import type { JSX } from "react";

import type { AsOf, Opening } from "../../api/orders";
import { Button, Icon, Time } from "../../parts";
import { useOperates } from "../../session/session";
import { t } from "../../strings/en";
import { Party } from "./accounts";
import { ActDialog, actionWord } from "./act-dialog";
import "./acting.css";

interface ActionsProps {
  openings: readonly Opening[];
  block: AsOf | null;
  currency?: string | null;
  /** Of these alone nothing but the button is shown. */
  compact?: boolean;
}

/** What is open now, to whom, until when; for those who may act with a button. */
export function Actions({ openings, block, currency = null, compact = false }: ActionsProps): JSX.Element {
  const operates = useOperates();
  const [asked, setAsked] = useState<Opening | null>(null);
  // On a quiet chain the newest block may be old: its next one has at least the time of now.
  const now = Math.max(block?.time ?? 0, Math.floor(Date.now() / 1000));
  const list = openings.map((opening) => ({ opening, key: `${opening.action} ${opening.by?.join() ?? ""}` }));
  return (
    <div className="stack">
      {/* The dialog stays when its action has gone through and is open no more. */}
      {list.length === 0 && <p className="muted">{t("orders.nothingOpen")}</p>}
      <ul className={compact ? "act-list act-compact" : "act-list"}>
        {list.map(({ opening, key }) => (
          <li key={key}>
            {operates
              ? <Button small={compact} disabled={opening.why !== null} onClick={() => setAsked(opening)}>{t("orders.button", { action: actionWord(opening.action) })}</Button>
              : <strong>{actionWord(opening.action)}</strong>}
            {!compact && <Who opening={opening} />}
          </li>
        ))}
      </ul>
      {operates === false && list.length > 0 && <p className="muted small"><Icon name="lock" size={14} /> {t("orders.readsOnly")}</p>}
      {asked && <ActDialog opening={asked} now={now} currency={currency} onClose={() => setAsked(null)} />}
    </div>
  );
}

function Who({ opening: { by, until, why, note } }: { opening: Opening }): JSX.Element {
  return (
    <span className="act-who small">
      <span className="row">{by === null ? t("orders.anybody") : by.map((one) => <Party key={one} address={one} />)}{until !== null && <span className="muted">{t("orders.until")} <Time at={until} relative /></span>}</span>
      {why && <span className="muted">{t("orders.first", { why })}</span>}
      {note && <span className="muted">{t("orders.note", { note })}</span>}
    </span>
  );
}
