/** Every kind of statement: content type, capability, payload. A content type that is not here is refused. */

import { demand } from "../errors.js";
import type { Statement } from "../statement.js";
import { parseAlarm, parseAlarmResponse, parseRule } from "./alarm.js";
import { parseChainEvent, parseInstallation, parsePolicyPayload } from "./chain.js";
import { parseColumns } from "./columns.js";
import { type Capability, parseGenesis, parseGrant, parseRevocation } from "./grants.js";
import { parsePrediction, parsePredictor } from "./prediction.js";
import { parseSenml } from "./senml.js";
import {
  parseAcknowledgement,
  parseAttestation,
  parseCommand,
  parseDescription,
  parseDesired,
  parseModel,
  parseResume,
} from "./twin.js";

type Parse<T> = (payload: Uint8Array, issuedAt: bigint) => T;

interface Row<N extends string, T> {
  readonly name: N;
  /** Without one, every grant on the twin will do. */
  readonly capability: Capability | undefined;
  readonly parse: Parse<T>;
}

function row<N extends string, T>(name: N, capability: Capability | undefined, parse: Parse<T>): Row<N, T> {
  return { name, capability, parse };
}

const ROWS = {
  "application/vnd.twinproof.genesis+cbor": row("genesis", undefined, parseGenesis),
  "application/vnd.twinproof.grant+cbor": row("grant", "administer", parseGrant),
  "application/vnd.twinproof.revoke+cbor": row("revoke", undefined, parseRevocation),
  "application/senml+cbor": row("readings", "record", parseSenml),
  "application/vnd.twinproof.columns+cbor": row("columns", "record", parseColumns),
  "application/vnd.twinproof.description+cbor": row("description", "describe", parseDescription),
  "application/vnd.twinproof.attestation+cbor": row("attestation", "attest", parseAttestation),
  "application/vnd.twinproof.resume+cbor": row("resume", undefined, parseResume),
  "application/vnd.twinproof.model+cbor": row("model", "describe", parseModel),
  "application/vnd.twinproof.desired+cbor": row("desired", "operate", parseDesired),
  "application/vnd.twinproof.command+cbor": row("command", "operate", parseCommand),
  "application/vnd.twinproof.acknowledgement+cbor": row("acknowledgement", "record", parseAcknowledgement),
  "application/vnd.twinproof.rule+cbor": row("rule", "operate", parseRule),
  "application/vnd.twinproof.alarm+cbor": row("alarm", "predict", parseAlarm),
  "application/vnd.twinproof.alarm-response+cbor": row("alarm-response", "operate", parseAlarmResponse),
  "application/vnd.twinproof.prediction+cbor": row("prediction", "predict", parsePrediction),
  "application/vnd.twinproof.predictor+cbor": row("predictor", "predict", parsePredictor),
  "application/vnd.twinproof.installation+cbor": row("installation", "maintain", parseInstallation),
  "application/vnd.twinproof.policy+cbor": row("policy", "operate", parsePolicyPayload),
  "application/vnd.twinproof.chain-event+cbor": row("chain-event", "record", parseChainEvent),
};

type Of<R> = R extends Row<infer N, infer T> ? { readonly kind: N; readonly payload: T } : never;

/** A kind and its parsed payload. */
export type Said = Of<(typeof ROWS)[keyof typeof ROWS]>;
export type KindName = Said["kind"];

const KINDS: ReadonlyMap<string, Row<KindName, Said["payload"]>> = new Map(Object.entries(ROWS));

/** The content types of all kinds. */
export const CONTENT_TYPES: readonly string[] = [...KINDS.keys()];

export interface Read {
  readonly said: Said;
  readonly capability: Capability | undefined;
}

/** The payload of a statement, checked by the rules of its kind. */
export function readPayload(statement: Pick<Statement, "contentType" | "payload" | "issuedAt">): Read {
  const kind = KINDS.get(statement.contentType);
  demand(kind !== undefined, "content type", `${statement.contentType} is no kind of statement`);
  const payload = kind.parse(statement.payload, statement.issuedAt);
  return { said: { kind: kind.name, payload } as Said, capability: kind.capability };
}
