"""Authority payloads: genesis, grant, revoke. Normative page: spec/authority.md.

All three are statements about the log itself (`log_subject`), in CBOR maps with text keys:

    genesis  {"origin": text, "log": [vkey, …], "operator": COSE_Key}
    grant    {"to": {"iss": IRI, "key": COSE_Key}, "can": [capability, …], "scope": {"twin" | "prefix" | "model": text},
              ? "via": digest, ? "from_time": s, ? "until_time": s, ? "from_index": n, ? "until_index": n}
    revoke   {"grant": digest, ? "reason": text}
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.proof.keys import PublicKey
from twinproof.proof.note import VerifierKey, parse_verifier_key
from twinproof.twin.fields import digest, fields, text
from twinproof.twin.statement import MAX_IRI, MAX_TIME, check_iri, shown

GENESIS: Final = "application/vnd.twinproof.genesis+cbor"
GRANT: Final = "application/vnd.twinproof.grant+cbor"
REVOKE: Final = "application/vnd.twinproof.revoke+cbor"

MAX_REASON: Final = 500
"""Characters of a revocation's reason."""


class Capability(StrEnum):
    """What a grant lets its holder say."""

    RECORD = "record"
    """Readings."""
    DESCRIBE = "describe"
    """Properties, relationships, lifecycle, model."""
    OPERATE = "operate"
    """Commands and desired properties."""
    PREDICT = "predict"
    MAINTAIN = "maintain"
    """Maintenance orders and records."""
    CUSTODY = "custody"
    """Hand-overs of the asset."""
    ATTEST = "attest"
    """Certificates, inspections, releases."""
    ADMINISTER = "administer"
    """Grant and revoke within the holder's own grant."""


EVERYTHING: Final = frozenset(Capability)


def log_subject(origin: str) -> str:
    """The IRI of the log itself, the twin that authority statements are about."""
    return f"https://{origin}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which twins: one (`twin`), those whose IRI begins with a text (`prefix`), those of a `model`."""

    kind: str
    value: str

    def covers_twin(self, subject: str, model: str | None) -> bool:
        """Whether `subject`, which declares `model`, is inside."""
        if self.kind == "twin":
            return subject == self.value
        if self.kind == "prefix":
            return subject.startswith(self.value)
        return model == self.value

    def covers(self, inner: Scope) -> bool:
        """Whether every twin inside `inner` is inside this scope, now and in future."""
        if self.kind == "prefix":
            return self.value == "" or (inner.kind != "model" and inner.value.startswith(self.value))
        return inner == self


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open validity: `from_* <= x < until_*`; None is unlimited."""

    from_time: int | None = None
    until_time: int | None = None
    from_index: int | None = None
    until_index: int | None = None

    def holds(self, index: int, time: int) -> bool:
        """Whether a statement claimed at `time` (POSIX seconds) and logged at `index` is inside."""
        return _within(index, self.from_index, self.until_index) and _within(time, self.from_time, self.until_time)

    def covers(self, inner: Window) -> bool:
        """Whether `inner` lies inside this window."""
        return (
            (self.from_time is None or (inner.from_time is not None and inner.from_time >= self.from_time))
            and (self.until_time is None or (inner.until_time is not None and inner.until_time <= self.until_time))
            and (self.from_index is None or (inner.from_index is not None and inner.from_index >= self.from_index))
            and (self.until_index is None or (inner.until_index is not None and inner.until_index <= self.until_index))
        )


def _within(value: int, start: int | None, end: int | None) -> bool:
    return (start is None or value >= start) and (end is None or value < end)


@dataclass(frozen=True, slots=True)
class Genesis:
    """The first entry: names the log, its keys and the operator's key."""

    origin: str
    log_keys: tuple[VerifierKey, ...]
    operator: PublicKey


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What a grant statement says."""

    issuer: str
    """The holder's IRI: the `iss` of the statements that the grant allows."""
    key: PublicKey
    can: frozenset[Capability]
    scope: Scope
    window: Window = Window()
    via: bytes | None = None
    """Digest of the grant statement that the granter relies on; None for the operator of the genesis."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revoke statement says."""

    grant: bytes
    """Digest of the grant statement."""
    reason: str | None = None


# --- reading and writing --------------------------------------------------------------------


def format_genesis(genesis: Genesis) -> bytes:
    """The payload of a genesis statement."""
    return cbor.encode(
        {
            "origin": genesis.origin,
            "log": [str(key) for key in genesis.log_keys],
            "operator": genesis.operator.cose_key,
        }
    )


