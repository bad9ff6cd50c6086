"""Authority: a table of cases; tests/twin/test_authority_forests.py has the random ones."""

from __future__ import annotations

import pytest

from tests.builders import DEVICE, GATEWAY, INSPECTOR, MODEL, OPERATOR, START, STRANGER, TWIN, Log, Signer, signer
from tests.twin.authority_reference import ENGINES, FLEET, A, D, R, chain_of, fold, genesis_raw, said, verdict
from twinproof.errors import (
    Amplified,
    BadSignature,
    Malformed,
    NotAuthorised,
    OutOfScope,
    OutsideValidity,
    Revoked,
    TwinproofError,
    UnknownSigner,
)
from twinproof.twin import grants
from twinproof.twin.authority import AUTHORITY_KINDS, MAX_DEPTH, Authority
from twinproof.twin.grants import Capability, GrantTerms, Scope, Window
from twinproof.twin.statement import Statement, parse_statement

# --- who may say it -------------------------------------------------------------------------


def test_the_operator_may_say_everything_about_everything() -> None:
    log = Log()
    authority = fold(log)
    for capability in (None, *Capability):
        assert authority.check(1, said(OPERATOR, "urn:any:twin"), capability) is authority.root


def test_an_unknown_key_and_an_unknown_issuer_are_refused() -> None:
    log = Log()
    log.grant(DEVICE, {R})
    authority = fold(log)
    assert verdict(authority, 9, said(DEVICE)) == 1
    assert verdict(authority, 9, said(STRANGER)) == "unknown-signer"
    assert verdict(authority, 9, said(Signer(STRANGER.issuer, DEVICE.key))) == "unknown-signer"
    assert verdict(authority, 9, said(Signer(DEVICE.issuer, STRANGER.key))) == "unknown-signer"
    with pytest.raises(UnknownSigner):
        authority.key(STRANGER.key.public.thumbprint)
    assert authority.key(DEVICE.key.public.thumbprint) == DEVICE.key.public


def test_before_the_genesis_nobody_is_known() -> None:
    assert verdict(Authority(), 0, said(OPERATOR)) == "unknown-signer"
    with pytest.raises(NotAuthorised, match="genesis"):
        Authority().root  # noqa: B018


def test_capability_and_twin_must_fit() -> None:
    log = Log()
    log.grant(DEVICE, {R})
    authority = fold(log)
    assert verdict(authority, 9, said(DEVICE), D) == "out-of-scope"
    assert verdict(authority, 9, said(DEVICE), None) == 1
    assert verdict(authority, 9, said(DEVICE, TWIN + "0")) == "out-of-scope"
    assert verdict(authority, 9, said(DEVICE, TWIN + "0"), None) == "out-of-scope"


def test_capabilities_of_two_grants_are_not_mixed() -> None:
    log = Log()
    log.grant(DEVICE, {R}, Scope("twin", TWIN))
    log.grant(DEVICE, {D}, Scope("twin", "urn:x"))
    authority = fold(log)
    assert verdict(authority, 9, said(DEVICE), R) == 1
    assert verdict(authority, 9, said(DEVICE, "urn:x"), D) == 2
    assert verdict(authority, 9, said(DEVICE), D) == "out-of-scope"
    assert verdict(authority, 9, said(DEVICE, "urn:x"), R) == "out-of-scope"


def test_a_grant_holds_behind_its_index_and_not_at_it() -> None:
    log = Log()
    log.grant(DEVICE, {R})
    authority = fold(log)
    assert [verdict(authority, index, said(DEVICE)) for index in (0, 1, 2)] == ["unknown-signer", "unknown-signer", 1]


def test_a_revocation_counts_behind_its_index() -> None:
    log = Log()
    grant = log.grant(DEVICE, {R})
    log.raws.append(b"")
    log.revoke(grant)
    authority = Authority()
    for index in (0, 1, 3):
        authority.apply(index, log.statement(index))
    assert [verdict(authority, index, said(DEVICE)) for index in (2, 3, 4, 99)] == [1, 1, "revoked", "revoked"]
    assert authority.revoked_at(authority.grants[grant.digest]) == 3


