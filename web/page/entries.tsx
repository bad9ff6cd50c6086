import { useMemo, useState } from "react";
import type { JSX } from "react";

import { Button } from "../console/src/parts/button";
import { Field } from "../console/src/parts/field";
import { shortIri } from "../console/src/parts/iri";
import { Panel } from "../console/src/parts/panel";
import { Table } from "../console/src/parts/table";
import type { Column } from "../console/src/parts/table";
import { Time } from "../console/src/parts/time";
import { t } from "../console/src/strings/en";
import type { EntryRow } from "./protocol";
import { Bracket, kindName } from "./travel";

/** Each verified statement: kind, signer, grant, and its three times. */
export function Entries({ rows, onOpen }: { rows: readonly EntryRow[]; onOpen: (at: number) => void }): JSX.Element {
  const [kind, setKind] = useState("");
  const [signer, setSigner] = useState("");
  const kinds = useMemo(() => [...new Set(rows.map((row) => row.kind))].sort(), [rows]);
  const signers = useMemo(() => [...new Set(rows.map((row) => row.signer))].sort(), [rows]);
  const shown = useMemo(() => rows.filter((row) => (kind === "" || row.kind === kind) && (signer === "" || row.signer === signer)), [rows, kind, signer]);
  const columns = useMemo((): Column<EntryRow>[] => [
    {
      id: "entry", header: t("verify.entry"), width: "92px", value: (row) => row.entry,
      cell: (row) => <Button small title={t("verify.open", { entry: String(row.entry) })} onClick={() => onOpen(row.at)}>{String(row.entry)}</Button>,
    },
    { id: "kind", header: t("verify.kind"), width: "132px", value: (row) => kindName(row.kind), cell: (row) => <span title={row.kind}>{kindName(row.kind)}</span> },
    { id: "signer", header: t("verify.signer"), value: (row) => row.signer, cell: (row) => <span title={row.signer}>{shortIri(row.signer)}</span> },
    { id: "grant", header: t("verify.under"), width: "84px", minor: true, cell: (row) => t("common.entry", { entry: String(row.grant) }) },
    { id: "claimed", header: t("verify.claimed"), width: "184px", value: (row) => row.claimed, cell: (row) => <Time at={row.claimed} /> },
    { id: "integrated", header: t("verify.integrated"), minor: true, cell: (row) => <Bracket row={row} /> },
    { id: "anchored", header: t("verify.anchored"), width: "176px", minor: true, cell: (row) => (row.anchored === null ? <span className="muted">{t("verify.unknown")}</span> : <>≤ <Time at={row.anchored} /></>) },
  ], [onOpen]);
  return (
    <Panel title={t("verify.entries")} flush>
      <div className="verify-filters">
        <Field label={t("verify.kind")}>
          {(control) => <select {...control} value={kind} onChange={(event) => setKind(event.target.value)}>
            <option value="">{t("verify.allKinds")}</option>
            {kinds.map((one) => <option key={one} value={one}>{kindName(one)}</option>)}
          </select>}
        </Field>
        <Field label={t("verify.signer")}>
          {(control) => <select {...control} value={signer} onChange={(event) => setSigner(event.target.value)}>
            <option value="">{t("verify.allSigners")}</option>
            {signers.map((one) => <option key={one}>{one}</option>)}
          </select>}
        </Field>
      </div>
      {shown.length > 0 && <Table caption={t("verify.entries")} columns={columns} rows={shown} rowKey={(row) => String(row.at)} />}
    </Panel>
  );
}
