import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { JSX } from "react";

import { getCheck, startCheck } from "../../api/log";
import type { CheckReport } from "../../api/log";
import { Answered, Button, formatNumber, Icon, Panel, Status, Time } from "../../parts";
import { useOperates } from "../../session/session";
import { t } from "../../strings/en";

const KEY = ["log", "check"];

/** The node's check of its whole log: its own word, unlike what is checked in the browser. */
export function CheckPanel(): JSX.Element {
  const queries = useQueryClient();
  const operates = useOperates();
  const query = useQuery({ queryKey: KEY, queryFn: ({ signal }) => getCheck(signal), refetchInterval: ({ state }) => (state.data?.running ? 500 : false) });
  const start = useMutation({ mutationFn: startCheck, onSuccess: (report) => queries.setQueryData(KEY, report) });
  const busy = start.isPending || query.data?.running === true;
  return (
    <Panel title={t("ledger.check")} actions={<Button small icon="play" busy={busy} disabled={!operates} onClick={() => start.mutate()}>{t("ledger.startCheck")}</Button>}>
      <div className="stack">
        <p className="muted">{t("ledger.checkText")}</p>
        {operates === false && <p className="muted small"><Icon name="lock" size={14} /> {t("ledger.checkReadsOnly")}</p>}
        {start.error && <p role="alert" className="field-error">{start.error.message}</p>}
        <Answered query={query} lines={2}>{(report) => <Report report={report} />}</Answered>
      </div>
    </Panel>
  );
}

function Report({ report }: { report: CheckReport }): JSX.Element {
  const { running, done, total, ended, sound, found, findings, problem } = report;
  if (running) {
    return (
      <div className="stack">
        <progress className="progress" aria-label={t("ledger.check")} value={done} max={Math.max(total, 1)} />
        <p>{t("ledger.checking", { done, n: total })}</p>
      </div>
    );
  }
  if (ended === null) return <p className="muted">{t("ledger.neverChecked")}</p>;
  const level = problem !== null ? "watch" : sound ? "good" : "act";
  const words = problem !== null ? t("ledger.checkBroken") : sound ? t("ledger.checkSound") : t("ledger.checkFound", { n: found });
  return (
    <div className="stack" role="status">
      <p className="row"><Status level={level} word={words} /> <span>{t("ledger.checkedEntries", { n: done })} · <Time at={ended} /></span></p>
      {problem !== null && <p className="small mono">{problem}</p>}
      {findings && findings.length > 0 && (
        <ul className="findings">
          {findings.map((finding) => <li key={`${finding.where} ${finding.kind} ${finding.problem}`}><strong>{finding.where}</strong> {finding.kind}: {finding.problem}</li>)}
        </ul>
      )}
      {findings && found > findings.length && <p className="small muted">{t("ledger.moreFindings", { n: formatNumber(found - findings.length) })}</p>}
    </div>
  );
}
