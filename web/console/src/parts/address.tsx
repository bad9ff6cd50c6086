import type { JSX } from "react";

import { Copy } from "./copy";

/** A hash or an address: its ends on the screen, the whole in the title. */
export function Hash({ hex, ends = 6, copy = false }: { hex: string; ends?: number; copy?: boolean }): JSX.Element {
  const lead = hex.startsWith("0x") ? ends + 2 : ends;
  const text = hex.length > lead + ends + 1 ? `${hex.slice(0, lead)}…${hex.slice(-ends)}` : hex;
  return <span className="iri"><span className="mono" title={hex}>{text}</span>{copy && <Copy text={hex} />}</span>;
}
