/** C2SP signed notes, verifier keys, checkpoints and cosignatures (spec/log.md, "Checkpoints"). */

import { sha256 } from "@noble/hashes/sha2";

import { concat, equalBytes, fromBase64, fromUtf8, toHex, toNumber, uint64, utf8 } from "./bytes.js";
import { Refused, demand } from "./errors.js";
import { EDDSA, ML_DSA_KEY_SIZE, ML_DSA_SIGNATURE_SIZE, PublicKey, SIGNATURE_SIZE, verifiesMlDsa44 } from "./keys.js";
import { EMPTY_ROOT, HASH_SIZE, MAX_SIZE } from "./merkle.js";

/** Bytes. */
export const MAX_NOTE = 262_144;
export const MAX_SIGNATURES = 64;
/** Bytes of UTF-8 in an origin or a key's name. */
export const MAX_NAME = 255;

export const ED25519 = 0x01;
export const COSIGNATURE_ED25519 = 0x04;
export const COSIGNATURE_ML_DSA_44 = 0x06;
const KEY_SIZES: ReadonlyMap<number, number> = new Map([
  [ED25519, 32],
  [COSIGNATURE_ED25519, 32],
  [COSIGNATURE_ML_DSA_44, ML_DSA_KEY_SIZE],
]);

const DASH = "\u2014 ";

function checkName(name: string, field: string): void {
  demand(name !== "" && !/[\u0000-\u001f+]|\p{White_Space}/u.test(name), field, "a name is empty, or holds white space or '+'");
  demand(utf8(name).length <= MAX_NAME, field, `a name is longer than ${MAX_NAME} bytes`);
}

/** One signature line. */
export interface SignatureLine {
  readonly name: string;
  /** Hexadecimal. */
  readonly keyId: string;
  readonly blob: Uint8Array;
}

export interface Note {
  /** The signed part, with its last newline. */
  readonly text: string;
  readonly signatures: readonly SignatureLine[];
}

export function parseNote(data: Uint8Array): Note {
  demand(data.length <= MAX_NOTE, "note", `${data.length} bytes, the limit is ${MAX_NOTE}`);
  const whole = fromUtf8(data, "note");
  demand(!/[\u0000-\u0009\u000b-\u001f]/.test(whole), "note", "holds a control character");
  const at = whole.lastIndexOf("\n\n");
  demand(at >= 0 && whole.endsWith("\n") && at + 2 < whole.length, "note", "needs text, an empty line and signature lines");
  const lines = whole.slice(at + 2, -1).split("\n");
  demand(lines.length <= MAX_SIGNATURES, "note", `${lines.length} signatures, the limit is ${MAX_SIGNATURES}`);
  return { text: whole.slice(0, at + 1), signatures: lines.map(parseLine) };
}

function parseLine(line: string): SignatureLine {
  const field = "signature line";
  const parts = line.startsWith(DASH) ? line.slice(DASH.length).split(" ") : [];
  demand(parts.length === 2, field, "not of the form '\u2014 name base64'");
  checkName(parts[0]!, field);
  const raw = fromBase64(parts[1]!, field);
  demand(raw.length >= 5, field, "too short for a key ID and a signature");
  return { name: parts[0]!, keyId: toHex(raw.subarray(0, 4)), blob: raw.subarray(4) };
}

/** The `vkey` of a log or witness. */
export class VerifierKey {
  /** Hexadecimal: SHA-256(name ‖ 0A ‖ type ‖ public key), the first four bytes. */
  readonly keyId: string;

  constructor(
    readonly name: string,
    readonly type: number,
    readonly raw: Uint8Array,
  ) {
    this.keyId = toHex(sha256(concat(utf8(name), Uint8Array.of(0x0a, type), raw)).subarray(0, 4));
  }

  /** The time of a signature over the checkpoint, or undefined if its type has none; refused if it does not verify. */
  async check(note: string, checkpoint: Checkpoint, blob: Uint8Array): Promise<bigint | undefined> {
    if (this.type === ED25519) {
      demand(await new PublicKey(EDDSA, this.raw).verifies(utf8(note), blob), this.name, "the signature does not verify");
      return undefined;
    }
    const size = this.type === COSIGNATURE_ED25519 ? SIGNATURE_SIZE : ML_DSA_SIGNATURE_SIZE;
    const time = toNumber(blob.subarray(0, 8));
    demand(blob.length === 8 + size && time > 0n && time < MAX_SIZE, this.name, `a cosignature is a time and ${size} bytes`);
    const signature = blob.subarray(8);
    const holds =
      this.type === COSIGNATURE_ED25519
        ? await new PublicKey(EDDSA, this.raw).verifies(utf8(`cosignature/v1\ntime ${time}\n${note}`), signature)
        : verifiesMlDsa44(this.raw, mlDsaMessage(this.name, checkpoint, time), signature);
    demand(holds, this.name, "the cosignature does not verify");
    return time;
  }
}

/** What a cosigner signs with ML-DSA-44 for a whole tree (C2SP tlog-cosignature). */
function mlDsaMessage(name: string, checkpoint: Checkpoint, time: bigint): Uint8Array {
  const cosigner = utf8(name);
  const origin = utf8(checkpoint.origin);
  return concat(
    utf8("subtree/v1\n\0"),
    Uint8Array.of(cosigner.length),
    cosigner,
    uint64(time),
    Uint8Array.of(origin.length),
    origin,
    uint64(0n),
    uint64(checkpoint.size),
    checkpoint.root,
  );
}

/** A vkey `name+hash+base64`, of type 01, 04 or 06. */
export function parseVerifierKey(text: string, field = "verifier key"): VerifierKey {
  const parts = /^([^+]*)\+([0-9a-f]{8})\+([\s\S]*)$/.exec(text);
  demand(parts !== null, field, "not of the form name+hash+base64");
  checkName(parts[1]!, field);
  const raw = fromBase64(parts[3]!, field);
  const size = KEY_SIZES.get(raw[0] ?? 0);
  demand(size !== undefined, field, "signature type is not supported; known are 01, 04 and 06");
  demand(raw.length === size + 1, field, `a key of this type has ${size} bytes`);
  const key = new VerifierKey(parts[1]!, raw[0]!, raw.subarray(1));
  demand(key.keyId === parts[2], field, `its hash should be ${key.keyId}: name or key was altered`);
  return key;
}

/** A tree head. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Uint8Array;
  /** Lines beyond the third. */
  readonly extensions: readonly string[];
}

/** An unsigned decimal below 2^63 without sign, space or leading zero. */
export function parseDecimal(text: string, field: string): bigint {
  demand(/^(?:0|[1-9][0-9]{0,18})$/.test(text) && BigInt(text) < MAX_SIZE, field, "not a decimal number below 2^63");
  return BigInt(text);
}

/** The text of a note as a checkpoint. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.slice(0, -1).split("\n");
  demand(lines.length >= 3 && !lines.includes(""), "checkpoint", "needs three or more lines, none of them empty");
  const [origin, size, root] = [lines[0]!, parseDecimal(lines[1]!, "checkpoint size"), fromBase64(lines[2]!, "checkpoint root")];
  demand(utf8(origin).length <= MAX_NAME, "checkpoint origin", `longer than ${MAX_NAME} bytes`);
  demand(root.length === HASH_SIZE, "checkpoint root", `has ${root.length} bytes, not ${HASH_SIZE}`);
  if (size === 0n && !equalBytes(root, EMPTY_ROOT)) throw new Refused("checkpoint root", "not that of the empty tree");
  return { origin, size, root, extensions: lines.slice(3) };
}
