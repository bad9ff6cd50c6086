/** The verifier behind messages: bytes and trust in, steps and a history out. Holds the history for what is asked later. */

import {
  type CborMap,
  type History,
  Refused,
  type Statement,
  TwinFold,
  type VerifiedEntry,
  VerificationFailed,
  decodeCbor,
  parsePolicy,
  readPayload,
  sha256Hex,
  verifyBundle,
  verifyTlogProof,
  verifyTransparent,
} from "../verifier/src/index";
import type { Ask, Detail, EntryRow, Evidence, EvidenceKind, Failure, GrantRow, Proven, StateShown, Summary, Told, Trust } from "./protocol";
import { stateRows } from "./state-rows";
import { payloadTree } from "./tree";

const MAGIC = "c2sp.org/tlog-proof@v1\n";

/** What kind of evidence this is, by its first bytes; null if it is none. */
export function recognise(data: Uint8Array): EvidenceKind | null {
  if (data.length >= MAGIC.length && [...MAGIC].every((character, at) => data[at] === character.charCodeAt(0))) return "tlog-proof";
  const first = data[0];
  if (first === 0xd2) return "transparent statement";
  return first !== undefined && first >> 5 === 5 ? "bundle" : null;
}

const seconds = (time: bigint | undefined): number | null => (time === undefined ? null : Number(time));

function entryRow(entry: VerifiedEntry, at: number): EntryRow {
  const { index, kind, statement, grant, time } = entry;
  return {
    at, kind, entry: Number(index), signer: statement.issuer, seq: Number(statement.seq), grant: Number(grant.index),
    claimed: Number(time.claimed), notBefore: seconds(time.notBefore), notAfter: seconds(time.notAfter), anchored: seconds(time.anchored),
  };
}

function grantRows({ authority }: History): GrantRow[] {
  return authority.grants.map((grant) => ({
    entry: Number(grant.index), to: grant.terms.issuer, key: grant.terms.key.id, can: [...grant.terms.can],
    scope: grant.terms.scope.value === "" ? "" : `${grant.terms.scope.type} ${grant.terms.scope.value}`,
    revoked: seconds(authority.revokedAt(grant)),
  }));
}

function summarise(history: History, trust: Trust): Summary {
  return {
    subject: history.subject,
    origin: history.head.checkpoint.origin,
    size: Number(history.head.checkpoint.size),
    operator: history.operator.id,
    operatorExpected: trust.operator !== "",
    witnesses: history.head.witnesses,
    headTime: seconds(history.head.latest),
    entries: history.entries.map(entryRow),
    streams: history.streams.map(({ issuer, subject, first, last, digest }) => ({ signer: issuer, subject, first: Number(first), last: Number(last), digest })),
    grants: grantRows(history),
    anchors: history.anchors.map(({ head, trusted }) => ({
      size: Number(head.size), chain: String(head.chain), block: Number(head.blockNumber), hash: head.blockHash, time: Number(head.time), contract: head.contract, trusted,
    })),
    remarks: history.remarks,
    blobs: [...history.blobs].map(([digest, data]) => ({ digest, bytes: data.length })),
  };
}

const ALGORITHMS: Readonly<Record<string, string>> = { "-8": "Ed25519", "-7": "ES256" };

function detailOf(statement: Statement): Detail {
  const { said } = readPayload(statement);
  return {
    digest: statement.digestHex, key: statement.kid, algorithm: ALGORITHMS[String(statement.algorithm)] ?? String(statement.algorithm),
    contentType: statement.contentType, bytes: statement.raw.length, payload: payloadTree(said, statement),
  };
}

/** What a refusal means to the reader; any other error is a defect and goes on. */
function failure(error: unknown, title: string): Failure {
  if (error instanceof VerificationFailed) return { step: error.step, title: error.title, problems: error.problems };
  if (error instanceof Refused) return { step: null, title, problems: [error.message] };
  throw error;
}

/** Answers one question after the other. */
export class Engine {
  private history: History | null = null;
  private fold: TwinFold | null = null;
  /** Entries that the fold has taken. */
  private folded = 0;

  constructor(private readonly tell: (told: Told) => void) {}

  async answer(asked: Ask): Promise<void> {
    const { id } = asked;
    try {
      if (asked.ask === "verify") await this.verify(id, asked.evidence, asked.trust);
      else if (asked.ask === "detail") this.tell({ id, told: "detail", detail: detailOf(this.entry(asked.at).statement) });
      else this.tell({ id, told: "state", state: this.state(asked.at) });
    } catch (error) {
      this.tell({ id, told: "defect", text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }

  private async verify(id: number, evidence: Evidence, trust: Trust): Promise<void> {
    this.history = null;
    this.fold = null;
    let title = "read the policy";
    try {
      const policy = parsePolicy(new TextEncoder().encode(trust.policy));
      const kind = recognise(evidence.bytes);
      if (kind === null) throw new Refused("evidence", "neither a history bundle, nor a transparent statement, nor a tlog-proof");
      title = kind;
      if (kind !== "bundle") return this.tell({ id, told: "proven", proven: await this.prove(kind, evidence, policy) });
      const history = await verifyBundle(evidence.bytes, policy, {
        anchors: { blocks: trust.blocks },
        onStep: (step, _, found) => this.tell({ id, told: "step", step, found }),
      });
      const problem = wrongOperator(history, trust);
      if (problem) return this.tell({ id, told: "failed", failure: problem });
      this.history = history;
      this.tell({ id, told: "verified", summary: summarise(history, trust) });
    } catch (error) {
      this.tell({ id, told: "failed", failure: failure(error, title) });
    }
  }

  private async prove(kind: EvidenceKind, { bytes, statement: raw }: Evidence, policy: ReturnType<typeof parsePolicy>): Promise<Proven> {
    let headTime: number | null = null;
    let witnesses: readonly string[] = [];
    let found;
    if (kind === "transparent statement") found = await verifyTransparent(bytes, policy);
    else {
      if (raw === undefined) throw new Refused("statement", "a tlog-proof needs the statement that it is about");
      const proven = await verifyTlogProof(bytes, raw, policy);
      headTime = seconds(proven.head.latest);
      witnesses = proven.head.witnesses;
      found = proven;
    }
    const { statement, index, size, origin } = found;
    return {
      subject: statement.subject, signer: statement.issuer, kind: readPayload(statement).said.kind, entry: Number(index), size: Number(size),
      origin, claimed: Number(statement.issuedAt), headTime, witnesses, detail: detailOf(statement),
    };
  }

  private entry(at: number): VerifiedEntry {
    const entry = this.history?.entries[at];
    if (!entry) throw new RangeError(`no verified statement at ${at}`);
    return entry;
  }

  /** The state after the statement at this position. */
  private state(at: number): StateShown {
    this.entry(at);
    if (!this.fold || this.folded > at + 1) {
      this.fold = new TwinFold(this.history!.subject);
      this.folded = 0;
    }
    for (; this.folded <= at; this.folded++) {
      const { index, statement } = this.entry(this.folded);
      this.fold.apply(index, statement);
    }
    const bytes = this.fold.canonical();
    return { rows: stateRows(decodeCbor(bytes, "state", 64) as CborMap), digest: sha256Hex(bytes) };
  }
}

function wrongOperator(history: History, { operator }: Trust): Failure | null {
  const expected = operator.trim().toLowerCase();
  if (expected === "" || expected === history.operator.id) return null;
  return { step: null, title: "expect the operator", problems: [`the genesis names the operator key ${history.operator.id}, you expect ${expected}`] };
}
