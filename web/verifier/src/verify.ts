/** Verify a history bundle in the ten steps of spec/evidence.md. */

import { type AnchoredHead, proveAnchor } from "./anchor.js";
import { Authority, type Grant } from "./authority.js";
import { type Bundle, type StreamSummary, parseBundle } from "./bundle.js";
import { compareText, equalBytes, fromHex } from "./bytes.js";
import { VerificationFailed, demand, refusal } from "./errors.js";
import { type Read, type Said, readPayload } from "./kinds/index.js";
import { logSubject } from "./kinds/grants.js";
import type { PublicKey } from "./keys.js";
import { checkConsistency, hashLeaf, multiproofRoot } from "./merkle.js";
import type { Policy, TrustedCheckpoint } from "./policy.js";
import { type Statement, isSigned, parseStatement } from "./statement.js";

export const STEPS: readonly string[] = [
  "read the file",
  "trust the head",
  "link the time marks",
  "prove inclusion",
  "read the statements",
  "establish authority",
  "check every statement",
  "follow the streams",
  "compare the manifest",
  "bracket the times",
];
/** Seconds that a claimed time may be above a proved upper bound. */
export const CLOCK_TOLERANCE = 300n;

/** Whom to believe about blocks: nothing in a bundle says that a block is one of the chain. */
export interface AnchorTrust {
  /** Hashes of blocks, hexadecimal with or without 0x. */
  readonly blocks?: readonly string[];
  /** Whether the chain has this hash (hexadecimal) at this number. What it throws ends the verification. */
  readonly confirms?: (chain: bigint, blockNumber: bigint, blockHash: string) => boolean | Promise<boolean>;
  /** If given, anchors of another contract or log bound nothing. */
  readonly expected?: readonly ExpectedAnchor[];
}

export interface ExpectedAnchor {
  readonly chain: bigint;
  /** Address, hexadecimal. */
  readonly contract: string;
  readonly logId?: string;
}

export interface VerifyOptions {
  readonly anchors?: AnchorTrust;
  /** Called after each step that passed. */
  readonly onStep?: (step: number, title: string, found: string) => void;
}

/** When something was stated, in POSIX seconds; undefined where nothing trusted tells. */
export interface TimeBracket {
  readonly claimed: bigint;
  readonly notBefore: bigint | undefined;
  readonly notAfter: bigint | undefined;
  readonly anchored: bigint | undefined;
}

export type VerifiedEntry = Said & {
  readonly index: bigint;
  readonly statement: Statement;
  /** Under which the signer could say this. */
  readonly grant: Grant;
  readonly time: TimeBracket;
};

export interface VerifiedAnchor {
  readonly head: AnchoredHead;
  readonly trusted: boolean;
}

/** A verified history of one twin. */
export interface History {
  readonly subject: string;
  readonly head: TrustedCheckpoint;
  /** The twin's own statements, in log order. */
  readonly entries: readonly VerifiedEntry[];
  readonly streams: readonly StreamSummary[];
  readonly authority: Authority;
  /** As the genesis names it: compare it with the one that you expect. */
  readonly operator: PublicKey;
  /** Ascending by size. */
  readonly anchors: readonly VerifiedAnchor[];
  /** What the file brings along, such as models of predictions, by hexadecimal SHA-256. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** What a reader should know and the file does not hide. */
  readonly remarks: readonly string[];
}

/** Verify a history bundle; throws `VerificationFailed` with the step and every finding of it. */
export async function verifyBundle(data: Uint8Array, policy: Policy, options: VerifyOptions = {}): Promise<History> {
  const run = new Run(policy, options);
  run.readFile(data);
  await run.trustHead();
  await run.linkMarks();
  await run.proveInclusion();
  run.readStatements();
  await run.establishAuthority();
  await run.checkStatements();
  run.followStreams();
  run.compareManifest();
  run.bracketTimes();
  return run.history();
}

type Entry = Read & { readonly index: bigint; readonly statement: Statement };

/** How many signatures are under way at once: enough to keep the platform's threads busy. */
const BATCH = 256;

