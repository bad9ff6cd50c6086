import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";
import { Link } from "wouter";

import { ApiError } from "../../api/client";
import { Answered, Empty, Icon, Panel, Screen, Status } from "../../parts";
import { paths } from "../../route";
import { t } from "../../strings/en";
import { Check } from "./check";
import { getGuide } from "./read";
import type { Guide, GuideStep, Lie } from "./read";
import "./guide.css";

/** The guided path: what this is, a story to follow, and lies to find out. */
export default function GuideScreen(): JSX.Element {
  const query = useQuery({ queryKey: ["guide"], queryFn: ({ signal }) => getGuide(signal), retry: (count, error) => count < 2 && error instanceof ApiError && error.passing });
  const status = query.error instanceof ApiError ? query.error.status : 0;
  return (
    <Screen title={t("guide.title")} heading={query.data?.title ?? t("guide.title")}>
      <div className="guide-lead">
        <p>{t("guide.lead1")} {t("guide.lead2")} {t("guide.lead3")}</p>
      </div>
      {status === 403 || status === 404
        ? <NoStory refused={status === 403} />
        : <Answered query={query} lines={8}>{(guide) => (guide ? <Story guide={guide} /> : <NoStory refused={false} />)}</Answered>}
    </Screen>
  );
}

const HERE = [[paths.fleet, "fleet.title"], [paths.ledger, "ledger.title"], [paths.verify, "verify.title"]] as const;

function NoStory({ refused }: { refused: boolean }): JSX.Element {
  return (
    <section className="panel">
      <Empty title={t(refused ? "guide.refusedTitle" : "guide.noneTitle")}>
        <p>{t(refused ? "guide.refused" : "guide.none")}</p>
        <nav className="row guide-here" aria-label={t("guide.meanwhile")}>
          {HERE.map(([path, words]) => <Link key={path} href={path} className="button">{t(words)}</Link>)}
        </nav>
      </Empty>
    </section>
  );
}

function Story({ guide }: { guide: Guide }): JSX.Element {
  return (
    <>
      <Panel title={t("guide.story")} flush>
        <ol className="guide-steps">
          {guide.steps.map((step, at) => <Step key={at} number={at + 1} step={step} />)}
        </ol>
      </Panel>
      <section className="guide-check" aria-labelledby="guide-check">
        <h2 id="guide-check">{t("guide.check")}</h2>
        <p>{t("guide.checkLead")}</p>
        <p className="muted">{t("guide.policyNote")} <Link href={paths.verify}>{t("guide.ownPolicy")}</Link></p>
        <div className="guide-cards">
          <article className="panel guide-card guide-sound">
            <div className="row guide-card-head"><h3>{t("guide.sound")}</h3><Status level="info" icon="verify" word={t("guide.soundTag")} /></div>
            <p>{guide.sound.told}</p>
            <Check guide={guide} title={t("guide.sound")} file={guide.sound.file} policy={guide.policy} replay caught={null} />
          </article>
          {guide.lies.map((lie, at) => <LieCard key={lie.id} guide={guide} lie={lie} number={at + 1} />)}
        </div>
      </section>
    </>
  );
}

function Step({ number, step }: { number: number; step: GuideStep }): JSX.Element {
  return (
    <li className="guide-step">
      <span className="guide-number" aria-hidden="true">{number}</span>
      <div>
        <h3><Link href={step.route}>{step.title}</Link></h3>
        <p className="muted">{step.text}</p>
      </div>
      <Icon name="right" />
    </li>
  );
}

function toldAt({ step, words }: Lie["caught"]): string {
  if (step === "replay") return t("guide.toldReplay", { words });
  return step === "chain" ? t("guide.toldChain", { words }) : t("guide.toldStep", { step, words });
}

function LieCard({ guide, lie, number }: { guide: Guide; lie: Lie; number: number }): JSX.Element {
  const { title, told, caught, shown } = lie;
  return (
    <article className="panel guide-card">
      <div className="row guide-card-head"><h3>{title}</h3><Status level="unknown" icon="gap" word={t("guide.lie", { n: number })} /></div>
      <p>{told}</p>
      {"file" in shown
        ? <Check guide={guide} title={title} file={shown.file} policy={shown.policy} replay={shown.replay} caught={caught.step} />
        : <div><Link href={shown.route} className="button" aria-label={t("guide.seeLabel", { title })}>{t("guide.see")}</Link></div>}
      <details className="guide-told">
        <summary>{t("guide.told")}</summary>
        <p className="mono">{toldAt(caught)}</p>
      </details>
    </article>
  );
}
