import { useId, useState } from "react";
import type { JSX } from "react";

import { Icon } from "../console/src/parts/icon";
import { t } from "../console/src/strings/en";
import { recognise } from "./engine";
import type { Evidence } from "./protocol";

/** Files as evidence: one of its own, or a tlog-proof with its statement. Else what is missing. */
async function read(files: readonly File[]): Promise<Evidence | string> {
  const read = await Promise.all(files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
  const proof = read.find(({ bytes }) => recognise(bytes) === "tlog-proof");
  if (proof) {
    const statement = read.find((one) => one !== proof);
    return statement ? { ...proof, statement: statement.bytes } : t("verify.needsStatement");
  }
  const known = read.find(({ bytes }) => recognise(bytes) !== null);
  return known ?? t("verify.unreadable", { name: read[0]?.name ?? "" });
}

/** Where evidence is dropped or chosen. */
export function Drop({ onEvidence, small = false }: { onEvidence: (evidence: Evidence) => void; small?: boolean }): JSX.Element {
  const id = useId();
  const [over, setOver] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const take = (list: FileList | null): void => {
    const files = [...(list ?? [])];
    if (files.length === 0) return;
    void read(files).then((found) => {
      setProblem(typeof found === "string" ? found : null);
      if (typeof found !== "string") onEvidence(found);
    });
  };
  return (
    <div
      className={`verify-drop${over ? " verify-drop-over" : ""}${small ? " verify-drop-small" : ""}`}
      onDragOver={(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => { event.preventDefault(); setOver(false); take(event.dataTransfer.files); }}
    >
      {!small && <><Icon name="verify" size={28} /><h2>{t("verify.dropTitle")}</h2><p className="muted">{t("verify.dropText")}</p></>}
      <input id={id} type="file" multiple className="hidden" onChange={(event) => { take(event.target.files); event.target.value = ""; }} />
      <label htmlFor={id} className={small ? "button" : "button button-primary"}>{t(small ? "verify.another" : "verify.choose")}</label>
      {problem && <p className="field-error" role="alert">{problem}</p>}
    </div>
  );
}
