"""Cases: what bad rows do, kept states, what is named, and limits that hold on other assets."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.prognosis.cases import HELD, Change, Watch, likeness
from twinproof.prognosis.data import Fleet, unit
from twinproof.prognosis.directions import learn_monitor
from twinproof.prognosis.monitor import Mode, encode_monitor, parse_monitor, read_monitor
from twinproof.prognosis.record import Row

SIGNALS = ["a", "b", "c"]
TEMPLATE: dict[str, Any] = {
    "signals": SIGNALS, "detector": {"ewma": {"limit": 5}}, "warm_up": 40, "persist": 3, "return": 5,
    "modes": [{"name": "worn", "signals": {"a": "+", "b": "-"}}, {"name": "leak", "signals": {"c": "+"}}],
}  # fmt: skip
DETECTORS: dict[str, dict[str, Any]] = {
    "ewma": {"ewma": {"limit": 5}},
    "cusum": {"cusum": {"limit": 12}},
    "mewma": {"mewma": {"limit": 40}},
    "t2q": {"t2q": {"axes": [[1.0, 0.0, 0.0]], "variances": [1.0], "t2": 3.0, "q": 3.0}},
}


def rows(count: int, seed: int = 1, shift: tuple[float, ...] = (0, 0, 0), at: int = 10**9) -> list[Row]:
    table = np.random.default_rng(seed).normal(10, 1, (count, 3))
    table[at:] += shift
    return [Row(number, (), tuple(each)) for number, each in enumerate(table.tolist())]


def changes(watch: Watch, given: list[Row]) -> list[tuple[int, Change]]:
    found = []
    for row in given:
        change = watch.decide(watch.take(row), float(row.cycle), 1.0, 0.2)
        if change:
            found.append((row.cycle, change))
    return found


def made(**more: Any) -> Watch:
    return Watch(read_monitor({**TEMPLATE, **more}))


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_shift_is_raised_with_what_moved_and_cleared_when_it_is_gone(kind: str) -> None:
    watch = made(detector=DETECTORS[kind])
    moved = rows(300, shift=(4, -2, 0), at=200)
    ((raised, change),) = changes(watch, moved)
    assert change.raised
    assert 200 <= change.since <= raised < 215
    # T² sees one axis only, which is the first signal's.
    named = [("a", True)] if kind == "t2q" else [("a", True), ("b", False)]
    assert [(name, part > 0) for name, part in watch.evidence()][:2] == named
    assert watch.hints() == ("worn",)
    ((cleared, change),) = changes(watch, [row._replace(cycle=row.cycle + 300) for row in rows(150, seed=2)])
    assert not change.raised
    assert cleared > 305


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_kept_state_goes_on_to_the_bit(kind: str) -> None:
    moved = rows(160, shift=(4, -2, 0), at=90)
    moved[50] = Row(50, (), (nan, 10.0, 10.0))
    whole = made(detector=DETECTORS[kind])
    expected = changes(whole, moved)
    assert expected
    for cut in (0, 1, 39, 40, 41, 51, 92, 130):
        first, second = made(detector=DETECTORS[kind]), made(detector=DETECTORS[kind])
        begun = changes(first, moved[:cut])
        second.restore(first.state())
        assert begun + changes(second, moved[cut:]) == expected
        assert second.state() == whole.state()


def test_a_crooked_state_is_refused() -> None:
    watch = made()
    changes(watch, rows(60))
    good = watch.state()
    for bad in (
        [],
        good[:-1],
        [*good, 0.0],
        [nan, *good[1:]],
        [0.5, *good[1:]],
        [-1.0, *good[1:]],
        [*good[:5], 2.0, *good[6:]],
    ):
        with pytest.raises(Malformed):
            watch.restore(bad)
        assert watch.state() == good


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e9, -1e300])
def test_one_wild_value_raises_nothing(kind: str, bad: float) -> None:
    watch, given = made(detector=DETECTORS[kind]), rows(200)
    for at in (100, 150):
        given[at] = given[at]._replace(signals=(bad, *given[at].signals[1:]))
    assert changes(watch, given) == []
    assert watch.missing.get("a", 0) == (0 if abs(bad) < 1e12 else 2)


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_signal_that_dies_is_held_then_normal_and_the_others_go_on(kind: str) -> None:
    watch = made(detector=DETECTORS[kind])
    given = rows(300, shift=(0, 0, 5), at=200)
    given[100:] = [row._replace(signals=(nan, *row.signals[1:])) for row in given[100:]]
    ((at, change),) = changes(watch, given)
    assert change.raised
    assert at < 215
    assert watch.evidence()[0][0] == "c"
    assert watch.missing == {"a": 200}


def test_an_alarm_outlives_its_signal_by_some_rows_only() -> None:
    watch = made()
    given = rows(200, shift=(6, 0, 0), at=100)
    given[120:] = [row._replace(signals=(nan, *row.signals[1:])) for row in given[120:]]
    (_, first), (cleared, last) = changes(watch, given)
    assert (first.raised, last.raised) == (True, False)
    assert cleared > 120 + HELD


def test_a_stuck_sensor_counts_as_missing_and_a_constant_one_says_nothing() -> None:
    watch, given = made(), rows(200)
    stuck = [row._replace(signals=(30.0 if row.cycle >= 100 else row.signals[0], *row.signals[1:])) for row in given]
    found = changes(watch, stuck)
    assert watch.missing["a"] == 100 - 29
    assert [change.raised for _, change in found] == [True, False]
    constant = made()
    assert changes(constant, [row._replace(signals=(5.0, *row.signals[1:])) for row in given]) == []
    never = made(stuck=0)
    assert [change.raised for _, change in changes(never, stuck)] == [True]


def test_three_rows_say_nothing() -> None:
    watch = made()
    phases = [watch.take(row) for row in rows(3, shift=(99, 0, 0), at=1)]
    assert {verdict.phase for verdict in phases} == {"warming"}
    assert {verdict.score for verdict in phases} == {0.0}


def test_nothing_is_learnt_or_judged_while_the_asset_is_off() -> None:
    watch = made(gate={"signal": "speed", "above": 100, "settle": 3})
    given = [row._replace(signals=(*row.signals, 500.0)) for row in rows(80)]
    changes(watch, given)
    kept = watch.state()[1:]
    for off in (0.0, 100.0, nan):
        for _ in range(30):
            assert watch.take(Row(0, (), (1e6, -1e6, nan, off))).phase == "off"
    assert watch.state()[1:] == kept
    phases = [watch.take(given[0]).phase for _ in range(4)]
    assert phases == ["settling"] * 3 + ["judging"]


CELLS = [
    {"within": [[0, 1]], "mean": [10] * 3, "gain": [1] * 3},
    {"within": [[5, 6]], "mean": [50] * 3, "gain": [0.1] * 3},
]


def test_regimes_are_told_apart_and_an_unknown_one_is_left_out() -> None:
    watch = made(settings=["load"], cells=CELLS)
    given = []
    for row in rows(300, shift=(3, 0, 0), at=250):
        low = row.cycle % 3
        signals = row.signals if low else tuple(50 + 10 * (x - 10) for x in row.signals)
        given.append(Row(row.cycle, (0.5 if low else 5.5,), signals))
    quiet, moved = given[:250], given[250:]
    assert changes(watch, quiet) == []
    kept = watch.state()
    for setting in (3.0, nan, 1e9):
        assert watch.take(Row(0, (setting,), (1e6, 1e6, 1e6))).phase == "unknown"
    # The gate's count is all that goes on.
    assert watch.state()[1:] == kept[1:]
    assert [change.raised for _, change in changes(watch, moved)] == [True]


@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), max_size=80), st.sampled_from(sorted(DETECTORS)))
def test_any_numbers_leave_finite_scores_and_states(table: list[list[float]], kind: str) -> None:
    watch = made(detector=DETECTORS[kind], warm_up=5)
    for number, values in enumerate(table):
        verdict = watch.take(Row(number, (), tuple(values)))
        assert 0.0 <= verdict.score < inf
    assert all(x == x and abs(x) < inf for x in watch.state())


def test_rows_of_another_width_are_refused() -> None:
    for row in (Row(1, (), (1.0, 2.0)), Row(1, (1.0,), (1.0, 2.0, 3.0))):
        with pytest.raises(Malformed):
            made().take(row)


# --- the document -----------------------------------------------------------------------------


def test_a_document_comes_back_and_is_read_strictly() -> None:
    whole: dict[str, Any] = {
        **TEMPLATE, "cycle": "n", "gate": {"signal": "speed", "above": 1}, "settings": ["load"], "cells": CELLS,
        "units": {"a": "K"}, "stuck": 0, "fleet": {"share": 0.5, "window": 3600},
    }  # fmt: skip
    assert parse_monitor(encode_monitor(whole)) == read_monitor(whole)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"signals": []}, "signals"),
        ({"signals": ["a", "a"]}, "signals"),
        ({"detector": {"magic": {}}}, "detector"),
        ({"detector": {"ewma": {"drift": 1}}}, "ewma"),
        ({"detector": {"mewma": {}}}, "limit"),
        ({"warm_up": 1}, "warm_up"),
        ({"detector": {"mewma": {"limit": 1, "inverse": [[1]]}}}, "inverse"),
        ({"warm_up": 2.5}, "warm_up"),
        ({"detector": {"ewma": {"weight": 0}}}, "weight"),
        ({"gate": {"signal": "x"}}, "above"),
        ({"more": 1}, "more"),
        ({"detector": {"t2q": {"axes": [], "variances": [], "t2": 1, "q": 1}}}, "axes"),
        ({"units": {"z": "K"}}, "units"),
        ({"modes": [{"name": "x", "signals": {"z": "+"}}]}, "modes"),
        ({"stuck": 1}, "stuck"),
        ({"cycle": "a"}, "cycle"),
        ({"modes": [{"name": "x", "signals": {"a": "up"}}]}, "modes"),
        ({"persist": 0}, "persist"),
        ({"cells": [{**CELLS[0], "gain": [-1, 1, 1]}]}, "cells"),
        ({"fleet": {"share": 2}}, "share"),
        ({"detector": {"ewma": {"limit": nan}}}, "limit"),
        ({"detector": {"ewma": {"limit": True}}}, "limit"),
    ]
    for change, names in wrong:
        with pytest.raises(Malformed, match=names):
            read_monitor({**whole, **change})
    with pytest.raises(Malformed, match="cells"):
        read_monitor({**TEMPLATE, "settings": ["load"]})
    with pytest.raises(Malformed, match="larger"):
        parse_monitor(bytes(50_000))


def test_likeness() -> None:
    worn = Mode("worn", {"a": 1, "b": -1})
    assert likeness(worn, {"a": 1.0, "b": -1.0, "c": 0.0}) == 1.0
    assert likeness(worn, {"a": -1.0, "b": 1.0, "c": 0.0}) == 0.0
    assert likeness(worn, {"a": 1.0, "b": 0.0, "c": 1.0}) == pytest.approx(0.25)
    assert likeness(worn, {"a": 0.0, "b": 0.0, "c": 0.0}) == 0.0


# --- learning ---------------------------------------------------------------------------------


def correlated(count: int, seed: int, shift: float = 0.0) -> Fleet:
    units = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        common = rng.normal(size=(150, 1))
        table = rng.normal(50, 5, 3) + common @ [[2.0, 2.0, -1.0]] + rng.normal(0, 0.3, (150, 3))
        table[120:, 0] += shift
        units.append(unit(str(number), np.arange(150), np.zeros((150, 0)), table, True))
    return Fleet((), tuple(SIGNALS), tuple(units))


@pytest.mark.parametrize("kind", DETECTORS)
def test_learnt_limits_hold_on_other_assets_and_find_what_a_single_signal_hides(kind: str) -> None:
    template = {**TEMPLATE, "detector": {kind: {**DETECTORS[kind][kind]}}}
    monitor = parse_monitor(encode_monitor(learn_monitor(template, correlated(40, 1), rows=150)))
    raised = [changes(Watch(monitor), list(each.rows())) for each in correlated(40, 2).units]
    assert sum(map(bool, raised)) <= 6  # the share asked for is 1 in 20
    # 3 deviations of what is left when the others are known, 0.4 of the signal's own.
    broken = [changes(Watch(monitor), list(each.rows())) for each in correlated(40, 3, shift=0.9).units]
    found = sum(any(at >= 120 for at, _ in each) for each in broken)
    assert found >= 35 if kind in ("mewma", "t2q") else found < 30


@pytest.mark.parametrize(
    "give",
    [
        lambda: learn_monitor(TEMPLATE, correlated(3, 1), rows=150),
        lambda: learn_monitor(TEMPLATE, correlated(9, 1), rows=40),
        lambda: learn_monitor({**TEMPLATE, "settings": ["load"]}, correlated(9, 1), rows=150),
    ],
    ids=["few twins", "no rows after the warm-up", "other settings"],
)
def test_too_little_to_learn_from_is_refused(give: Callable[[], object]) -> None:
    with pytest.raises(Malformed):
        give()


def test_only_rows_while_the_asset_runs_are_learnt_from() -> None:
    gated = {**TEMPLATE, "gate": {"signal": "speed", "above": 100}}
    units = []
    for each in correlated(9, 1).units:
        speed = np.where(np.arange(150) % 3 == 0, 0.0, 500.0)[:, None]
        signals = np.where(speed > 100, each.signals, 1e6)
        units.append(unit(each.id, each.cycles, each.settings, np.hstack([signals, speed]), True))
    learnt = learn_monitor(gated, Fleet((), (*SIGNALS, "speed"), tuple(units)), rows=90)
    assert learnt["cells"][0]["mean"] == pytest.approx([50, 50, 50], abs=8)
