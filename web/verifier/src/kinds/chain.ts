/** Installations, policies, events of contracts (spec/chain.md). */

import { type Value, decode, encode, isArray, isBytes, isMap } from "../cbor.js";
import { demand } from "../errors.js";
import {
  type Fields,
  checkBytes,
  checkDigest,
  checkFields,
  checkFinite,
  checkId,
  checkText,
  checkTime,
  checkWhole,
  optionally,
  payloadFields,
} from "../fields.js";
import { parseRemoval } from "./alarm.js";
import { checkCoverage, checkLifeUnit } from "./prediction.js";

const MAX_63 = 1n << 63n;
/** Arrays and maps inside each other in a chain-event. */
const MAX_DEPTH = 8;
/** Bytes of an argument's encoding. */
const MAX_ARG = 4_096;
const NAME = /^[A-Za-z_$][A-Za-z0-9_$]{0,63}$/;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export function parseInstallation(payload: Uint8Array): Fields {
  const field = "installation";
  const fields = payloadFields(payload, field, ["part", "order"], ["remark", "serial"]);
  checkDigest(fields.get("part"), "installation.part");
  checkDigest(fields.get("order"), "installation.order");
  optionally(fields, "remark", (value, where) => checkText(value, where, 1000), field);
  optionally(fields, "serial", (value, where) => checkText(value, where, 128), field);
  return fields;
}

/** An integer below 2^64, or from there on 32 bytes. */
function checkUint(value: Value | undefined, field: string): void {
  const large = isBytes(value) && value.length === 32 && value.subarray(0, 24).some((byte) => byte !== 0);
  demand(large || (typeof value === "bigint" && value >= 0n), field, "not a uint");
}

export function parsePolicyPayload(payload: Uint8Array): Fields {
  const field = "policy";
  const value = decode(payload, field);
  if (isMap(value) && value.has("remove")) return parseRemoval(value, field);
  const fields = checkFields(value, field, ["id", "unit", "below", "coverage", "chain", "contract", "agreement"]);
  checkId(fields.get("id"), "policy.id");
  checkLifeUnit(fields.get("unit"), "policy.unit");
  demand(checkFinite(fields.get("below"), "policy.below") > 0, "policy.below", "not positive");
  checkCoverage(fields.get("coverage"), "policy.coverage", "at most 1");
  checkWhole(fields.get("chain"), "policy.chain", 1n, MAX_63);
  checkBytes(fields.get("contract"), "policy.contract", 20);
  checkUint(fields.get("agreement"), "policy.agreement");
  return fields;
}

function checkContractName(value: Value, field: string): void {
  demand(typeof value === "string" && NAME.test(value), field, "not a name of a contract's");
}

function checkArgument(value: Value, field: string): void {
  if (typeof value === "boolean" || isBytes(value)) return;
  if (isArray(value)) for (const item of value) checkArgument(item, field);
  else if (typeof value === "string") demand(!CONTROL.test(value), field, "text with a control character");
  else demand(typeof value === "bigint" && value >= 0n, field, "not a uint, a truth value, bytes, text or an array");
}

export function parseChainEvent(payload: Uint8Array): Fields {
  const field = "chain-event";
  const required = ["chain", "contract", "event", "block", "time", "transaction", "position", "args"];
  const fields = payloadFields(payload, field, required, ["retracted"], MAX_DEPTH);
  checkWhole(fields.get("chain"), `${field}.chain`, 1n, MAX_63);
  checkBytes(fields.get("contract"), `${field}.contract`, 20);
  checkContractName(fields.get("event")!, `${field}.event`);
  const block = fields.get("block");
  demand(isArray(block) && block.length === 2, `${field}.block`, "not [number, hash]");
  checkWhole(block[0], `${field}.block`, 0n, MAX_63);
  checkDigest(block[1], `${field}.block`);
  checkTime(fields.get("time"), `${field}.time`);
  checkDigest(fields.get("transaction"), `${field}.transaction`);
  checkWhole(fields.get("position"), `${field}.position`, 0n, MAX_63);
  const args = fields.get("args");
  demand(isMap(args) && args.size <= 32, `${field}.args`, "not a map of at most 32");
  for (const [name, value] of args) {
    checkContractName(name, `${field}.args`);
    if (value === null) continue;
    checkArgument(value, `${field}.args.${name}`);
    demand(encode(value).length <= MAX_ARG, `${field}.args.${name}`, `more than ${MAX_ARG} bytes; it is null then`);
  }
  demand(!fields.has("retracted") || fields.get("retracted") === true, `${field}.retracted`, "not true");
  return fields;
}
