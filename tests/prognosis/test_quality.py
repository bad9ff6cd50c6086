"""What bad input does to a forecast, in both implementations."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from twinproof.errors import Malformed
from twinproof.prognosis.data import Fleet, Unit, row_of, unit
from twinproof.prognosis.quality import Forecast, Verdict
from twinproof.prognosis.record import record
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.serve import Predictor


@pytest.fixture
def healthy(strangers: tuple[Unit, ...]) -> Unit:
    return strangers[1].head(40)


def forecast(predictor: Predictor, each: Unit) -> Forecast:
    """After the last row, by both; they must agree."""
    found = predictor.histories([each])
    ours = found.one(len(found) - 1)
    replayer = Replayer(predictor.model)
    for row in each.rows():
        replayer.take(row)
    assert record(b"", b"", replayer.forecast()) == record(b"", b"", ours)
    assert replayer.forecast().quality == ours.quality
    return ours


def changed(each: Unit, rows: slice, signal: int, value: float) -> Unit:
    signals = each.signals.copy()
    signals[rows, signal] = value
    return unit(each.id, each.cycles, each.settings, signals, False)


def with_cycles(each: Unit, cycles: np.ndarray) -> Unit:
    return unit(each.id, cycles, each.settings, each.signals, False)


def test_a_healthy_record_is_good(predictor: Predictor, healthy: Unit) -> None:
    found = forecast(predictor, healthy)
    assert set(found.quality.names) <= {"horizon"}
    assert found.quality.verdict is Verdict.GOOD
    assert found.lower <= found.point <= found.upper <= predictor.model.cap


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "-inf"])
def test_a_value_that_lacks_is_held_and_marked(predictor: Predictor, healthy: Unit, value: float) -> None:
    found = forecast(predictor, changed(healthy, slice(-2, None), 0, value))
    assert found.quality.names[0] == "held"
    assert found.quality.verdict is Verdict.MARKED
    assert found.quality.sensors == (predictor.model.signals[0],)


def test_a_sensor_that_stays_away_widens(predictor: Predictor, healthy: Unit) -> None:
    marked = forecast(predictor, changed(healthy, slice(-5, None), 0, np.nan))
    widened = forecast(predictor, changed(healthy, slice(-6, None), 0, np.nan))
    assert marked.quality.verdict is Verdict.MARKED
    assert widened.quality.verdict is Verdict.WIDENED
    assert "lost" in widened.quality.names


def test_widening_doubles_the_distances(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    each = strangers[1]
    whole = changed(each, slice(-6, None), 2, np.nan)
    found = forecast(predictor, whole)
    edges, table = predictor.model.intervals.edges, predictor.model.intervals.residuals
    low, high = predictor.model.intervals.columns(900)
    residuals = table[sum(edge <= found.point for edge in edges)]
    assert found.quality.verdict is Verdict.WIDENED
    assert found.lower == max(found.point + 2 * residuals[low], 0)
    assert found.upper == min(found.point + 2 * residuals[high], predictor.model.cap)


def test_a_missing_sensor_widens_and_half_of_them_refuse(predictor: Predictor, healthy: Unit) -> None:
    fleet = Fleet(predictor.model.settings, predictor.model.signals, (healthy,))
    one_less = fleet.columns(predictor.model.settings, predictor.model.signals)
    names = predictor.model.signals
    kept = Fleet(
        fleet.settings, names[1:], (unit("u", healthy.cycles, healthy.settings, healthy.signals[:, 1:], False),)
    )
    found = forecast(predictor, kept.columns(predictor.model.settings, names).units[0])
    assert found.quality.verdict is Verdict.WIDENED
    assert found.quality.sensors == names[:1]
    assert one_less.units[0].signals.tobytes() == healthy.signals.tobytes()
    none = Fleet(
        fleet.settings, ("other",), (unit("u", healthy.cycles, healthy.settings, healthy.signals[:, :1], False),)
    )
    found = forecast(predictor, none.columns(predictor.model.settings, names).units[0])
    assert found.quality.verdict is Verdict.REFUSED
    assert np.isnan([found.lower, found.point, found.upper]).all()
    assert "blind" in found.quality.names
    with pytest.raises(Malformed, match="load"):
        Fleet((), names, (unit("u", healthy.cycles, np.zeros((40, 0)), healthy.signals, False),)).columns(
            ("load",), names
        )


def test_a_stuck_sensor_is_noticed(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    each = strangers[1].head(60)
    found = forecast(predictor, changed(each, slice(20, None), 0, float(each.signals[20, 0])))
    assert {"stuck", "held", "lost"} <= set(found.quality.names)
    assert found.quality.verdict is Verdict.WIDENED
    # whole steps repeat by nature, and are not held to be stuck for that
    steps = predictor.model.signals.index("steps")
    assert predictor.model.limits.stuck[steps] >= predictor.model.limits.stuck[0]


def test_a_changed_unit_of_measure_is_not_believed(predictor: Predictor, healthy: Unit) -> None:
    signals = healthy.signals.copy()
    signals[-8:, 0] = signals[-8:, 0] / 1.8  # degrees Rankine that became kelvin
    found = forecast(predictor, unit("u", healthy.cycles, healthy.settings, signals, False))
    assert {"outlier", "held", "lost"} <= set(found.quality.names)
    assert found.quality.verdict is Verdict.WIDENED


def test_missing_cycles(predictor: Predictor, healthy: Unit) -> None:
    few = healthy.cycles.copy()
    few[-3:] += 4
    found = forecast(predictor, with_cycles(healthy, few))
    assert "gap" in found.quality.names
    assert found.quality.verdict is Verdict.MARKED
    many = healthy.cycles.copy()
    many[-3:] += 21
    found = forecast(predictor, with_cycles(healthy, many))
    assert "jump" in found.quality.names
    assert found.quality.verdict is Verdict.WIDENED
    settled = healthy.cycles.copy()
    settled[-predictor.model.limits.settle - 1 :] += 21
    assert set(forecast(predictor, with_cycles(healthy, settled)).quality.names) <= {"horizon"}


def test_a_clock_that_leaps_far_ahead(predictor: Predictor, healthy: Unit) -> None:
    cycles = healthy.cycles.copy()
    cycles[-1] = 2**53 - 1
    found = forecast(predictor, with_cycles(healthy, cycles))
    assert {"jump", "old"} <= set(found.quality.names)
    assert found.quality.verdict is Verdict.WIDENED
    assert 0 <= found.lower <= found.upper <= predictor.model.cap


def test_short_records(predictor: Predictor, healthy: Unit) -> None:
    three = forecast(predictor, healthy.head(3))
    assert three.quality.verdict is Verdict.REFUSED
    assert {"short", "too-short"} <= set(three.quality.names)
    assert "horizon" not in three.quality.names
    assert forecast(predictor, healthy.head(5)).quality.verdict is Verdict.MARKED
    assert forecast(predictor, healthy.head(20)).quality.verdict is Verdict.GOOD


@pytest.mark.parametrize("load", [30.0, 1e9, np.nan, -np.inf], ids=["between", "beyond", "nan", "-inf"])
def test_unknown_regimes(predictor: Predictor, healthy: Unit, load: float) -> None:
    for rows, verdict in ((1, Verdict.MARKED), (5, Verdict.MARKED), (6, Verdict.REFUSED)):
        settings = healthy.settings.copy()
        settings[-rows:] = load
        found = forecast(predictor, unit("u", healthy.cycles, settings, healthy.signals, False))
        assert "unknown-regime" in found.quality.names
        assert found.quality.verdict is verdict


def test_a_life_beyond_all_that_was_seen(predictor: Predictor, healthy: Unit) -> None:
    found = forecast(predictor, with_cycles(healthy, healthy.cycles + predictor.model.limits.oldest))
    assert "old" in found.quality.names
    assert found.quality.verdict is Verdict.WIDENED


def test_values_by_name() -> None:
    row = row_of(("a", "b"), {"b": 2.0, "c": 3.0})
    assert struct.pack(">2d", *row) == struct.pack(">2d", np.nan, 2.0)
