import type { JSX } from "react";
import { Link } from "wouter";

import { paths } from "../route";
import { Copy } from "./copy";

/** The telling end of an IRI: its last two path segments, or what follows the scheme; of a DTMI its last name. */
export function shortIri(iri: string): string {
  if (iri.startsWith("dtmi:")) return iri.slice(iri.lastIndexOf(":") + 1);
  const plain = iri.replace(/^[a-z][a-z0-9+.-]*:(\/\/[^/]*\/?)?/i, "");
  const parts = plain.split("/").filter(Boolean);
  return (parts.length > 2 ? parts.slice(-2).join("/") : plain) || iri;
}

/** An IRI, shortened; the whole of it in the title. `twin` links to that twin, `copy` adds a button. */
export function Iri({ iri, twin = false, copy = false, name }: { iri: string; twin?: boolean; copy?: boolean; name?: string | null }): JSX.Element {
  const text = name ?? shortIri(iri);
  return (
    <span className="iri">
      {twin ? <Link href={paths.twin(iri)} className="iri-text" title={iri}>{text}</Link> : <span className="iri-text" title={iri}>{text}</span>}
      {copy && <Copy text={iri} what={iri} />}
    </span>
  );
}
