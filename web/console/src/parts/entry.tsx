import type { JSX } from "react";
import { Link } from "wouter";

import { paths } from "../route";
import { t } from "../strings/en";

/** The entry that says a value; leads to its proof, checked in this browser. */
export function Entry({ index }: { index: number | null | undefined }): JSX.Element | null {
  if (index === null || index === undefined) return null;
  const entry = String(index);
  return <Link href={paths.entry(index)} className="entry-link" title={t("common.entryTitle", { entry })}>{t("common.entry", { entry })}</Link>;
}
