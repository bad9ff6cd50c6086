import type { JSX } from "react";

import { Status } from "../../parts";
import type { IconName, Level } from "../../parts";
import { word } from "../../strings/en";

const LEVELS: Readonly<Record<string, readonly [Level, IconName]>> = {
  placed: ["watch", "wait"], accepted: ["info", "wait"], shipped: ["info", "right"], received: ["info", "part"], disputed: ["act", "act"],
  fulfilled: ["good", "good"], cancelled: ["unknown", "close"], refunded: ["unknown", "close"], resolved: ["unknown", "good"],
  proposed: ["watch", "wait"], active: ["good", "good"], suspended: ["watch", "wait"], ended: ["unknown", "close"],
};

/** The state of an order or an agreement. */
export function OrderState({ state }: { state: string }): JSX.Element {
  const [level, icon] = LEVELS[state] ?? ["unknown", "unknown"];
  return <Status level={level} icon={icon} word={word("orders", `state-${state}`) ?? state} />;
}
