import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useMemo } from "react";
import type { JSX, ReactNode } from "react";

import { onUnauthenticated } from "../api/client";
import type { ApiError } from "../api/client";
import { restart } from "../api/live";
import { getSession } from "../api/session";
import type { Session } from "../api/session";
import { say } from "../parts/toast";
import { currentHash, currentPath, navigate, paths } from "../route";
import { t } from "../strings/en";
import { takeToken } from "./arrive";
import type { Arrival } from "./arrive";
import { currentToken, setToken } from "./token";

export interface SessionHandle {
  /** Null until the node has answered. */
  session: Session | null;
  error: Error | null;
  /** Take a token, or none, and ask the node who that is. */
  signIn: (token: string | null, back?: string) => void;
  signOut: () => void;
}

/** What the address brought when the page was opened. */
export const ArrivalContext = createContext<Arrival>({ oidc: null });

const Context = createContext<SessionHandle | null>(null);

/** Why the reader stands before the sign-in, and where to go afterwards. */
let refused: { error: ApiError | null; back: string } = { error: null, back: paths.fleet };
export const lastRefusal = (): { error: ApiError | null; back: string } => refused;

export function SessionProvider({ children }: { children: ReactNode }): JSX.Element {
  const queries = useQueryClient();
  const { data, error } = useQuery({ queryKey: ["session"], queryFn: ({ signal }) => getSession(signal), staleTime: 60_000 });
  const signIn = useCallback((token: string | null, back: string = paths.fleet): void => {
    setToken(token);
    refused = { error: null, back: paths.fleet };
    void queries.resetQueries();
    restart();
    navigate(back, { replace: true });
  }, [queries]);
  const signOut = useCallback((): void => signIn(null, paths.signIn), [signIn]);
  useEffect(() => {
    onUnauthenticated((problem) => {
      if (currentPath() === paths.signIn) return;
      refused = { error: problem, back: currentHash() };
      navigate(paths.signIn, { replace: true });
    });
  }, []);
  useEffect(() => {
    if (!data || data.signed_in || currentToken() === null) return;
    // The link was too old; where reading is open to all nothing else would tell.
    setToken(null);
    say(t("signin.wrong"), "watch");
  }, [data]);
  useEffect(() => {
    // A link with a token, opened where the console is open already.
    const take = (): void => {
      const token = takeToken();
      if (token !== null) signIn(token);
    };
    window.addEventListener("hashchange", take);
    return () => window.removeEventListener("hashchange", take);
  }, [signIn]);
  const handle = useMemo(() => ({ session: data ?? null, error, signIn, signOut }), [data, error, signIn, signOut]);
  return <Context.Provider value={handle}>{children}</Context.Provider>;
}

export function useSession(): SessionHandle {
  const handle = useContext(Context);
  if (!handle) throw new Error("useSession stands outside SessionProvider");
  return handle;
}

/** Whether this reader may act: null until known. */
export const useOperates = (): boolean | null => useSession().session?.operates ?? null;
