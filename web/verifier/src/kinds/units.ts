/** SenML's registered unit symbols, and the form of UCUM codes (spec/readings.md). */

import type { Value } from "../cbor.js";
import { demand } from "../errors.js";

/** RFC 8428 §12.1. */
export const SENML_UNITS: ReadonlySet<string> = new Set(
  (
    "m kg g s A K cd mol Hz rad sr N Pa J W C V F Ohm S Wb T H Cel lm lx Bq Gy Sv kat m2 m3 l m/s m/s2 m3/s l/s " +
    "W/m2 cd/m2 bit bit/s lat lon pH dB dBW Bspl count / % %RH %EL EL 1/s 1/min beat/min beats S/m B VA VAs var " +
    "vars J/m kg/m3 deg NTU"
  ).split(" "),
);

/** RFC 8798 §3: only in packs of bver 26. */
export const SECONDARY_UNITS: ReadonlySet<string> = new Set(
  (
    "ms min h MHz kW kVA kvar Ah Wh kWh varh kvarh kVAh Wh/km KiB GB Mbit/s B/s MB/s mV mA dBm ug/m3 mm/h m/h ppm " +
    "/100 /1000 hPa mm cm km km/h ppb ppt VAh mg/l ug/l g/l"
  ).split(" "),
);

const CODE = /^[\u0021-\u007e]{1,32}$/;

/** A UCUM code: brackets and braces in pairs without either inside, round brackets in pairs outside of those. */
export function checkUcum(value: Value | undefined, field: string): string {
  demand(typeof value === "string" && CODE.test(value), field, "not a UCUM code of 1 to 32 characters");
  const outside = value.replace(/\[[^[\]{}]*\]|\{[^[\]{}]*\}/g, "");
  let depth = 0;
  for (const c of outside) {
    demand(!"[]{}".includes(c), field, "has a bracket or brace without its pair");
    if (c === "(") depth++;
    else if (c === ")") depth--;
    demand(depth >= 0, field, "has a round bracket without its pair");
  }
  demand(depth === 0, field, "has a round bracket without its pair");
  return value;
}
