"""Features: streaming is batch is plain Python, the future changes nothing, and nothing names the unit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.prognosis.fleets import wearing_fleet
from twinproof.errors import Malformed
from twinproof.prognosis.data import Array, Integers, Unit, unit
from twinproof.prognosis.features import Basis, FleetState, histories
from twinproof.prognosis.model import Limits, Plan, Regimes
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.serve import Predictor


def torn(each: Unit, rng: np.random.Generator) -> Unit:
    """The unit with lost, wild and repeated values, unknown regimes and missing cycles."""
    signals, settings = each.signals.copy(), each.settings.copy()
    signals[rng.random(signals.shape) < 0.05] = np.nan
    signals[rng.random(signals.shape) < 0.02] = np.inf
    signals[rng.random(signals.shape) < 0.02] *= 1e300
    signals[30:60, 0] = signals[30, 0]
    settings[rng.random(len(each)) < 0.05] = 1e4
    settings[rng.random(len(each)) < 0.02] = np.nan
    cycles = np.cumsum(rng.choice([1, 1, 1, 1, 2, 7, 30], len(each)))
    return unit(each.id, cycles, settings, signals, each.failed)


def streamed(basis: Basis, units: tuple[Unit, ...], rng: np.random.Generator) -> tuple[Array, Array]:
    """Row by row, some twins at a time, in a random order of twins."""
    state = FleetState(basis, len(units))
    features = [np.empty((len(each), basis.width)) for each in units]
    remarks = [np.empty(len(each), dtype=np.int64) for each in units]
    done = np.zeros(len(units), dtype=np.int64)
    while open_units := [at for at, each in enumerate(units) if done[at] < len(each)]:
        size = int(rng.integers(1, len(open_units) + 1))
        which = rng.permutation(open_units)[:size]
        cycles = np.array([units[at].cycles[done[at]] for at in which])
        settings = np.stack([units[at].settings[done[at]] for at in which])
        signals = np.stack([units[at].signals[done[at]] for at in which])
        state.take(which, cycles, settings, signals)
        for at in which.tolist():
            features[at][done[at]] = state.features[at]
            remarks[at][done[at]] = state.remarks(np.array([at]))[0]
            done[at] += 1
    return np.concatenate(features), np.concatenate(remarks)


@pytest.mark.parametrize("damaged", [False, True], ids=["clean", "torn"])
def test_streaming_batch_and_plain_python_give_the_same_bits(
    predictor: Predictor, strangers: tuple[Unit, ...], damaged: bool
) -> None:
    rng = np.random.default_rng(5)
    units = tuple(torn(each, rng) for each in strangers) if damaged else strangers
    features, remarks, _ = histories(predictor.basis, units)
    again, remarked = streamed(predictor.basis, units, rng)
    assert again.tobytes() == features.tobytes()
    assert remarked.tolist() == remarks.tolist()
    plain, noted = [], []
    for each in units:
        replayer = Replayer(predictor.model)
        for row in each.rows():
            replayer.take(row)
            plain.append(list(replayer.features))
            noted.append(replayer.remarks())
    assert np.array(plain).tobytes() == features.tobytes()
    assert noted == remarks.tolist()
    assert np.isfinite(features).all()
    assert len(set(noted)) > (10 if damaged else 1)


def test_the_future_changes_nothing(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    whole, _, _ = histories(predictor.basis, strangers[:1])
    for rows in (1, 2, 19, 20, 21, 60):
        cut, _, _ = histories(predictor.basis, (strangers[0].head(rows),))
        assert cut.tobytes() == whole[:rows].tobytes()


def test_training_does_not_see_what_comes_after_a_cut(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    other = unit("x", strangers[0].cycles, strangers[0].settings, strangers[0].signals[::-1].copy(), True)
    joined = unit(
        "y",
        np.arange(1, 31 + len(other)),
        np.concatenate((strangers[0].settings[:30], other.settings)),
        np.concatenate((strangers[0].signals[:30], other.signals)),
        True,
    )
    first, _, _ = histories(predictor.basis, (joined,))
    second, _, _ = histories(predictor.basis, strangers[:1])
    assert first[:30].tobytes() == second[:30].tobytes()
    assert first[30:60].tobytes() != second[30:60].tobytes()


def sameness(values: Array, owner: Integers) -> float:
    """Share of a feature's variance that lies between units: 1 for a name tag."""
    means = np.array([values[owner == each].mean() for each in np.unique(owner)])
    return float(means.var() / values.var())


