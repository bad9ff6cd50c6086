"""Fleets: what is refused when a unit is made, and how regimes are found."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from tests.prognosis.fleets import LOADS, wearing_fleet
from twinproof.errors import Malformed
from twinproof.exchange.cmapss.files import read_snapshots
from twinproof.prognosis.data import Array, Fleet, unit
from twinproof.prognosis.regimes import find_regimes

TWO = np.zeros((2, 1))


@pytest.mark.parametrize(("cycles", "settings", "signals", "field"), [
    ([], np.zeros((0, 1)), np.zeros((0, 1)), "cycles"),
    ([[1, 2]], TWO, TWO, "cycles"),
    ([1.0, 2.0], TWO, TWO, "cycles"),
    ([2, 1], TWO, TWO, "1 follows 2"),
    ([1, 1], TWO, TWO, "1 follows 1"),
    ([-1, 1], TWO, TWO, "cycles"),
    ([1, 2**53], TWO, TWO, "cycles"),
    (np.array([1, 2**64 - 1], dtype=np.uint64), TWO, TWO, "cycles"),
    ([1, 2], TWO[:1], TWO, "settings"),
    ([1, 2], TWO, TWO[:1], "signals"),
    ([1, 2], TWO, [1.0, 2.0], "signals"),
    ([1, 2], TWO, [["hot"], ["cold"]], "signals"),
    ([1, 2], TWO, [[1.0], [1.0, 2.0]], "signals"),
    ([1, 2], TWO, [[None], [{}]], "signals"),
    (["1", "2"], TWO, TWO, "cycles"),
    ([1, 10**30], TWO, TWO, "cycles"),
], ids=["none", "table", "floats", "backwards", "twice", "negative", "huge", "unsigned", "few settings", "few signals",
        "a list", "words", "ragged", "things", "text", "beyond integers"])  # fmt: skip
def test_a_crooked_unit_is_refused(cycles: object, settings: Array, signals: object, field: str) -> None:
    with pytest.raises(Malformed, match=field):
        unit("u", cycles, settings, signals, True)  # type: ignore[arg-type]


def test_a_crooked_fleet_is_refused() -> None:
    good = unit("u", [1, 2], TWO, TWO, True)
    with pytest.raises(Malformed, match="twice"):
        Fleet(("a",), ("a",), (good,))
    with pytest.raises(Malformed, match="columns"):
        Fleet(("a",), ("b", "c"), (good,))
    with pytest.raises(Malformed, match="twice"):
        Fleet(("a",), ("b",), (good, good))


def test_a_cut_record_has_no_known_end() -> None:
    each = wearing_fleet(1).units[0]
    assert each.failed
    assert not each.head(10).failed
    assert len(each.head(10)) == 10
    assert each.remaining().tolist() == list(range(len(each) - 1, -1, -1))


def test_clusters_that_matter_are_regimes() -> None:
    regimes = find_regimes(wearing_fleet(10))
    assert len(regimes.cells) == len(LOADS)
    for load, (low, high) in zip(LOADS, regimes.intervals[0], strict=True):
        assert load - 15 < low < load < high < load + 15  # between them nothing is known


def test_jitter_is_no_regime() -> None:
    assert len(find_regimes(wearing_fleet(10, loads=LOADS[:1])).cells) == 1


def test_clusters_that_explain_nothing_are_no_regimes() -> None:
    fleet = wearing_fleet(10, loads=LOADS[:1])
    rng = np.random.default_rng(3)
    units = tuple(
        unit(each.id, each.cycles, rng.choice(LOADS, (len(each), 1)), each.signals, True) for each in fleet.units
    )
    assert len(find_regimes(Fleet(fleet.settings, fleet.signals, units)).cells) == 1


def test_no_settings_at_all() -> None:
    each = unit("u", [1, 2], np.zeros((2, 0)), TWO, True)
    assert find_regimes(Fleet((), ("a",), (each,))).cells == ((),)


def test_settings_that_are_never_there() -> None:
    each = unit("u", [1, 2], np.full((2, 1), np.nan), TWO, True)
    with pytest.raises(Malformed, match="settings"):
        find_regimes(Fleet(("a",), ("b",), (each,)))


@pytest.mark.parametrize(("name", "regimes"), [("FD001", 1), ("FD002", 6), ("FD003", 1), ("FD004", 6)])
def test_the_regimes_of_c_mapss(name: str, regimes: int, shared: Path) -> None:
    path = shared / "data" / "cmapss" / f"train_{name}.txt.gz"
    rows = np.array([row.values for row in takewhile(lambda row: row.unit <= 12, read_snapshots(path))])
    each = unit("all", np.arange(len(rows)), rows[:, :3], rows[:, 3:], True)
    names = tuple(map(str, range(24)))
    found = find_regimes(Fleet(names[:3], names[3:], (each,)))
    assert len(found.cells) == regimes
