import { useEffect, useRef } from "react";
import type { JSX } from "react";
import { Link } from "wouter";

import { hurry, usePulse } from "../api/live";
import type { Pulse } from "../api/live";
import { Button, formatTime, Icon, Status } from "../parts";
import { announce } from "../parts/toast";
import { paths } from "../route";
import { useSession } from "../session/session";
import { t } from "../strings/en";
import { chooseTheme, CHOICES, useThemeChoice } from "./theme";

export function Header(): JSX.Element {
  const { session } = useSession();
  return (
    <header className="header">
      <Link href={paths.fleet} className="brand">
        <Mark />
        <span>{t("common.product")}</span>
      </Link>
      {session && <span className="origin" title={`${t("common.log")} ${session.origin}`}>{session.origin}</span>}
      <div className="header-end">
        <LiveMark />
        <ThemeSwitch />
        <Who />
      </div>
    </header>
  );
}

/** Two rings, one inside the other: the thing and its twin. */
function Mark(): JSX.Element {
  return (
    <svg className="mark" width="22" height="22" viewBox="0 0 22 22" fill="none" stroke="currentColor" strokeWidth="2.2" aria-hidden="true" focusable="false">
      <circle cx="8" cy="11" r="6" />
      <circle cx="14" cy="11" r="6" />
      <path d="M8.800 11l1.600 1.800L13.400 9" strokeWidth="1.800" />
    </svg>
  );
}

function describe(pulse: Pulse): string {
  if (pulse.state === "live") {
    const reached = pulse.reached ?? 0;
    return reached === 0 ? t("common.liveEmpty") : t("common.liveReached", { entry: String(reached - 1) });
  }
  if (pulse.state === "refused") return t("common.liveRefused");
  if (pulse.state === "connecting") return t("common.liveConnecting");
  return pulse.at === null ? t("common.liveLost") : t("common.liveLostSince", { time: formatTime(pulse.at / 1000) });
}

const LEVELS = { live: null, connecting: null, lost: "act", refused: "watch" } as const;
const WORDS = { live: "common.liveLive", connecting: "common.liveConnecting", lost: "common.liveLost", refused: "common.liveRefused" } as const;

function LiveMark(): JSX.Element {
  const pulse = usePulse();
  const before = useRef(pulse.state);
  useEffect(() => {
    // The count of entries is no news to listen to; losing the node, and finding it again, is.
    const news = before.current !== pulse.state && (pulse.state === "lost" || before.current === "lost");
    before.current = pulse.state;
    if (news) announce(t(WORDS[pulse.state]));
  }, [pulse.state]);
  const words = describe(pulse);
  const level = LEVELS[pulse.state];
  return (
    <div className="live" data-state={pulse.state} title={words}>
      <span className="live-dot" />
      {level ? <Status level={level} word={t(WORDS[pulse.state])} /> : <span>{t(WORDS[pulse.state])}</span>}
      {pulse.state === "live" && pulse.reached !== null && pulse.reached > 0 && (
        <span className="muted live-reached">{t("common.entry", { entry: String(pulse.reached - 1) })}</span>
      )}
      {pulse.state === "lost" && <Button small onClick={hurry}>{t("common.retry")}</Button>}
    </div>
  );
}

const THEMES = { system: ["system", "common.themeSystem"], light: ["sun", "common.themeLight"], dark: ["moon", "common.themeDark"] } as const;

function ThemeSwitch(): JSX.Element {
  const choice = useThemeChoice();
  const [icon, words] = THEMES[choice];
  const next = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length] ?? "system";
  return <Button kind="quiet" icon={icon} iconOnly title={t(words)} onClick={() => chooseTheme(next)}>{t(words)}</Button>;
}

function Who(): JSX.Element | null {
  const { session, signOut } = useSession();
  if (!session) return null;
  if (!session.signed_in) {
    return <Link href={paths.signIn} className="button button-small"><Icon name="user" size={14} /><span className="who-name">{t("common.signIn")}</span></Link>;
  }
  const rights = session.operates ? t("common.mayOperate") : t("common.readsOnly");
  return (
    <details className="who">
      <summary className="button button-small"><Icon name="user" size={14} /><span className="who-name">{session.id} · {rights}</span></summary>
      <div className="who-menu stack">
        <p>{t("common.signedInAs", { id: session.id ?? "" })}</p>
        <p className="muted small">{session.scopes.join(", ")}</p>
        <Button onClick={signOut}>{t("common.signOut")}</Button>
      </div>
    </details>
  );
}