const isAuthority = ({ said: { kind } }: Entry): boolean => kind === "genesis" || kind === "grant" || kind === "revoke";

function name(issuer: string, subject: string): string {
  return `${subject}\n${issuer}`;
}

function compareStreams(a: StreamSummary, b: StreamSummary): number {
  return compareText(a.subject, b.subject) || compareText(a.issuer, b.issuer);
}

/** One verification; each method is a step and leaves what the next ones need. */
class Run {
  private bundle!: Bundle;
  private head!: TrustedCheckpoint;
  private readonly marks: TrustedCheckpoint[] = [];
  private readonly anchors: VerifiedAnchor[] = [];
  private readonly entries: Entry[] = [];
  private readonly authority = new Authority();
  private readonly grants = new Map<Entry, Grant>();
  private readonly brackets = new Map<Entry, TimeBracket>();
  private streams: readonly StreamSummary[] = [];
  private readonly remarks: string[] = [];

  constructor(
    private readonly policy: Policy,
    private readonly options: VerifyOptions,
  ) {}

  private conclude(step: number, problems: readonly string[], found: string): void {
    const title = STEPS[step - 1]!;
    if (problems.length) throw new VerificationFailed(step, title, problems);
    this.options.onStep?.(step, title, found);
  }

  readFile(data: Uint8Array): void {
    try {
      this.bundle = parseBundle(data);
    } catch (error) {
      this.conclude(1, [refusal(error)], "");
    }
    this.conclude(1, [], `${data.length} bytes, ${this.bundle.entries.length} entries about ${this.bundle.subject}`);
  }

  async trustHead(): Promise<void> {
    try {
      this.head = await this.policy.check(this.bundle.head);
    } catch (error) {
      this.conclude(2, [refusal(error)], "");
    }
    const { origin, size } = this.head.checkpoint;
    const witnesses = this.head.witnesses.length ? `cosigned by ${this.head.witnesses.join(", ")}` : "no witness";
    this.conclude(2, [], `${origin}, ${size} entries, ${witnesses}`);
  }

  async linkMarks(): Promise<void> {
    const head = this.head.checkpoint;
    const problems: string[] = [];
    let previous = -1n;
    for (const [number, mark] of this.bundle.marks.entries()) {
      try {
        const trusted = await this.policy.check(mark.checkpoint);
        const { origin, size, root } = trusted.checkpoint;
        demand(origin === head.origin, "mark", `is of another log, ${origin}`);
        demand(size > previous && size < head.size, "mark", `of size ${size} is out of order`);
        checkConsistency(size, head.size, root, head.root, mark.proof);
        previous = size;
        this.marks.push(trusted);
      } catch (error) {
        problems.push(`mark ${number}: ${refusal(error)}`);
      }
    }
    const heads: AnchoredHead[] = [];
    for (const [number, { evidence, proof }] of this.bundle.anchors.entries()) {
      try {
        const found = proveAnchor(evidence);
        const before = heads.at(-1);
        demand(before === undefined || compareAnchors(before, found) < 0, "anchor", "out of order");
        checkConsistency(found.size, head.size, found.root, head.root, proof);
        heads.push(found);
      } catch (error) {
        problems.push(`anchor ${number}: ${refusal(error)}`);
      }
    }
    const anchored = heads.length ? `, ${heads.length} anchored ones too` : "";
    this.conclude(3, problems, `${this.marks.length} older checkpoints lead to the head${anchored}`);
    for (const found of heads) this.anchors.push({ head: found, trusted: await this.trusts(found) });
    this.remarkUntrusted();
  }

  private isExpected(found: AnchoredHead): boolean {
    const expected = this.options.anchors?.expected;
    if (!expected || expected.length === 0) return true;
    return expected.some(
      ({ chain, contract, logId }) =>
        chain === found.chain && sameHex(contract, found.contract) && (logId === undefined || sameHex(logId, found.logId)),
    );
  }

  private async trusts(found: AnchoredHead): Promise<boolean> {
    const { blocks, confirms } = this.options.anchors ?? {};
    if (!this.isExpected(found)) return false;
    if (blocks?.some((hash) => sameHex(hash, found.blockHash))) return true;
    return confirms !== undefined && (await confirms(found.chain, found.blockNumber, found.blockHash));
  }

