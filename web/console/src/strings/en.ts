/** All words of the console, by screen: `t("fleet.title")`, `t("common.entry", { entry: 7 })`. A "|" divides one from many by `n`. */

import { alarms } from "./en/alarms";
import { charts } from "./en/charts";
import { common } from "./en/frame";
import { fleet } from "./en/fleet";
import { guide } from "./en/guide";
import { ledger } from "./en/ledger";
import { models } from "./en/models";
import { orders } from "./en/orders";
import { parts } from "./en/parts";
import { plan } from "./en/plan";
import { prognosis } from "./en/prognosis";
import { signin } from "./en/signin";
import { timeline } from "./en/timeline";
import { twin } from "./en/twin";
import { verify } from "./en/verify";

const en = { alarms, charts, common, fleet, guide, ledger, models, orders, parts, plan, prognosis, signin, timeline, twin, verify };

type Words = typeof en;
export type Key = { [G in keyof Words]: `${G}.${keyof Words[G] & string}` }[keyof Words];
export type Values = Readonly<Record<string, string | number>>;

const texts = new Map<string, string>(
  Object.entries(en).flatMap(([group, words]) => Object.entries(words).map(([name, text]): [string, string] => [`${group}.${name}`, text])),
);

const whole = new Intl.NumberFormat("en", { useGrouping: true });

/** The words of `key`, with `{name}` replaced; numbers are grouped by thousands. */
export function t(key: Key, values: Values = {}): string {
  const [one = "", many] = (texts.get(key) ?? key).split("|");
  const text = many !== undefined && values["n"] !== 1 ? many : one;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? whole.format(value) : (value ?? "");
  });
}

/** The words of `group.name` if there are any: for codes that the node may extend. */
export const word = (group: keyof Words, name: string): string | null => texts.get(`${group}.${name}`) ?? null;
