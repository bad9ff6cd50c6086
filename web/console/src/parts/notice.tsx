import type { JSX, ReactNode } from "react";
import { Link } from "wouter";

import { ApiError } from "../api/client";
import { paths } from "../route";
import { t } from "../strings/en";
import { Button } from "./button";
import { Icon } from "./icon";

/** Nothing is there: what that means, and perhaps what to do. */
export function Empty({ title, children, small = false }: { title: string; children?: ReactNode; small?: boolean }): JSX.Element {
  return (
    <div className={small ? "notice notice-small" : "notice"}>
      <strong>{title}</strong>
      {children && <div className="stack">{children}</div>}
    </div>
  );
}

/** What a failure means to the reader. */
export function adviceOn(error: Error): string {
  if (!(error instanceof ApiError)) return t("common.failedDefect");
  if (error.status === 0) return t("common.failedUnreachable");
  if (error.status === 401) return t("common.failedSignedOut");
  if (error.status === 403) return t("common.failedRefused");
  if (error.status === 404) return t("common.failedMissing");
  return error.passing ? t("common.failedBusy") : "";
}

/** Something failed: what, what the node says, what to do. 403 is shown as "not open to you". */
export function Failed({ error, retry, title }: { error: Error; retry?: (() => void) | undefined; title?: string }): JSX.Element {
  const refused = error instanceof ApiError && (error.status === 403 || error.status === 401);
  const advice = adviceOn(error);
  return (
    <div className="notice" role="alert">
      <Icon name={refused ? "lock" : "watch"} size={24} />
      <strong>{refused ? t("common.refused") : (title ?? t("common.failed"))}</strong>
      {advice && <p>{advice}</p>}
      <p className="small mono">{error.message}</p>
      <div className="row">
        {refused && <Link href={paths.signIn} className="button">{t("common.signIn")}</Link>}
        {retry && <Button onClick={retry}>{t("common.retry")}</Button>}
      </div>
    </div>
  );
}

export function Loading({ lines = 4 }: { lines?: number }): JSX.Element {
  return (
    <div className="skeleton" role="status">
      <div className="hidden">{t("common.loading")}</div>
      {Array.from({ length: lines }, (_, line) => <span key={line} />)}
    </div>
  );
}

interface Answer<T> {
  data: T | undefined;
  error: Error | null;
  refetch: () => unknown;
}

/** A query's answer, or what stands in its place while there is none. */
export function Answered<T>({ query, lines, children }: { query: Answer<T>; lines?: number; children: (data: T) => ReactNode }): JSX.Element {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return <Loading {...(lines === undefined ? {} : { lines })} />;
}
