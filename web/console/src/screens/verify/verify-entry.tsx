import type { JSX } from "react";

import { Empty } from "../../parts";
import { t } from "../../strings/en";

export function VerifyEntry({ index }: { index: number }): JSX.Element {
  return <Empty title={t("common.comingTitle")}>{t("common.coming")} {index}</Empty>;
}
