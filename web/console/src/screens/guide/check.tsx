import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { JSX } from "react";

import type { Evidence } from "../../../../page/protocol";
import type { Replayed } from "../../../../page/replay-worker";
import { Findings, stepTitle } from "../../../../page/steps";
import type { Trusting } from "../../../../page/trust";
import { useReplay } from "../../../../page/use-replay";
import type { ReplayCourse } from "../../../../page/use-replay";
import { useVerification } from "../../../../page/use-verification";
import type { Course } from "../../../../page/use-verification";
import { Button, Failed, Icon } from "../../parts";
import type { IconName } from "../../parts";
import { t, word } from "../../strings/en";
import { startWorker } from "../verify/worker";
import { getFile } from "./read";
import type { CaughtAt, Guide } from "./read";
import "../../../../page/page.css";
import { startReplay } from "./worker";

interface CheckProps {
  guide: Guide;
  title: string;
  file: string;
  policy: string;
  replay: boolean;
  /** Where the story says that it fails; null if it says that all holds. */
  caught: CaughtAt | null;
}

/** A button that fetches a file of the guide and checks it in this browser, and how that goes. */
export function Check({ guide, title, file, policy, replay, caught }: CheckProps): JSX.Element {
  const [round, setRound] = useState(0);
  const query = useQuery({
    queryKey: ["guide", "file", file, policy, round],
    enabled: round > 0,
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
    queryFn: async ({ signal }): Promise<{ evidence: Evidence; trust: Trusting }> => {
      const [data, text] = await Promise.all([getFile(file, signal), getFile(policy, signal)]);
      const { operator, blocks } = guide;
      return { evidence: { name: file, bytes: data }, trust: { policy: new TextDecoder().decode(text), operator, blocks, source: "node" } };
    },
  });
  return (
    <>
      <div>
        <Button icon="verify" kind={round ? "plain" : "primary"} busy={query.isFetching} aria-label={round ? undefined : t("guide.buttonLabel", { title })} onClick={() => setRound((before) => before + 1)}>
          {t(round ? "guide.again" : "guide.button")}
        </Button>
      </div>
      {query.isFetching && <p className="muted" role="status">{t("guide.fetching")}</p>}
      {query.error && <Failed error={query.error} />}
      {query.data && <Checked key={round} {...query.data} title={title} replay={replay} caught={caught} />}
    </>
  );
}

interface CheckedProps {
  evidence: Evidence;
  trust: Trusting;
  title: string;
  replay: boolean;
  caught: CaughtAt | null;
}

function Checked({ evidence, trust, title, replay: wanted, caught }: CheckedProps): JSX.Element {
  const course = useVerification(evidence, trust, startWorker);
  const replay = useReplay(wanted && course.verdict?.verdict === "verified", evidence, trust, startReplay);
  return (
    <div className="guide-checked">
      <Outcome course={course} replay={wanted ? replay : null} caught={caught} />
      <ol className="guide-marks" aria-label={t("guide.steps", { title })}>
        {Array.from({ length: 10 }, (_, at) => <Mark key={at} name={`${at + 1}. ${word("verify", `title${at + 1}`) ?? ""}`} now={standing(course, at + 1)} />)}
        {wanted && <Mark name={t("guide.replayStep")} now={replayStanding(replay)} />}
      </ol>
    </div>
  );
}

type Standing = "passed" | "failed" | "running" | "waiting" | "notReached" | "open";

const ICONS: Readonly<Record<Standing, IconName>> = { passed: "good", failed: "act", running: "wait", waiting: "unknown", notReached: "unknown", open: "watch" };

function standing({ found, verdict, defect }: Course, step: number): Standing {
  if (found.length >= step) return "passed";
  if (verdict?.verdict === "failed" && verdict.failure.step === step) return "failed";
  if (verdict || defect) return "notReached";
  return found.length === step - 1 ? "running" : "waiting";
}

function replayStanding({ result, defect, total }: ReplayCourse): Standing {
  if (defect) return "notReached";
  if (!result) return total ? "running" : "waiting";
  if (result.differing.length > 0) return "failed";
  return result.unreplayable.length > 0 ? "open" : "passed";
}

function Mark({ name, now }: { name: string; now: Standing }): JSX.Element {
  return (
    <li className={`guide-mark guide-${now}`} data-standing={now}>
      <Icon name={ICONS[now]} size={14} />
      <span>{name}</span>
      <span className={now === "failed" ? "guide-word" : "hidden"}>{t(now === "open" ? "guide.open" : `verify.${now}`)}</span>
    </li>
  );
}

interface Ended {
  readonly look: "running" | "failed" | "qualified";
  readonly icon: IconName;
  readonly text: string;
  readonly problems: readonly string[];
  /** Where it failed, null if all holds, undefined before the end and where there is no verdict. */
  readonly at: CaughtAt | "before" | null | undefined;
}

function replayed({ replayed: n, differing, unreplayable }: Replayed, seconds: string): Ended {
  const open = unreplayable.length ? [t("guide.unreplayable", { n: unreplayable.length })] : [];
  if (differing.length > 0) {
    const problems = differing.map(({ entry, why }) => t("guide.differs", { entry: String(entry), why }));
    return { look: "failed", icon: "act", text: t("guide.refusedReplay", { n: differing.length }), problems: [...problems, ...open], at: "replay" };
  }
  const text = n > 0 ? t("guide.heldReplay", { n, seconds }) : t("guide.held", { seconds });
  return { look: "qualified", icon: "good", text, problems: open, at: null };
}

/** How it stands, in words. Never green: the policy is the node's. */
function ended({ verdict, defect, seconds }: Course, replay: ReplayCourse | null): Ended {
  if (defect || replay?.defect) return { look: "failed", icon: "watch", text: t("guide.defect"), problems: [defect?.message ?? replay?.defect ?? ""], at: undefined };
  if (verdict?.verdict === "failed") {
    const { step, title, problems } = verdict.failure;
    const text = step === null ? t("guide.refusedBefore", { title }) : t("guide.refusedAt", { step, title: stepTitle(step, title) });
    return { look: "failed", icon: "act", text, problems, at: step ?? "before" };
  }
  if (verdict?.verdict === "proven") return { look: "failed", icon: "act", text: t("guide.defect"), problems: [], at: undefined };
  if (!verdict) return { look: "running", icon: "wait", text: t("guide.running"), problems: [], at: undefined };
  const took = seconds.toFixed(seconds < 1 ? 2 : 1);
  if (!replay) return { look: "qualified", icon: "good", text: t("guide.held", { seconds: took }), problems: [], at: null };
  if (replay.result) return replayed(replay.result, took);
  return { look: "running", icon: "wait", text: t("guide.replaying", { done: replay.done, total: replay.total }), problems: [], at: undefined };
}

function Outcome({ course, replay, caught }: { course: Course; replay: ReplayCourse | null; caught: CaughtAt | null }): JSX.Element {
  const { look, icon, text, problems, at } = ended(course, replay);
  return (
    <div className={`verify-verdict verify-verdict-${look}`} role="status">
      <Icon name={icon} size={20} />
      <div>
        <strong>{text}</strong>
        {problems.length > 0 && <Findings problems={problems} />}
        {at !== undefined && (at === caught
          ? <p className="guide-agrees">{t("guide.asTold")}</p>
          : <p className="guide-otherwise"><Icon name="watch" size={14} /> {t("guide.otherwise")}</p>)}
      </div>
    </div>
  );
}
