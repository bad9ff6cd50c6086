/** A twin's state: the fold of its statements in log order (spec/statement.md, "State"). */

import { sha256 } from "@noble/hashes/sha2";

import { compareText, toHex } from "../bytes.js";
import { type CborMap, type Value, encode } from "../cbor.js";
import { readPayload } from "../kinds/index.js";
import type { Reading } from "../kinds/senml.js";
import type { Description } from "../kinds/twin.js";
import type { Statement } from "../statement.js";
import { LedgerFold } from "./ledger.js";
import { LiveFold } from "./live.js";
import { PredictorFold } from "./predictors.js";
import { type Held, applyChanges } from "./properties.js";

interface Latest {
  readonly reading: Reading;
  readonly entry: bigint;
}

/** Takes statements whose signature and authority hold, in log order. */
export class TwinFold {
  private model: Held | null = null;
  private lifecycle: Held | null = null;
  private readonly properties = new Map<string, Held>();
  /** By name and IRI, which hold no line feed. */
  private readonly relationships = new Map<string, Held>();
  private readonly readings = new Map<string, Latest>();
  private readonly attestations: Value[] = [];
  private readonly losses: Value[] = [];
  private readonly live = new LiveFold();
  private readonly ledger = new LedgerFold();
  private readonly predictors = new PredictorFold();
  private statements = 0n;
  private lastIndex = -1n;

  constructor(readonly subject: string) {}

  apply(index: bigint, statement: Statement): void {
    const { said } = readPayload(statement);
    const time = statement.issuedAt;
    switch (said.kind) {
      case "description":
        this.describe(said.payload, index, time);
        break;
      case "readings":
        this.read(said.payload, index);
        break;
      case "columns":
        this.read(said.payload.readings(), index);
        break;
      case "attestation":
        this.attestations.push([said.payload.get("type")!, index, time]);
        break;
      case "resume":
        this.losses.push([said.payload.reason, index, time]);
        break;
      case "predictor":
        this.predictors.apply(said.payload, index);
        break;
      default:
        this.live.apply(said, index, statement);
        this.ledger.apply(said, index, statement);
    }
    this.statements += 1n;
    this.lastIndex = index;
  }

  private describe(said: Description, entry: bigint, time: bigint): void {
    if (said.model !== undefined) this.model = [said.model, entry, time];
    if (said.lifecycle !== undefined) this.lifecycle = [said.lifecycle, entry, time];
    applyChanges(this.properties, said.set, said.unset, entry, time);
    for (const [name, target] of said.unrelate) this.relationships.delete(`${name}\n${target}`);
    for (const [name, target] of said.relate) this.relationships.set(`${name}\n${target}`, [target, entry, time]);
  }

  private read(readings: Iterable<Reading>, entry: bigint): void {
    for (const reading of readings) {
      const before = this.readings.get(reading.name);
      if (!before || reading.time >= before.reading.time) this.readings.set(reading.name, { reading, entry });
    }
  }

  /** The canonical map. */
  toMap(): CborMap {
    const relationships = [...this.relationships].map(([key, held]) => [key.slice(0, key.indexOf("\n")), ...held] as const);
    relationships.sort((a, b) => compareText(a[0], b[0]) || compareText(String(a[1]), String(b[1])));
    const readings = [...this.readings].map(([name, { reading, entry }]): [string, Value] =>
      [name, [reading.value, reading.unit, reading.time, entry]]);
    return new Map<string, Value>([
      ["sub", this.subject],
      ["model", this.model],
      ["lifecycle", this.lifecycle],
      ["properties", new Map(this.properties)],
      ["relationships", relationships],
      ["readings", new Map(readings)],
      ["attestations", this.attestations],
      ["losses", this.losses],
      ["statements", this.statements],
      ["last_index", this.lastIndex],
      ...this.live.members(),
      ...this.ledger.members(),
      ...this.predictors.members(),
    ]);
  }

  /** The canonical bytes. */
  canonical(): Uint8Array {
    return encode(this.toMap());
  }
}

/** SHA-256 of bytes, such as a state's canonical ones, hexadecimal. */
export function sha256Hex(data: Uint8Array): string {
  return toHex(sha256(data));
}