def test_granted_again_after_a_revocation() -> None:
    log = Log()
    log.revoke(log.grant(DEVICE, {R}))
    log.grant(DEVICE, {R})
    assert verdict(fold(log, 3), 9, said(DEVICE)) == "revoked"
    assert verdict(fold(log), 9, said(DEVICE)) == 3


def test_one_of_two_grants_revoked() -> None:
    log = Log()
    first = log.grant(DEVICE, {R})
    log.grant(DEVICE, {R}, FLEET)
    log.revoke(first)
    authority = fold(log)
    assert verdict(authority, 3, said(DEVICE)) == 1
    assert verdict(authority, 4, said(DEVICE)) == 2


def test_a_second_revocation_changes_nothing() -> None:
    log = Log()
    grant = log.grant(DEVICE, {R})
    log.revoke(grant)
    log.revoke(grant)
    assert fold(log).revoked == {grant.digest: 2}


@pytest.mark.parametrize(
    ("window", "index", "time", "expected"),
    [
        (Window(from_time=START), 9, START, 1),
        (Window(from_time=START), 9, START - 1, "outside-validity"),
        (Window(until_time=START), 9, START - 1, 1),
        (Window(until_time=START), 9, START, "outside-validity"),
        (Window(from_index=9), 9, START, 1),
        (Window(from_index=9), 8, START, "outside-validity"),
        (Window(until_index=9), 8, START, 1),
        (Window(until_index=9), 9, START, "outside-validity"),
        (Window(START, START + 1, 9, 10), 9, START, 1),
        (Window(START, START + 1, 9, 10), 10, START, "outside-validity"),
        (Window(START, START + 1, 9, 10), 9, START + 1, "outside-validity"),
    ],
)
def test_windows_are_half_open(window: Window, index: int, time: int, expected: int | str) -> None:
    log = Log()
    log.grant(DEVICE, {R}, window=window)
    assert verdict(fold(log), index, said(DEVICE, at=time)) == expected


def test_of_several_grants_the_first_that_holds_is_named() -> None:
    log = Log()
    log.grant(DEVICE, {R}, window=Window(until_time=START))
    log.grant(DEVICE, {R})
    authority = fold(log)
    for _ in range(2):
        assert verdict(authority, 9, said(DEVICE, at=START)) == 2
        assert verdict(authority, 9, said(DEVICE, at=START - 1)) == 1


def test_refusals_in_their_order() -> None:
    """Unknown, then out of scope, then revoked, then outside validity."""
    log = Log()
    grant = log.grant(DEVICE, {R}, window=Window(until_time=START))
    assert verdict(fold(log), 9, said(DEVICE)) == "outside-validity"
    log.revoke(grant)
    assert verdict(fold(log), 9, said(DEVICE)) == "revoked"
    assert verdict(fold(log), 9, said(DEVICE), D) == "out-of-scope"


# --- model scope ----------------------------------------------------------------------------


def test_a_model_scope_follows_the_model_that_the_twin_declares() -> None:
    log = Log()
    log.grant(INSPECTOR, {R}, Scope("model", MODEL))
    authority = fold(log)
    declared: dict[str, str] = {}
    statement = said(INSPECTOR)

    def now() -> int | str:
        try:
            return authority.check(9, statement, R, declared.get).index
        except NotAuthorised as refusal:
            return refusal.code

    assert now() == "out-of-scope"
    declared[TWIN] = MODEL
    assert now() == 1
    declared[TWIN] = "dtmi:example:pump;1"
    assert now() == "out-of-scope"
    declared[TWIN] = MODEL
    assert now() == 1


def test_a_model_grant_that_begins_to_fit_is_the_first_again() -> None:
    log = Log()
    log.grant(INSPECTOR, {R}, Scope("model", MODEL))
    log.grant(INSPECTOR, {R}, FLEET)
    authority = fold(log)
    assert verdict(authority, 9, said(INSPECTOR), R, None) == 2
    assert verdict(authority, 9, said(INSPECTOR), R, MODEL) == 1
    assert verdict(authority, 9, said(INSPECTOR), R, None) == 2


def test_the_model_is_not_asked_for_without_need() -> None:
    log = Log()
    log.grant(DEVICE, {R})

    def refuse(subject: str) -> str | None:
        raise AssertionError(subject)

    assert fold(log).check(9, said(DEVICE), R, refuse).index == 1