  private remarkUntrusted(): void {
    const others = this.anchors.filter(({ head }) => !this.isExpected(head)).length;
    const blocks = this.anchors.filter(({ trusted }) => !trusted).length - others;
    if (others) this.remarks.push(`${others} anchors bound nothing: of a contract or log that you do not expect`);
    if (blocks) this.remarks.push(`${blocks} anchors bound nothing: of blocks that you do not trust`);
  }

  async proveInclusion(): Promise<void> {
    const { size, root } = this.head.checkpoint;
    const problems: string[] = [];
    try {
      const leaves = this.bundle.entries.map(([index, raw]) => [index, hashLeaf(raw)] as const);
      const found = multiproofRoot(size, leaves, this.bundle.nodes);
      demand(equalBytes(found, root), "", `the multiproof does not lead to the root of size ${size}`);
    } catch (error) {
      problems.push(refusal(error), ...(await this.suspects()));
    }
    this.conclude(4, problems, `${this.bundle.entries.length} entries lead to the head's root`);
  }

  /** Entries whose own signature fails: a multiproof does not say which entry is wrong. */
  private async suspects(): Promise<string[]> {
    const keys = new Map<string, PublicKey>();
    const problems: string[] = [];
    for (const [index, raw] of this.bundle.entries) {
      try {
        const statement = parseStatement(raw);
        const { said } = readPayload(statement);
        if (said.kind === "genesis") keys.set(said.payload.operator.id, said.payload.operator);
        if (said.kind === "grant") keys.set(said.payload.key.id, said.payload.key);
        const key = keys.get(statement.kid);
        demand(!key || (await isSigned(statement, key)), "", `the ${key?.algorithmName} signature does not verify`);
      } catch (error) {
        problems.push(`entry ${index}: ${refusal(error)}`);
      }
    }
    const whole = "every statement's own signature holds: an index, a hash or a whole entry was changed";
    return problems.length ? problems : [whole];
  }

  readStatements(): void {
    const log = logSubject(this.head.checkpoint.origin);
    const problems: string[] = [];
    for (const [index, raw] of this.bundle.entries) {
      try {
        const statement = parseStatement(raw);
        const { subject } = statement;
        demand(subject === this.bundle.subject || subject === log, "sub", `is another twin or log: ${subject}`);
        this.entries.push({ index, statement, ...readPayload(statement) });
      } catch (error) {
        problems.push(`entry ${index}: ${refusal(error)}`);
      }
    }
    const about = this.entries.some(({ statement }) => statement.subject === this.bundle.subject);
    if (!about && !problems.length) problems.push(`no statement is about ${this.bundle.subject}`);
    this.conclude(5, problems, `${this.entries.length} statements`);
  }

  async establishAuthority(): Promise<void> {
    const problems: string[] = [];
    for (const entry of this.entries.filter(isAuthority)) {
      const { index, statement, said } = entry;
      try {
        this.grants.set(entry, await this.takeAuthority(entry));
      } catch (error) {
        problems.push(`entry ${index} (${said.kind} by ${statement.issuer}): ${refusal(error)}`);
      }
    }
    const { origin } = this.authority;
    if (origin === undefined) problems.push("no genesis statement at index 0");
    else if (origin !== this.head.checkpoint.origin) problems.push(`the genesis names the log ${origin}`);
    this.conclude(6, problems, `genesis and ${this.authority.grants.length - 1} grants`);
  }

  /** The grant that an authority statement stands under. */
  private async takeAuthority({ index, statement, said }: Entry): Promise<Grant> {
    if (said.kind === "genesis") return this.authority.begin(index, statement, said.payload);
    const key = this.authority.key(statement.kid);
    demand(key !== undefined, "kid", `no grant to ${statement.issuer} with this key`);
    demand(await isSigned(statement, key), "", `the ${key.algorithmName} signature does not verify`);
    if (said.kind === "grant") return this.authority.grant(index, statement, said.payload);
    if (said.kind === "revoke") return this.authority.revoke(index, statement, said.payload);
    throw new TypeError(`${said.kind} is no kind of authority`);
  }

