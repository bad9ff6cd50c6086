import type { JSX } from "react";

import { Empty, Screen } from "../../parts";
import { t } from "../../strings/en";

export default function OrdersScreen(): JSX.Element {
  return <Screen title={t("orders.title")}><Empty title={t("common.comingTitle")}>{t("common.coming")}</Empty></Screen>;
}
