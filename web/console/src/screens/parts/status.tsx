import type { JSX } from "react";

import { Status } from "../../parts";
import type { IconName, Level } from "../../parts";
import { word } from "../../strings/en";

const LEVELS: Readonly<Record<string, readonly [Level, IconName]>> = {
  InService: ["good", "good"], Removed: ["unknown", "close"], Quarantined: ["act", "lock"], Scrapped: ["unknown", "close"],
};

export function PartStatus({ status }: { status: string }): JSX.Element {
  const [level, icon] = LEVELS[status] ?? ["unknown", "unknown"];
  return <Status level={level} icon={icon} word={word("parts", `status-${status}`) ?? status} />;
}
