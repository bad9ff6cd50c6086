/** The token of this tab: in sessionStorage, so that it ends with the tab and no other tab of the browser holds it. */

const KEY = "twinproof.token";
let kept: string | null | undefined;

export function currentToken(): string | null {
  if (kept === undefined) {
    try {
      kept = window.sessionStorage.getItem(KEY);
    } catch {
      kept = null;
    }
  }
  return kept;
}

export function setToken(token: string | null): void {
  kept = token;
  try {
    if (token === null) window.sessionStorage.removeItem(KEY);
    else window.sessionStorage.setItem(KEY, token);
  } catch {
    // Storage is closed to this page: the token lives as long as the page.
  }
}