# --- delegation -----------------------------------------------------------------------------


def delegated(window: Window | None = None, scope: Scope = FLEET) -> tuple[Log, Statement]:
    """A log whose index 1 makes `GATEWAY` an administrator."""
    log = Log()
    return log, log.grant(GATEWAY, {R, D, A}, scope, window=window)


def refusal_of(log: Log) -> TwinproofError:
    """Why the last entry is refused; what comes before it must be accepted."""
    authority = fold(log, len(log) - 1)
    before = snapshot(authority)
    with pytest.raises(TwinproofError) as refusal:
        authority.apply(len(log) - 1, log.statement(len(log) - 1))
    assert snapshot(authority) == before
    return refusal.value


def snapshot(authority: Authority) -> tuple[object, ...]:
    return (
        authority.genesis,
        dict(authority.grants),
        dict(authority.revoked),
        {key: list(held) for key, held in authority._by_key.items()},
        dict(authority._name_owners),
    )


def test_a_delegate_grants_within_its_own_grant() -> None:
    log, via = delegated()
    log.grant(DEVICE, {R}, ENGINES, by=GATEWAY, via=via)
    authority = fold(log)
    assert verdict(authority, 9, said(DEVICE)) == 2
    assert authority.check(9, said(DEVICE), R).chain == tuple(log.statement(index).digest for index in (2, 1, 0))


def test_apply_returns_the_grant_that_was_relied_on() -> None:
    log, via = delegated()
    log.grant(DEVICE, {R}, ENGINES, by=GATEWAY, via=via)
    log.grant(INSPECTOR, {R}, ENGINES, via=log.statement(0))
    authority = Authority()
    assert [authority.apply(index, log.statement(index)).index for index in range(4)] == [0, 0, 1, 0]


WIDER: list[tuple[str, dict[str, object], str]] = [
    ("capability", {"can": {R, Capability.OPERATE}}, "operate"),
    ("prefix", {"scope": Scope("prefix", "https://")}, "not inside"),
    ("everything", {"scope": Scope("prefix", "")}, "not inside"),
    ("another twin", {"scope": Scope("twin", "urn:x")}, "not inside"),
    ("a model", {"scope": Scope("model", MODEL)}, "not inside"),
    ("no window", {"window": None}, "not inside"),
    ("earlier", {"window": Window(99, 200, 1, 100)}, "not inside"),
    ("later", {"window": Window(100, 201, 1, 100)}, "not inside"),
    ("from an earlier index", {"window": Window(100, 200, 0, 100)}, "not inside"),
    ("until a later index", {"window": Window(100, 200, 1, 101)}, "not inside"),
    ("no beginning", {"window": Window(None, 200, 1, 100)}, "not inside"),
    ("no end", {"window": Window(100, None, 1, 100)}, "not inside"),
]


@pytest.mark.parametrize(("name", "changes", "fragment"), WIDER, ids=[row[0] for row in WIDER])
def test_nobody_gives_more_than_they_hold(name: str, changes: dict[str, object], fragment: str) -> None:
    window = Window(100, 200, 1, 100)
    log, via = delegated(window)
    given_: dict[str, object] = {"can": {R}, "scope": ENGINES, "window": window, **changes}
    log.grant(DEVICE, by=GATEWAY, via=via, at=150, **given_)  # type: ignore[arg-type]
    refusal = refusal_of(log)
    assert type(refusal) is Amplified
    assert fragment in str(refusal)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [(Scope("twin", "urn:f:"), Scope("prefix", "urn:f:")), (Scope("model", "urn:m"), Scope("twin", "urn:m"))],
    ids=str,
)
def test_a_scope_of_one_kind_does_not_become_another(outer: Scope, inner: Scope) -> None:
    log, via = delegated(scope=outer)
    log.grant(DEVICE, {R}, inner, by=GATEWAY, via=via)
    assert type(refusal_of(log)) is Amplified


def test_without_administer_nothing_is_given() -> None:
    log = Log()
    via = log.grant(DEVICE, {R, D})
    log.grant(INSPECTOR, {R}, by=DEVICE, via=via)
    assert type(refusal_of(log)) is OutOfScope


