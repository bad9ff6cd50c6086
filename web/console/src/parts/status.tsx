import type { JSX } from "react";

import type { Health } from "../api/fleet";
import { t } from "../strings/en";
import { Icon } from "./icon";
import type { IconName } from "./icon";

export type Level = Health | "info";

const WORDS = { good: "common.healthGood", watch: "common.healthWatch", act: "common.healthAct", unknown: "common.healthUnknown" } as const;

/** A mark of a level: colour, icon and word. Without `word` that of the health. */
export function Status({ level, word, icon, title }: { level: Level; word?: string; icon?: IconName; title?: string }): JSX.Element {
  return (
    <span className={`status status-${level}`} title={title}>
      <Icon name={icon ?? level} size={14} />
      {word ?? (level === "info" ? "" : t(WORDS[level]))}
    </span>
  );
}

/** Words of a health alone. */
export const healthWord = (health: Health): string => t(WORDS[health]);
