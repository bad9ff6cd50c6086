"""Strangers who make agreements about a twin: nothing of them becomes an entry of the log."""

from __future__ import annotations

from typing import Any

import pytest

from twinproof.node.chain_subjects import Subjects

CONTRACT, ELSEWHERE = b"\xcc" * 20, b"\xdd" * 20
OURS, STRANGER = b"\x01" * 20, b"\x02" * 20
TWIN, OTHER = b"\x11" * 32, b"\x22" * 32
ORDER = (1 << 32) + 1


def proposed(operator: bytes, number: int = 1) -> tuple[str, dict[str, Any]]:
    return "Proposed", {"id": number, "operator": operator, "supplier": OURS, "twins": [TWIN, OTHER]}


def placed(number: int = 1) -> tuple[str, dict[str, Any]]:
    return "OrderPlaced", {"orderId": (number << 32) + 1, "id": number, "twin": TWIN, "index": 5}


LATER: list[tuple[str, dict[str, Any]]] = [
    ("Suspended", {"id": 1, "by": STRANGER, "suspended": True}),
    ("OrderAccepted", {"orderId": ORDER, "deadline": 1}),
    ("CancellationAsked", {"orderId": ORDER, "by": STRANGER}),
    ("OrderShipped", {"orderId": ORDER, "tokenId": 7, "deadline": 1}),
]


def hear(subjects: Subjects, *events: tuple[str, dict[str, Any]]) -> list[tuple[bytes, ...]]:
    return [subjects.twins_of(CONTRACT, *event) for event in events]


@pytest.mark.parametrize("speakers", [frozenset({OURS}), frozenset()], ids=["named", "nobody"])
def test_orders_of_a_strangers_agreement_are_not_heard(speakers: frozenset[bytes]) -> None:
    """Its anchors may say yes to everything, so it places as many orders on any twin as its maker pays gas for."""
    assert hear(Subjects(speakers), proposed(STRANGER), placed(), *LATER) == [()] * 6


def test_orders_of_an_agreement_that_is_heard_are() -> None:
    for subjects in (Subjects({OURS}), Subjects(None)):
        assert hear(subjects, proposed(OURS), placed(), *LATER) == [
            (TWIN, OTHER), (TWIN,), (TWIN, OTHER), (TWIN,), (TWIN,), (TWIN,)
        ]  # fmt: skip


def test_a_strangers_agreement_does_not_borrow_another_number() -> None:
    subjects = Subjects({OURS})
    hear(subjects, proposed(OURS, 2), proposed(STRANGER, 1))
    assert subjects.twins_of(CONTRACT, *placed(1)) == ()
    assert subjects.twins_of(ELSEWHERE, *placed(2)) == ()
    assert subjects.twins_of(CONTRACT, *placed(2)) == (TWIN,)
