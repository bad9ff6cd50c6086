/**
 * Keys and signatures: Ed25519 and ES256 of statements, ML-DSA-44 of cosignatures (spec/statement.md, "Signature").
 *
 * Checking with WebCrypto is several times faster; where the platform has no Ed25519 there, noble does it.
 */

import { ed25519 } from "@noble/curves/ed25519";
import { p256 } from "@noble/curves/nist";
import { sha256, sha512 } from "@noble/hashes/sha2";
import { ml_dsa44 } from "@noble/post-quantum/ml-dsa";

import { concat, equalBytes, toHex, toNumber } from "./bytes.js";
import { type CborMap, type Value, encode, isBytes, isMap } from "./cbor.js";
import { Refused, demand } from "./errors.js";

export const EDDSA = -8n;
export const ES256 = -7n;
export const SIGNATURE_SIZE = 64;
export const ML_DSA_KEY_SIZE = 1312;
export const ML_DSA_SIGNATURE_SIZE = 2420;

const P256_ORDER = p256.CURVE.n;
const ED25519_PRIME = ed25519.CURVE.Fp.ORDER;
const ED25519_ORDER = ed25519.CURVE.n;

/** Which implementation checks signatures: WebCrypto where it can, or noble always. */
export type Engine = "webcrypto" | "noble";

let engine: Engine = "webcrypto";

/** For measurements, and for tests of the fallback. */
export function useEngine(chosen: Engine): void {
  engine = chosen;
}

function subtle(): SubtleCrypto | undefined {
  return engine === "webcrypto" ? globalThis.crypto?.subtle : undefined;
}

/** The key that a signer signs with: Ed25519 (32 bytes) or P-256 (x ‖ y, 64 bytes). */
export class PublicKey {
  /** The map with just its required members, by which the key has its name. */
  readonly coseKey: CborMap;
  /** COSE Key Thumbprint (RFC 9679) with SHA-256. */
  readonly thumbprint: Uint8Array;
  readonly id: string;
  private imported: Promise<CryptoKey | undefined> | undefined;
  private edwards: Ed25519Key | undefined;

  constructor(
    readonly algorithm: bigint,
    readonly raw: Uint8Array,
  ) {
    if (algorithm === EDDSA) demand(raw.length === 32, "key", "an Ed25519 key has 32 bytes");
    else {
      demand(algorithm === ES256, "key", "neither EdDSA (-8) nor ES256 (-7)");
      demand(raw.length === 64 && isP256Point(raw), "key", "no point on P-256");
    }
    this.coseKey = new Map<bigint, Value>(
      algorithm === EDDSA
        ? [[1n, 1n], [-1n, 6n], [-2n, raw]]
        : [[1n, 2n], [-1n, 1n], [-2n, raw.subarray(0, 32)], [-3n, raw.subarray(32)]],
    );
    this.thumbprint = sha256(encode(this.coseKey));
    this.id = toHex(this.thumbprint);
  }

  /** The name of the algorithm, as a person reads it. */
  get algorithmName(): string {
    return this.algorithm === EDDSA ? "Ed25519" : "ES256";
  }

  /** Whether `signature` is this key's over `message`. */
  async verifies(message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (signature.length !== SIGNATURE_SIZE) return false;
    if (this.algorithm === EDDSA) {
      this.edwards ??= new Ed25519Key(this.raw);
      if (!this.edwards.isPlausible(signature)) return false;
    } else if (!lowS(signature)) return false;
    this.imported ??= this.import();
    const key = await this.imported;
    if (!key) return this.verifiesAlone(message, signature);
    const algorithm = this.algorithm === EDDSA ? { name: "Ed25519" } : { name: "ECDSA", hash: "SHA-256" };
    return subtle()!.verify(algorithm, key, signature as BufferSource, message as BufferSource);
  }

  private verifiesAlone(message: Uint8Array, signature: Uint8Array): boolean {
    if (this.edwards) return this.edwards.verifies(message, signature);
    return p256.verify(signature, sha256(message), concat(Uint8Array.of(4), this.raw), { prehash: false, lowS: true });
  }

