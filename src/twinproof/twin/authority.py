"""Authority as a fold: what each signer may say about which twin, from the log alone.

Feed the authority statements in log order to `apply`; ask `check` about any statement in between.
The genesis is the root: its key may do everything. A grant's terms lie inside the grant it is
given `via`; an attempt to give more raises `Amplified`. A grant holds at an index if it stands at a
lower one and no revocation of it or of a grant above it does, so nothing ever rewrites the past. A
signer's name belongs to whoever granted to it first, and to those above: nobody else may introduce
another key under it, but the signer itself.
Normative page: spec/authority.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Amplified, Malformed, NotAuthorised, OutOfScope, OutsideValidity, Revoked, UnknownSigner
from twinproof.proof.keys import PublicKey
from twinproof.twin.grants import (
    EVERYTHING,
    GENESIS,
    GRANT,
    REVOKE,
    Capability,
    Genesis,
    GrantTerms,
    Scope,
    log_subject,
    parse_genesis,
    parse_grant,
    parse_revocation,
)
from twinproof.twin.statement import Statement, check_statement

AUTHORITY_KINDS: Final = frozenset({GENESIS, GRANT, REVOKE})
MAX_DEPTH: Final = 8
"""Grants in a chain, the genesis and the grant itself among them."""
_MEMO_LIMIT: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant in force or once in force."""

    id: bytes
    """Digest of the grant statement (of the genesis, for the root)."""
    index: int
    """Log index of that statement."""
    terms: GrantTerms
    chain: tuple[bytes, ...]
    """Ids of this grant and those above it, the root last."""


ModelOf = Callable[[str], str | None]
"""Twin IRI -> the model it declares at this point of the log."""


def _no_model(subject: str) -> str | None:
    return None


def _who(statement: Statement) -> str:
    return f"{statement.issuer} (key {statement.kid.hex()[:16]})"


