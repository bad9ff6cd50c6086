import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import type { FormEvent, JSX } from "react";

import { ApiError } from "../../api/client";
import { checkpointFrom, getConsistency } from "../../api/log";
import type { Anchor, Head } from "../../api/log";
import { adviceOn, Button, Field, formatTime, Hash, Icon, Panel, Status } from "../../parts";
import { t } from "../../strings/en";
import { check, encodeHex, Inconsistent, rootOf, rootOfAnchor } from "./consistency";
import type { Checked, Witnessed } from "./consistency";

interface Props {
  head: Head | undefined;
  anchors: readonly Anchor[];
  points: readonly { time: number; size: number }[];
}

async function prove(from: number, to: number, head: Head | undefined, anchors: readonly Anchor[]): Promise<Checked> {
  const witnessed: Witnessed[] = anchors.filter(({ size }) => size === from || size === to).map(rootOfAnchor);
  for (const size of new Set([from, to])) {
    const kept = size === head?.size ? head : size > 0 ? await checkpointFrom(size) : null;
    const said = kept && rootOf(kept.checkpoint, kept.time);
    if (said?.size === size) witnessed.push(said);
  }
  return check({ from, to }, await getConsistency(from, to), witnessed);
}

const wholeOf = (text: string): number | null => (/^(0|[1-9][0-9]{0,14})$/.test(text.trim()) ? Number(text.trim()) : null);

/** Two sizes of the log, and the check in this browser that the later only added to the earlier. */
export function ConsistencyPanel({ head, anchors, points }: Props): JSX.Element {
  const [from, setFrom] = useState<string | null>(null);
  const [to, setTo] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const list = useId();
  const first = from ?? String(anchors.at(-1)?.size ?? points[0]?.size ?? 1);
  const second = to ?? String(head?.size ?? "");
  const proof = useMutation({ mutationFn: (sizes: readonly [number, number]) => prove(sizes[0], sizes[1], head, anchors) });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const sizes = [wholeOf(first), wholeOf(second)] as const;
    const [low, high] = sizes;
    const problem = low === null || high === null ? t("ledger.notWhole") : low > high ? t("ledger.wrongOrder") : head && high > head.size ? t("ledger.tooLarge", { n: head.size }) : null;
    setWrong(problem);
    if (problem === null && low !== null && high !== null) proof.mutate([low, high]);
  };
  const known = [...new Set([...anchors.map(({ size }) => size), ...points.map(({ size }) => size), ...(head ? [head.size] : [])])].sort((one, other) => one - other);
  return (
    <Panel title={t("ledger.consistency")}>
      <form className="stack" onSubmit={submit}>
        <p className="muted">{t("ledger.consistencyText")}</p>
        <div className="consistency">
          <Field label={t("ledger.from")}>{(control) => <input {...control} inputMode="numeric" list={list} value={first} onChange={(event) => setFrom(event.target.value)} />}</Field>
          <Field label={t("ledger.to")}>{(control) => <input {...control} inputMode="numeric" list={list} value={second} onChange={(event) => setTo(event.target.value)} />}</Field>
          <Button kind="primary" type="submit" icon="verify" busy={proof.isPending}>{t("ledger.checkHere")}</Button>
        </div>
        <datalist id={list}>{known.slice(-200).map((size) => <option key={size} value={size} />)}</datalist>
        {wrong !== null && <p className="field-error" role="alert">{wrong}</p>}
      </form>
      <div aria-live="polite">{proof.data && !proof.isPending && <Sound checked={proof.data} />}</div>
      {proof.error && !proof.isPending && <Broken error={proof.error} />}
    </Panel>
  );
}

function Sound({ checked }: { checked: Checked }): JSX.Element {
  const { from, to, hashes, agreed, fromRoot, toRoot } = checked;
  return (
    <div className="stack proof">
      <p><Status level="good" icon="verify" word={t("ledger.sound")} /> {t("ledger.soundText", { from, to })}</p>
      <ul className="steps">
        <li><Icon name="good" /> <span>{t("ledger.stepProof", { n: hashes })}</span></li>
        <li><Icon name="good" /> <span>{t("ledger.stepRoot", { n: from })} <Hash hex={encodeHex(fromRoot)} ends={8} copy /></span></li>
        <li><Icon name="good" /> <span>{t("ledger.stepRoot", { n: to })} <Hash hex={encodeHex(toRoot)} ends={8} copy /></span></li>
        {agreed.map(({ size, by, time }) => (
          <li key={`${by} ${size} ${time}`}><Icon name={by === "anchor" ? "anchor" : "good"} /> <span>{t(by === "anchor" ? "ledger.stepAnchor" : "ledger.stepCheckpoint", { n: size, time: time > 0 ? formatTime(time) : "" })}</span></li>
        ))}
      </ul>
      <p className="small muted">{t("ledger.limits")}</p>
    </div>
  );
}

function Broken({ error }: { error: Error }): JSX.Element {
  const refused = error instanceof Inconsistent;
  return (
    <div className="stack proof" role="alert">
      <p><Status level="act" word={t(refused ? "ledger.unsound" : "common.failed")} /> {refused ? t("ledger.unsoundText") : error instanceof ApiError ? adviceOn(error) : ""}</p>
      <p className="mono small">{error.message}</p>
    </div>
  );
}