  private async import(): Promise<CryptoKey | undefined> {
    const using = subtle();
    if (!using) return undefined;
    try {
      return this.algorithm === EDDSA
        ? await using.importKey("raw", this.raw as BufferSource, { name: "Ed25519" }, false, ["verify"])
        : await using.importKey(
            "raw",
            concat(Uint8Array.of(4), this.raw) as BufferSource,
            { name: "ECDSA", namedCurve: "P-256" },
            false,
            ["verify"],
          );
    } catch {
      return undefined; // an older browser has no Ed25519; what noble says of the key then counts
    }
  }
}

/** A COSE_Key with its required members and nothing else. */
export function parseCoseKey(value: Value | undefined, field: string): PublicKey {
  if (isMap(value)) {
    const x = value.get(-2n);
    const y = value.get(-3n);
    if (value.size === 3 && value.get(1n) === 1n && value.get(-1n) === 6n && isBytes(x)) return new PublicKey(EDDSA, x);
    const is256 = value.size === 4 && value.get(1n) === 2n && value.get(-1n) === 1n;
    if (is256 && isBytes(x) && isBytes(y) && x.length === 32 && y.length === 32) return new PublicKey(ES256, concat(x, y));
  }
  throw new Refused(field, "not a COSE_Key of an Ed25519 or P-256 public key");
}

function isP256Point(raw: Uint8Array): boolean {
  try {
    p256.Point.fromHex(concat(Uint8Array.of(4), raw)).assertValidity();
    return true;
  } catch {
    return false;
  }
}

function lowS(signature: Uint8Array): boolean {
  const r = toNumber(signature.subarray(0, 32));
  const s = toNumber(signature.subarray(32));
  return r > 0n && r < P256_ORDER && s > 0n && 2n * s < P256_ORDER;
}

// --- Ed25519 ------------------------------------------------------------------------------------

type EdPoint = InstanceType<typeof ed25519.Point>;

/** Uses of a key after which tables for it pay: making them costs as much as some twenty signatures. */
const OFTEN = 20;

/** The point that the bytes are the canonical encoding of, unless it is of small order. */
function parsePoint(raw: Uint8Array): EdPoint | undefined {
  const y = toNumber(Uint8Array.from(raw, (byte, i) => (i === 31 ? byte & 0x7f : byte)).reverse());
  if (y >= ED25519_PRIME) return undefined;
  try {
    const point = ed25519.Point.fromHex(raw, false);
    return point.isSmallOrder() ? undefined : point;
  } catch {
    return undefined;
  }
}

/** The canonical encodings of the points of small order, without the sign bit. */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

function isSmallOrder(encoded: Uint8Array): boolean {
  const unsigned = encoded.slice();
  unsigned[31]! &= 0x7f;
  return SMALL_ORDER.has(toHex(unsigned));
}

/** What platforms judge differently, decided here once for all of them: the key, R of small order, the range of S. */
class Ed25519Key {
  private readonly point: EdPoint | undefined;
  private uses = 0;

  constructor(private readonly raw: Uint8Array) {
    this.point = parsePoint(raw);
  }

  isPlausible(signature: Uint8Array): boolean {
    if (!this.point || isSmallOrder(signature.subarray(0, 32))) return false;
    return toNumber(signature.slice(32).reverse()) < ED25519_ORDER;
  }

  /** RFC 8032 §5.1.7 without the cofactor: R is what S·B - k·A encodes as. noble's own check multiplies by 8. */
  verifies(message: Uint8Array, signature: Uint8Array): boolean {
    if (!this.point) return false;
    if (++this.uses === OFTEN) this.point.precompute(8);
    const r = signature.subarray(0, 32);
    const s = toNumber(signature.slice(32).reverse());
    const k = toNumber(sha512(concat(r, this.raw, message)).reverse()) % ED25519_ORDER;
    const base = s === 0n ? ed25519.Point.ZERO : ed25519.Point.BASE.multiplyUnsafe(s);
    const expected = base.subtract(k === 0n ? ed25519.Point.ZERO : this.point.multiplyUnsafe(k));
    return equalBytes(expected.toBytes(), r);
  }
}

// --- ML-DSA-44 ----------------------------------------------------------------------------------

/** FIPS 204 §5.3: pure mode with empty context. */
export function verifiesMlDsa44(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return (
    key.length === ML_DSA_KEY_SIZE &&
    signature.length === ML_DSA_SIGNATURE_SIZE &&
    ml_dsa44.verify(key, message, signature)
  );
}