class Authority:
    """The fold's state. Mutable; one owner; `apply` changes it, everything else reads."""

    def __init__(self) -> None:
        self.genesis: Genesis | None = None
        self.grants: dict[bytes, Grant] = {}
        self.revoked: dict[bytes, int] = {}
        """Grant id -> log index of its first revocation."""
        self._by_key: dict[bytes, list[Grant]] = {}
        self._name_owners: dict[str, frozenset[str]] = {}
        """Issuer -> the issuers who may introduce further keys for it."""
        self._last_index = -1
        self._memo: dict[tuple[bytes, str, str, Capability | None], Grant] = {}
        """The first grant that fits, while no authority statement changes that."""

    def key(self, kid: bytes) -> PublicKey:
        """The public key with this thumbprint; raises `UnknownSigner` if no grant introduces it."""
        held = self._by_key.get(kid)
        if held is None:
            raise UnknownSigner(f"no grant in the log introduces the key {kid.hex()}")
        return held[0].terms.key

    def apply(self, index: int, statement: Statement) -> Grant:
        """Take in the authority statement at `index`; returns the grant that its signer relies on.

        The caller has checked the signature, but for a genesis, which is checked here. Raises
        `NotAuthorised` (mostly `Amplified`, `Revoked`) or `Malformed`, and then changes nothing;
        `ValueError` if `index` is not above the last one.
        """
        if index <= self._last_index:
            raise ValueError(f"authority statement {index} is fed after {self._last_index}")
        if statement.content_type == GENESIS:
            relied = self._apply_genesis(index, statement)
        else:
            if self.genesis is None:
                raise NotAuthorised("the log does not begin with a genesis statement")
            if statement.subject != log_subject(self.genesis.origin):
                raise Malformed("sub", f"authority statements are about {log_subject(self.genesis.origin)}")
            take = self._apply_grant if statement.content_type == GRANT else self._apply_revocation
            relied = take(index, statement)
        self._last_index = index
        self._memo.clear()
        return relied

    def check_and_apply(self, index: int, statement: Statement) -> Grant:
        """As `apply`, for a statement whose signature is not checked yet; raises `BadSignature` too."""
        if self.genesis is not None:
            check_statement(statement, self.key(statement.kid))
        return self.apply(index, statement)

    def check(
        self, index: int, statement: Statement, capability: Capability | None, model_of: ModelOf = _no_model
    ) -> Grant:
        """The grant under which the signer may make `statement` at log index `index`.

        `capability` None asks for any grant on the twin. Of several that hold, it is the first in the
        log. Raises `UnknownSigner`, `OutOfScope`, `Revoked` or `OutsideValidity`: the first of these
        that leaves no grant. Only what stands below `index` counts.
        """
        memo_key = (statement.kid, statement.issuer, statement.subject, capability)
        known = self._memo.get(memo_key) if index > self._last_index else None
        if known is not None and known.terms.window.holds(index, statement.issued_at):
            return known
        held, fitting = self._fitting(index, statement, capability, model_of)
        active = [grant for grant in fitting if not self._is_revoked(grant, index)]
        if not active:
            raise Revoked(f"the grant of {_who(statement)} was revoked at index {self.revoked_at(fitting[-1])}")
        for grant in active:
            if grant.terms.window.holds(index, statement.issued_at):
                break
        else:
            raise OutsideValidity(
                f"{_who(statement)}: index {index}, time {statement.issued_at} lie outside the grant's "
                f"{active[0].terms.window}"
            )
        # A model changes without a word from here, and behind a closed window a later grant may be the first.
        if grant is active[0] and index > self._last_index and all(g.terms.scope.kind != "model" for g in held):
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            self._memo[memo_key] = grant
        return grant

    def revoked_at(self, grant: Grant) -> int | None:
        """The lowest index at which `grant` or a grant above it was revoked."""
        return min((self.revoked[id_] for id_ in grant.chain if id_ in self.revoked), default=None)

    def _fitting(
        self, index: int, statement: Statement, capability: Capability | None, model_of: ModelOf
    ) -> tuple[list[Grant], list[Grant]]:
        """The signer's grants below `index`, and those of them with this capability and twin."""
        held = [
            grant
            for grant in self._by_key.get(statement.kid, ())
            if grant.terms.issuer == statement.issuer and grant.index < index
        ]
        if not held:
            raise UnknownSigner(f"no grant in the log introduces {_who(statement)}")
        model: str | None = None
        if any(grant.terms.scope.kind == "model" for grant in held):
            model = model_of(statement.subject)
        about_log = self.genesis is not None and statement.subject == log_subject(self.genesis.origin)
        fitting = [
            grant
            for grant in held
            if (capability is None or capability in grant.terms.can)
            and grant.terms.scope.covers_twin(statement.subject, model)
            # What is said about the log stands in everybody's bundles: a wide grant on twins must not reach it.
            and (not about_log or grant.terms.scope.kind == "twin" or Capability.ADMINISTER in grant.terms.can)
        ]
        if not fitting:
            what = "say anything" if capability is None else f"{capability}"
            raise OutOfScope(f"{_who(statement)} holds no grant to {what} about {statement.subject}")
        return held, fitting

    def _is_revoked(self, grant: Grant, index: int) -> bool:
        at = self.revoked_at(grant)
        return at is not None and at < index

    def _add(self, grant: Grant) -> Grant:
        self.grants[grant.id] = grant
        if grant.terms.issuer not in self._name_owners:
            self._name_owners[grant.terms.issuer] = frozenset(self.grants[id_].terms.issuer for id_ in grant.chain)
        self._by_key.setdefault(grant.terms.key.thumbprint, []).append(grant)
        return grant

    def _apply_genesis(self, index: int, statement: Statement) -> Grant:
        if index != 0 or self.genesis is not None or statement.seq != 0:
            raise NotAuthorised("a genesis statement stands at index 0 and nowhere else")
        genesis = parse_genesis(statement.payload)
        if statement.subject != log_subject(genesis.origin):
            raise Malformed("sub", f"a genesis of {genesis.origin} is about {log_subject(genesis.origin)}")
        check_statement(statement, genesis.operator)
        self.genesis = genesis
        root = GrantTerms(statement.issuer, genesis.operator, EVERYTHING, Scope("prefix", ""))
        return self._add(Grant(statement.digest, 0, root, (statement.digest,)))

    @property
    def root(self) -> Grant:
        """The operator's own grant, given by the genesis; raises `NotAuthorised` before it."""
        for grant in self.grants.values():
            return grant
        raise NotAuthorised("the log does not begin with a genesis statement")

    def _apply_grant(self, index: int, statement: Statement) -> Grant:
        terms = parse_grant(statement.payload)
        parent = self.root if terms.via is None else self.grants.get(terms.via)
        if parent is None:
            raise NotAuthorised(f"via: no grant {terms.via.hex() if terms.via else ''} in the log")
        self._require_holder(parent, statement, "via" if terms.via else "the genesis")
        if Capability.ADMINISTER not in parent.terms.can:
            raise OutOfScope(f"{statement.issuer} may not administer under the grant that it names")
        if self._is_revoked(parent, index):
            raise Revoked(f"the granter's own grant was revoked at index {self.revoked_at(parent)}")
        if not parent.terms.window.holds(index, statement.issued_at):
            raise OutsideValidity("the granter's own grant does not hold at this index or time")
        if not terms.can <= parent.terms.can:
            raise Amplified(f"can: gives {', '.join(sorted(terms.can - parent.terms.can))}, which the granter lacks")
        if not parent.terms.scope.covers(terms.scope):
            raise Amplified(f"scope: {terms.scope} is not inside the granter's {parent.terms.scope}")
        if not parent.terms.window.covers(terms.window):
            raise Amplified(f"validity: {terms.window} is not inside the granter's {parent.terms.window}")
        self._require_name(parent, terms)
        if len(parent.chain) >= MAX_DEPTH:
            raise NotAuthorised(f"via: more than {MAX_DEPTH} grants deep")
        self._add(Grant(statement.digest, index, terms, (statement.digest, *parent.chain)))
        return parent

    def _apply_revocation(self, index: int, statement: Statement) -> Grant:
        revocation = parse_revocation(statement.payload)
        grant = self.grants.get(revocation.grant)
        if grant is None:
            raise NotAuthorised(f"revoke.grant: no grant {revocation.grant.hex()} in the log")
        if len(grant.chain) == 1:
            raise NotAuthorised("revoke.grant: the genesis cannot be revoked; start a new log")
        for id_ in grant.chain:
            above = self.grants[id_]
            held = above.terms.key.thumbprint == statement.kid and above.terms.issuer == statement.issuer
            holds = above.terms.window.holds(index, statement.issued_at) and not self._is_revoked(above, index)
            # Whoever holds the grant may give it up, and every grant above one has `administer`.
            if held and holds:
                self.revoked.setdefault(grant.id, index)
                return above
        raise NotAuthorised(f"{statement.issuer} holds neither this grant nor one above it that still holds")

    def _require_name(self, parent: Grant, terms: GrantTerms) -> None:
        """Otherwise an administrator could speak in the name of a signer that others introduced."""
        owners = self._name_owners.get(terms.issuer)
        if owners is None or parent.terms.issuer in owners:
            return
        if all(grant.terms.issuer != terms.issuer for grant in self._by_key.get(terms.key.thumbprint, ())):
            raise Amplified(
                f"to: {terms.issuer} has another key; one more must come from who introduced it, or from above "
                f"({', '.join(sorted(owners))})"
            )

    def _require_holder(self, grant: Grant, statement: Statement, field: str) -> None:
        if grant.terms.key.thumbprint != statement.kid or grant.terms.issuer != statement.issuer:
            raise NotAuthorised(f"{field}: is held by {grant.terms.issuer}, not by {statement.issuer} with this key")