def test_via_must_be_held_by_who_grants() -> None:
    log, via = delegated()
    log.grant(STRANGER, {R}, FLEET, by=DEVICE, via=via)
    assert "held by" in str(refusal_of(log))
    log, via = delegated()
    log.grant(STRANGER, {R}, FLEET, by=GATEWAY)
    assert "the genesis" in str(refusal_of(log))
    log, via = delegated()
    log.grant(STRANGER, {R}, FLEET, by=Signer(GATEWAY.issuer, OPERATOR.key), via=via)
    assert "held by" in str(refusal_of(log))
    log, via = delegated()
    log.grant(STRANGER, {R}, FLEET, by=Signer(STRANGER.issuer, GATEWAY.key), via=via)
    assert "held by" in str(refusal_of(log))


def test_via_must_be_in_the_log_before() -> None:
    log, _ = delegated()
    _, later = delegated(Window(1, 2))
    log.grant(DEVICE, {R}, FLEET, by=GATEWAY, via=later)
    assert "no grant" in str(refusal_of(log))


def test_a_revoked_or_expired_administrator_grants_nothing() -> None:
    log, via = delegated()
    log.revoke(via)
    log.grant(DEVICE, {R}, FLEET, by=GATEWAY, via=via)
    assert type(refusal_of(log)) is Revoked
    log, via = delegated(Window(until_time=START))
    log.grant(DEVICE, {R}, FLEET, by=GATEWAY, via=via, window=Window(until_time=5), at=START)
    assert type(refusal_of(log)) is OutsideValidity
    log, via = delegated(Window(until_index=2))
    log.grant(DEVICE, {R}, FLEET, by=GATEWAY, via=via, window=Window(until_index=1))
    assert type(refusal_of(log)) is OutsideValidity


def test_depth_is_limited() -> None:
    log, _, holders = chain_of(MAX_DEPTH)
    assert verdict(fold(log), 99, said(holders[-1])) == MAX_DEPTH - 1
    log, _, _ = chain_of(MAX_DEPTH + 1)
    assert f"more than {MAX_DEPTH}" in str(refusal_of(log))


def test_revoking_above_revokes_all_below_and_nothing_beside() -> None:
    log, statements, holders = chain_of(5)
    beside = log.grant(DEVICE, {R}, by=holders[1], via=statements[1])
    log.revoke(statements[2])
    authority = fold(log)
    verdicts = [verdict(authority, 99, said(holder)) for holder in holders]
    assert verdicts == [0, 1, "revoked", "revoked", "revoked"]
    assert verdict(authority, 99, said(DEVICE)) == log.raws.index(beside.raw)


@pytest.mark.parametrize("by", range(5))
@pytest.mark.parametrize("what", range(1, 5))
def test_only_the_holder_and_those_above_revoke(by: int, what: int) -> None:
    log, statements, holders = chain_of(5)
    log.revoke(statements[what], by=holders[by])
    if by <= what:
        assert fold(log).revoked == {statements[what].digest: 5}
    else:
        assert "neither this grant nor one above" in str(refusal_of(log))


def test_a_device_may_give_up_its_own_grant_but_no_other() -> None:
    log = Log()
    grant = log.grant(DEVICE, {R})
    log.revoke(grant, by=DEVICE)
    assert verdict(fold(log), 9, said(DEVICE)) == "revoked"
    log = Log()
    log.grant(DEVICE, {R})
    log.revoke(log.grant(GATEWAY, {R}), by=DEVICE)
    assert type(refusal_of(log)) is NotAuthorised


def test_a_revoked_administrator_revokes_nothing_more() -> None:
    log, statements, holders = chain_of(4)
    log.revoke(statements[1])
    log.revoke(statements[3], by=holders[2])
    assert "still holds" in str(refusal_of(log))


def test_what_cannot_be_revoked() -> None:
    log = Log()
    log.revoke(log.statement(0))
    assert "cannot be revoked" in str(refusal_of(log))
    log = Log()
    log.revoke(said(DEVICE))
    assert "no grant" in str(refusal_of(log))


# --- names ----------------------------------------------------------------------------------


def test_an_administrator_cannot_take_the_name_of_a_signer_that_others_introduced() -> None:
    for victim in (OPERATOR, DEVICE):
        log, via = delegated()
        log.grant(DEVICE, {R})
        log.grant(Signer(victim.issuer, STRANGER.key), {R}, ENGINES, by=GATEWAY, via=via)
        refusal = refusal_of(log)
        assert type(refusal) is Amplified
        assert victim.issuer in str(refusal)


