"""Well-formed, well-signed and still not taken: one statement for each reason that intake has."""

from __future__ import annotations

from typing import Any

from tests.builders import DEVICE, GATEWAY, OTHER_TWIN, START, STRANGER, TWIN, Log, Signer
from twinproof.errors import (
    BadSignature,
    ChainBroken,
    FutureDated,
    Gap,
    Malformed,
    NotAuthorised,
    OutOfScope,
    TooLarge,
    TwinproofError,
    UnknownSigner,
)
from twinproof.proof import cose
from twinproof.twin import grants, senml
from twinproof.twin.grants import Capability, Genesis, Revocation, Scope
from twinproof.twin.reading import Reading
from twinproof.twin.statement import PREV, SEQ


def reading(value: float = 1.0, at: int = START) -> bytes:
    return senml.format_senml([Reading("T24", value, "K", float(at), None)])


def draft(script: Log, by: Signer, *, subject: str = TWIN, **more: Any) -> bytes:
    return script.draft(by, subject, senml.SENML, reading(), **more)


def with_headers(raw: bytes, by: Signer, changes: dict[Any, Any]) -> bytes:
    """The statement with other protected headers, signed again."""
    sign1 = cose.parse_sign1(raw)
    headers = {**sign1.headers, **changes}
    del headers[cose.ALG]
    assert sign1.payload is not None
    return cose.format_sign1(cose.sign(by.key, headers, sign1.payload))


def refusals(script: Log, now: int = START) -> dict[str, tuple[bytes, type[TwinproofError], str]]:
    """Statements that must be refused by a log where `DEVICE` may record about `TWIN` and has said seq 0 and 1.

    Each with the class of its error and a fragment of its message; `now` is the log's clock.
    """
    next_one = draft(script, DEVICE)
    skipped = with_headers(next_one, DEVICE, {SEQ: 9})
    administrator = {Capability.ADMINISTER, Capability.RECORD}
    terms = grants.GrantTerms(STRANGER.issuer, STRANGER.key.public, frozenset(administrator), Scope("prefix", ""))
    by_device = script.draft(DEVICE, script.subject, grants.GRANT, grants.format_grant(terms))
    genesis = grants.format_genesis(Genesis(script.origin, (script.keys[0].verifier,), script.operator.key.public))
    foreign = Signer(script.operator.issuer, DEVICE.key)
    return {
        "unknown key": (draft(script, STRANGER), UnknownSigner, "no grant in the log introduces the key"),
        "another's name": (draft(script, Signer(GATEWAY.issuer, DEVICE.key)), UnknownSigner, GATEWAY.issuer),
        "another's signature": (
            next_one[:-64] + draft(script, DEVICE, at=START + 1)[-64:],
            BadSignature,
            "does not verify",
        ),
        "another twin": (draft(script, DEVICE, subject=OTHER_TWIN), OutOfScope, "holds no grant to record"),
        "another kind": (
            script.draft(DEVICE, TWIN, "application/vnd.twinproof.description+cbor", b"\xa1cset\xa1asaA"),
            OutOfScope,
            "holds no grant to describe",
        ),
        "gap": (skipped, Gap, "the next one is 2"),
        "broken chain": (with_headers(next_one, DEVICE, {PREV: b"\5" * 32}), ChainBroken, "prev of seq 2"),
        "future": (draft(script, DEVICE, at=now + 1000), FutureDated, "s ahead of the log's clock"),
        "device grants": (by_device, NotAuthorised, "the genesis: is held by"),
        "device as the operator": (
            draft(script, foreign, subject=script.subject),
            UnknownSigner,
            script.operator.issuer,
        ),
        "second genesis": (
            script.draft(script.operator, script.subject, grants.GENESIS, genesis),
            NotAuthorised,
            "index 0 and nowhere else",
        ),
        "unknown grant revoked": (
            script.draft(
                script.operator, script.subject, grants.REVOKE, grants.format_revocation(Revocation(b"\1" * 32))
            ),
            NotAuthorised,
            "no grant 0101",
        ),
        "genesis revoked": (
            script.draft(
                script.operator,
                script.subject,
                grants.REVOKE,
                grants.format_revocation(Revocation(script.statement(0).digest)),
            ),
            NotAuthorised,
            "cannot be revoked",
        ),
        "grant about a twin": (
            script.draft(script.operator, TWIN, grants.GRANT, grants.format_grant(terms)),
            Malformed,
            "sub: authority statements are about",
        ),
        "unknown kind": (script.draft(DEVICE, TWIN, "text/plain", b"x"), Malformed, "content type"),
        "no SenML": (script.draft(DEVICE, TWIN, senml.SENML, b"\x00"), Malformed, ""),
        "empty": (b"", Malformed, "statement"),
        "over 60 KiB": (bytes(61_441), TooLarge, "61441 bytes"),
    }
