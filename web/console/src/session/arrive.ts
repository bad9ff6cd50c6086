/** What the address brought that must not stay in it: a token (`#/signin?token=…`), an answer of an OIDC issuer (`?code=…&state=…`). */

import { currentPath, currentSearch, paths } from "../route";
import { setToken } from "./token";

export interface Arrival {
  /** The address as the issuer sent it, to be finished by `session/oidc`. */
  oidc: string | null;
}

export function arrive(): Arrival {
  const { location, history } = window;
  const asked = new URLSearchParams(location.search);
  if (asked.has("state") && (asked.has("code") || asked.has("error"))) {
    const oidc = location.href;
    history.replaceState(null, "", `${location.pathname}#${paths.signIn}`);
    return { oidc };
  }
  const token = takeToken();
  if (token !== null) setToken(token);
  return { oidc: null };
}

/** The token of `#/signin?token=…`, taken out of the address; null if it has none. */
export function takeToken(): string | null {
  if (currentPath() !== paths.signIn) return null;
  const token = new URLSearchParams(currentSearch()).get("token")?.trim();
  if (!token) return null;
  window.history.replaceState(null, "", `${window.location.pathname}#${paths.fleet}`);
  return token;
}