def test_a_known_key_may_be_granted_to_by_anybody() -> None:
    log, via = delegated()
    log.grant(DEVICE, {R}, Scope("twin", "urn:x"))
    log.grant(DEVICE, {R}, ENGINES, by=GATEWAY, via=via)
    assert verdict(fold(log), 9, said(DEVICE)) == 3


def test_a_key_is_added_by_who_introduced_the_name_or_from_above_or_by_itself() -> None:
    log, via = delegated()
    log.grant(DEVICE, {R}, ENGINES, by=GATEWAY, via=via)
    log.grant(Signer(DEVICE.issuer, STRANGER.key), {R}, ENGINES, by=GATEWAY, via=via)
    log.grant(Signer(DEVICE.issuer, INSPECTOR.key), {R}, ENGINES)
    renewed = log.grant(GATEWAY, {R, D, A}, FLEET)
    log.grant(Signer(DEVICE.issuer, signer("", 7).key), {R}, ENGINES, by=GATEWAY, via=renewed)
    log.grant(Signer(GATEWAY.issuer, signer("", 8).key), {R}, ENGINES, by=GATEWAY, via=renewed)
    assert len(fold(log).grants) == 8


# --- the genesis ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "changes", "fragment"),
    [
        (1, {}, "index 0"),
        (0, {"seq": 1, "prev": b"\0" * 32}, "index 0"),
        (0, {"subject": "https://other.example"}, "is about"),
        (0, {"key": DEVICE.key}, "kid"),
    ],
)
def test_a_genesis_out_of_place_is_refused(index: int, changes: dict[str, object], fragment: str) -> None:
    authority = Authority()
    with pytest.raises((NotAuthorised, Malformed), match=fragment):
        authority.apply(index, parse_statement(genesis_raw(**changes)))
    assert authority.genesis is None


def test_a_genesis_with_a_broken_signature_is_refused() -> None:
    raw = genesis_raw()
    with pytest.raises(BadSignature):
        Authority().apply(0, parse_statement(raw[:-1] + bytes((raw[-1] ^ 1,))))


def test_a_second_genesis_is_refused() -> None:
    authority = fold(Log())
    with pytest.raises(NotAuthorised, match="index 0"):
        authority.apply(1, parse_statement(genesis_raw()))


def test_authority_statements_need_the_genesis_first_and_the_log_as_subject() -> None:
    log = Log()
    log.grant(DEVICE, {R})
    with pytest.raises(NotAuthorised, match="begin with a genesis"):
        Authority().apply(0, log.statement(1))
    terms = grants.format_grant(GrantTerms("urn:x", DEVICE.key.public, frozenset({R}), FLEET))
    log = Log()
    log.say(OPERATOR, TWIN, grants.GRANT, terms)
    assert isinstance(refusal_of(log), Malformed)


def test_a_bad_payload_changes_nothing() -> None:
    for content_type in AUTHORITY_KINDS - {grants.GENESIS}:
        log = Log()
        log.say(OPERATOR, log.subject, content_type, b"\xa0")
        assert isinstance(refusal_of(log), Malformed)


def test_out_of_order_is_the_callers_mistake() -> None:
    log = Log()
    log.grant(DEVICE, {R})
    authority = fold(log)
    with pytest.raises(ValueError, match="fed after"):
        authority.apply(1, log.statement(1))


# --- signatures -----------------------------------------------------------------------------


def test_an_unchecked_statement_is_checked_before_it_counts() -> None:
    log = Log()
    log.grant(DEVICE, {R})
    authority = Authority()
    authority.check_and_apply(0, log.statement(0))
    grant = log.statement(1)
    forged = grant._replace(signature=bytes(64))
    with pytest.raises(BadSignature):
        authority.check_and_apply(1, forged)
    unknown = grant._replace(kid=STRANGER.key.public.thumbprint)
    with pytest.raises(UnknownSigner):
        authority.check_and_apply(1, unknown)
    assert len(authority.grants) == 1
    authority.check_and_apply(1, grant)
    assert len(authority.grants) == 2
