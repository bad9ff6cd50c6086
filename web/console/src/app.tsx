import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Suspense, useEffect, useRef } from "react";
import type { JSX } from "react";
import { Link, Route, Router, Switch, useLocation } from "wouter";

import { ApiError } from "./api/client";
import { Boundary } from "./frame/boundary";
import "./frame/frame.css";
import { Header } from "./frame/header";
import { Navigation } from "./frame/navigation";
import { Empty, Loading, Screen } from "./parts";
import { Toasts } from "./parts/toast";
import { locationHook, paths } from "./route";
import { SCREENS } from "./screens";
import type { Arrival } from "./session/arrive";
import { ArrivalContext, SessionProvider } from "./session/session";
import { t } from "./strings/en";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 2 && error instanceof ApiError && error.passing,
      refetchOnWindowFocus: false,
      staleTime: 1000,
    },
  },
});

export function App({ arrival }: { arrival: Arrival }): JSX.Element {
  return (
    <QueryClientProvider client={queries}>
      <Router hook={locationHook}>
        <ArrivalContext value={arrival}>
          <SessionProvider>
            <Frame />
          </SessionProvider>
        </ArrivalContext>
      </Router>
    </QueryClientProvider>
  );
}

function Frame(): JSX.Element {
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    // Tabs of the same thing keep the focus where it is.
    const same = path.startsWith("/twin/") && path.split("/")[2] === before.current.split("/")[2];
    before.current = path;
    if (same) return;
    main.current?.scrollTo(0, 0);
    main.current?.focus();
  }, [path]);
  return (
    <div className="frame">
      <button type="button" className="skip button" onClick={() => main.current?.focus()}>{t("common.skip")}</button>
      <Header />
      <Navigation />
      <main ref={main} id="main" className="main" tabIndex={-1}>
        <Boundary key={path.split("/", 3).join("/")}>
          <Suspense fallback={<Loading lines={6} />}>
            <Switch>
              {SCREENS.map(([route, Content]) => <Route key={route} path={route}><Content /></Route>)}
              <Route><Lost /></Route>
            </Switch>
          </Suspense>
        </Boundary>
      </main>
      <Toasts />
    </div>
  );
}

function Lost(): JSX.Element {
  return (
    <Screen title={t("common.notFound")}>
      <Empty title={t("common.notFoundText")}><Link href={paths.fleet}>{t("common.toFleet")}</Link></Empty>
    </Screen>
  );
}
