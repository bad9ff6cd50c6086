// Arguments of an action that the reader still has to say.
import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";

import type { Argument, Opening } from "../../api/orders";
import { getParts } from "../../api/parts";
import { Field, shortIri } from "../../parts";
import { t, word } from "../../strings/en";
import type { Key } from "../../strings/en";
import { useAccounts, accountName } from "./accounts";
import { weiOf } from "./money";

const HOUR = 3600;
const LASTS: readonly (readonly [hours: number, words: Key])[] = [[1, "orders.hour"], [24, "orders.day"], [168, "orders.week"], [720, "orders.month"]];
const STATUSES = ["InService", "Removed", "Quarantined", "Scrapped"];
const ADDRESS = /^\s*0x[0-9a-fA-F]{40}\s*$/;

export type Texts = Readonly<Record<string, string>>;

export const firstTexts = (needs: readonly string[]): Texts =>
  Object.fromEntries(needs.map((name) => [name, name === "until" ? "24" : name === "status" ? "InService" : ""]));

const amount = (text: string, currency: string | null): string | null =>
  currency === null ? weiOf(text) : /^\s*[1-9][0-9]{0,77}\s*$/.test(text) ? text.trim() : null;

/** What was typed as an argument; null if it cannot be one. `now`: the chain's time, POSIX seconds. */
export function argumentOf(name: string, text: string, now: number, currency: string | null): Argument | null {
  if (name === "to" || name === "user") return ADDRESS.test(text) ? text.trim().toLowerCase() : null;
  if (name === "until") return Math.floor(now) + Number(text) * HOUR;
  if (name === "entry") return /^\s*[0-9]{1,12}\s*$/.test(text) ? Number(text) : null;
  if (name === "amount" || name === "to_supplier") return amount(text, currency);
  if (name === "token" || name === "parent") return /^\s*([0-9]{1,78}|0x[0-9a-f]{1,64})\s*$/i.test(text) ? text.trim() : null;
  return text.trim() || null;
}

interface FieldsProps {
  opening: Opening;
  texts: Texts;
  onChange: (texts: Texts) => void;
  /** Names of those to be marked as wrong. */
  wrong: readonly string[];
  currency: string | null;
}

export function Fields({ opening, texts, onChange, wrong, currency }: FieldsProps): JSX.Element {
  return (
    <>
      {opening.needs.map((name) => (
        <One
          key={name} name={name} text={texts[name] ?? ""} onChange={(text) => onChange({ ...texts, [name]: text })}
          error={wrong.includes(name) ? word("orders", `wrong-${name}`) ?? t("orders.wrongOther") : null}
          owner={opening.by?.[0] ?? null} currency={currency}
        />
      ))}
    </>
  );
}

interface OneProps {
  name: string;
  text: string;
  onChange: (text: string) => void;
  error: string | null;
  owner: string | null;
  currency: string | null;
}

function One({ name, text, onChange, error, owner, currency }: OneProps): JSX.Element {
  const coin = (name === "amount" || name === "to_supplier") && currency === null;
  const label = (coin ? word("orders", `field-${name}-coins`) : null) ?? word("orders", `field-${name}`) ?? name;
  const hint = word("orders", `hint-${name}`) ?? undefined;
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => {
        const props = { ...control, value: text };
        if (name === "until") {
          return <select {...props} onChange={(event) => onChange(event.target.value)}>{LASTS.map(([hours, words]) => <option key={hours} value={hours}>{t(words)}</option>)}</select>;
        }
        if (name === "status") {
          return <select {...props} onChange={(event) => onChange(event.target.value)}>{STATUSES.map((one) => <option key={one} value={one}>{word("parts", `status-${one}`) ?? one}</option>)}</select>;
        }
        if (name === "to" || name === "user") return <Address {...props} onChange={onChange} />;
        if (name === "token" || name === "parent") return <Token {...props} owner={owner} onChange={onChange} />;
        return <input {...props} type="text" autoComplete="off" onChange={(event) => onChange(event.target.value)} />;
      }}
    </Field>
  );
}

interface ControlProps {
  id: string;
  className: string;
  value: string;
  onChange: (text: string) => void;
}

/** An address; those of the node's accounts are offered. */
function Address({ onChange, ...props }: ControlProps): JSX.Element {
  const accounts = useAccounts();
  return (
    <>
      <input {...props} type="text" autoComplete="off" spellCheck={false} placeholder="0x…" list={`${props.id}-list`} onChange={(event) => onChange(event.target.value)} />
      <datalist id={`${props.id}-list`}>{accounts.map(({ name, address }) => <option key={address} value={address}>{accountName(name)}</option>)}</datalist>
    </>
  );
}

/** A part of the one who acts, or any token. */
function Token({ owner, onChange, ...props }: ControlProps & { owner: string | null }): JSX.Element {
  const { data } = useQuery({ queryKey: ["parts", "of", owner], queryFn: ({ signal }) => getParts(owner === null ? {} : { owner }, signal), retry: false });
  const items = data?.items ?? [];
  if (items.length === 0) return <input {...props} type="text" autoComplete="off" onChange={(event) => onChange(event.target.value)} />;
  return (
    <select {...props} onChange={(event) => onChange(event.target.value)}>
      <option value="">{t("orders.choosePart")}</option>
      {items.map(({ token, part_number: number, serial, sub }) => <option key={token} value={token}>{number === null ? shortIri(sub) : `${number} ${serial ?? ""}`}</option>)}
    </select>
  );
}
