/** What a page and its worker say to each other. Plain values alone: they are cloned on the way. */

/** Whom the reader trusts; nothing of it comes from the evidence. */
export interface Trust {
  /** The text of a C2SP tlog-policy. */
  readonly policy: string;
  /** Thumbprint of the operator's key that is expected, hexadecimal; empty if none is. */
  readonly operator: string;
  /** Hashes of blocks that are trusted, hexadecimal. */
  readonly blocks: readonly string[];
}

/** A tlog-proof is about a statement that stands beside it. */
export interface Evidence {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly statement?: Uint8Array | undefined;
}

export type EvidenceKind = "bundle" | "transparent statement" | "tlog-proof";

/** A step that failed, or a question of the reader's that was answered with no: then `step` is null. */
export interface Failure {
  readonly step: number | null;
  readonly title: string;
  readonly problems: readonly string[];
}

export interface EntryRow {
  /** Position among the twin's own statements. */
  readonly at: number;
  readonly entry: number;
  readonly kind: string;
  readonly signer: string;
  readonly seq: number;
  /** Entry of the grant that it stands under. */
  readonly grant: number;
  /** POSIX seconds. */
  readonly claimed: number;
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  readonly anchored: number | null;
}

export interface StreamRow {
  readonly signer: string;
  readonly subject: string;
  readonly first: number;
  readonly last: number;
  readonly digest: string;
}

export interface GrantRow {
  readonly entry: number;
  readonly to: string;
  /** Thumbprint of the key. */
  readonly key: string;
  readonly can: readonly string[];
  readonly scope: string;
  readonly revoked: number | null;
}

export interface AnchorRow {
  readonly size: number;
  readonly chain: string;
  readonly block: number;
  readonly hash: string;
  readonly time: number;
  readonly contract: string;
  readonly trusted: boolean;
}

/** A verified history. */
export interface Summary {
  readonly subject: string;
  readonly origin: string;
  readonly size: number;
  readonly operator: string;
  readonly operatorExpected: boolean;
  readonly witnesses: readonly string[];
  readonly headTime: number | null;
  readonly entries: readonly EntryRow[];
  readonly streams: readonly StreamRow[];
  readonly grants: readonly GrantRow[];
  readonly anchors: readonly AnchorRow[];
  readonly remarks: readonly string[];
  readonly blobs: readonly { readonly digest: string; readonly bytes: number }[];
}

/** A verified single statement. */
export interface Proven {
  readonly subject: string;
  readonly signer: string;
  readonly kind: string;
  readonly entry: number;
  readonly size: number;
  readonly origin: string;
  readonly claimed: number;
  /** Of a tlog-proof's checkpoint. */
  readonly headTime: number | null;
  readonly witnesses: readonly string[];
  readonly detail: Detail;
}

/** A value to be read by people: text, or a list of more. */
export interface Tree {
  readonly name: string;
  readonly text: string;
  readonly inside: readonly Tree[];
  /** Members that are not shown. */
  readonly more: number;
}

/** One statement, opened. */
export interface Detail {
  readonly digest: string;
  readonly key: string;
  readonly algorithm: string;
  readonly contentType: string;
  readonly bytes: number;
  readonly payload: Tree;
}

/** One value of a twin's state. */
export interface StateRow {
  readonly section: string;
  readonly name: string;
  readonly value: string;
  readonly entry: number | null;
  readonly time: number | null;
}

export interface StateShown {
  readonly rows: readonly StateRow[];
  /** SHA-256 of the state's canonical bytes, hexadecimal. */
  readonly digest: string;
}

export type Ask =
  | { readonly id: number; readonly ask: "verify"; readonly evidence: Evidence; readonly trust: Trust }
  | { readonly id: number; readonly ask: "detail"; readonly at: number }
  | { readonly id: number; readonly ask: "state"; readonly at: number };

export type Told =
  | { readonly id: number; readonly told: "step"; readonly step: number; readonly found: string }
  | { readonly id: number; readonly told: "verified"; readonly summary: Summary }
  | { readonly id: number; readonly told: "proven"; readonly proven: Proven }
  | { readonly id: number; readonly told: "failed"; readonly failure: Failure }
  | { readonly id: number; readonly told: "detail"; readonly detail: Detail }
  | { readonly id: number; readonly told: "state"; readonly state: StateShown }
  | { readonly id: number; readonly told: "defect"; readonly text: string };
