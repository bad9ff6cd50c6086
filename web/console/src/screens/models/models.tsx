import type { JSX } from "react";

import { Empty, Screen } from "../../parts";
import { t } from "../../strings/en";

export default function ModelsScreen(): JSX.Element {
  return <Screen title={t("models.title")}><Empty title={t("common.comingTitle")}>{t("common.coming")}</Empty></Screen>;
}
