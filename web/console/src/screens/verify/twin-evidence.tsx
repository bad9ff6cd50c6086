import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { JSX } from "react";

import type { Evidence } from "../../../../page/protocol";
import { useTrust } from "../../../../page/trust";
import { Verification } from "../../../../page/verification";
import { bytes } from "../../api/client";
import { useLive } from "../../api/live";
import { Answered, Button, shortIri } from "../../parts";
import { useSession } from "../../session/session";
import { t } from "../../strings/en";
import { startWorker } from "./worker";

const fileName = (sub: string): string => `${shortIri(sub).replace(/[^A-Za-z0-9._-]+/g, "-")}.twinproof`;

/** Everything that was said about a twin, fetched as evidence and checked in this browser. */
export function TwinEvidence({ sub }: { sub: string }): JSX.Element {
  const { session } = useSession();
  const handle = useTrust();
  const [newest, setNewest] = useState<number | null>(null);
  const query = useQuery({
    queryKey: ["bundle", sub],
    queryFn: async ({ signal }): Promise<{ evidence: Evidence; newest: number | null }> => ({ evidence: { name: fileName(sub), bytes: await bytes("bundle", { sub }, signal) }, newest }),
    staleTime: Infinity,
    gcTime: 60_000,
  });
  useLive(sub, ({ rows }) => {
    const row = rows.find((one) => one.sub === sub);
    if (row) setNewest(row.entry);
  });
  const held = query.data?.newest ?? null;
  const grown = newest !== null && held !== null && newest > held;
  const save = (evidence: Evidence): void => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([evidence.bytes.slice()]));
    link.download = evidence.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return (
    <Answered query={query} lines={6}>
      {({ evidence }) => (
        <>
          <div className="row">
            <span className="muted">{evidence.name}, {t("verify.bytes", { n: evidence.bytes.length })}</span>
            <Button small icon="download" onClick={() => save(evidence)}>{t("verify.save")}</Button>
            <Button small busy={query.isFetching} onClick={() => void query.refetch()}>{t("verify.again")}</Button>
            {grown && <span className="muted small" role="status">{t("verify.evidenceNew")}</span>}
          </div>
          <Verification evidence={evidence} handle={handle} nodePolicy={session?.policy ?? null} start={startWorker} />
        </>
      )}
    </Answered>
  );
}
