"""Kept states: either implementation goes on where the other stopped."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from twinproof.errors import Malformed
from twinproof.prognosis.data import Unit
from twinproof.prognosis.record import Row
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.serve import Predictor
from twinproof.prognosis.state import format_state, parse_state
from twinproof.proof import cbor


def feed(predictor: Predictor, state: Any, twin: int, rows: list[Row]) -> None:
    for row in rows:
        state.take(np.array([twin]), [row.cycle], np.array([row.settings]), np.array([row.signals]))


@pytest.mark.parametrize("cut", [0, 1, 4, 19, 20, 60])
def test_one_goes_on_where_the_other_stopped(predictor: Predictor, strangers: tuple[Unit, ...], cut: int) -> None:
    rows = [row._replace(signals=(row.signals[0], float("nan"), *row.signals[2:])) if row.cycle % 9 == 0 else row
            for row in strangers[3].rows()]  # fmt: skip
    plain, fleet = Replayer(predictor.model), predictor.state(3)
    for row in rows[:cut]:
        plain.take(row)
    feed(predictor, fleet, 1, rows[:cut])
    kept = format_state(plain.keep(), predictor.digest)
    assert kept == format_state(fleet.keep(1), predictor.digest)
    state = parse_state(kept, predictor.model, predictor.digest)
    assert format_state(state, predictor.digest) == kept

    resumed, other = Replayer(predictor.model), predictor.state(2)
    resumed.resume(state, plain.digest)
    other.resume(0, state)
    for row in rows[cut:]:
        plain.take(row)
        resumed.take(row)
    feed(predictor, other, 0, rows[cut:])
    assert resumed.forecast() == plain.forecast()
    assert resumed.digest == plain.digest
    now = predictor.now(other)
    assert now.one(0) == plain.forecast()
    assert predictor.drivers(other, slice(None), now)[0] == plain.drivers(plain.forecast())
    assert resumed.drivers(resumed.forecast()) == plain.drivers(plain.forecast())
    assert format_state(other.keep(0), predictor.digest) == format_state(plain.keep(), predictor.digest)
    assert other.keep(1).counts[0] == -1


CHANGES: dict[str, Any] = {
    "format": ("format", lambda _: "twinproof.rul-state/1"),
    "another model": ("model", lambda _: bytes(32)),
    "a short digest": ("model", lambda _: bytes(31)),
    "a count less": ("counts", lambda counts: counts[:-1]),
    "a negative count": ("counts", lambda counts: [counts[0], -1, *counts[2:]]),
    "a huge count": ("counts", lambda counts: [1 << 60, *counts[1:]]),
    "a float": ("run", lambda run: [1.5, *run[1:]]),
    "a signal less": ("bad", lambda bad: bad[:-1]),
    "a number less": ("numbers", lambda data: data[:-8]),
    "text": ("numbers", lambda _: "x"),
    "a NaN that is held": ("numbers", lambda data: struct.pack(">d", float("nan")) + data[8:]),
    "an infinity": ("numbers", lambda data: data[:-8] + struct.pack(">d", float("inf"))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_crooked_state_is_refused(name: str, predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    plain = Replayer(predictor.model)
    for row in strangers[0].rows():
        plain.take(row)
    top = cbor.decode(format_state(plain.keep(), predictor.digest))
    key, change = CHANGES[name]
    top[key] = change(top[key])
    with pytest.raises(Malformed):
        parse_state(cbor.encode(top), predictor.model, predictor.digest)
    with pytest.raises(Malformed):
        parse_state(cbor.encode({**top, "extra": 1}), predictor.model, predictor.digest)
