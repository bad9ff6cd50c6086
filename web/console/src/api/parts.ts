// Passports of parts: docs/parts.md.
import { get } from "./client";
import type { Asked, Opening } from "./orders";

export interface PartItem {
  token: string;
  sub: string;
  part_number: string | null;
  serial: string | null;
  manufacturer: string | null;
  owner: string | null;
  status: string;
  parent: string | null;
  entry: number;
}

export interface Parts {
  items: PartItem[];
  next: string | null;
  reached: number;
}

export interface Hop {
  event: string;
  from: string | null;
  to: string | null;
  until: number | null;
  status: string | null;
  parent: string | null;
  by: string | null;
  time: number;
  block: number;
  transaction: string;
  entry: number | null;
}

export interface Offer {
  to: string;
  until: number;
  open: boolean;
}

export interface Part extends Asked {
  token: string;
  sub: string | null;
  chain: number;
  contract: string;
  part_number: string | null;
  serial: string | null;
  manufacturer: string | null;
  birth: { leaf: string; entry: number | null } | null;
  owner: string | null;
  user: string | null;
  status: string;
  parent: string | null;
  parent_sub: string | null;
  children: { token: string; sub: string | null }[];
  offer: Offer | null;
  custody: Hop[];
  /** Whether the log tells of it. */
  told: boolean;
  actions: Opening[];
}

export const getParts = (query: { sub?: string; owner?: string }, signal?: AbortSignal): Promise<Parts> => get<Parts>("parts", { ...query, limit: 200 }, signal);
export const getPart = (token: string, signal?: AbortSignal): Promise<Part> => get<Part>(`parts/${encodeURIComponent(token)}`, {}, signal);
