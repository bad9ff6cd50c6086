/** Descriptions, attestations, resumptions (spec/statement.md), models and requests (spec/live.md). */

import { compareText } from "../bytes.js";
import { type CborMap, type Value, isArray, isBytes } from "../cbor.js";
import { demand } from "../errors.js";
import {
  type Fields,
  ascends,
  checkChanges,
  checkDigest,
  checkFields,
  checkIri,
  checkName,
  checkOneOf,
  checkPropertyChanges,
  checkText,
  checkTime,
  isMediaType,
  optionally,
  payloadFields,
} from "../fields.js";

/** Arrays and maps inside each other in a description or in desired properties. */
export const MAX_DEPTH = 10;
const LIFECYCLE = ["planned", "manufactured", "in-service", "out-of-service", "retired"];

type Relation = readonly [name: string, target: string];

export interface Description {
  readonly model: string | undefined;
  readonly lifecycle: string | undefined;
  readonly set: CborMap;
  readonly unset: readonly string[];
  readonly relate: readonly Relation[];
  readonly unrelate: readonly Relation[];
}

function compareRelations(a: Relation, b: Relation): number {
  return compareText(a[0], b[0]) || compareText(a[1], b[1]);
}

function relations(fields: Fields, key: string): readonly Relation[] {
  const field = `description.${key}`;
  const found = checkChanges(fields, key, "description").map((item): Relation => {
    demand(isArray(item) && item.length === 2, field, "not [name, IRI]");
    return [checkName(item[0], field), checkIri(item[1], field)];
  });
  demand(ascends(found, compareRelations), field, "not sorted without repeats");
  return found;
}

export function parseDescription(payload: Uint8Array): Description {
  const field = "description";
  const keys = ["model", "lifecycle", "set", "unset", "relate", "unrelate", "cause"];
  const fields = payloadFields(payload, field, [], keys, MAX_DEPTH);
  optionally(fields, "cause", checkDigest, field);
  demand(fields.size > (fields.has("cause") ? 1 : 0), field, "changes nothing");
  const relate = relations(fields, "relate");
  const unrelate = relations(fields, "unrelate");
  const repeated = unrelate.some((one) => relate.some((other) => compareRelations(one, other) === 0));
  demand(!repeated, "description.unrelate", "names a relationship that relate does too");
  return {
    model: optionally(fields, "model", checkIri, field),
    lifecycle: optionally(fields, "lifecycle", (value, where) => checkOneOf(value, where, LIFECYCLE), field),
    ...checkPropertyChanges(fields, field),
    relate,
    unrelate,
  };
}

function checkMediaType(value: Value | undefined, field: string): string {
  demand(isMediaType(value), field, "not a media type");
  return value;
}

export function parseAttestation(payload: Uint8Array): Fields {
  const field = "attestation";
  const fields = payloadFields(payload, field, ["type"], ["text", "document", "valid_until"]);
  checkIri(fields.get("type"), `${field}.type`);
  optionally(fields, "text", (value, where) => checkText(value, where, 4000), field);
  optionally(fields, "valid_until", checkTime, field);
  const document = fields.get("document");
  if (document !== undefined) {
    const inside = checkFields(document, `${field}.document`, ["sha256", "media_type"], ["location"]);
    checkDigest(inside.get("sha256"), `${field}.document.sha256`);
    checkMediaType(inside.get("media_type"), `${field}.document.media_type`);
    optionally(inside, "location", checkIri, `${field}.document`);
  }
  return fields;
}

export function parseResume(payload: Uint8Array): { readonly reason: string } {
  const fields = payloadFields(payload, "resume", ["reason"]);
  return { reason: checkText(fields.get("reason"), "resume.reason", 500) };
}

export function parseModel(payload: Uint8Array): Fields {
  const fields = payloadFields(payload, "model", ["language", "document"]);
  checkOneOf(fields.get("language"), "model.language", ["dtdl"]);
  const document = fields.get("document");
  demand(isBytes(document) && document.length > 0, "model.document", "not bytes, or empty");
  return fields;
}

export function parseDesired(payload: Uint8Array): Fields {
  const fields = payloadFields(payload, "desired", [], ["set", "unset", "text"], MAX_DEPTH);
  demand(fields.has("set") || fields.has("unset"), "desired", "changes nothing");
  optionally(fields, "text", (value, where) => checkText(value, where, 1000), "desired");
  checkPropertyChanges(fields, "desired");
  return fields;
}

/** "Keys with ? may be absent, never null." */
function notNull(fields: Fields, key: string, where: string): void {
  demand(fields.get(key) !== null, `${where}.${key}`, "null; it may only be absent");
}

export function parseCommand(payload: Uint8Array): Fields {
  const fields = payloadFields(payload, "command", ["name"], ["input", "deadline", "text"], MAX_DEPTH);
  checkName(fields.get("name"), "command.name");
  notNull(fields, "input", "command");
  optionally(fields, "deadline", checkTime, "command");
  optionally(fields, "text", (value, where) => checkText(value, where, 1000), "command");
  return fields;
}

export function parseAcknowledgement(payload: Uint8Array): Fields {
  const field = "acknowledgement";
  const fields = payloadFields(payload, field, ["request", "status"], ["text", "output"], MAX_DEPTH);
  checkDigest(fields.get("request"), `${field}.request`);
  checkOneOf(fields.get("status"), `${field}.status`, ["accepted", "rejected", "done", "failed"]);
  optionally(fields, "text", (value, where) => checkText(value, where, 1000), field);
  notNull(fields, "output", field);
  return fields;
}
