"""Random forests of grants, against the reference and against a fold that remembers nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, MODEL, OPERATOR, START, STRANGER, TWIN, Log, Signer, signer
from tests.twin.authority_reference import (
    ENGINES,
    FLEET,
    A,
    D,
    R,
    Reference,
    chain_of,
    fold,
    genesis_raw,
    said,
    verdict,
)
from twinproof.errors import NotAuthorised
from twinproof.twin import grants
from twinproof.twin.authority import Authority
from twinproof.twin.grants import Capability, GrantTerms, Revocation, Scope, Window
from twinproof.twin.statement import Statement, parse_statement, sign_statement

NAMES = [OPERATOR, *(signer(f"urn:example:s:{number}", 60 + number) for number in range(3))]
NAMES += [Signer(NAMES[1].issuer, NAMES[3].key), Signer(NAMES[2].issuer, STRANGER.key)]
SCOPES = [
    Scope("prefix", ""),
    FLEET,
    ENGINES,
    Scope("twin", TWIN),
    Scope("twin", TWIN + "0"),
    Scope("model", MODEL),
    Scope("model", "urn:other"),
]
WINDOWS = [
    Window(),
    Window(),
    Window(),
    Window(from_time=START),
    Window(until_time=START + 1),
    Window(START, START + 1),
    Window(from_index=4),
    Window(until_index=12),
    Window(from_index=4, until_index=8),
]
TWINS = [TWIN, TWIN + "0", "urn:elsewhere"]


@cache
def _signed(by: Signer, content_type: str, payload: bytes, number: int, at: int) -> Statement:
    """Streams play no part in the fold: the number only keeps equal payloads apart."""
    raw = sign_statement(
        by.key,
        issuer=by.issuer,
        subject=Log(empty=True).subject,
        content_type=content_type,
        payload=payload,
        seq=number + 1,
        prev=b"\0" * 32,
        issued_at=at,
    )
    return parse_statement(raw)


def forest(random: Random, length: int) -> tuple[Authority, Reference, dict[int, Statement]]:
    """A random sequence of grants and revocations, given to both; some are refused, by both alike."""
    authority, reference = Authority(), Reference()
    genesis = parse_statement(genesis_raw())
    authority.apply(0, genesis)
    reference.accepts(0, genesis)
    accepted = {0: genesis}
    for index in range(1, length):
        target = random.choice(list(authority.grants.values()))
        by = next((s for s in NAMES if s.issuer == target.terms.issuer and s.key.public == target.terms.key), OPERATOR)
        if random.random() < 0.15:
            by = random.choice(NAMES)
        if random.random() < 0.3:
            below = [grant for grant in authority.grants.values() if target.id in grant.chain]
            payload = grants.format_revocation(Revocation(random.choice(below).id))
            content_type = grants.REVOKE
        else:
            to = random.choice(NAMES[1:])
            can = frozenset(random.sample(sorted(target.terms.can), random.randint(1, min(3, len(target.terms.can)))))
            terms = GrantTerms(
                to.issuer,
                to.key.public,
                can | ({A} if random.random() < 0.6 else set()),
                random.choice([*SCOPES, target.terms.scope, target.terms.scope]),
                random.choice([*WINDOWS, target.terms.window, target.terms.window]),
                None if target is authority.root and random.random() < 0.5 else target.id,
            )
            payload, content_type = grants.format_grant(terms), grants.GRANT
        statement = _signed(by, content_type, payload, random.randint(0, 3), START + random.randint(-1, 1))
        if statement.digest in authority.grants:
            continue
        try:
            authority.apply(index, statement)
        except NotAuthorised:
            assert not reference.accepts(index, statement)
            continue
        assert reference.accepts(index, statement)
        accepted[index] = statement
    return authority, reference, accepted


def questions(random: Random, count: int, last: int) -> list[tuple[int, Statement, Capability | None, str | None]]:
    return [
        (
            random.randint(1, last + 2),
            said(random.choice(NAMES), random.choice(TWINS), START + random.randint(-1, 1)),
            random.choice([None, R, D, A]),
            random.choice([None, MODEL, "urn:other"]),
        )
        for _ in range(count)
    ]


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_random_forests_are_judged_as_the_reference_judges_them(random: Random) -> None:
    authority, reference, accepted = forest(random, 16)
    for index, statement, capability, model in questions(random, 40, 16):
        expected = reference.verdict(index, statement, capability, model)
        # Twice, so that a remembered verdict is compared too, and by a fold of what stands below the index alone.
        assert verdict(authority, index, statement, capability, model) == expected
        assert verdict(authority, index, statement, capability, model) == expected
        prefix = Authority()
        for at, given_ in accepted.items():
            if at < index:
                prefix.apply(at, given_)
        assert verdict(prefix, index, statement, capability, model) == expected


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_nothing_below_a_grant_exceeds_it(random: Random) -> None:
    authority, _, _ = forest(random, 16)
    for grant in authority.grants.values():
        assert grant.chain[-1] == authority.root.id
        for id_ in grant.chain[1:]:
            above = authority.grants[id_]
            assert grant.terms.can <= above.terms.can
            assert Capability.ADMINISTER in above.terms.can
            assert above.terms.scope.covers(grant.terms.scope)
            assert above.terms.window.covers(grant.terms.window)
            assert above.index < grant.index


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_a_revocation_never_changes_a_verdict_at_a_lower_index(random: Random) -> None:
    authority, _, _ = forest(random, 12)
    asked = questions(random, 40, 12)
    before = [verdict(authority, *question) for question in asked]
    for number, grant in enumerate(list(authority.grants.values())[1:]):
        authority.apply(
            100 + number,
            _signed(OPERATOR, grants.REVOKE, grants.format_revocation(Revocation(grant.id)), number, START),
        )
    assert [verdict(authority, *question) for question in asked] == before
    for question in asked:
        after = verdict(authority, 999, *question[1:])
        assert after in ("unknown-signer", "out-of-scope", "revoked", 0)


def test_the_memo_gives_what_a_fresh_fold_gives_at_length() -> None:
    """One long fold with questions in between, as intake asks them, against folds that remember nothing."""
    random = Random(20)
    log, _, holders = chain_of(4)
    authority = fold(log)
    for number in range(60):
        ask: Callable[[Authority], list[int | str]] = lambda folded: [  # noqa: E731
            verdict(folded, len(log) + ahead, said(holder, TWIN, START + time))
            for holder in (*holders, DEVICE)
            for time in (-1, 0, 1)
            for ahead in (0, 5)
        ]
        assert ask(authority) == ask(fold(log)) == ask(authority)
        if number % 3 == 2:
            held = [grant for grant in authority.grants.values() if grant.terms.issuer == DEVICE.issuer]
            log.revoke(log.statement(random.choice(held).index))
        else:
            log.grant(DEVICE, {R}, window=random.choice(WINDOWS))
        authority.apply(len(log) - 1, log.statement(len(log) - 1))
