import type { JSX } from "react";

import { Icon } from "../console/src/parts/icon";
import type { IconName } from "../console/src/parts/icon";
import { Panel } from "../console/src/parts/panel";
import { t, word } from "../console/src/strings/en";
import type { Source } from "./trust";
import type { Course } from "./use-verification";

const STEPS = Array.from({ length: 10 }, (_, at) => at + 1);

type Standing = "passed" | "failed" | "running" | "waiting" | "notReached";

const ICONS: Readonly<Record<Standing, IconName>> = { passed: "good", failed: "act", running: "wait", waiting: "unknown", notReached: "unknown" };

/** The words of a step's title; what is no step keeps the verifier's own. */
export const stepTitle = (step: number | null, title: string): string => (step === null ? title : (word("verify", `title${step}`) ?? title));

function standing(course: Course, step: number): Standing {
  if (course.found.length >= step) return "passed";
  const failed = course.verdict?.verdict === "failed" ? course.verdict.failure.step : null;
  if (failed === step) return "failed";
  if (course.verdict || course.defect) return "notReached";
  return course.found.length === step - 1 ? "running" : "waiting";
}

/** The ten steps as they go, and the verdict. */
export function Steps({ course, name, source }: { course: Course; name: string; source: Source }): JSX.Element {
  return (
    <Panel title={t("verify.steps")} flush>
      <Verdict course={course} name={name} source={source} />
      <ol className="verify-steps" aria-label={t("verify.stepsLabel")}>
        {STEPS.map((step) => <Step key={step} step={step} course={course} />)}
      </ol>
    </Panel>
  );
}

function Step({ step, course }: { step: number; course: Course }): JSX.Element {
  const now = standing(course, step);
  const sentence = word("verify", `step${step}`) ?? "";
  const problems = now === "failed" && course.verdict?.verdict === "failed" ? course.verdict.failure.problems : [];
  return (
    <li className={`verify-step verify-${now}`} data-standing={now}>
      <span className="verify-mark"><Icon name={ICONS[now]} size={16} /></span>
      <div className="verify-step-text">
        <div className="row">
          <strong>{step}. {word("verify", `title${step}`)}</strong>
          <span className="verify-standing">{t(`verify.${now}`)}</span>
        </div>
        <p>{now === "failed" ? t("verify.mustHold", { text: sentence }) : sentence}</p>
        {course.found[step - 1] !== undefined && <p className="small muted">{course.found[step - 1]}</p>}
        {problems.length > 0 && <Findings problems={problems} />}
      </div>
    </li>
  );
}

const SHOWN = 50;

/** Everything that a step found. */
export function Findings({ problems }: { problems: readonly string[] }): JSX.Element {
  return (
    <div className="verify-findings">
      <strong className="small">{t("verify.findings")}</strong>
      <ul>{problems.slice(0, SHOWN).map((problem, at) => <li key={at} className="mono">{problem}</li>)}</ul>
      {problems.length > SHOWN && (
        <details>
          <summary>{t("verify.moreItems", { n: problems.length - SHOWN })}</summary>
          <ul>{problems.slice(SHOWN).map((problem, at) => <li key={at} className="mono">{problem}</li>)}</ul>
        </details>
      )}
    </div>
  );
}

const WORDS = { own: "verify.verifiedIn", node: "verify.verifiedByNode", page: "verify.verifiedByPage" } as const;

/** One line that says how it stands; spoken when it changes. Green is for a policy of the reader's own. */
export function Verdict({ course, name, source }: { course: Course; name: string; source: Source }): JSX.Element {
  const { verdict, defect, seconds } = course;
  const took = seconds.toFixed(seconds < 1 ? 2 : 1);
  let [look, icon, text]: [string, IconName, string] = ["running", "wait", t("verify.checking", { name })];
  if (defect) [look, icon, text] = ["failed", "watch", t("verify.defect")];
  else if (verdict?.verdict === "failed") {
    const { step, title } = verdict.failure;
    [look, icon] = ["failed", "act"];
    text = step === null ? t("verify.failedQuestion", { title }) : t("verify.failedAt", { step, title: stepTitle(step, title) });
  } else if (verdict) [look, icon, text] = [source === "own" ? "passed" : "qualified", "good", t(WORDS[source], { seconds: took })];
  return (
    <div className={`verify-verdict verify-verdict-${look}`} role="status" data-seconds={verdict ? seconds : undefined}>
      <Icon name={icon} size={20} />
      <div>
        <strong>{text}</strong>
        {verdict?.verdict === "failed" && <p>{t("verify.failedText")}</p>}
        {verdict?.verdict === "failed" && verdict.failure.step === null && <Findings problems={verdict.failure.problems} />}
        {defect && <p className="small mono">{defect.message}</p>}
      </div>
    </div>
  );
}
