/** Which screen stands at which route. Each is fetched when it is first shown. */

import { lazy } from "react";
import type { ComponentType } from "react";

export const SCREENS: readonly (readonly [path: string, screen: ComponentType])[] = [
  ["/", lazy(() => import("./screens/fleet/fleet"))],
  ["/twin/:iri/:tab?", lazy(() => import("./screens/twin/twin"))],
  ["/alarms", lazy(() => import("./screens/alarms/alarms"))],
  ["/models", lazy(() => import("./screens/models/models"))],
  ["/plan", lazy(() => import("./screens/plan/plan"))],
  ["/orders", lazy(() => import("./screens/orders/orders"))],
  ["/order/:key", lazy(() => import("./screens/orders/order"))],
  ["/parts", lazy(() => import("./screens/parts/parts"))],
  ["/part/:token", lazy(() => import("./screens/parts/part"))],
  ["/ledger", lazy(() => import("./screens/ledger/ledger"))],
  ["/verify", lazy(() => import("./screens/verify/verify"))],
  ["/guide", lazy(() => import("./screens/guide/guide"))],
  ["/signin", lazy(() => import("./screens/signin/signin"))],
];
