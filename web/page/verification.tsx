import { useCallback } from "react";
import type { JSX, ReactNode } from "react";

import { Panel } from "../console/src/parts/panel";
import { Time } from "../console/src/parts/time";
import { t } from "../console/src/strings/en";
import type { StartWorker } from "./client";
import { recognise } from "./engine";
import type { Evidence, Proven } from "./protocol";
import { Result } from "./result";
import { Steps, Verdict } from "./steps";
import { DetailFacts, kindName } from "./travel";
import { TreeView } from "./tree-view";
import type { TrustHandle } from "./trust";
import { TrustPanel } from "./trust-panel";
import { useVerification } from "./use-verification";
import "./page.css";

interface VerificationProps {
  /** Null while there is none yet. */
  evidence: Evidence | null;
  handle: TrustHandle;
  /** A policy that the node offers; what it is worth is said beside it. */
  nodePolicy: string | null;
  start: StartWorker;
  /** What follows a single statement's proof. */
  after?: ReactNode;
}

/** Evidence, checked here step by step by whom the reader trusts, and what it then says. */
export function Verification({ evidence, handle, nodePolicy, start, after }: VerificationProps): JSX.Element {
  const { trust, set, kept } = handle;
  const course = useVerification(evidence, trust, start);
  const trustBlock = useCallback((hash: string): void => {
    if (trust) set({ ...trust, blocks: [...trust.blocks, hash] }, kept);
  }, [trust, set, kept]);
  const bundle = evidence !== null && recognise(evidence.bytes) === "bundle";
  const { verdict, checker } = course;
  return (
    <div className="verification">
      <TrustPanel handle={handle} nodePolicy={nodePolicy} />
      {evidence && trust && (bundle
        ? <Steps course={course} name={evidence.name} source={trust.source} />
        : <section className="panel"><Verdict course={course} name={evidence.name} source={trust.source} /></section>)}
      {verdict?.verdict === "verified" && checker && <Result summary={verdict.summary} checker={checker} onTrustBlock={trustBlock} />}
      {verdict?.verdict === "proven" && <Single proven={verdict.proven}>{after}</Single>}
    </div>
  );
}

function Single({ proven, children }: { proven: Proven; children: ReactNode }): JSX.Element {
  const { origin, entry, size, subject, signer, kind, claimed, headTime, witnesses, detail } = proven;
  return (
    <Panel title={t("verify.single")}>
      <div className="stack">
        <p>{t("verify.singleIn", { origin, entry: String(entry), n: size })}</p>
        <p className="muted">{t("verify.singleNot")}</p>
        {children}
        <dl className="facts">
          <dt>{t("verify.subject")}</dt><dd>{subject}</dd>
          <dt>{t("verify.signer")}</dt><dd>{signer}</dd>
          <dt>{t("verify.kind")}</dt><dd>{kindName(kind)}</dd>
          <dt>{t("verify.claimed")}</dt><dd><Time at={claimed} /></dd>
          {headTime !== null && <><dt>{t("verify.headTime")}</dt><dd><Time at={headTime} /></dd></>}
          {witnesses.length > 0 && <><dt>{t("verify.witnesses")}</dt><dd>{witnesses.join(", ")}</dd></>}
          <DetailFacts detail={detail} />
        </dl>
        <h3>{t("verify.payload")}</h3>
        <TreeView tree={detail.payload} />
      </div>
    </Panel>
  );
}