def parse_genesis(payload: bytes, issued_at: int = 0) -> Genesis:
    """Read a genesis payload; raises `Malformed`."""
    value = fields(cbor.decode(payload, what="genesis"), "genesis", ("origin", "log", "operator"))
    origin = text(value["origin"], "genesis.origin", MAX_IRI)
    check_iri(log_subject(origin), "genesis.origin")
    log = value["log"]
    if type(log) is not list or not 1 <= len(log) <= 16 or any(type(key) is not str for key in log):
        raise Malformed("genesis.log", "not an array of 1..16 verifier keys")
    log_keys = tuple(parse_verifier_key(key) for key in log)
    if any(key.name != origin for key in log_keys):
        raise Malformed("genesis.log", f"a key's name is not the origin {origin}")
    return Genesis(origin, log_keys, PublicKey.from_cose_key(value["operator"], "genesis.operator"))


_WINDOW = ("from_time", "until_time", "from_index", "until_index")


def format_grant(terms: GrantTerms) -> bytes:
    """The payload of a grant statement."""
    value: dict[int | str, cbor.Value] = {
        "to": {"iss": terms.issuer, "key": terms.key.cose_key},
        "can": [capability.value for capability in sorted(terms.can)],
        "scope": {terms.scope.kind: terms.scope.value},
    }
    if terms.via is not None:
        value["via"] = terms.via
    for name in _WINDOW:
        limit = getattr(terms.window, name)
        if limit is not None:
            value[name] = limit
    return cbor.encode(value)


def parse_grant(payload: bytes, issued_at: int = 0) -> GrantTerms:
    """Read a grant payload; raises `Malformed` naming the key."""
    value = fields(cbor.decode(payload, what="grant"), "grant", ("to", "can", "scope"), ("via", *_WINDOW))
    to = fields(value["to"], "grant.to", ("iss", "key"))
    return GrantTerms(
        issuer=check_iri(to["iss"], "grant.to.iss"),
        key=PublicKey.from_cose_key(to["key"], "grant.to.key"),
        can=_parse_can(value["can"]),
        scope=_parse_scope(value["scope"]),
        window=_parse_window(value),
        via=digest(value["via"], "grant.via") if "via" in value else None,
    )


def _parse_can(value: cbor.Value) -> frozenset[Capability]:
    if type(value) is not list or not value or any(type(item) is not str for item in value):
        raise Malformed("grant.can", "not an array of capabilities")
    if sorted(set(value)) != value:
        raise Malformed("grant.can", "not sorted without repeats")
    known = frozenset(Capability)
    for item in value:
        if item not in known:
            raise Malformed("grant.can", f"{shown(item)} is none of {', '.join(Capability)}")
    return frozenset(Capability(item) for item in value)


def _parse_scope(value: cbor.Value) -> Scope:
    if type(value) is not dict or len(value) != 1:
        raise Malformed("grant.scope", "must hold one of twin, prefix, model")
    ((kind, name),) = value.items()
    if kind in ("twin", "model"):
        return Scope(str(kind), check_iri(name, f"grant.scope.{kind}"))
    if kind != "prefix":
        raise Malformed("grant.scope", "must hold one of twin, prefix, model")
    if type(name) is not str:
        raise Malformed("grant.scope.prefix", "not text")
    if name:
        check_iri(f"{name}x", "grant.scope.prefix")
        if not name.endswith(("/", ":", "#")):
            raise Malformed(
                "grant.scope.prefix", "must end in '/', ':' or '#' (else …/1 would cover …/10), or be empty"
            )
    return Scope("prefix", name)


def _parse_window(value: dict[str, cbor.Value]) -> Window:
    limits = {name: value[name] for name in _WINDOW if name in value}
    for name, limit in limits.items():
        if type(limit) is not int or not 0 <= limit < MAX_TIME:
            raise Malformed(f"grant.{name}", "not a whole number from 0 to 2^53-1")
    window = Window(**limits)
    for start, end, name in (
        (window.from_time, window.until_time, "until_time"),
        (window.from_index, window.until_index, "until_index"),
    ):
        if start is not None and end is not None and end <= start:
            raise Malformed(f"grant.{name}", "not after its from_… limit: the grant could never hold")
    return window


def format_revocation(revocation: Revocation) -> bytes:
    """The payload of a revoke statement."""
    value: dict[int | str, cbor.Value] = {"grant": revocation.grant}
    if revocation.reason is not None:
        value["reason"] = revocation.reason
    return cbor.encode(value)


def parse_revocation(payload: bytes, issued_at: int = 0) -> Revocation:
    """Read a revoke payload; raises `Malformed`."""
    value = fields(cbor.decode(payload, what="revoke"), "revoke", ("grant",), ("reason",))
    reason = text(value["reason"], "revoke.reason", MAX_REASON) if "reason" in value else None
    return Revocation(digest(value["grant"], "revoke.grant"), reason)
