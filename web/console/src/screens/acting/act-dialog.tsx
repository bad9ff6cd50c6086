import { useState } from "react";
import type { JSX } from "react";

import type { Argument, Opening } from "../../api/orders";
import { hasWallet } from "../../api/wallet";
import { Button, Dialog, Field, Hash, Icon, Time } from "../../parts";
import { t, word } from "../../strings/en";
import { accountName, Party, useAccounts } from "./accounts";
import { argumentOf, Fields, firstTexts } from "./fields";
import type { Texts } from "./fields";
import { coins, fee, money } from "./money";
import { Trouble } from "./trouble";
import { useAct } from "./use-act";
import type { ActHandle } from "./use-act";

export const actionWord = (action: string): string => word("orders", `do-${action}`) ?? action;

export interface ActDialogProps {
  opening: Opening;
  /** The chain's time, POSIX seconds: deadlines count from it. */
  now: number;
  currency: string | null;
  onClose: () => void;
}

/** An action from its arguments to the block: what it takes, what it would do and cost, a confirmation, what became of it. */
export function ActDialog({ opening, now, currency, onClose }: ActDialogProps): JSX.Element {
  const act = useAct(opening.action, opening.by);
  const title = actionWord(opening.action);
  if (act.hash !== null) return <Followed act={act} title={title} onClose={onClose} />;
  if (act.priced !== null) return <Confirm act={act} title={title} onClose={onClose} />;
  return <Ask act={act} opening={opening} now={now} currency={currency} title={title} onClose={onClose} />;
}

interface Signer {
  value: string;
  label: string;
}

function useSigners(by: readonly string[] | null): Signer[] {
  const accounts = useAccounts().filter(({ address }) => by === null || by.includes(address));
  const held = accounts.map(({ name, address, balance_wei: balance }) => ({
    value: address,
    label: t("orders.heldBy", { name: accountName(name), address: `${address.slice(0, 8)}…${address.slice(-4)}`, balance: balance === null ? "?" : coins(balance, 4) }),
  }));
  return hasWallet() ? [...held, { value: "wallet", label: t("orders.wallet") }] : held;
}

interface StageProps {
  act: ActHandle;
  title: string;
  onClose: () => void;
}

function Ask({ act, opening, now, currency, title, onClose }: StageProps & Omit<ActDialogProps, "onClose">): JSX.Element {
  const signers = useSigners(opening.by);
  const [chosen, setChosen] = useState<string | null>(null);
  const [texts, setTexts] = useState<Texts>(() => firstTexts(opening.needs));
  const [wrong, setWrong] = useState<readonly string[]>([]);
  const signer = chosen ?? signers[0]?.value ?? "";
  const next = (): void => {
    const values: Record<string, Argument> = { ...opening.arguments };
    const bad: string[] = [];
    for (const name of opening.needs) {
      const value = argumentOf(name, texts[name] ?? "", now, currency);
      if (value === null) bad.push(name);
      else values[name] = value;
    }
    setWrong(bad);
    if (bad.length === 0) act.price(signer, values);
  };
  return (
    <Dialog
      open title={title} onClose={onClose}
      actions={<><Button onClick={onClose}>{t("common.cancel")}</Button><Button kind="primary" busy={act.busy} disabled={!signer} onClick={next}>{t("orders.next")}</Button></>}
    >
      <form className="stack" onSubmit={(event) => { event.preventDefault(); if (signer && !act.busy) next(); }}>
        {word("orders", `about-${opening.action}`) && <p>{word("orders", `about-${opening.action}`)}</p>}
        {opening.note && <p className="muted">{t("orders.note", { note: opening.note })}</p>}
        <Fields opening={opening} texts={texts} onChange={setTexts} wrong={wrong} currency={currency} />
        {signers.length > 0 ? (
          <Field label={t("orders.signer")} hint={t("orders.signerHint")}>
            {(control) => <select {...control} value={signer} onChange={(event) => setChosen(event.target.value)}>{signers.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}</select>}
          </Field>
        ) : <p className="act-trouble" role="note"><Icon name="lock" /><span>{t("orders.nobody")}{" "}{opening.by?.map((one) => <Party key={one} address={one} copy />)}</span></p>}
        <Trouble error={act.error} />
      </form>
    </Dialog>
  );
}

function Confirm({ act, title, onClose }: StageProps): JSX.Element {
  const { priced } = act;
  if (priced === null) return <></>;
  const { made } = priced;
  const wallet = priced.act.sign === "wallet";
  return (
    <Dialog
      open title={t("orders.confirmTitle", { action: title })} onClose={onClose}
      actions={<><Button disabled={act.busy} onClick={act.back}>{t("orders.back")}</Button><Button kind="primary" busy={act.busy} onClick={act.confirm}>{t(wallet ? "orders.signInWallet" : "orders.send")}</Button></>}
    >
      <div className="stack">
        <p className="act-says">{made.says}</p>
        <dl className="facts">
          <dt>{t("orders.from")}</dt><dd><Party address={made.from} /></dd>
          <dt>{t("orders.to")}</dt><dd><Hash hex={made.to} /></dd>
          {made.value !== "0" && <><dt>{t("orders.value")}</dt><dd>{money(made.value, null)}</dd></>}
          <dt>{t("orders.fee")}</dt><dd>{t("orders.feeMost", { fee: fee(made.fee_wei), most: fee(made.most_wei) })}</dd>
          <dt>{t("orders.chain")}</dt><dd>{String(made.chain_id)}</dd>
        </dl>
        <p className="small muted">{t(wallet ? "orders.walletNext" : "orders.nodeNext")}</p>
        <Trouble error={act.error} />
      </div>
    </Dialog>
  );
}

function Followed({ act, title, onClose }: StageProps): JSX.Element {
  const { outcome, hash } = act;
  const state = outcome?.state ?? "pending";
  return (
    <Dialog open title={title} onClose={onClose} actions={<Button kind="primary" onClick={onClose}>{t("common.close")}</Button>}>
      <div className="stack">
        <p className={`act-outcome act-${state}`} role="status"><Icon name={state === "mined" ? "good" : state === "pending" ? "wait" : "act"} /> <strong>{word("orders", `outcome-${state}`)}</strong></p>
        {outcome?.reason && <p>{outcome.reason}</p>}
        {state === "pending" && <progress className="act-progress" aria-label={t("orders.waiting")} />}
        <dl className="facts">
          <dt>{t("orders.transaction")}</dt><dd><Hash hex={hash ?? ""} copy /></dd>
          {outcome?.block != null && <><dt>{t("orders.block")}</dt><dd>{String(outcome.block)} · <Time at={outcome.time} /></dd></>}
          {outcome?.fee_wei != null && <><dt>{t("orders.fee")}</dt><dd>{fee(outcome.fee_wei)}</dd></>}
        </dl>
        {state === "mined" && <p className="small muted">{t("orders.logNext")}</p>}
        <Trouble error={act.error} />
      </div>
    </Dialog>
  );
}
