import type { JSX } from "react";

import { Empty } from "../../parts";
import { t } from "../../strings/en";

export function TwinPrognosis({ sub }: { sub: string }): JSX.Element {
  return <Empty title={t("common.comingTitle")}>{t("common.coming")} {sub}</Empty>;
}
