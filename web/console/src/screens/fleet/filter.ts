/** What of the fleet is shown, and in which order: all of it stands in the address, and so can be kept and sent. */

import { HEALTHS } from "../../api/fleet";
import type { FleetRow, Health } from "../../api/fleet";
import type { Sort } from "../../parts";

export const FACETS = ["health", "model", "lifecycle", "signed", "with"] as const;
export type Facet = (typeof FACETS)[number];
export const GROUPS = ["model", "health", "lifecycle"] as const;
export type Group = (typeof GROUPS)[number];
/** What a twin may have: the values of the facet "with". */
export const HAVES = ["alarms", "unacknowledged", "forecast", "orders", "gaps", "unanchored"] as const;

export interface View {
  text: string;
  facets: Readonly<Partial<Record<Facet, string>>>;
  group: Group | null;
  sort: Sort;
}

export const DEFAULT_SORT: Sort = { column: "health", down: false };
/** A facet's value of twins that have none. */
export const NONE = "-";

export function parseView(search: string): View {
  const asked = new URLSearchParams(search);
  const facets: Partial<Record<Facet, string>> = {};
  for (const facet of FACETS) {
    const value = asked.get(facet);
    if (value) facets[facet] = value;
  }
  const sort = asked.get("sort");
  return {
    text: asked.get("q") ?? "",
    facets,
    group: GROUPS.find((one) => one === asked.get("group")) ?? null,
    sort: sort ? { column: sort.replace(/^-/, ""), down: sort.startsWith("-") } : DEFAULT_SORT,
  };
}

export function formatView(view: View): string {
  const search = new URLSearchParams();
  if (view.text) search.set("q", view.text);
  for (const facet of FACETS) {
    const value = view.facets[facet];
    if (value) search.set(facet, value);
  }
  if (view.group) search.set("group", view.group);
  const { column, down } = view.sort;
  if (column !== DEFAULT_SORT.column || down !== DEFAULT_SORT.down) search.set("sort", `${down ? "-" : ""}${column}`);
  return search.toString();
}

export const isFiltered = (view: View): boolean => view.text !== "" || FACETS.some((facet) => view.facets[facet] !== undefined);

const HAS: Readonly<Record<string, (row: FleetRow) => boolean>> = {
  alarms: (row) => row.alarms.standing > 0,
  unacknowledged: (row) => row.alarms.unacknowledged > 0,
  forecast: (row) => row.forecast !== null,
  orders: (row) => row.orders > 0,
  gaps: (row) => row.gaps > 0,
  unanchored: (row) => row.anchored === false,
};

export function matches(row: FleetRow, { text, facets }: View): boolean {
  for (const facet of FACETS) {
    const value = facets[facet];
    if (value === undefined) continue;
    if (facet === "with" ? !(HAS[value]?.(row) ?? true) : (row[facet] ?? NONE) !== value) return false;
  }
  if (text === "") return true;
  const all = `${row.name ?? ""} ${row.sub} ${row.model ?? ""}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

export type Counts = Readonly<Record<Health, number>>;

export function countHealths(rows: readonly FleetRow[]): Counts {
  const counts = { act: 0, watch: 0, good: 0, unknown: 0 };
  for (const row of rows) counts[row.health]++;
  return counts;
}

/** Values of a facet that are there, sorted. */
export function valuesOf(rows: readonly FleetRow[], facet: Exclude<Facet, "with">): string[] {
  return [...new Set(rows.map((row) => row[facet] ?? NONE))].sort();
}

/** The order of healths: what to act on comes first. */
export const rankOf = (health: Health): number => HEALTHS.indexOf(health);
