import { get, getAs } from "./client";

export interface Oidc {
  issuer: string;
  client_id: string;
  audience: string | null;
}

/** Who the node takes this reader for, and what the reader may do. */
export interface Session {
  signed_in: boolean;
  id: string | null;
  scopes: string[];
  /** Whether acting is open to this reader: commands, responses, transactions. */
  operates: boolean;
  origin: string;
  version: string;
  operator: string;
  /** Keys of the log as vkeys; for comparison only. */
  log_keys: string[];
  /** The text of a trust policy of this node; for comparison only. */
  policy: string | null;
  chain: { chain_id: string | number; [name: string]: unknown } | null;
  sign_in: { token: boolean; oidc: Oidc | null };
}

export const getSession = (signal?: AbortSignal): Promise<Session> => get<Session>("session", {}, signal);

/** Who the bearer of a token would be. */
export const tryToken = (token: string): Promise<Session> => getAs<Session>(token, "session");
