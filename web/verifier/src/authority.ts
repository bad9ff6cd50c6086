/** Who may say what about which twin: the fold of genesis, grants and revocations (spec/authority.md). */

import { Refused } from "./errors.js";
import {
  CAPABILITIES,
  type Capability,
  type Genesis,
  type GrantTerms,
  type Revocation,
  type Scope,
  type Window,
  logSubject,
} from "./kinds/grants.js";
import type { PublicKey } from "./keys.js";
import { type Statement, isSigned } from "./statement.js";

/** Grants in a chain, the genesis included. */
export const MAX_CHAIN = 8;

/** A grant that the log took; the genesis is the first. */
export interface Grant {
  /** Hexadecimal digest of its statement. */
  readonly id: string;
  readonly index: bigint;
  readonly terms: GrantTerms;
  /** Itself, what it was given under, and so on to the genesis. */
  readonly chain: readonly Grant[];
}

/** Why authority is refused; the codes are those of the specification. */
export type DenialCode =
  | "not-authorised" | "unknown-signer" | "out-of-scope" | "revoked" | "outside-validity" | "amplified";

export class Denied extends Refused {
  constructor(
    readonly code: DenialCode,
    reason: string,
  ) {
    super(code, reason);
  }
}

function allow(condition: boolean, code: DenialCode, reason: string): asserts condition {
  if (!condition) throw new Denied(code, reason);
}

function windowHolds(window: Window, index: bigint, time: bigint): boolean {
  const inside = (from: bigint | undefined, until: bigint | undefined, at: bigint): boolean =>
    (from === undefined || from <= at) && (until === undefined || at < until);
  return inside(window.fromIndex, window.untilIndex, index) && inside(window.fromTime, window.untilTime, time);
}

/** Each limit that the wider window has is in the narrower one, and not wider. */
function windowCovers(wide: Window, narrow: Window): boolean {
  const from = (a: bigint | undefined, b: bigint | undefined): boolean => a === undefined || (b !== undefined && b >= a);
  const until = (a: bigint | undefined, b: bigint | undefined): boolean => a === undefined || (b !== undefined && b <= a);
  return (
    from(wide.fromIndex, narrow.fromIndex) &&
    from(wide.fromTime, narrow.fromTime) &&
    until(wide.untilIndex, narrow.untilIndex) &&
    until(wide.untilTime, narrow.untilTime)
  );
}

function scopeCovers(wide: Scope, narrow: Scope): boolean {
  if (wide.type !== "prefix") return wide.type === narrow.type && wide.value === narrow.value;
  return wide.value === "" || (narrow.type !== "model" && narrow.value.startsWith(wide.value));
}

function scopeHolds(scope: Scope, subject: string, model: string | undefined): boolean {
  if (scope.type === "prefix") return subject.startsWith(scope.value);
  return scope.value === (scope.type === "twin" ? subject : model);
}

const NO_WINDOW: Window = { fromIndex: undefined, untilIndex: undefined, fromTime: undefined, untilTime: undefined };

export class Authority {
  private readonly byId = new Map<string, Grant>();
  /** By issuer, in log order. */
  private readonly byIssuer = new Map<string, Grant[]>();
  private readonly keys = new Map<string, PublicKey>();
  /** Log index of the first revocation of each grant. */
  private readonly revocations = new Map<string, bigint>();
  private genesis: { readonly root: Grant; readonly origin: string } | undefined;

  /** In log order. */
  get grants(): readonly Grant[] {
    return [...this.byId.values()];
  }

  get root(): Grant | undefined {
    return this.genesis?.root;
  }

  get origin(): string | undefined {
    return this.genesis?.origin;
  }

  /** The index of a grant's own revocation. */
  revokedAt(grant: Grant): bigint | undefined {
    return this.revocations.get(grant.id);
  }

  /** The key of that thumbprint, if some grant below names it. */
  key(kid: string): PublicKey | undefined {
    return this.keys.get(kid);
  }

  /** Take the genesis; its signature is checked here, with its own key. */
  async begin(index: bigint, statement: Statement, genesis: Genesis): Promise<Grant> {
    allow(index === 0n && !this.genesis && statement.seq === 0n, "not-authorised", "a genesis stands at index 0 alone");
    allow(statement.subject === logSubject(genesis.origin), "not-authorised", "its sub is not the log");
    allow(await isSigned(statement, genesis.operator), "not-authorised", "not signed by the operator key that it names");
    const terms: GrantTerms = {
      issuer: statement.issuer,
      key: genesis.operator,
      can: new Set(CAPABILITIES),
      scope: { type: "prefix", value: "" },
      window: NO_WINDOW,
      via: undefined,
    };
    const root = this.add(index, statement, terms, []);
    this.genesis = { root, origin: genesis.origin };
    return root;
  }