  async checkStatements(): Promise<void> {
    const models = new Map<string, string>();
    const others = this.entries.filter((entry) => !isAuthority(entry));
    const findings: (string | undefined)[] = [];
    for (let begin = 0; begin < others.length; begin += BATCH) {
      const batch = others.slice(begin, begin + BATCH).map((entry) => this.checkStatement(entry, models));
      findings.push(...(await Promise.all(batch)));
    }
    const problems = findings.filter((finding) => finding !== undefined);
    this.conclude(7, problems, `${others.length} signatures, each by a signer with a grant`);
  }

  /** The verdict is reached before the first await, so in log order; the signature may take its time. */
  private async checkStatement(entry: Entry, models: Map<string, string>): Promise<string | undefined> {
    const { index, statement, said, capability } = entry;
    const model = models.get(statement.subject);
    if (said.kind === "description" && said.payload.model !== undefined) models.set(statement.subject, said.payload.model);
    try {
      const grant = this.authority.verdict(index, statement, capability, model);
      this.grants.set(entry, grant);
      const { key } = grant.terms;
      demand(await isSigned(statement, key), "", `the ${key.algorithmName} signature does not verify`);
      return undefined;
    } catch (error) {
      return `entry ${index} (${said.kind} by ${statement.issuer}): ${refusal(error)}`;
    }
  }

  followStreams(): void {
    const problems: string[] = [];
    const found = new Map<string, StreamSummary>();
    for (const { index, statement } of this.entries) {
      const { issuer, subject, seq, prev } = statement;
      const before = found.get(name(issuer, subject));
      if (before && seq !== before.last + 1n) {
        const how = seq <= before.last ? "repeats" : "skips";
        const stream = `${issuer}'s stream about ${subject}`;
        problems.push(`entry ${index}: seq ${seq} ${how} numbers of ${stream}: the next one is ${before.last + 1n}`);
      } else if (before && (!prev || !equalBytes(prev, fromHex(before.digest)))) {
        problems.push(`entry ${index}: prev is not the digest of the statement before of ${issuer}`);
      }
      const first = before?.first ?? seq;
      found.set(name(issuer, subject), { issuer, subject, first, last: seq, digest: statement.digestHex });
    }
    this.streams = [...found.values()].sort(compareStreams);
    const log = logSubject(this.head.checkpoint.origin);
    for (const { issuer, subject, first } of this.streams.filter((stream) => stream.first > 0n)) {
      if (subject === log) problems.push(`${issuer}'s authority statements begin at seq ${first}, not at 0`);
      else this.remarks.push(`${issuer}'s stream begins at seq ${first}: earlier ones are not in this file`);
    }
    this.conclude(8, problems, `${this.streams.length} streams without gaps, every link holds`);
  }

  compareManifest(): void {
    const { statements, streams } = this.bundle;
    const problems: string[] = [];
    if (statements !== BigInt(this.entries.length)) {
      problems.push(`it announces ${statements} statements, the file holds ${this.entries.length}`);
    }
    if (streams.some((stream, i) => i > 0 && compareStreams(streams[i - 1]!, stream) >= 0)) {
      problems.push("its streams are not in order of subject and issuer");
    }
    const announced = new Map(streams.map((stream) => [name(stream.issuer, stream.subject), stream]));
    const held = new Map(this.streams.map((stream) => [name(stream.issuer, stream.subject), stream]));
    for (const { issuer, subject } of [...new Map([...announced, ...held]).values()].sort(compareStreams)) {
      const [said, there] = [announced, held].map((side) => describe(side.get(name(issuer, subject))));
      if (said !== there) problems.push(`${issuer}'s stream about ${subject}: announced ${said}, found ${there}`);
    }
    this.conclude(9, problems, `${statements} statements in ${this.streams.length} streams, as announced`);
  }

