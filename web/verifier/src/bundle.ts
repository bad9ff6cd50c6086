/** History bundles: the file's form (spec/evidence.md). Nothing in a parsed bundle is verified yet. */

import { sha256 } from "@noble/hashes/sha2";

import { type AnchorEvidence, parseAnchor } from "./anchor.js";
import { compareBytes, equalBytes, toHex } from "./bytes.js";
import { MAX_DEPTH, type Value, decode, isArray, isBytes, isMap } from "./cbor.js";
import { demand } from "./errors.js";
import { checkDigest, checkFields, checkIri, checkText, checkWhole } from "./fields.js";
import { MAX_SIZE, splitHashes } from "./merkle.js";
import { MAX_NOTE } from "./note.js";
import { MAX_SEQ, MAX_STATEMENT } from "./statement.js";

export const FORMAT = "twinproof-bundle/1";
/** Bytes. */
export const MAX_BUNDLE = 2 ** 30;
const SPARE_ITEMS = 256;
const BYTES_PER_ITEM = 16;
const MAX_MARKS = 4_096;
const MAX_ANCHORS = 1_024;
const MAX_BLOBS = 64;
/** Bytes of one blob. */
const MAX_BLOB = 67_108_864;

/** What the file has, or says that it has, of one stream. */
export interface StreamSummary {
  readonly issuer: string;
  readonly subject: string;
  readonly first: bigint;
  readonly last: bigint;
  /** Hexadecimal, of the last statement. */
  readonly digest: string;
}

export interface Bundle {
  readonly subject: string;
  readonly head: Uint8Array;
  readonly marks: readonly { readonly checkpoint: Uint8Array; readonly proof: readonly Uint8Array[] }[];
  readonly entries: readonly (readonly [index: bigint, raw: Uint8Array])[];
  readonly nodes: readonly Uint8Array[];
  readonly statements: bigint;
  readonly streams: readonly StreamSummary[];
  readonly generator: string;
  readonly anchors: readonly { readonly evidence: AnchorEvidence; readonly proof: readonly Uint8Array[] }[];
  /** By hexadecimal SHA-256. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

function checkArray(value: Value | undefined, field: string, least: number, most: number): readonly Value[] {
  const fits = isArray(value) && value.length >= least && value.length <= most;
  demand(fits, field, `not an array of ${least} to ${most}`);
  return value;
}

function checkTuple(value: Value | undefined, field: string, size: number): readonly Value[] {
  demand(isArray(value) && value.length === size, field, `not an array of ${size}`);
  return value;
}

function checkNote(value: Value | undefined, field: string): Uint8Array {
  demand(isBytes(value) && value.length <= MAX_NOTE, field, `not a byte string of at most ${MAX_NOTE}`);
  return value;
}

function checkHashes(value: Value | undefined, field: string): readonly Uint8Array[] {
  demand(isBytes(value), field, "not a byte string of hashes");
  return splitHashes(value, field);
}

function parseEntries(value: Value | undefined): Bundle["entries"] {
  let previous = -1n;
  return checkArray(value, "bundle.entries", 1, Number.POSITIVE_INFINITY).map((item, number) => {
    const field = `bundle.entries[${number}]`;
    const [index, raw] = checkTuple(item, field, 2);
    const found = checkWhole(index, field, 0n, MAX_SIZE);
    demand(isBytes(raw) && raw.length <= MAX_STATEMENT, field, `not bytes, or more than ${MAX_STATEMENT}`);
    demand(found > previous, field, "indices ascend without repeats");
    previous = found;
    return [found, raw] as const;
  });
}

function parseStream(value: Value, number: number): StreamSummary {
  const field = `bundle.manifest.streams[${number}]`;
  const [issuer, subject, first, last, digest] = checkTuple(value, field, 5);
  const begin = checkWhole(first, field, 0n, MAX_SEQ);
  return {
    issuer: checkIri(issuer, field),
    subject: checkIri(subject, field),
    first: begin,
    last: checkWhole(last, field, begin, MAX_SEQ),
    digest: toHex(checkDigest(digest, field)),
  };
}

function parseBlobs(value: Value | undefined): ReadonlyMap<string, Uint8Array> {
  const blobs = new Map<string, Uint8Array>();
  if (value === undefined) return blobs;
  let previous = new Uint8Array(0);
  for (const [number, item] of checkArray(value, "bundle.blobs", 1, MAX_BLOBS).entries()) {
    const field = `bundle.blobs[${number}]`;
    const [name, data] = checkTuple(item, field, 2);
    const digest = checkDigest(name, field);
    demand(isBytes(data) && data.length <= MAX_BLOB, field, `not bytes, or more than ${MAX_BLOB}`);
    demand(compareBytes(previous, digest) < 0, field, "digests ascend without repeats");
    demand(equalBytes(sha256(data), digest), field, "the bytes are not those of the digest");
    blobs.set(toHex(digest), data);
    previous = Uint8Array.from(digest);
  }
  return blobs;
}

export function parseBundle(data: Uint8Array): Bundle {
  demand(data.length <= MAX_BUNDLE, "bundle", `${data.length} bytes, the limit is ${MAX_BUNDLE}`);
  const most = Math.floor(data.length / BYTES_PER_ITEM) + SPARE_ITEMS;
  const value = decode(data, "bundle", MAX_DEPTH, most);
  const keys = ["format", "subject", "head", "marks", "entries", "nodes", "manifest"];
  demand(isMap(value) && value.get("format") === FORMAT, "bundle.format", `not ${FORMAT}`);
  const fields = checkFields(value, "bundle", keys, ["anchors", "blobs"]);
  const manifest = checkFields(fields.get("manifest"), "bundle.manifest", ["statements", "streams", "generator"]);
  const anchors = fields.get("anchors");
  return {
    subject: checkIri(fields.get("subject"), "bundle.subject"),
    head: checkNote(fields.get("head"), "bundle.head"),
    marks: checkArray(fields.get("marks"), "bundle.marks", 0, MAX_MARKS).map((item, number) => {
      const field = `bundle.marks[${number}]`;
      const [checkpoint, proof] = checkTuple(item, field, 2);
      return { checkpoint: checkNote(checkpoint, field), proof: checkHashes(proof, field) };
    }),
    entries: parseEntries(fields.get("entries")),
    nodes: checkHashes(fields.get("nodes"), "bundle.nodes"),
    statements: checkWhole(manifest.get("statements"), "bundle.manifest.statements", 0n, 1n << 64n),
    streams: checkArray(manifest.get("streams"), "bundle.manifest.streams", 0, Number.POSITIVE_INFINITY).map(parseStream),
    generator: checkText(manifest.get("generator"), "bundle.manifest.generator", 200),
    anchors:
      anchors === undefined
        ? []
        : checkArray(anchors, "bundle.anchors", 1, MAX_ANCHORS).map((item, number) => {
            const field = `bundle.anchors[${number}]`;
            const members = checkArray(item, field, 1, 7);
            return { evidence: parseAnchor(members.slice(0, -1), field), proof: checkHashes(members.at(-1), field) };
          }),
    blobs: parseBlobs(fields.get("blobs")),
  };
}
