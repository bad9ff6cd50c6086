// What acting has in common: who may, what was refused, what became of it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { JSX } from "react";
import { useState } from "react";

import type { Stated } from "../../api/twin";
import { newId } from "../../api/twin";
import { adviceOn, Icon, say } from "../../parts";
import { useSession } from "../../session/session";
import { t } from "../../strings/en";

/** Null while unknown. */
export { useOperates } from "../../session/session";

/** Who signs what people here ask for. */
export function useSigner(): string {
  return `${useSession().session?.origin ?? ""}#console`;
}

/** Why there is no button. */
export function ReadsOnly(): JSX.Element {
  return <p className="twin-readonly"><Icon name="lock" /> <span>{t("twin.refusedOperate")}</span></p>;
}

export interface Acting {
  act: () => void;
  busy: boolean;
  error: Error | null;
  reset: () => void;
}

/** Send once, however often it is pressed or sent again; tell the entry, and ask for the twin's state anew. */
export function useActing(send: (id: string) => Promise<Stated>, done: () => void): Acting {
  const queries = useQueryClient();
  const [id] = useState(newId);
  const mutation = useMutation({
    mutationFn: () => send(id),
    onSuccess: async (stated) => {
      say(t("twin.sent", { entry: String(stated.entry) }));
      done();
      await queries.invalidateQueries({ queryKey: ["state"] });
    },
  });
  return { act: () => mutation.mutate(), busy: mutation.isPending, error: mutation.error, reset: mutation.reset };
}

export function Refusal({ error }: { error: Error | null }): JSX.Element | null {
  if (!error) return null;
  const advice = adviceOn(error);
  return (
    <div className="twin-refusal" role="alert">
      <Icon name="act" />
      <div>{advice ? <p>{advice}</p> : null}<p className="small">{error.message}</p></div>
    </div>
  );
}