  bracketTimes(): void {
    const points = [...this.marks, this.head];
    const trusted = this.anchors.filter((anchor) => anchor.trusted);
    const problems: string[] = [];
    for (const entry of this.entries) {
      const { index, statement } = entry;
      const claimed = statement.issuedAt;
      const notBefore = points.filter(({ checkpoint, earliest }) => checkpoint.size <= index && earliest !== undefined).at(-1)?.earliest;
      const notAfter = points.find(({ checkpoint, latest }) => checkpoint.size > index && latest !== undefined)?.latest;
      const anchored = least(trusted.filter(({ head }) => head.size > index).map(({ head }) => head.time));
      this.brackets.set(entry, { claimed, notBefore, notAfter, anchored });
      const bound = least([notAfter, anchored]);
      if (bound !== undefined && claimed > bound + CLOCK_TOLERANCE) {
        const how = bound === notAfter ? "integrated" : "anchored";
        problems.push(`entry ${index} claims the time ${claimed}, but was ${how} by ${bound}`);
      }
    }
    this.remarkTimes(points, trusted.length > 0);
    const bounded = [...this.brackets.values()].filter((time) => least([time.notAfter, time.anchored]) !== undefined);
    this.conclude(10, problems, `${bounded.length} of ${this.brackets.size} entries have a proved latest time`);
  }

  private remarkTimes(points: readonly TrustedCheckpoint[], isAnchored: boolean): void {
    const early = [...this.brackets].find(
      ([, { anchored, notBefore }]) => anchored !== undefined && notBefore !== undefined && anchored < notBefore,
    );
    if (early) this.remarks.push(`entry ${early[0].index} is anchored before the log says that it existed: clocks disagree`);
    if (this.head.latest === undefined && !isAnchored) {
      this.remarks.push("no trusted signature carries a time: only the signers' own times are known");
    }
    for (const { index, said, statement } of this.entries) {
      if (said.kind !== "resume" || statement.subject !== this.bundle.subject) continue;
      this.remarks.push(`entry ${index}: the device lost its record and went on from here (${said.payload.reason})`);
    }
    const timed = points.filter((point) => point.earliest !== undefined);
    for (const [i, later] of timed.entries()) {
      const smaller = timed[i - 1];
      if (!smaller || later.latest! >= smaller.earliest!) continue;
      const sizes = `size ${later.checkpoint.size} is older than that of size ${smaller.checkpoint.size}`;
      this.remarks.push(`the log's clock went back: the checkpoint of ${sizes}`);
    }
  }

  history(): History {
    const own = this.entries.filter(({ statement }) => statement.subject === this.bundle.subject);
    return {
      subject: this.bundle.subject,
      head: this.head,
      entries: own.map((entry) => ({
        ...entry.said,
        index: entry.index,
        statement: entry.statement,
        grant: this.grants.get(entry)!,
        time: this.brackets.get(entry)!,
      })),
      streams: this.streams,
      authority: this.authority,
      operator: this.authority.root!.terms.key,
      anchors: this.anchors,
      blobs: this.bundle.blobs,
      remarks: this.remarks,
    };
  }
}

function describe(stream: StreamSummary | undefined): string {
  return stream ? `seq ${stream.first}..${stream.last} ending in ${stream.digest}` : "nothing";
}

function least(times: readonly (bigint | undefined)[]): bigint | undefined {
  let found: bigint | undefined;
  for (const time of times) if (time !== undefined && (found === undefined || time < found)) found = time;
  return found;
}

function sameHex(given: string, found: string): boolean {
  return given.toLowerCase().replace(/^0x/, "") === found;
}

function compareAnchors(a: AnchoredHead, b: AnchoredHead): number {
  const numbers = (x: bigint | number, y: bigint | number): number => (x < y ? -1 : x > y ? 1 : 0);
  return (
    numbers(a.size, b.size) ||
    numbers(a.chain, b.chain) ||
    numbers(a.blockNumber, b.blockNumber) ||
    (a.blockHash < b.blockHash ? -1 : a.blockHash > b.blockHash ? 1 : 0) ||
    numbers(a.index, b.index) ||
    numbers(a.position, b.position)
  );
}
