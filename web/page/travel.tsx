import { useCallback, useEffect, useState } from "react";
import type { JSX } from "react";

import { Hash } from "../console/src/parts/address";
import { Button } from "../console/src/parts/button";
import { Panel } from "../console/src/parts/panel";
import { Time } from "../console/src/parts/time";
import { t, word } from "../console/src/strings/en";
import type { Checker } from "./client";
import type { Detail, EntryRow, StateRow, StateShown, Summary } from "./protocol";
import { Slider } from "./slider";
import { StateTable } from "./state-table";
import { TreeView } from "./tree-view";

/** The word of a kind; of one without a word its own name. */
export const kindName = (kind: string): string => word("timeline", `kind-${kind}`) ?? kind;

interface Moment {
  at: number;
  detail: Detail;
  state: StateShown;
}

/** A statement and the state after it, from the verified history; what was there stays until the next is. */
function useMoment(checker: Checker, at: number): Moment | null {
  const [moment, setMoment] = useState<Moment | null>(null);
  useEffect(() => {
    let open = true;
    void Promise.all([checker.detail(at), checker.state(at)]).then(([detail, state]) => {
      if (open) setMoment({ at, detail, state });
    });
    return () => {
      open = false;
    };
  }, [checker, at]);
  return moment;
}

function useLast(checker: Checker, at: number): readonly StateRow[] | null {
  const [last, setLast] = useState<readonly StateRow[] | null>(null);
  useEffect(() => {
    let open = true;
    void checker.state(at).then((state) => {
      if (open) setLast(state.rows);
    });
    return () => {
      open = false;
    };
  }, [checker, at]);
  return last;
}

interface TravelProps {
  checker: Checker;
  summary: Summary;
  at: number;
  onMove: (at: number) => void;
}

/** Time travel without a node: the statement at a position and the twin after it, from the verifier's own fold. */
export function Travel({ checker, summary, at, onMove }: TravelProps): JSX.Element {
  const { entries } = summary;
  const end = entries.length - 1;
  const last = useLast(checker, end);
  const moment = useMoment(checker, at);
  const row = entries[at];
  const open = useCallback((entry: number) => {
    const found = entries.find((one) => one.entry === entry);
    return found ? <Button small kind="quiet" onClick={() => onMove(found.at)}>{String(entry)}</Button> : String(entry);
  }, [entries, onMove]);
  if (!row) return <></>;
  return (
    <Panel title={t("verify.travel")}>
      <div className="stack">
        <p className="muted">{t("verify.travelHint")}</p>
        <Slider at={at} count={entries.length} entry={row.entry} onMove={onMove} />
        {moment && (
          <div className="verify-moment">
            <EntryDetail row={entries[moment.at] ?? row} detail={moment.detail} />
            <div className="verify-flush">
              <StateTable rows={moment.state.rows} last={moment.at < end ? last : null} caption={t("verify.travel")} entry={open} />
              <p className="small muted verify-pad">{t("verify.stateDigest")} <Hash hex={moment.state.digest} ends={10} copy /></p>
            </div>
          </div>
        )}
      </div>
    </Panel>
  );
}

function EntryDetail({ row, detail }: { row: EntryRow; detail: Detail }): JSX.Element {
  return (
    <section className="stack verify-detail">
      <h3>{t("verify.detail", { entry: String(row.entry) })} · {kindName(row.kind)}</h3>
      <div className="verify-detail-parts">
        <dl className="facts">
          <dt>{t("verify.signer")}</dt><dd>{row.signer}</dd>
          <dt>{t("verify.under")}</dt><dd>{t("common.entry", { entry: String(row.grant) })}</dd>
          <dt>{t("verify.claimed")}</dt><dd><Time at={row.claimed} /></dd>
          <dt>{t("verify.integrated")}</dt><dd><Bracket row={row} /></dd>
          <dt>{t("verify.anchored")}</dt><dd>{row.anchored === null ? t("verify.unknown") : <>≤ <Time at={row.anchored} /></>}</dd>
          <DetailFacts detail={detail} seq={row.seq} />
        </dl>
        <div>
          <h4>{t("verify.payload")}</h4>
          <TreeView tree={detail.payload} />
        </div>
      </div>
    </section>
  );
}

export function DetailFacts({ detail, seq }: { detail: Detail; seq?: number }): JSX.Element {
  return (
    <>
      {seq !== undefined && <><dt>{t("verify.seq")}</dt><dd>{seq}</dd></>}
      <dt>{t("verify.algorithm")}</dt><dd>{detail.algorithm}, <Hash hex={detail.key} /></dd>
      <dt>{t("verify.contentType")}</dt><dd>{detail.contentType}</dd>
      <dt>{t("verify.digest")}</dt><dd><Hash hex={detail.digest} ends={10} copy /></dd>
      <dt>{t("verify.size")}</dt><dd>{t("verify.bytes", { n: detail.bytes })}</dd>
    </>
  );
}

/** Between which times the log took it in. */
export function Bracket({ row }: { row: EntryRow }): JSX.Element {
  if (row.notBefore === null && row.notAfter === null) return <span className="muted">{t("verify.unknown")}</span>;
  return <span>{row.notBefore !== null && <>≥ <Time at={row.notBefore} /> </>}{row.notAfter !== null && <>≤ <Time at={row.notAfter} /></>}</span>;
}
