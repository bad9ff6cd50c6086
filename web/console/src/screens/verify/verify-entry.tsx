import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { JSX } from "react";
import { Link } from "wouter";

import type { Evidence } from "../../../../page/protocol";
import { useTrust } from "../../../../page/trust";
import { Verification } from "../../../../page/verification";
import { bytes } from "../../api/client";
import { getEntry } from "../../api/timeline";
import { Answered, Button, Dialog } from "../../parts";
import { paths } from "../../route";
import { useSession } from "../../session/session";
import { t } from "../../strings/en";
import { startWorker } from "./worker";

/** A button that fetches an entry's proof and checks it in this browser; `open` does so at once, in place. */
export function VerifyEntry({ index, open = false }: { index: number; open?: boolean }): JSX.Element {
  const [shown, setShown] = useState(false);
  if (open) return <EntryProof index={index} />;
  const entry = String(index);
  return (
    <>
      <Button small icon="verify" aria-label={t("verify.verifyEntryLabel", { entry })} onClick={() => setShown(true)}>{t("verify.verifyEntry")}</Button>
      <Dialog open={shown} onClose={() => setShown(false)} title={t("verify.entryTitle", { entry })} wide><EntryProof index={index} /></Dialog>
    </>
  );
}

function EntryProof({ index }: { index: number }): JSX.Element {
  const { session } = useSession();
  const handle = useTrust();
  const query = useQuery({
    queryKey: ["transparent", index],
    queryFn: async ({ signal }): Promise<Evidence> => ({ name: `entry${index}.cose`, bytes: await bytes(`entries/${index}/transparent`, {}, signal) }),
    staleTime: Infinity,
  });
  return (
    <Answered query={query}>
      {(evidence) => <Verification evidence={evidence} handle={handle} nodePolicy={session?.policy ?? null} start={startWorker} after={<Whole index={index} />} />}
    </Answered>
  );
}

/** The way from one entry to all that was said about its twin. */
function Whole({ index }: { index: number }): JSX.Element | null {
  const entry = useQuery({ queryKey: ["entry", index], queryFn: ({ signal }) => getEntry(index, signal), staleTime: Infinity });
  const sub = useMemo(() => entry.data?.sub ?? null, [entry.data]);
  return sub === null ? null : <p><Link href={paths.twin(sub, "evidence")}>{t("verify.twinEvidence")}</Link></p>;
}