def test_no_feature_is_a_name_tag(predictor: Predictor) -> None:
    units = wearing_fleet(12, seed=9)
    units = units.columns(predictor.model.settings, predictor.model.signals)
    features, _, _ = histories(predictor.basis, units.units)
    owner = np.repeat(np.arange(12), [len(each) for each in units.units])
    shares = [sameness(column, owner) for column in features.T]
    assert max(shares) < 0.5
    # what the recipe leaves out on purpose would be found
    baseline = np.array([features[owner == each, 0][:20].mean() for each in range(12)])[owner]
    assert sameness(baseline, owner) > 0.9
    names = predictor.model.plan.names(predictor.model.channels)
    assert {name.rstrip("0123456789.") for name in names} == {"ema", "slope", "spread", "change", "age"}


def test_long_past_rows_fade(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    """Running sums would keep the rounding of a wild value for ever; windows forget it to the bit."""
    both = [np.concatenate([getattr(each, name) for each in strangers[:2]]) for name in ("settings", "signals")]
    quiet = unit("q", np.arange(len(both[0])), both[0], both[1], True)
    wild = quiet.signals.copy()
    wild[25] += 3.0
    changed = unit("z", quiet.cycles, quiet.settings, wild, True)
    plan = predictor.model.plan
    rows = 25 + plan.depth
    first, _, _ = histories(predictor.basis, (quiet,))
    second, _, _ = histories(predictor.basis, (changed,))
    assert len(quiet) > rows + 5
    start = len(plan.emas) * predictor.model.channels
    end = start + (len(plan.slopes) + len(plan.spreads)) * predictor.model.channels
    assert first[rows:, start:end].tobytes() == second[rows:, start:end].tobytes()
    assert first[25:rows, start:end].tobytes() != second[25:rows, start:end].tobytes()


def test_slopes_are_least_squares(predictor: Predictor) -> None:
    """Foreign: numpy's polyfit, on one channel that is the signal itself."""
    basis = Basis(Regimes((), ((),)), [[0.0]], [[1.0]], [[1.0]], Plan(), Limits((1e3,), (99,), 999))
    values = np.random.default_rng(4).normal(size=60)
    each = unit("u", np.arange(60), np.zeros((60, 0)), values[:, None], False)
    features, _, _ = histories(basis, (each,))
    names = basis.plan.names(1)
    for width in (10, 20, 40):
        fitted = np.polyfit(np.arange(width), values[60 - width :], 1)[0]
        assert features[-1, names.index(f"slope{width}.0")] == pytest.approx(fitted)
    assert features[-1, names.index("slope80.0")] == pytest.approx(np.polyfit(np.arange(60), values, 1)[0])
    assert features[-1, names.index("spread20.0")] == pytest.approx(values[40:].std())
    weights = (7 / 9) ** np.arange(59, -1, -1)
    average = (weights * values).sum() / weights.sum()
    assert features[-1, names.index("ema8.0")] == pytest.approx(average)
    assert features[-1, names.index("change.0")] == pytest.approx(average - values[:20].mean())


def test_a_refused_row_changes_nothing(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    each = strangers[0]
    state = predictor.state(2)
    both = [np.repeat(table[:1], 2, axis=0) for table in (each.settings, each.signals)]
    state.take(slice(None), [5, 5], *both)
    before = {name: np.copy(value) for name, value in vars(state).items() if isinstance(value, np.ndarray)}
    for which, cycles in ((slice(None), [6, 5]), (slice(None), [6, 2**53]), (np.array([1, 1]), [6, 7])):
        with pytest.raises(Malformed):
            state.take(which, cycles, *both)
    with pytest.raises(Malformed):
        state.take(slice(None), [6.5, 7.0], *both)
    with pytest.raises(Malformed):
        state.take(slice(None), [6, 6], both[0], both[1][:, 1:])
    with pytest.raises(Malformed):
        state.take(slice(None), [6, 6], both[0][:1], both[1])
    for name, value in before.items():
        assert getattr(state, name).tobytes() == value.tobytes(), name
