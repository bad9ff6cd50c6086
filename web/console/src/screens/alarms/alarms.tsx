import type { JSX } from "react";

import { Empty, Screen } from "../../parts";
import { t } from "../../strings/en";

export default function AlarmsScreen(): JSX.Element {
  return <Screen title={t("alarms.title")}><Empty title={t("common.comingTitle")}>{t("common.coming")}</Empty></Screen>;
}
