import { useState } from "react";
import type { JSX } from "react";
import { useSearchParams } from "wouter";

import { Drop } from "../../../../page/drop";
import type { Evidence } from "../../../../page/protocol";
import { useTrust } from "../../../../page/trust";
import { Verification } from "../../../../page/verification";
import { Icon, Panel, Screen } from "../../parts";
import { useSession } from "../../session/session";
import { t } from "../../strings/en";
import { VerifyEntry } from "./verify-entry";
import { startWorker } from "./worker";

export default function VerifyScreen(): JSX.Element {
  const [search] = useSearchParams();
  const entry = search.get("entry");
  if (entry !== null && /^(0|[1-9][0-9]{0,14})$/.test(entry)) {
    const index = Number(entry);
    return (
      <Screen title={t("verify.entryTitle", { entry })}>
        <p className="muted">{t("verify.entryCheck")}</p>
        <VerifyEntry key={index} index={index} open />
      </Screen>
    );
  }
  return <FileScreen />;
}

function FileScreen(): JSX.Element {
  const { session } = useSession();
  const handle = useTrust();
  const [evidence, setEvidence] = useState<Evidence | null>(null);
  return (
    <Screen title={t("verify.title")} actions={evidence && <Drop small onEvidence={setEvidence} />}>
      <p className="muted">{t("verify.lead")}</p>
      {!evidence && <Drop onEvidence={setEvidence} />}
      <Verification evidence={evidence} handle={handle} nodePolicy={session?.policy ?? null} start={startWorker} />
      {!evidence && (
        <Panel title={t("verify.offlineTitle")}>
          <div className="stack">
            <p>{t("verify.offlineText")}</p>
            <div><a className="button" href="./verify.html" download="verify.html"><Icon name="download" />{t("verify.offlineGet")}</a></div>
          </div>
        </Panel>
      )}
    </Screen>
  );
}
