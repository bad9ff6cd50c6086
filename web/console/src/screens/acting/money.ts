import { t } from "../../strings/en";

const DECIMALS = 18;
const COIN = 10n ** BigInt(DECIMALS);

/** Digits of the smallest unit, as coins with all their decimals; `places` rounds down. */
export function coins(wei: string, places = DECIMALS): string {
  if (!/^[0-9]{1,78}$/.test(wei)) return wei;
  const amount = BigInt(wei);
  const rest = (amount % COIN).toString().padStart(DECIMALS, "0").slice(0, places).replace(/0+$/, "");
  const whole = (amount / COIN).toLocaleString("en");
  return rest ? `${whole}.${rest}` : whole;
}

/** An amount in words: of the chain's coin, or in smallest units of a currency. */
export function money(amount: string | null, currency: string | null): string {
  if (amount === null) return t("common.nothing");
  if (currency !== null) return t("orders.units", { n: amount, currency: `${currency.slice(0, 8)}…` });
  return t("orders.coins", { n: coins(amount) });
}

/** A fee: short, in the unit in which it reads well. */
export function fee(wei: string | null): string {
  if (wei === null || !/^[0-9]{1,78}$/.test(wei)) return t("common.nothing");
  const amount = BigInt(wei);
  if (amount >= COIN / 10_000n) return t("orders.coins", { n: coins(wei, 6) });
  const gwei = Number(amount / 1_000_000n) / 1000;
  return gwei >= 0.001 ? t("orders.gwei", { n: gwei.toLocaleString("en", { maximumFractionDigits: 3 }) }) : t("orders.wei", { n: wei });
}

/** What was typed as coins, in the smallest unit; null if it is no amount above 0. */
export function weiOf(text: string): string | null {
  const found = /^\s*([0-9]{1,24})(?:\.([0-9]{1,18}))?\s*$/.exec(text);
  if (!found) return null;
  const amount = BigInt(found[1] ?? "0") * COIN + BigInt((found[2] ?? "").padEnd(DECIMALS, "0"));
  return amount > 0n ? amount.toString() : null;
}
