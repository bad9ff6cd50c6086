/** Statements and their form (spec/statement.md); COSE_Sign1 (RFC 9052 §4). */

import { sha256 } from "@noble/hashes/sha2";

import { toHex } from "./bytes.js";
import { type CborMap, Tagged, decode, encode, isArray, isBytes, isMap, isWhole } from "./cbor.js";
import { demand } from "./errors.js";
import { checkIri, isMediaType, isTime } from "./fields.js";
import { EDDSA, ES256, PublicKey, SIGNATURE_SIZE } from "./keys.js";

/** Bytes. */
export const MAX_STATEMENT = 61_440;
export const MAX_SEQ = 1n << 63n;

const ALG = 1n;
const CONTENT_TYPE = 3n;
const KID = 4n;
const CWT_CLAIMS = 15n;
const SEQ = -70001n;
const PREV = -70002n;

/** A COSE_Sign1 of which only the outer form is read. */
export interface Sign1 {
  readonly protected: Uint8Array;
  readonly unprotected: CborMap;
  readonly payload: Uint8Array | null;
  readonly signature: Uint8Array;
}

export function parseSign1(data: Uint8Array, what: string): Sign1 {
  const value = decode(data, what);
  const items = value instanceof Tagged && value.tag === 18n ? value.value : undefined;
  demand(isArray(items) && items.length === 4, what, "not a COSE_Sign1: tag 18 on an array of four");
  const [header, unprotected, payload, signature] = items;
  demand(isBytes(header) && isMap(unprotected) && isBytes(signature), what, "not a COSE_Sign1: a member of another type");
  demand(payload === null || isBytes(payload), what, "not a COSE_Sign1: the payload is neither bytes nor nil");
  return { protected: header, unprotected, payload, signature };
}

export function formatSign1(sign1: Sign1): Uint8Array {
  return encode(new Tagged(18n, [sign1.protected, sign1.unprotected, sign1.payload, sign1.signature]));
}

/** The protected header: a map, not the empty string that COSE allows for an empty one. */
export function parseHeader(data: Uint8Array, what: string): CborMap {
  const header = decode(data, what);
  demand(isMap(header), what, "not a map");
  return header;
}

const CONTEXT = "Signature1";
const NOTHING = new Uint8Array(0);

/** The bytes under a signature: the Sig_structure of RFC 9052 §4.4 with empty external data. */
export function signedBytes(header: Uint8Array, payload: Uint8Array): Uint8Array {
  return encode([CONTEXT, header, NOTHING, payload]);
}

/** A well-formed statement; its signature is not checked yet. */
export interface Statement {
  /** As it is logged. */
  readonly raw: Uint8Array;
  readonly digest: Uint8Array;
  readonly digestHex: string;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly algorithm: bigint;
  readonly contentType: string;
  /** Hexadecimal thumbprint of the signer's key. */
  readonly kid: string;
  readonly issuer: string;
  readonly subject: string;
  /** POSIX seconds by the signer's clock. */
  readonly issuedAt: bigint;
  readonly seq: bigint;
  readonly prev: Uint8Array | undefined;
}

function onlyLabels(map: CborMap, known: readonly bigint[], field: string): void {
  for (const label of map.keys()) demand(known.some((k) => k === label), field, `has the unknown label ${label}`);
}

/** Read a logged statement; refused is whatever breaks a rule of "Checking the form". */
export function parseStatement(raw: Uint8Array): Statement {
  demand(raw.length <= MAX_STATEMENT, "statement", `${raw.length} bytes, the limit is ${MAX_STATEMENT}`);
  const sign1 = parseSign1(raw, "statement");
  demand(sign1.unprotected.size === 0, "unprotected header", "not empty");
  const payload = sign1.payload;
  demand(payload !== null, "payload", "detached");
  demand(sign1.signature.length === SIGNATURE_SIZE, "signature", `not ${SIGNATURE_SIZE} bytes`);
  const header = parseHeader(sign1.protected, "protected header");
  const claims = header.get(CWT_CLAIMS);
  const [algorithm, contentType, kid] = [header.get(ALG), header.get(CONTENT_TYPE), header.get(KID)];
  const [seq, prev] = [header.get(SEQ), header.get(PREV)];
  onlyLabels(header, [ALG, CONTENT_TYPE, KID, CWT_CLAIMS, SEQ, PREV], "protected header");
  demand(isWhole(seq, 0n, MAX_SEQ), "seq", "not a number from 0 to 2^63 - 1");
  if (seq === 0n) demand(prev === undefined, "prev", "there, though seq is 0");
  else demand(isBytes(prev) && prev.length === 32, "prev", "not a digest of 32 bytes");
  demand(algorithm === EDDSA || algorithm === ES256, "alg", "neither -8 (EdDSA) nor -7 (ES256)");
  demand(isMediaType(contentType), "content type", "not a media type in lower case without parameters");
  demand(isBytes(kid) && kid.length === 32, "kid", "not a thumbprint of 32 bytes");
  demand(isMap(claims), "CWT claims", "not a map");
  onlyLabels(claims, [1n, 2n, 6n], "CWT claims");
  const issuedAt = claims.get(6n);
  demand(isTime(issuedAt), "iat", "not a time in whole POSIX seconds");
  const issuer = checkIri(claims.get(1n), "iss");
  const subject = checkIri(claims.get(2n), "sub");
  const digest = sha256(raw);
  return {
    raw,
    digest,
    digestHex: toHex(digest),
    header: sign1.protected,
    payload,
    signature: sign1.signature,
    algorithm,
    contentType,
    kid: toHex(kid),
    issuer,
    subject,
    issuedAt,
    seq,
    prev: isBytes(prev) ? prev : undefined,
  };
}

/** Whether the statement's signature is that of the key that it names. */
export async function isSigned(statement: Statement, key: PublicKey): Promise<boolean> {
  if (key.id !== statement.kid || key.algorithm !== statement.algorithm) return false;
  return key.verifies(signedBytes(statement.header, statement.payload), statement.signature);
}

/** As `isSigned`, for a key that somebody brings along: another key is refused by that name. */
export async function checkSigned(statement: Statement, key: PublicKey): Promise<void> {
  demand(key.id === statement.kid, "kid", "names another key");
  demand(await isSigned(statement, key), "", `the ${key.algorithmName} signature does not verify`);
}

