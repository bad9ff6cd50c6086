import type { JSX } from "react";

import { ApiError } from "../../api/client";
import { WalletError } from "../../api/wallet";
import { Icon } from "../../parts";
import { t, word } from "../../strings/en";

/** The wallet's account is none of those that may act. */
export class Unfit extends Error {
  override readonly name = "Unfit";
  constructor(
    readonly account: string,
    readonly by: readonly string[],
  ) {
    super(`${account} is none of ${by.join(", ")}`);
  }
}

/** What a failure means here, and what to do. */
function advice(error: Error): string {
  if (error instanceof Unfit) return t("orders.unfit");
  if (error instanceof WalletError) return word("orders", `wallet-${error.trouble}`) ?? "";
  if (error instanceof ApiError) return word("orders", `code-${error.code}`) ?? (error.status === 0 ? t("common.failedUnreachable") : error.status === 403 ? t("orders.refused") : "");
  return "";
}

export function Trouble({ error }: { error: Error | null }): JSX.Element | null {
  if (!error) return null;
  const said = advice(error);
  return (
    <div className="act-trouble" role="alert">
      <Icon name="act" />
      <div>{said && <p>{said}</p>}<p className="small">{error.message}</p></div>
    </div>
  );
}
