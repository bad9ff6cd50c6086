"""The TypeScript verifier judges each bundle, statement and payload of the corpus as the Python one does."""

from __future__ import annotations

from collections import Counter

from tests.web import corpus, payloads
from tests.web.conftest import Ask
from tests.web.verdicts import REFUSED, Case, disagreements


def compare(ask: Ask, cases: list[Case], **settings: str) -> None:
    answers = ask([case.question for case in cases], **settings)
    found = disagreements(cases, answers)
    assert not found, f"{len(found)} of {len(cases)}:\n" + "\n".join(found[:20])


def test_bundles_fail_at_the_same_step_or_say_the_same(ask: Ask) -> None:
    cases = corpus.all_bundles()
    steps = Counter(case.expected.get(REFUSED, "verified") for case in cases)
    assert steps.keys() == {*range(1, 11), "verified"}
    assert steps["verified"] > 50
    compare(ask, cases)


def test_single_statements(ask: Ask) -> None:
    cases = list(corpus.single_statements())
    assert sum(case.expected != REFUSED for case in cases) >= 17
    compare(ask, cases)


def test_payloads_of_every_kind(ask: Ask) -> None:
    cases = list(payloads.payloads())
    assert sum(case.expected != REFUSED for case in cases) > 500
    compare(ask, cases)


def test_without_webcrypto(ask: Ask) -> None:
    """Where a platform has no WebCrypto, or no Ed25519 in it, noble's curves decide."""
    cases = [*corpus.tampered_bundles(), *corpus.good_bundles()]
    compare(ask, cases, engine="noble")
