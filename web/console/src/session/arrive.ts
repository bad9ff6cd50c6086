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
  if (currentPath() === paths.signIn) {
    const token = new URLSearchParams(currentSearch()).get("token");
    if (token !== null) {
      setToken(token.trim() || null);
      history.replaceState(null, "", `${location.pathname}#${paths.fleet}`);
    }
  }
  return { oidc: null };
}
