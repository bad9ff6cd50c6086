import { use, useEffect, useState } from "react";
import type { FormEvent, JSX } from "react";
import { Link } from "wouter";

import { tryToken } from "../../api/session";
import { adviceOn, Button, Field, Loading, Panel, Screen, Status } from "../../parts";
import { paths } from "../../route";
import { ArrivalContext, lastRefusal, useSession } from "../../session/session";
import { currentToken } from "../../session/token";
import { t } from "../../strings/en";
import "./signin.css";

export default function SignInScreen(): JSX.Element {
  const { session } = useSession();
  const { oidc } = use(ArrivalContext);
  return (
    <Screen title={t("signin.title")}>
      <div className="signin">
        <Panel title={session?.origin ?? t("common.product")}>
          <div className="stack">
            {session?.signed_in ? <Already /> : <><p>{t(session?.scopes.includes("all") ? "signin.open" : "signin.intro")}</p>{oidc !== null && <Finishing address={oidc} />}<TokenForm /><OidcButton /></>}
          </div>
        </Panel>
      </div>
    </Screen>
  );
}

function Already(): JSX.Element {
  const { session, signOut } = useSession();
  return (
    <>
      <p>{t("signin.already", { id: session?.id ?? "" })}</p>
      <p className="row"><Link href={paths.fleet} className="button button-primary">{t("signin.continue")}</Link><Button onClick={signOut}>{t("common.signOut")}</Button></p>
    </>
  );
}

function TokenForm(): JSX.Element {
  const { signIn } = useSession();
  const [token, setToken] = useState("");
  const [error, setError] = useState(() => (lastRefusal().error && currentToken() !== null ? t("signin.wrong") : null));
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const given = token.trim();
    if (!given) {
      setError(t("signin.empty"));
      return;
    }
    setBusy(true);
    try {
      // Any printable characters: a header takes no others.
      const known = /^[!-~]+$/.test(given) && (await tryToken(given)).signed_in;
      if (known) signIn(given, lastRefusal().back);
      else setError(t("signin.wrong"));
    } catch (problem) {
      setError(problem instanceof Error ? adviceOn(problem) : String(problem));
    }
    setBusy(false);
  };
  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <Field label={t("signin.token")} error={error} hint={<Hint />}>
        {(control) => <input {...control} type="password" autoComplete="off" spellCheck={false} value={token} onChange={(event) => setToken(event.target.value)} />}
      </Field>
      <Button kind="primary" type="submit" busy={busy}>{t("signin.submit")}</Button>
      <p className="small muted">{t("signin.kept")}</p>
    </form>
  );
}

function Hint(): JSX.Element {
  return (
    <>
      <code>twinproof console NODE</code> {t("signin.hintLink")} <code>twinproof token new NODE --scope all</code> {t("signin.hintRead")}
    </>
  );
}

function OidcButton(): JSX.Element | null {
  const { session } = useSession();
  const [problem, setProblem] = useState<string | null>(null);
  const settings = session?.sign_in.oidc;
  if (!settings) return null;
  const go = async (): Promise<void> => {
    try {
      const { leave } = await import("../../session/oidc");
      await leave(settings, lastRefusal().back);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <Button icon="user" onClick={() => void go()}>{t("signin.oidc", { issuer: new URL(settings.issuer).host })}</Button>
      {problem !== null && <p role="alert"><Status level="act" word={t("signin.failed")} /> {problem}</p>}
    </>
  );
}

/** The issuer has sent the reader back: take its answer once. */
let taken: string | null = null;

function Finishing({ address }: { address: string }): JSX.Element | null {
  const { session, signIn } = useSession();
  const [problem, setProblem] = useState<string | null>(null);
  const settings = session?.sign_in.oidc;
  useEffect(() => {
    if (!settings || taken === address) return;
    taken = address;
    void import("../../session/oidc").then(({ finish }) => finish(settings, address)).then(
      ({ token, back }) => signIn(token, back),
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  }, [settings, address, signIn]);
  if (problem !== null) return <p role="alert"><Status level="act" word={t("signin.failed")} /> {problem}</p>;
  return taken === address && settings ? <><p>{t("signin.finishing")}</p><Loading lines={1} /></> : null;
}
