/** Sign-in at an outside issuer: the authorization code flow with PKCE, in the same window. Loaded only for it. */

import { UserManager, WebStorageStateStore } from "oidc-client-ts";

import type { Oidc } from "../api/session";

const BACK = "twinproof.back";

function manager(settings: Oidc): UserManager {
  return new UserManager({
    authority: settings.issuer,
    client_id: settings.client_id,
    redirect_uri: new URL(".", document.baseURI).href,
    response_type: "code",
    scope: "openid",
    ...(settings.audience ? { extraQueryParams: { audience: settings.audience } } : {}),
    stateStore: new WebStorageStateStore({ store: window.sessionStorage }),
    userStore: new WebStorageStateStore({ store: window.sessionStorage }),
    // Both would need frames, which the page's policy forbids; who is signed out signs in again.
    automaticSilentRenew: false,
    monitorSession: false,
  });
}

/** Leave for the issuer; `back` is the path to come back to. */
export async function leave(settings: Oidc, back: string): Promise<void> {
  window.sessionStorage.setItem(BACK, back);
  await manager(settings).signinRedirect();
}

/** Finish the sign-in; the access token and the path to go to. */
export async function finish(settings: Oidc, address: string): Promise<{ token: string; back: string }> {
  const at = manager(settings);
  const user = await at.signinRedirectCallback(address);
  const back = window.sessionStorage.getItem(BACK) ?? "/";
  window.sessionStorage.removeItem(BACK);
  // The token is kept in one place only.
  await at.removeUser();
  return { token: user.access_token, back };
}
