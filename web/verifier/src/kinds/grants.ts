/** Genesis, grant, revocation: their payloads (spec/authority.md). */

import { compareText, textLength, toHex } from "../bytes.js";
import { type Value, isArray, isMap } from "../cbor.js";
import { demand } from "../errors.js";
import {
  MAX_IRI,
  MAX_TIME,
  ascends,
  checkDigest,
  checkFields,
  checkIri,
  checkText,
  checkWhole,
  isIri,
  optionally,
  payloadFields,
} from "../fields.js";

import { type PublicKey, parseCoseKey } from "../keys.js";
import { parseVerifierKey } from "../note.js";

export const CAPABILITIES = [
  "administer", "attest", "custody", "describe", "maintain", "operate", "predict", "record",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** The IRI that statements about a log itself have as their sub. */
export function logSubject(origin: string): string {
  return `https://${origin}`;
}

export interface Genesis {
  readonly origin: string;
  readonly operator: PublicKey;
}

export interface Scope {
  readonly type: "twin" | "prefix" | "model";
  readonly value: string;
}

/** Where and when a grant holds; an absent limit is no limit. */
export interface Window {
  readonly fromIndex: bigint | undefined;
  readonly untilIndex: bigint | undefined;
  readonly fromTime: bigint | undefined;
  readonly untilTime: bigint | undefined;
}

export interface GrantTerms {
  readonly issuer: string;
  readonly key: PublicKey;
  readonly can: ReadonlySet<Capability>;
  readonly scope: Scope;
  readonly window: Window;
  /** Hexadecimal digest of the grant that it is given under; undefined is the genesis. */
  readonly via: string | undefined;
}

export interface Revocation {
  /** Hexadecimal digest. */
  readonly grant: string;
  readonly reason: string | undefined;
}

export function parseGenesis(payload: Uint8Array): Genesis {
  const fields = payloadFields(payload, "genesis", ["origin", "log", "operator"]);
  const origin = fields.get("origin");
  demand(typeof origin === "string" && textLength(origin) <= MAX_IRI, "genesis.origin", `not text of at most ${MAX_IRI} characters`);
  demand(isOrigin(origin), "genesis.origin", "makes no IRI behind https://");
  const log = fields.get("log");
  demand(isArray(log) && log.length >= 1 && log.length <= 16, "genesis.log", "not an array of 1 to 16 keys");
  for (const item of log) {
    demand(typeof item === "string", "genesis.log", "not a verifier key");
    demand(parseVerifierKey(item, "genesis.log").name === origin, "genesis.log", "a key of another name than origin");
  }
  return { origin, operator: parseCoseKey(fields.get("operator"), "genesis.operator") };
}

function isOrigin(origin: string): boolean {
  return isIri(logSubject(origin));
}

function isCapability(value: Value): value is Capability {
  return CAPABILITIES.some((capability) => capability === value);
}

function parseCan(value: Value | undefined): ReadonlySet<Capability> {
  demand(isArray(value) && value.length > 0, "grant.can", "not an array of capabilities");
  const can = value.map((item) => {
    demand(isCapability(item), "grant.can", "holds what is no capability");
    return item;
  });
  demand(ascends<string>(can, compareText), "grant.can", "not sorted without repeats");
  return new Set(can);
}

function parseScope(value: Value | undefined): Scope {
  demand(isMap(value) && value.size === 1, "grant.scope", "not a map of twin, prefix or model");
  const [[type, target]] = [...value] as [[Value, Value]];
  if (type === "twin" || type === "model") return { type, value: checkIri(target, `grant.scope.${type}`) };
  demand(type === "prefix" && typeof target === "string", "grant.scope", "neither twin, prefix nor model");
  const covers = target === "" || (/[/:#]$/.test(target) && isIri(`${target}x`));
  demand(covers, "grant.scope.prefix", "not empty, and no beginning of an IRI that ends in '/', ':' or '#'");
  return { type, value: target };
}

export function parseGrant(payload: Uint8Array): GrantTerms {
  const limits = ["from_time", "until_time", "from_index", "until_index"];
  const fields = payloadFields(payload, "grant", ["to", "can", "scope"], ["via", ...limits]);
  const to = checkFields(fields.get("to"), "grant.to", ["iss", "key"]);
  const limit = (key: string): bigint | undefined =>
    optionally(fields, key, (value, where) => checkWhole(value, where, 0n, MAX_TIME), "grant");
  const window: Window = {
    fromIndex: limit("from_index"),
    untilIndex: limit("until_index"),
    fromTime: limit("from_time"),
    untilTime: limit("until_time"),
  };
  const opens = (from: bigint | undefined, until: bigint | undefined): boolean =>
    from === undefined || until === undefined || from < until;
  demand(opens(window.fromIndex, window.untilIndex), "grant.until_index", "not above from_index");
  demand(opens(window.fromTime, window.untilTime), "grant.until_time", "not above from_time");
  const via = optionally(fields, "via", checkDigest, "grant");
  return {
    issuer: checkIri(to.get("iss"), "grant.to.iss"),
    key: parseCoseKey(to.get("key"), "grant.to.key"),
    can: parseCan(fields.get("can")),
    scope: parseScope(fields.get("scope")),
    window,
    via: via && toHex(via),
  };
}

export function parseRevocation(payload: Uint8Array): Revocation {
  const fields = payloadFields(payload, "revoke", ["grant"], ["reason"]);
  const reason = optionally(fields, "reason", (value, where) => checkText(value, where, 500), "revoke");
  return { grant: toHex(checkDigest(fields.get("grant"), "revoke.grant")), reason };
}
