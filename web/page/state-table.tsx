import { useMemo, useState } from "react";
import type { JSX, ReactNode } from "react";

import { Icon } from "../console/src/parts/icon";
import { Table } from "../console/src/parts/table";
import type { Column } from "../console/src/parts/table";
import { Time } from "../console/src/parts/time";
import { t, word } from "../console/src/strings/en";
import type { StateRow } from "./protocol";

interface Compared extends StateRow {
  /** The value at the end: undefined if nothing is compared, null if it is not there. */
  readonly last: string | null | undefined;
}

/** Sections in which a name may stand more than once: each row is of its own entry. */
const LISTS: readonly string[] = ["attestations", "losses", "requests"];

const key = ({ section, name, entry }: StateRow): string => [section, name, ...(LISTS.includes(section) ? [entry] : [])].join("\n");
const section = ({ section: name }: StateRow): string => word("verify", `section-${name}`) ?? name;

/** Rows of then beside those of the end, with what came later. */
export function compareStates(then: readonly StateRow[], last: readonly StateRow[] | null): Compared[] {
  if (last === null) return then.map((row) => ({ ...row, last: undefined }));
  const later = new Map(last.map((row) => [key(row), row]));
  const known = new Set(then.map(key));
  const both = then.map((row) => ({ ...row, last: later.get(key(row))?.value ?? null }));
  const added = last.filter((row) => !known.has(key(row))).map((row) => ({ ...row, value: "", entry: null, time: null, last: row.value }));
  return [...both, ...added];
}

const differs = ({ value, last }: Compared): boolean => last !== undefined && last !== value;

interface Props {
  rows: readonly StateRow[];
  /** The state at the end, if that is another. */
  last: readonly StateRow[] | null;
  caption: string;
  /** How an entry is shown. */
  entry: (entry: number) => ReactNode;
}

/** A twin's state: each value with the entry that says it, and what it is at the end where that differs. */
export function StateTable({ rows, last, caption, entry }: Props): JSX.Element {
  const [only, setOnly] = useState(false);
  const compared = useMemo(() => compareStates(rows, last), [rows, last]);
  const shown = last !== null && only ? compared.filter(differs) : compared;
  const columns = useMemo((): Column<Compared>[] => [
    { id: "name", header: t("verify.name"), cell: (row) => <span className="verify-value">{row.name}</span> },
    { id: "value", header: t("verify.value"), cell: (row) => (row.value === "" && row.entry === null ? <span className="muted">{t("verify.gone")}</span> : <span className="mono verify-value">{row.value}</span>) },
    ...(last === null ? [] : [{ id: "last", header: t("verify.lastValue"), cell: (row: Compared) => <Last row={row} /> }]),
    { id: "entry", header: t("verify.entry"), width: "96px", cell: (row) => (row.entry === null ? t("common.nothing") : entry(row.entry)) },
    { id: "time", header: t("verify.time"), width: "176px", minor: true, cell: (row) => <Time at={row.time} /> },
  ], [last, entry]);
  return (
    <>
      {last !== null && (
        <label className="verify-check verify-only"><input type="checkbox" checked={only} onChange={(event) => setOnly(event.target.checked)} />{t("verify.changedOnly")}</label>
      )}
      {shown.length === 0
        ? <p className="muted verify-pad">{t(only ? "verify.noDifference" : "verify.noState")}</p>
        : <Table caption={caption} columns={columns} rows={shown} rowKey={key} groupBy={section} />}
    </>
  );
}

function Last({ row }: { row: Compared }): JSX.Element {
  if (!differs(row)) return <span className="muted">{t("verify.same")}</span>;
  return <span className="verify-differs"><Icon name="right" size={12} /><span className="mono verify-value">{row.last ?? t("verify.gone")}</span></span>;
}
