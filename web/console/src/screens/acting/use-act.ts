// An action on the contracts: tried out, confirmed, signed, followed until it is mined.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { getOutcome, send, tryOut } from "../../api/orders";
import type { Act, Argument, Outcome, Transaction } from "../../api/orders";
import { newId } from "../../api/twin";
import { walletAccount, walletSend } from "../../api/wallet";
import { say } from "../../parts";
import { t } from "../../strings/en";
import { Unfit } from "./trouble";

export interface Priced {
  act: Act;
  made: Transaction;
  /** The same for each try: it is never sent twice. */
  id: string;
}

export interface ActHandle {
  priced: Priced | null;
  hash: string | null;
  outcome: Outcome | null;
  busy: boolean;
  error: Error | null;
  /** `signer`: an address that the node holds, or "wallet". */
  price: (signer: string, values: Record<string, Argument>) => void;
  confirm: () => void;
  back: () => void;
}

/** Milliseconds between two questions about a transaction. */
const EVERY = 700;

/** `by`: who may; null: anybody. */
export function useAct(action: string, by: readonly string[] | null): ActHandle {
  const queries = useQueryClient();
  const [priced, setPriced] = useState<Priced | null>(null);
  const [hash, setHash] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const told = useRef<string | null>(null);
  const followed = useQuery({
    queryKey: ["transaction", hash],
    queryFn: ({ signal }) => getOutcome(hash ?? "", signal),
    enabled: hash !== null,
    refetchInterval: ({ state }) => (state.data && state.data.state !== "pending" ? false : EVERY),
  });
  const outcome = hash === null ? null : followed.data ?? null;
  useEffect(() => {
    if (outcome === null || outcome.state === "pending" || told.current === outcome.hash) return;
    told.current = outcome.hash;
    const mined = outcome.state === "mined";
    say(t(mined ? "orders.mined" : "orders.notMined", { block: String(outcome.block ?? "") }), mined ? "good" : "act");
    for (const key of ["order", "orders", "agreements", "part", "parts", "accounts"]) void queries.invalidateQueries({ queryKey: [key] });
  }, [outcome, queries]);
  const run = (work: () => Promise<void>): void => {
    setBusy(true);
    setError(null);
    work().catch((problem: unknown) => setError(problem instanceof Error ? problem : new Error(String(problem)))).finally(() => setBusy(false));
  };
  return {
    priced, hash, outcome, busy, error: error ?? followed.error,
    price: (signer, values) => run(async () => {
      const from = signer === "wallet" ? await walletAccount() : signer;
      if (by !== null && !by.includes(from)) throw new Unfit(from, by);
      const act: Act = { action, arguments: values, from, sign: signer === "wallet" ? "wallet" : "node" };
      setPriced({ act, made: await tryOut(act), id: newId() });
    }),
    confirm: () => run(async () => {
      if (priced === null) return;
      if (priced.act.sign === "wallet") setHash(await walletSend(priced.made));
      else setHash((await send(priced.act, priced.id)).hash);
    }),
    back: () => {
      setPriced(null);
      setError(null);
    },
  };
}
