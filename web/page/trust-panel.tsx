import { useId, useState } from "react";
import type { JSX } from "react";

import { Hash } from "../console/src/parts/address";
import { Button } from "../console/src/parts/button";
import { Field } from "../console/src/parts/field";
import { Icon } from "../console/src/parts/icon";
import { Panel } from "../console/src/parts/panel";
import { t } from "../console/src/strings/en";
import { badBlock, blocksOf, operatorFits, policyFacts, policyProblem } from "./trust";
import type { Source, TrustHandle, Trusting } from "./trust";

const NAMES = { own: "verify.trustOwn", node: "verify.trustNode", page: "verify.trustPage" } as const;

/** What the reader trusts, and a form to change it. `nodePolicy` is offered, with what it is worth. */
export function TrustPanel({ handle, nodePolicy }: { handle: TrustHandle; nodePolicy: string | null }): JSX.Element {
  const { trust } = handle;
  const [editing, setEditing] = useState(trust === null);
  if (trust === null || editing) {
    return (
      <Panel title={t("verify.trust")}>
        <TrustForm key={trust ? "change" : "new"} handle={handle} nodePolicy={nodePolicy} done={() => setEditing(false)} />
      </Panel>
    );
  }
  const actions = (
    <>
      {handle.kept && <Button small kind="quiet" onClick={() => { handle.forget(); setEditing(true); }}>{t("verify.forget")}</Button>}
      <Button small onClick={() => setEditing(true)}>{t("verify.change")}</Button>
    </>
  );
  return <Panel title={t("verify.trust")} actions={actions}><TrustFacts trust={trust} /></Panel>;
}

function TrustFacts({ trust }: { trust: Trusting }): JSX.Element {
  const { logs, witnesses, quorum } = policyFacts(trust.policy);
  return (
    <div className="stack">
      {trust.source !== "own" && <Warning source={trust.source} />}
      <dl className="facts">
        <dt>{t("verify.policy")}</dt><dd>{t(NAMES[trust.source])}</dd>
        <dt>{t("verify.log")}</dt><dd>{logs.join(", ")}</dd>
        <dt>{t("verify.quorum")}</dt><dd>{quorum === null ? t("verify.quorumNone") : t("verify.quorumSome", { n: witnesses, quorum })}</dd>
        <dt>{t("verify.operatorKey")}</dt><dd>{trust.operator ? <Hash hex={trust.operator} ends={8} /> : t("verify.operatorAny")}</dd>
        {trust.blocks.length > 0 && <><dt>{t("verify.blocks")}</dt><dd>{trust.blocks.map((block) => <div key={block}><Hash hex={block} ends={8} /></div>)}</dd></>}
      </dl>
    </div>
  );
}

function Warning({ source }: { source: Exclude<Source, "own"> }): JSX.Element {
  return <p className="verify-warning"><Icon name="watch" />{t(source === "node" ? "verify.trustNodeWarning" : "verify.trustPageWarning")}</p>;
}

interface FormProps {
  handle: TrustHandle;
  nodePolicy: string | null;
  done: () => void;
}

function TrustForm({ handle, nodePolicy, done }: FormProps): JSX.Element {
  const now = handle.trust;
  const [policy, setPolicy] = useState(now?.policy ?? "");
  const [operator, setOperator] = useState(now?.operator ?? "");
  const [blocks, setBlocks] = useState(now?.blocks.join("\n") ?? "");
  const [remember, setRemember] = useState(handle.kept);
  const [tried, setTried] = useState(false);
  const found = blocksOf(blocks);
  const wrong = policy.trim() === "" ? t("verify.trustNone") : policyProblem(policy);
  const bad = badBlock(found);
  const apply = (): void => {
    setTried(true);
    if (wrong !== null || bad !== null || !operatorFits(operator)) return;
    // Unchanged, a policy that somebody else brought stays theirs.
    const source = now && now.policy === policy ? now.source : "own";
    handle.set({ policy, operator: operator.trim().toLowerCase(), blocks: found, source }, remember);
    done();
  };
  const useNode = (): void => {
    if (nodePolicy === null) return;
    handle.set({ policy: nodePolicy, operator: operatorFits(operator) ? operator.trim().toLowerCase() : "", blocks: bad === null ? found : [], source: "node" }, false);
    done();
  };
  return (
    <form className="stack verify-form" onSubmit={(event) => { event.preventDefault(); apply(); }}>
      <p className="muted">{t("verify.trustNone")}</p>
      <PolicyField policy={policy} onPolicy={setPolicy} error={tried && wrong !== null ? t("verify.policyBad", { problem: wrong }) : null} />
      <Field label={t("verify.operator")} hint={t("verify.operatorHint")} error={operatorFits(operator) ? null : t("verify.operatorBad")}>
        {(control) => <input {...control} className="input mono" value={operator} spellCheck={false} autoComplete="off" onChange={(event) => setOperator(event.target.value)} />}
      </Field>
      <Field label={t("verify.blocks")} hint={t("verify.blocksHint")} error={bad === null ? null : t("verify.blocksBad", { line: bad })}>
        {(control) => <textarea {...control} className="input mono" rows={2} value={blocks} spellCheck={false} onChange={(event) => setBlocks(event.target.value)} />}
      </Field>
      <div className="row">
        <Button type="submit" kind="primary">{t("verify.apply")}</Button>
        <label className="verify-check"><input type="checkbox" checked={remember} onChange={(event) => setRemember(event.target.checked)} />{t("verify.remember")}</label>
      </div>
      {nodePolicy !== null && (
        <div className="verify-node">
          <Warning source="node" />
          <Button onClick={useNode}>{t("verify.useNode")}</Button>
        </div>
      )}
    </form>
  );
}

function PolicyField({ policy, onPolicy, error }: { policy: string; onPolicy: (text: string) => void; error: string | null }): JSX.Element {
  const id = useId();
  const take = (file: File | undefined): void => {
    if (file) void file.text().then(onPolicy);
  };
  return (
    <div
      className="stack" onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => { event.preventDefault(); event.stopPropagation(); take(event.dataTransfer.files[0]); }}
    >
      <Field label={t("verify.policy")} hint={t("verify.policyHint")} error={error}>
        {(control) => <textarea {...control} className="input mono" rows={5} value={policy} spellCheck={false} onChange={(event) => onPolicy(event.target.value)} />}
      </Field>
      <div className="row">
        <label className="button button-small" htmlFor={id}>{t("verify.policyFile")}</label>
        <input id={id} type="file" accept=".txt,text/plain" className="hidden" onChange={(event) => take(event.target.files?.[0])} />
      </div>
    </div>
  );
}
