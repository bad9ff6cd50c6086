/** What an entry says, in one line. */

import type { TimelineItem } from "../../api/timeline";
import type { Json } from "../../api/twin";
import { formatNumber, formatUnit } from "../../parts/quantity";
import type { IconName } from "../../parts/icon";
import { t, word } from "../../strings/en";

const ICONS: Readonly<Record<string, IconName>> = {
  genesis: "lock", grant: "lock", revoke: "lock", readings: "device", columns: "device", description: "info", attestation: "verify",
  resume: "gap", model: "model", desired: "play", command: "play", acknowledgement: "good", rule: "alarm", alarm: "alarm",
  "alarm-response": "alarm", prediction: "model", predictor: "model", installation: "part", policy: "plan", "chain-event": "link",
};

export const kindIcon = (kind: string): IconName => ICONS[kind] ?? "entry";
export const kindWord = (kind: string): string => word("timeline", `kind-${kind}`) ?? kind;

/** Kinds that people filter by. */
export const KINDS = Object.keys(ICONS);

function plain(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return formatNumber(value);
  if (Array.isArray(value)) return value.map(plain).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, item]) => `${name} ${plain(item)}`).join(", ");
  return String(value);
}

const count = (value: Json | undefined): number => (typeof value === "number" ? value : 0);

function readings(said: TimelineItem["said"], key: "timeline.readings" | "timeline.rows"): string {
  const names = Array.isArray(said["names"]) ? said["names"].map(plain) : [];
  const others = count(said["signals"]) - names.length;
  return t(key, { n: count(said["count"]), names: [...names, ...(others > 0 ? [t("timeline.others", { n: others })] : [])].join(", ") });
}

function life(said: TimelineItem["said"]): string {
  const claimed = said["widened"] === null || said["widened"] === undefined;
  const unit = formatUnit(plain(said["unit"]));
  const values = { lower: plain(said["lower"]), upper: plain(said["upper"]), point: plain(said["point"]), unit };
  return t(claimed ? "timeline.life" : "timeline.lifeUnclaimed", { ...values, coverage: `${formatNumber(100 * count(said["coverage"]), 3)} %` });
}

/** All fields, for kinds without words of their own. */
function fields(said: TimelineItem["said"]): string {
  return Object.entries(said)
    .map(([name, value]) => [name, plain(value)] as const)
    .filter(([, text]) => text !== "")
    .map(([name, text]) => `${name} ${text}`)
    .join(" · ");
}

export function saidText({ kind, said }: TimelineItem): string {
  switch (kind) {
    case "readings":
      return readings(said, "timeline.readings");
    case "columns":
      return readings(said, "timeline.rows");
    case "prediction":
      return life(said);
    case "alarm":
    case "alarm-response":
      return [t("timeline.alarmSaid", { rule: plain(said["rule"]), transition: plain(said["transition"]) }), plain(said["value"]), plain(said["text"])].filter(Boolean).join(" · ");
    case "rule":
      if (said["removed"]) return t("timeline.removed", { rule: plain(said["rule"]) });
      return t("timeline.ruleSaid", {
        rule: plain(said["rule"]), signal: plain(said["signal"]), test: plain(said["test"]), limit: plain(said["limit"]), severity: plain(said["severity"]),
      });
    default:
      return fields(said);
  }
}
