"""Authority once more, rule by rule from spec/authority.md: slow, remembering nothing; and what its tests share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from tests.builders import OPERATOR, START, TWIN, Log, Signer, signer
from twinproof.errors import NotAuthorised
from twinproof.twin import grants, senml
from twinproof.twin.authority import AUTHORITY_KINDS, Authority
from twinproof.twin.grants import EVERYTHING, Capability, Genesis, GrantTerms, Scope
from twinproof.twin.statement import Statement, parse_statement, sign_statement

FLEET = Scope("prefix", "https://fleet.example/")
ENGINES = Scope("prefix", "https://fleet.example/engine/")
R, D, A = Capability.RECORD, Capability.DESCRIBE, Capability.ADMINISTER


@cache
def said(by: Signer, subject: str = TWIN, at: int = START) -> Statement:
    """A statement to be judged; its place in a stream does not matter here."""
    raw = sign_statement(
        by.key,
        issuer=by.issuer,
        subject=subject,
        content_type=senml.SENML,
        payload=b"",
        seq=0,
        prev=None,
        issued_at=at,
    )
    return parse_statement(raw)


def fold(log: Log, size: int | None = None) -> Authority:
    authority = Authority()
    for index in range(len(log) if size is None else size):
        if log.statement(index).content_type in AUTHORITY_KINDS:
            authority.apply(index, log.statement(index))
    return authority


def verdict(
    authority: Authority, index: int, statement: Statement, capability: Capability | None = R, model: str | None = None
) -> int | str:
    """The index of the grant that is relied on, or the code of the refusal."""
    try:
        return authority.check(index, statement, capability, lambda subject: model).index
    except NotAuthorised as refusal:
        return refusal.code


def genesis_raw(**changes: object) -> bytes:
    log = Log()
    payload = grants.format_genesis(Genesis(log.origin, (log.keys[0].verifier,), OPERATOR.key.public))
    say: dict[str, object] = {"issuer": OPERATOR.issuer, "subject": log.subject, "seq": 0, "prev": None, **changes}
    key = say.pop("key", OPERATOR.key)
    return sign_statement(key, content_type=grants.GENESIS, payload=payload, issued_at=START, **say)  # type: ignore[arg-type]


def chain_of(length: int) -> tuple[Log, list[Statement], list[Signer]]:
    """Administrators, each granted to by the one before; `length` counts the genesis."""
    log = Log()
    holders = [OPERATOR, *(signer(f"urn:example:level:{level}", 50 + level) for level in range(1, length))]
    statements = [log.statement(0)]
    for above, below in pairwise(holders):
        statements.append(log.grant(below, EVERYTHING, FLEET, by=above, via=statements[-1]))
    return log, statements, holders


@dataclass(frozen=True)
class Given:
    """A grant, as the reference keeps it."""

    index: int
    holder: tuple[str, bytes]
    terms: GrantTerms
    above: Given | None


class Reference:
    """spec/authority.md, read rule by rule: nothing is remembered between questions but what was accepted."""

    def __init__(self) -> None:
        self.given: dict[bytes, Given] = {}
        self.revocations: list[tuple[int, bytes]] = []

    def line(self, grant: Given) -> list[Given]:
        return [grant, *(self.line(grant.above) if grant.above else [])]

    def id_of(self, grant: Given) -> bytes:
        return next(id_ for id_, found in self.given.items() if found is grant)

    def revoked(self, grant: Given, index: int) -> bool:
        ids = [self.id_of(found) for found in self.line(grant)]
        return any(id_ in ids for at, id_ in self.revocations if at < index)

    def holds(self, grant: Given, index: int, time: int) -> bool:
        w = grant.terms.window
        return (
            (w.from_time is None or w.from_time <= time)
            and (w.until_time is None or time < w.until_time)
            and (w.from_index is None or w.from_index <= index)
            and (w.until_index is None or index < w.until_index)
        )

    def accepts(self, index: int, statement: Statement) -> bool:
        holder = (statement.issuer, statement.kid)
        if statement.content_type == grants.GENESIS:
            genesis = grants.parse_genesis(statement.payload)
            terms = GrantTerms(statement.issuer, genesis.operator, EVERYTHING, Scope("prefix", ""))
            self.given[statement.digest] = Given(index, holder, terms, None)
            return True
        root = next(iter(self.given.values()))
        if statement.content_type == grants.GRANT:
            terms = grants.parse_grant(statement.payload)
            above = root if terms.via is None else self.given.get(terms.via)
            if above is None or not self.may_give(above, holder, terms, index, statement.issued_at):
                return False
            self.given[statement.digest] = Given(index, (terms.issuer, terms.key.thumbprint), terms, above)
            return True
        target = self.given.get(grants.parse_revocation(statement.payload).grant)
        if target is None or target is root:
            return False
        for number, found in enumerate(self.line(target)):
            entitled = number == 0 or Capability.ADMINISTER in found.terms.can
            alive = self.holds(found, index, statement.issued_at) and not self.revoked(found, index)
            if found.holder == holder and entitled and alive:
                self.revocations.append((index, self.id_of(target)))
                return True
        return False

    def may_give(self, above: Given, holder: tuple[str, bytes], terms: GrantTerms, index: int, time: int) -> bool:
        named = [grant for grant in self.given.values() if grant.holder[0] == terms.issuer]
        owners = {found.holder[0] for found in self.line(named[0])} if named else set()
        return (
            above.holder == holder
            and Capability.ADMINISTER in above.terms.can
            and not self.revoked(above, index)
            and self.holds(above, index, time)
            and terms.can <= above.terms.can
            and above.terms.scope.covers(terms.scope)
            and above.terms.window.covers(terms.window)
            and (
                not named
                or above.holder[0] in owners
                or (terms.issuer, terms.key.thumbprint) in [grant.holder for grant in named]
            )
            and len(self.line(above)) < 8
        )

    def verdict(self, index: int, statement: Statement, capability: Capability | None, model: str | None) -> int | str:
        found = [g for g in self.given.values() if g.index < index and g.holder == (statement.issuer, statement.kid)]
        if not found:
            return "unknown-signer"
        found = [
            grant
            for grant in found
            if (capability is None or capability in grant.terms.can)
            and (
                statement.subject.startswith(grant.terms.scope.value)
                if grant.terms.scope.kind == "prefix"
                else grant.terms.scope.value == (statement.subject if grant.terms.scope.kind == "twin" else model)
            )
        ]
        if not found:
            return "out-of-scope"
        found = [grant for grant in found if not self.revoked(grant, index)]
        if not found:
            return "revoked"
        return next((g.index for g in found if self.holds(g, index, statement.issued_at)), "outside-validity")
