import { useCallback, useRef, useState } from "react";
import type { JSX } from "react";

import { Hash } from "../console/src/parts/address";
import { Button } from "../console/src/parts/button";
import { shortIri } from "../console/src/parts/iri";
import { Panel } from "../console/src/parts/panel";
import { Status } from "../console/src/parts/status";
import { Table } from "../console/src/parts/table";
import type { Column } from "../console/src/parts/table";
import { Time } from "../console/src/parts/time";
import { t } from "../console/src/strings/en";
import type { Checker } from "./client";
import { Entries } from "./entries";
import type { AnchorRow, GrantRow, StreamRow, Summary } from "./protocol";
import { Travel } from "./travel";

interface ResultProps {
  summary: Summary;
  checker: Checker;
  /** Trust a block's hash from now on. */
  onTrustBlock: (hash: string) => void;
}

/** What a verified history says. */
export function Result({ summary, checker, onTrustBlock }: ResultProps): JSX.Element {
  const [at, setAt] = useState(summary.entries.length - 1);
  const travel = useRef<HTMLDivElement>(null);
  const open = useCallback((to: number): void => {
    setAt(to);
    travel.current?.scrollIntoView({ block: "start" });
    travel.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      <Facts summary={summary} />
      <Panel title={t("verify.streams")} flush>
        <Table caption={t("verify.streams")} columns={STREAMS} rows={summary.streams} rowKey={(row) => `${row.subject} ${row.signer}`} />
      </Panel>
      <Panel title={t("verify.grants")} flush>
        <Table caption={t("verify.grants")} columns={GRANTS} rows={summary.grants} rowKey={(row) => String(row.entry)} />
      </Panel>
      <Anchors rows={summary.anchors} onTrustBlock={onTrustBlock} />
      <div ref={travel} tabIndex={-1} className="verify-travel"><Travel checker={checker} summary={summary} at={at} onMove={setAt} /></div>
      <Entries rows={summary.entries} onOpen={open} />
    </>
  );
}

function Facts({ summary }: { summary: Summary }): JSX.Element {
  const { subject, origin, size, operator, operatorExpected, witnesses, headTime, remarks, blobs } = summary;
  return (
    <Panel title={t("verify.result")}>
      <dl className="facts">
        <dt>{t("verify.subject")}</dt><dd>{subject}</dd>
        <dt>{t("verify.logState")}</dt><dd>{t("verify.logSize", { origin, n: size })}</dd>
        <dt>{t("verify.headTime")}</dt><dd>{headTime === null ? t("verify.noTime") : <Time at={headTime} />}</dd>
        <dt>{t("verify.operatorKey")}</dt>
        <dd className="row">
          <Hash hex={operator} ends={10} copy />
          {operatorExpected ? <Status level="good" word={t("verify.operatorSame")} /> : <Status level="watch" word={t("verify.operatorUnknown")} />}
        </dd>
        <dt>{t("verify.witnesses")}</dt><dd>{witnesses.length ? witnesses.join(", ") : t("verify.noWitness")}</dd>
        {remarks.length > 0 && <><dt>{t("verify.remarks")}</dt><dd><ul className="verify-remarks">{remarks.map((remark, at) => <li key={at}>{remark}</li>)}</ul></dd></>}
        {blobs.length > 0 && <><dt>{t("verify.blobs")}</dt><dd>{blobs.map(({ digest, bytes }) => <div key={digest}><Hash hex={digest} /> {t("verify.bytes", { n: bytes })}</div>)}</dd></>}
      </dl>
    </Panel>
  );
}

const STREAMS: readonly Column<StreamRow>[] = [
  { id: "signer", header: t("verify.signer"), cell: (row) => <span title={row.signer}>{row.signer}</span> },
  { id: "about", header: t("verify.about"), cell: (row) => <span title={row.subject}>{shortIri(row.subject)}</span> },
  { id: "numbers", header: t("verify.numbers"), width: "120px", number: true, cell: (row) => `${row.first} … ${row.last}` },
  { id: "statements", header: t("verify.statements"), width: "110px", number: true, minor: true, cell: (row) => (row.last - row.first + 1).toLocaleString("en") },
  { id: "digest", header: t("verify.digest"), width: "160px", minor: true, cell: (row) => <Hash hex={row.digest} /> },
];

const GRANTS: readonly Column<GrantRow>[] = [
  { id: "entry", header: t("verify.entry"), width: "80px", cell: (row) => String(row.entry) },
  { id: "to", header: t("verify.grantTo"), cell: (row) => <span title={row.to}>{row.to}</span> },
  { id: "can", header: t("verify.can"), cell: (row) => <span title={row.can.join(", ")}>{row.can.join(", ")}</span> },
  { id: "scope", header: t("verify.scope"), cell: (row) => <span title={row.scope}>{row.scope || t("verify.everything")}</span> },
  { id: "key", header: t("verify.key"), width: "150px", minor: true, cell: (row) => <Hash hex={row.key} ends={5} /> },
  { id: "revoked", header: t("verify.revoked"), width: "110px", cell: (row) => (row.revoked === null ? t("verify.stands") : t("verify.revokedAt", { entry: String(row.revoked) })) },
];

function Anchors({ rows, onTrustBlock }: { rows: readonly AnchorRow[]; onTrustBlock: (hash: string) => void }): JSX.Element {
  const columns: Column<AnchorRow>[] = [
    { id: "size", header: t("verify.anchorSize"), width: "130px", cell: (row) => t("verify.covers", { n: row.size }) },
    { id: "block", header: t("verify.anchorBlock"), cell: (row) => <span className="row"><span>{row.chain}/{row.block}</span><Hash hex={`0x${row.hash}`} copy /></span> },
    { id: "time", header: t("verify.anchorTime"), width: "190px", cell: (row) => <Time at={row.time} /> },
    {
      id: "trust", header: t("verify.anchorTrust"), cell: (row) => (row.trusted
        ? <Status level="good" word={t("verify.blockTrusted")} />
        : <span className="row"><Status level="unknown" word={t("verify.blockUntrusted")} /><Button small onClick={() => onTrustBlock(row.hash)}>{t("verify.trustBlock")}</Button></span>),
    },
  ];
  return (
    <Panel title={t("verify.anchors")} flush>
      {rows.length === 0
        ? <p className="muted verify-pad">{t("verify.noAnchors")}</p>
        : <Table caption={t("verify.anchors")} columns={columns} rows={rows} rowKey={(row) => `${row.hash} ${row.size}`} />}
    </Panel>
  );
}
