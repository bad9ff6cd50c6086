// Agreements, orders, and transactions on the contracts: docs/agreements.md, docs/acting.md.
import { ApiError, get, post } from "./client";

/** The contracts were asked as of it; null without a chain. */
export interface AsOf {
  number: number;
  hash: string;
  time: number;
}

export type Argument = string | number | boolean | string[] | null;

/** An action that is open now. */
export interface Opening {
  action: string;
  /** Addresses of who may; null: anybody. */
  by: string[] | null;
  until: number | null;
  arguments: Record<string, Argument>;
  needs: string[];
  /** What must come before it. */
  why: string | null;
  note: string | null;
}

export interface OrderItem {
  order: string;
  sub: string;
  agreement: string;
  state: string;
  since: number;
  deadline: number | null;
  token: string | null;
  price: string | null;
  currency: string | null;
  operator: string | null;
  supplier: string | null;
  entry: number;
}

export interface Asked {
  block: AsOf | null;
  /** Why the contracts could not be asked. */
  problem: string | null;
  reached: number;
}

export interface Orders extends Asked {
  items: OrderItem[];
  next: string | null;
}

export interface Step {
  event: string;
  time: number;
  block: number;
  transaction: string;
  entry: number;
  deadline: number | null;
  token: string | null;
  by: string | null;
  amount: string | null;
  reason: string | null;
}

export interface Order extends OrderItem, Asked {
  arbiter: string | null;
  prediction: number | null;
  installation: number | null;
  order_key: string | null;
  received: boolean | null;
  consents: string[];
  told: string;
  steps: Step[];
  escrow: { price: string; currency: string | null; set_aside: string; free: string; paid: boolean; owed: Record<string, string> } | null;
  actions: Opening[];
}

export interface Terms {
  operator: string;
  supplier: string;
  arbiter: string | null;
  below: number;
  coverage: number;
  currency: string | null;
  max_age: number;
  accept_within: number;
  ship_within: number;
  receive_within: number;
  install_within: number;
  dispute_within: number;
}

export interface Agreement {
  agreement: string;
  chain: number;
  contract: string;
  state: string | null;
  twins: string[];
  covered: number | null;
  orders: number | null;
  free: string | null;
  price: string | null;
  unit: string | null;
  part_number: string | null;
  terms: Terms | null;
  actions: Opening[];
}

export interface Agreements extends Asked {
  items: Agreement[];
  next: string | null;
}

export const getOrders = (state: string, signal?: AbortSignal): Promise<Orders> => get<Orders>("orders", { state: state || undefined, limit: 200 }, signal);
export const getOrder = (key: string, signal?: AbortSignal): Promise<Order> => get<Order>(`orders/${encodeURIComponent(key)}`, {}, signal);
export const getAgreements = (signal?: AbortSignal): Promise<Agreements> => get<Agreements>("agreements", { limit: 200 }, signal);

export interface Account {
  name: string;
  address: string;
  balance_wei: string | null;
}

export const getAccounts = (signal?: AbortSignal): Promise<{ items: Account[]; chain_id: number | null }> => get("accounts", {}, signal);

export interface Transaction {
  from: string;
  to: string;
  data: string;
  value: string;
  gas: number | null;
  gas_limit: number | null;
  max_fee_wei: string | null;
  max_tip_wei: string | null;
  fee_wei: string | null;
  most_wei: string | null;
  chain_id: number;
  says: string;
  hash: string | null;
}

export interface Act {
  action: string;
  arguments: Record<string, Argument>;
  from: string;
  sign: "node" | "wallet";
}

/** What it would do and cost. Nothing is signed. */
export const tryOut = (act: Act): Promise<Transaction> => post<Transaction>("transactions", { ...act, dry: true });

/** Signed by the node and sent, once for an `id`. */
export const send = (act: Act, id: string): Promise<Transaction> => post<Transaction>("transactions", { ...act, id, dry: false });

export interface Outcome {
  hash: string;
  state: "pending" | "mined" | "failed" | "replaced";
  final: boolean;
  block: number | null;
  time: number | null;
  gas: number | null;
  fee_wei: string | null;
  reason: string | null;
}

/** What became of it; of one that the node's chain does not know yet, pending. */
export async function getOutcome(hash: string, signal?: AbortSignal): Promise<Outcome> {
  try {
    return await get<Outcome>(`transactions/${hash}`, {}, signal);
  } catch (problem) {
    if (!(problem instanceof ApiError) || problem.status !== 404) throw problem;
    return { hash, state: "pending", final: false, block: null, time: null, gas: null, fee_wei: null, reason: null };
  }
}
