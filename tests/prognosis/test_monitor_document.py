"""A monitor's document comes from whoever may state rules: it is read, or refused by name, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.prognosis.monitor import parse_monitor, read_monitor
from twinproof.proof import cbor
from twinproof.twin.alarm import MAX_MONITOR

CELL: dict[str, Any] = {"within": [[0.0, 1.0]], "mean": [0.0, 0.0], "gain": [1.0, 1.0]}
WHOLE: dict[str, Any] = {
    "signals": ["a", "b"], "detector": {"mewma": {"limit": 28.0, "weight": 0.1, "inverse": [[1.0, 0.0], [0.0, 1.0]]}},
    "warm_up": 50, "cycle": "n", "gate": {"signal": "speed", "above": 600.0, "settle": 5}, "settings": ["s"],
    "cells": [CELL], "units": {"a": "K"}, "persist": 3, "return": 20, "stuck": 30,
    "modes": [{"name": "worn", "signals": {"a": "+", "b": "-"}}], "fleet": {"share": 0.3, "window": 3600.0},
}  # fmt: skip
SPREAD: dict[str, Any] = {
    **WHOLE, "detector": {"t2q": {"axes": [[1.0, 0.0]], "variances": [1.0], "t2": 9.0, "q": 9.0}},
}  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, -1, 2**63, 2**64 - 1, 0.5, float("nan"), float("inf"), "", "a", "\0", "x" * 300, b"", [], ["a"],
    [["a"]], [{}], {}, {"a": []}, {"a": {}}, {1: 2},
)  # fmt: skip


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every member of a value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(value[key], (*way, key))


def changed(document: dict[str, Any], way: tuple[Any, ...], odd: Any) -> dict[str, Any]:
    made = deepcopy(document)
    at: Any = made
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = odd
    return made


def refusal(document: Any) -> str | None:
    """The field that is refused, if one is."""
    try:
        read_monitor(document)
    except Malformed as problem:
        return problem.field
    return None


@pytest.mark.parametrize("document", [WHOLE, SPREAD], ids=["mewma", "t2q"])
def test_every_member_may_be_anything(document: dict[str, Any]) -> None:
    read_monitor(document)
    found = [refusal(changed(document, way, odd)) for way in places(document) for odd in ODD]
    refused = [field for field in found if field is not None]
    assert len(refused) > 500
    assert all(field.startswith("monitor") for field in refused)


@given(st.binary(max_size=200))
def test_bytes_are_a_document_or_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_monitor(data)


@pytest.mark.parametrize("size", [MAX_MONITOR, MAX_MONITOR + 1])
def test_a_large_one_is_read_no_further(size: int) -> None:
    with pytest.raises(Malformed):
        parse_monitor(b"\x81" * size)


def test_a_million_signals_are_refused() -> None:
    with pytest.raises(Malformed, match="signals"):
        read_monitor({**WHOLE, "signals": [f"s{number}" for number in range(10**6)]})
    with pytest.raises(Malformed, match="larger"):
        parse_monitor(cbor.encode({**WHOLE, "units": {f"s{number}": "K" for number in range(10**4)}}))
