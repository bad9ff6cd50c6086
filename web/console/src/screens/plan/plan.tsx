import type { JSX } from "react";

import { Empty, Screen } from "../../parts";
import { t } from "../../strings/en";

export default function PlanScreen(): JSX.Element {
  return <Screen title={t("plan.title")}><Empty title={t("common.comingTitle")}>{t("common.coming")}</Empty></Screen>;
}
