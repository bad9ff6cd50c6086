/** Where the reader is: path and search, both behind the "#". Routes need no fallback on the server, and work from a file. */

import { useSyncExternalStore } from "react";
import { useParams } from "wouter";
import type { BaseLocationHook } from "wouter";

const listeners = new Set<() => void>();
const announce = (): void => listeners.forEach((listener) => listener());

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    window.addEventListener("hashchange", announce);
    window.addEventListener("popstate", announce);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    window.removeEventListener("hashchange", announce);
    window.removeEventListener("popstate", announce);
  };
}

/** What stands behind the "#", as `/path?search`. */
export function currentHash(): string {
  // Of location.hash, not location.href: the latter would need the "#" cut out; both leave percent-encoding alone.
  return `/${window.location.hash.replace(/^#?\/*/, "")}`;
}

export const currentPath = (): string => currentHash().split("?", 1)[0] ?? "/";
export const currentSearch = (): string => currentHash().slice(currentPath().length + 1);

/** Go to `/path?search`. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const url = `#/${to.replace(/^#?\/*/, "")}`;
  if (options.replace) window.history.replaceState(null, "", url);
  else window.history.pushState(null, "", url);
  announce();
}

const useHash: BaseLocationHook = () => [useSyncExternalStore(subscribe, currentPath), navigate];
useHash.searchHook = () => useSyncExternalStore(subscribe, currentSearch);
useHash.hrefs = (href) => `#${href}`;

export const locationHook = useHash;

function decoded(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return text ?? "";
  }
}

/** A parameter of the route, decoded: wouter hands out what stands in the address. */
export function useParam(name: string): string {
  const params: Record<string, string | undefined> = useParams();
  return decoded(params[name]);
}

export type TwinTab = "prognosis" | "timeline" | "evidence" | "parts";

/** Paths for `<Link href>` and `navigate`. */
export const paths = {
  fleet: "/",
  alarms: "/alarms",
  models: "/models",
  plan: "/plan",
  orders: "/orders",
  parts: "/parts",
  ledger: "/ledger",
  verify: "/verify",
  guide: "/guide",
  signIn: "/signin",
  twin: (iri: string, tab?: TwinTab) => `/twin/${encodeURIComponent(iri)}${tab ? `/${tab}` : ""}`,
  /** The twin's life as it was at an entry. */
  moment: (iri: string, entry: number) => `/twin/${encodeURIComponent(iri)}/timeline?at=${entry}`,
  order: (key: string) => `/order/${encodeURIComponent(key)}`,
  part: (token: string) => `/part/${encodeURIComponent(token)}`,
  /** An entry, to be verified here. */
  entry: (index: number) => `/verify?entry=${index}`,
} as const;
