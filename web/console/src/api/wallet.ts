// A wallet in the browser: EIP-1193 (requests), EIP-3326 (which chain). It signs; the node never sees its key.
import type { Transaction } from "./orders";

interface Provider {
  request: (asked: { method: string; params?: readonly unknown[] }) => Promise<unknown>;
}

export type WalletTrouble = "declined" | "no-account" | "unknown-chain" | "wrong-chain" | "failed";

export class WalletError extends Error {
  override readonly name = "WalletError";
  constructor(
    readonly trouble: WalletTrouble,
    detail: string,
  ) {
    super(detail);
  }
}

function isProvider(value: unknown): value is Provider {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, "request") === "function";
}

function provider(): Provider | null {
  const found: unknown = Reflect.get(window, "ethereum");
  return isProvider(found) ? found : null;
}

export const hasWallet = (): boolean => provider() !== null;

/** Codes of EIP-1193 and EIP-3326. */
const DECLINED = 4001;
const UNKNOWN_CHAIN = 4902;

function trouble(problem: unknown): WalletError {
  const code: unknown = typeof problem === "object" && problem !== null ? Reflect.get(problem, "code") : undefined;
  const said: unknown = typeof problem === "object" && problem !== null ? Reflect.get(problem, "message") : problem;
  const detail = typeof said === "string" ? said : String(problem);
  return new WalletError(code === DECLINED ? "declined" : code === UNKNOWN_CHAIN ? "unknown-chain" : "failed", detail);
}

async function ask(method: string, params: readonly unknown[] = []): Promise<unknown> {
  const found = provider();
  if (!found) throw new WalletError("failed", "there is no wallet in this browser");
  try {
    return await found.request({ method, params });
  } catch (problem) {
    throw trouble(problem);
  }
}

const hex = (value: string | number | bigint): string => `0x${BigInt(value).toString(16)}`;

/** The account that the wallet lets this page see, in lower case; it may ask its owner. */
export async function walletAccount(): Promise<string> {
  const found = await ask("eth_requestAccounts");
  const first: unknown = Array.isArray(found) ? found[0] : undefined;
  if (typeof first !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(first)) throw new WalletError("no-account", "the wallet shows no account");
  return first.toLowerCase();
}

async function onChain(chain: number): Promise<boolean> {
  const said = await ask("eth_chainId");
  return typeof said === "string" && /^0x[0-9a-fA-F]{1,16}$/.test(said) && BigInt(said) === BigInt(chain);
}

/** Have the wallet sign and send what the node prepared; the transaction's hash. */
export async function walletSend(made: Transaction): Promise<string> {
  if (!(await onChain(made.chain_id))) {
    await ask("wallet_switchEthereumChain", [{ chainId: hex(made.chain_id) }]);
    // Some wallets answer before they have switched, or without: what they are on counts.
    if (!(await onChain(made.chain_id))) throw new WalletError("wrong-chain", `the wallet is not on chain ${String(made.chain_id)}`);
  }
  const fees = made.max_fee_wei === null ? {} : { maxFeePerGas: hex(made.max_fee_wei), maxPriorityFeePerGas: hex(made.max_tip_wei ?? "0") };
  const gas = made.gas_limit === null ? {} : { gas: hex(made.gas_limit) };
  const { from, to, data } = made;
  const hash = await ask("eth_sendTransaction", [{ from, to, data, value: hex(made.value), ...gas, ...fees }]);
  if (typeof hash !== "string" || !/^0x[0-9a-fA-F]{64}$/.test(hash)) throw new WalletError("failed", "the wallet answers with no transaction hash");
  return hash.toLowerCase();
}
