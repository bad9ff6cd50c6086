import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";

import { getAccounts } from "../../api/orders";
import type { Account } from "../../api/orders";
import { Hash } from "../../parts";
import { useOperates } from "../../session/session";
import { word } from "../../strings/en";

/** Accounts that the node signs for: known to those who may act; of no interest to others. */
export function useAccounts(): readonly Account[] {
  const operates = useOperates();
  const { data } = useQuery({ queryKey: ["accounts"], queryFn: ({ signal }) => getAccounts(signal), enabled: operates === true, staleTime: 30_000, retry: false });
  return data?.items ?? NONE;
}

const NONE: readonly Account[] = [];

/** What an account is called here: the node's names for those that it holds. */
export const accountName = (name: string): string => word("orders", `account-${name}`) ?? name;

/** An address, with the name of its account if the node holds it. */
export function Party({ address, copy = false }: { address: string | null; copy?: boolean }): JSX.Element {
  const held = useAccounts().find((account) => account.address === address);
  if (address === null) return <span className="muted">–</span>;
  return <span className="party">{held && <span>{accountName(held.name)}</span>}<Hash hex={address} ends={4} copy={copy} /></span>;
}