  /** Take a grant whose signature holds; returned is the one that it is given under. */
  grant(index: bigint, statement: Statement, terms: GrantTerms): Grant {
    this.checkSubject(statement);
    const parent = terms.via === undefined ? this.root : this.byId.get(terms.via);
    allow(parent !== undefined, "not-authorised", "the grant that it is given under does not exist");
    const { terms: given } = parent;
    const held = given.issuer === statement.issuer && given.key.id === statement.kid;
    allow(held, "not-authorised", "the grant that it is given under is somebody else's");
    allow(given.can.has("administer"), "out-of-scope", "the grant that it is given under does not administer");
    allow(!this.isRevoked(parent, index), "revoked", "the grant that it is given under is revoked");
    allow(windowHolds(given.window, index, statement.issuedAt), "outside-validity", "outside the window of its grant");
    allow([...terms.can].every((one) => given.can.has(one)), "amplified", "can has more than the granter's");
    allow(scopeCovers(given.scope, terms.scope), "amplified", "the scope is wider than the granter's");
    allow(windowCovers(given.window, terms.window), "amplified", "the window is wider than the granter's");
    allow(this.isNameFree(parent, terms), "amplified", `the name ${terms.issuer} is another's`);
    allow(parent.chain.length < MAX_CHAIN, "not-authorised", `a chain has at most ${MAX_CHAIN} grants`);
    this.add(index, statement, terms, parent.chain);
    return parent;
  }

  /** Take a revocation whose signature holds; returned is the grant that allowed it. */
  revoke(index: bigint, statement: Statement, revocation: Revocation): Grant {
    this.checkSubject(statement);
    const grant = this.byId.get(revocation.grant);
    allow(grant !== undefined && grant !== this.root, "not-authorised", "names no grant that can be revoked");
    const allowed = grant.chain.find(
      (above) =>
        above.terms.issuer === statement.issuer &&
        above.terms.key.id === statement.kid &&
        !this.isRevoked(above, index) &&
        windowHolds(above.terms.window, index, statement.issuedAt),
    );
    allow(allowed !== undefined, "not-authorised", "neither the holder of the grant nor anybody above");
    if (!this.revocations.has(grant.id)) this.revocations.set(grant.id, index);
    return allowed;
  }

  /** The grant that a statement of another kind stands under: "The verdict" of the specification. */
  verdict(index: bigint, statement: Statement, capability: Capability | undefined, model: string | undefined): Grant {
    const named = this.byIssuer.get(statement.issuer) ?? [];
    const own = named.filter((grant) => grant.index < index && grant.terms.key.id === statement.kid);
    allow(own.length > 0, "unknown-signer", `no grant to ${statement.issuer} with this key`);
    const aboutLog = this.origin !== undefined && statement.subject === logSubject(this.origin);
    const able = own.filter(
      ({ terms }) =>
        (capability === undefined || terms.can.has(capability)) &&
        scopeHolds(terms.scope, statement.subject, model) &&
        (!aboutLog || terms.scope.type === "twin" || terms.can.has("administer")),
    );
    allow(able.length > 0, "out-of-scope", `no grant to ${capability ?? "speak"} about ${statement.subject}`);
    const valid = able.filter((grant) => !this.isRevoked(grant, index));
    allow(valid.length > 0, "revoked", `the grant of ${statement.issuer} is revoked`);
    const found = valid.find((grant) => windowHolds(grant.terms.window, index, statement.issuedAt));
    allow(found !== undefined, "outside-validity", `outside the window of the grant of ${statement.issuer}`);
    return found;
  }

  private checkSubject(statement: Statement): void {
    const about = this.origin !== undefined && statement.subject === logSubject(this.origin);
    allow(about, "not-authorised", "its sub is not the log, or there is no genesis");
  }

  private isRevoked(grant: Grant, index: bigint): boolean {
    return grant.chain.some((above) => (this.revocations.get(above.id) ?? index) < index);
  }

  /** "The name": whoever introduced an issuer, and those above, speak of it; nobody else does. */
  private isNameFree(parent: Grant, terms: GrantTerms): boolean {
    const earlier = this.byIssuer.get(terms.issuer);
    if (!earlier || earlier.some((grant) => grant.terms.key.id === terms.key.id)) return true;
    return earlier[0]!.chain.some((owner) => owner.terms.issuer === parent.terms.issuer);
  }

  private add(index: bigint, statement: Statement, terms: GrantTerms, above: readonly Grant[]): Grant {
    const chain: Grant[] = [];
    const grant: Grant = { id: statement.digestHex, index, terms, chain };
    chain.push(grant, ...above);
    this.byId.set(grant.id, grant);
    this.keys.set(terms.key.id, terms.key);
    const named = this.byIssuer.get(terms.issuer);
    if (named) named.push(grant);
    else this.byIssuer.set(terms.issuer, [grant]);
    return grant;
  }
}
