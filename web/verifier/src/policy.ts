/** Trust policies (C2SP tlog-policy): which logs and witnesses a reader believes, and what makes a checkpoint trusted. */

import { demand } from "./errors.js";
import { fromUtf8 } from "./bytes.js";
import {
  COSIGNATURE_ML_DSA_44,
  type Checkpoint,
  ED25519,
  VerifierKey,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
} from "./note.js";

/** Bytes. */
export const MAX_POLICY = 262_144;
/** Logs, witnesses and groups together. */
export const MAX_COMPONENTS = 256;

interface Group {
  readonly threshold: number;
  readonly members: readonly string[];
}

/** A checkpoint that satisfied a policy. */
export interface TrustedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** Names, in the policy, of the witnesses whose cosignatures verified. */
  readonly witnesses: readonly string[];
  /** First and last POSIX second of the verified timestamped signatures. */
  readonly earliest: bigint | undefined;
  readonly latest: bigint | undefined;
}

export class Policy {
  constructor(
    readonly logs: readonly VerifierKey[],
    readonly witnesses: ReadonlyMap<string, VerifierKey>,
    /** In order of definition: members come before their group. */
    readonly groups: ReadonlyMap<string, Group>,
    /** Undefined trusts the log alone. */
    readonly quorum: string | undefined,
  ) {}

  /** The log's Ed25519 keys, which sign its receipts too. */
  receiptKeys(origin: string): readonly VerifierKey[] {
    return this.logs.filter((key) => key.name === origin && key.type === ED25519);
  }

  /** Open a signed checkpoint: spec/evidence.md, step 2. */
  async check(data: Uint8Array): Promise<TrustedCheckpoint> {
    const note = parseNote(data);
    const checkpoint = parseCheckpoint(note.text);
    const logs = this.logs.filter((key) => key.name === checkpoint.origin);
    demand(logs.length > 0, "checkpoint", `the policy names no log with the origin ${JSON.stringify(checkpoint.origin)}`);
    const keys = [...logs, ...this.witnesses.values()];
    const signed = new Set<VerifierKey>();
    const times: bigint[] = [];
    for (const line of note.signatures) {
      for (const key of keys.filter((known) => known.name === line.name && known.keyId === line.keyId)) {
        const time = await key.check(note.text, checkpoint, line.blob);
        signed.add(key);
        if (time !== undefined) times.push(time);
      }
    }
    const own = logs.filter((key) => signed.has(key));
    demand(own.length > 0, "checkpoint", `no signature of the log ${checkpoint.origin} itself verifies`);
    const witnesses = [...this.witnesses].filter(([, key]) => signed.has(key)).map(([name]) => name);
    demand(this.reached(witnesses), "checkpoint", `cosigned by ${witnesses.join(", ") || "no trusted witness"}: no quorum`);
    demand(
      checkpoint.extensions.length === 0 || own.some((key) => key.type !== COSIGNATURE_ML_DSA_44),
      "checkpoint",
      "has extension lines that no signature of the log covers",
    );
    times.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    return { checkpoint, witnesses, earliest: times[0], latest: times.at(-1) };
  }

  private reached(witnesses: readonly string[]): boolean {
    if (this.quorum === undefined) return true;
    const satisfied = new Set(witnesses);
    for (const [name, group] of this.groups) {
      if (group.members.filter((member) => satisfied.has(member)).length >= group.threshold) satisfied.add(name);
    }
    return satisfied.has(this.quorum);
  }
}

/** Read a policy file. */
export function parsePolicy(data: Uint8Array): Policy {
  demand(data.length <= MAX_POLICY, "policy", `${data.length} bytes, the limit is ${MAX_POLICY}`);
  // Names are opaque bytes: one character for each keeps every byte apart.
  let text = "";
  for (const byte of data) {
    demand(byte === 0x09 || byte === 0x0a || (byte >= 0x20 && byte !== 0x7f), "policy", "holds a control character");
    text += String.fromCharCode(byte);
  }
  const reading = new Reading();
  for (const [number, line] of text.split("\n").entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== "");
    if (words.length && !words[0]!.startsWith("#")) reading.line(`policy line ${number + 1}`, words);
  }
  return reading.policy();
}

class Reading {
  private readonly logs: VerifierKey[] = [];
  private readonly witnesses = new Map<string, VerifierKey>();
  private readonly groups = new Map<string, Group>();
  private readonly members = new Set<string>();
  private readonly publics = new Set<string>();
  private quorum: string | undefined;

  line(where: string, [word, ...rest]: readonly string[]): void {
    const [first, second, ...more] = rest;
    if (word === "log" && first !== undefined && rest.length <= 2) this.logs.push(this.key(where, first));
    else if (word === "witness" && first !== undefined && second !== undefined && rest.length <= 3) {
      this.define(where, first);
      const key = this.key(where, second);
      demand(key.type !== ED25519, where, "a witness key is of type 04 or 06");
      this.witnesses.set(first, key);
    } else if (word === "group" && first !== undefined && second !== undefined && more.length) {
      this.define(where, first);
      this.groups.set(first, this.group(where, second, more));
    } else {
      demand(word === "quorum" && first !== undefined && rest.length === 1, where, "not a line of a policy");
      demand(this.quorum === undefined, where, "a second quorum line");
      demand(first === "none" || this.isDefined(first), where, `${first} is not defined above`);
      this.quorum = first;
    }
    const count = this.logs.length + this.witnesses.size + this.groups.size;
    demand(count <= MAX_COMPONENTS, where, `more than ${MAX_COMPONENTS} logs, witnesses and groups`);
  }

  private isDefined(name: string): boolean {
    return this.witnesses.has(name) || this.groups.has(name);
  }

  private define(where: string, name: string): void {
    demand(name !== "none" && !this.isDefined(name), where, `the name ${name} is taken`);
  }

  private key(where: string, word: string): VerifierKey {
    const key = parseVerifierKey(fromUtf8(Uint8Array.from(word, (c) => c.charCodeAt(0)), where), where);
    const name = key.raw.join();
    demand(!this.publics.has(name), where, "this public key is named before");
    this.publics.add(name);
    return key;
  }

  private group(where: string, threshold: string, members: readonly string[]): Group {
    for (const member of members) {
      demand(this.isDefined(member), where, `${member} is not defined above`);
      demand(!this.members.has(member), where, `${member} is already a member of a group`);
      this.members.add(member);
    }
    if (threshold === "all" || threshold === "any") return { threshold: threshold === "all" ? members.length : 1, members };
    const valid = /^[1-9][0-9]{0,2}$/.test(threshold) && Number(threshold) <= members.length;
    demand(valid, where, `the threshold is all, any or 1..${members.length}`);
    return { threshold: Number(threshold), members };
  }

  policy(): Policy {
    demand(this.quorum !== undefined, "policy", "needs exactly one quorum line");
    return new Policy(this.logs, this.witnesses, this.groups, this.quorum === "none" ? undefined : this.quorum);
  }
}
