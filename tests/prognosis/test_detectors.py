"""Detectors: known answers, gates, kept states, false alarms and lead on a process that is known."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from math import inf, nan, sqrt
from pathlib import Path

import numpy as np
import pytest

from twinproof.errors import Malformed
from twinproof.prognosis.data import Array
from twinproof.prognosis.detectors import Cusum, Detector, Directions, Ewma, Gate, Mewma, Spread
from twinproof.prognosis.directions import learn_directions

PLAIN = Directions((0.0, 0.0), (1.0, 1.0), ((1.0, 0.0),), (4.0,), 2.0, 3.0)

MAKERS: dict[str, Callable[[], Detector]] = {
    "ewma": lambda: Ewma(warm_up=20),
    "cusum": lambda: Cusum(warm_up=20),
    "spread": lambda: Spread(PLAIN),
    "mewma spread": lambda: Mewma((0.0, 0.0), (1.0, 1.0), ((1.0, 0.0), (0.0, 1.0)), limit=8.66),
    "gated mewma spread": lambda: Mewma(
        (0.0, 0.0), (1.0, 1.0), ((1.0, 0.0), (0.0, 1.0)), limit=8.66, gate=Gate(0.0, 3)
    ),
    "gated ewma": lambda: Ewma(warm_up=20, gate=Gate(0.0, 3)),
    "gated cusum": lambda: Cusum(warm_up=20, gate=Gate(0.0, 3)),
    "gated spread": lambda: Spread(PLAIN, gate=Gate(0.0, 3)),
}


def width(name: str) -> int:
    return (2 if "spread" in name else 1) + ("gated" in name)


def noise(name: str, rows: int, seed: int = 1) -> list[list[float]]:
    found: list[list[float]] = np.random.default_rng(seed).normal(size=(rows, width(name))).tolist()
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_a_kept_state_goes_on_to_the_bit(name: str) -> None:
    rows = noise(name, 120)
    whole = MAKERS[name]()
    expected = [whole.update(row) for row in rows]
    for cut in (0, 1, 7, 19, 20, 21, 80):
        first, second = MAKERS[name](), MAKERS[name]()
        begun = [first.update(row) for row in rows[:cut]]
        second.restore(first.state())
        assert begun + [second.update(row) for row in rows[cut:]] == expected
        assert second.state() == whole.state()


@pytest.mark.parametrize("name", MAKERS)
def test_a_crooked_state_is_refused(name: str) -> None:
    detector = MAKERS[name]()
    for row in noise(name, 50):
        detector.update(row)
    good = detector.state()
    for bad in ([], good[:-1], [*good, 0.0], [nan, *good[1:]], [inf, *good[1:]], [-1.0, *good[1:]], [0.5, *good[1:]]):
        with pytest.raises(Malformed):
            detector.restore(bad)
        assert detector.state() == good


@pytest.mark.parametrize("name", MAKERS)
def test_rows_of_another_width_are_refused(name: str) -> None:
    for wrong in (width(name) - 1, width(name) + 1):
        with pytest.raises(Malformed):
            MAKERS[name]().update([0.0] * wrong)


def learnt(name: str, detector: Detector) -> list[float]:
    """Its state but the gate's count."""
    state = detector.state()
    del state[0 if "spread" in name else 3]
    return state


@pytest.mark.parametrize("name", [name for name in MAKERS if "gated" in name])
@pytest.mark.parametrize("off", [0.0, -5.0, nan])
def test_nothing_is_learnt_or_judged_while_off(name: str, off: float) -> None:
    detector = MAKERS[name]()
    for row in noise(name, 60):
        detector.update([*row[:-1], 1.0])
    kept = learnt(name, detector)
    for _ in range(50):
        judged = detector.update([1e9] * (width(name) - 1) + [off])
        assert (judged.phase, judged.alarm, judged.score) == ("off", False, 0.0)
    phases = [detector.update([1e9] * (width(name) - 1) + [1.0]).phase for _ in range(3)]
    assert phases == ["settling"] * 3
    assert learnt(name, detector) == kept
    assert detector.update([*noise(name, 1)[0][:-1], 1.0]).phase == "judging"


@pytest.mark.parametrize("name", ["ewma", "cusum", "spread"])
def test_what_is_not_finite_is_passed_over(name: str) -> None:
    rows = noise(name, 60)
    clean, torn = MAKERS[name](), MAKERS[name]()
    for row in rows:
        clean.update(row)
        torn.update(row)
        for bad in (nan, inf, -inf):
            assert not torn.update([bad] * width(name)).alarm
    assert torn.state() == clean.state()


def test_a_constant_signal_never_alarms() -> None:
    for make in (MAKERS["ewma"], MAKERS["cusum"]):
        detector = make()
        assert not any(detector.update([14.62]).alarm for _ in range(100))


def test_ewma_by_hand() -> None:
    detector = Ewma(weight=0.5, limit=2.0, warm_up=2)
    assert [detector.update([x]).phase for x in (9.0, 11.0, 10.0)] == ["warming", "warming", "judging"]
    judged = detector.update([10.0 + 8 * sqrt(2)])  # deviation sqrt(2): z = 8, average 4, bound 2 sqrt(1/3)
    assert judged.score == pytest.approx(4 / (2 * sqrt(1 / 3)))
    assert judged.alarm


def test_cusum_by_hand() -> None:
    detector = Cusum(drift=1.0, limit=3.0, warm_up=2)
    detector.update([9.0])
    detector.update([11.0])
    step = 2 * sqrt(2)  # z = 2, one more than the drift
    scores = [detector.update([10.0 + step]).score for _ in range(4)]
    assert scores == pytest.approx([1 / 3, 2 / 3, 1.0, 4 / 3])
    assert detector.update([10.0 - step]).score == pytest.approx(1 / 3)  # begun anew, and downwards


def test_t2_and_q_by_hand() -> None:
    detector = Spread(PLAIN, weight=1.0)
    assert detector.update([2.0, 0.0]).score == pytest.approx(1.0 / 2)  # T² = 4 / 4
    assert detector.update([0.0, 3.0]).score == pytest.approx(9.0 / 3)  # Q = 9


@pytest.mark.parametrize(("shift", "published"), [(0.0, 200.0), (1.0, 10.2), (2.0, 4.41)])
def test_mewma_runs_as_long_as_published(shift: float, published: float) -> None:
    """Lowry et al. 1992, table 1: two signals, weight 0.1, limit 8.66; shifts in units of the covariance."""
    rng, lengths = np.random.default_rng(5), []
    for _ in range(300 if shift else 200):
        detector = Mewma((0.0, 0.0), (1.0, 1.0), ((4 / 3, -2 / 3), (-2 / 3, 4 / 3)), limit=8.66)
        length = 0
        while True:
            length += 1
            first, second = rng.normal(size=2).tolist()
            # Correlated by a half: a shift of the first alone by sqrt(3/4) is as far as 1.
            row = [first + shift * sqrt(3 / 4), 0.5 * first + sqrt(3 / 4) * second]
            if detector.update(row).alarm:
                break
        lengths.append(length)
    assert np.mean(lengths) == pytest.approx(published, rel=0.15)


def test_parts_add_up_to_the_score_and_point() -> None:
    detector = Mewma((0.0, 0.0), (1.0, 1.0), ((1.0, 0.0), (0.0, 1.0)), limit=4.0, weight=1.0)
    assert detector.update([-3.0, 1.0]).score == pytest.approx(10 / 4)
    assert detector.parts() == pytest.approx([-9 / 4, 1 / 4])
    spread = Spread(PLAIN, weight=1.0)
    assert spread.update([-8.0, 1.0]).score == pytest.approx(64 / 4 / 2)
    assert spread.parts() == pytest.approx([-8.0, 0.0])
    assert spread.update([1.0, -9.0]).score == pytest.approx(81 / 3)
    assert spread.parts() == pytest.approx([0.0, -27.0])
    for x in (2.0, -2.0):
        single = Ewma(weight=1.0, limit=1.0, warm_up=0)
        assert single.update([x]).score == abs(single.part) == 2.0
        assert (single.part < 0) == (x < 0)


def test_a_sum_that_goes_on_comes_back() -> None:
    detector = Cusum(drift=0.0, limit=4.0, warm_up=0, anew=False)
    assert [detector.update([3.0]).score for _ in range(4)] == [0.75, 1.5, 2.25, 2.75]
    assert [detector.update([-3.0]).score for _ in range(2)] == [1.25, 1.5]
    assert detector.part == -1.5


@pytest.mark.parametrize("name", ["ewma", "cusum"])
def test_a_quiet_signal_alarms_seldom_and_a_moved_one_soon(name: str) -> None:
    late, false = [], 0
    for seed in range(20):
        x = np.random.default_rng(seed).normal(100, 3, 2200)
        detector = Ewma(warm_up=200) if name == "ewma" else Cusum(warm_up=200)
        false += sum(detector.update([value]).alarm for value in x[:1200].tolist())
        moved = [detector.update([value + 4.5]).alarm for value in x[1200:].tolist()]
        late.append(moved.index(True))
    assert false <= 10  # in 20,000 rows, with a mean and deviation of 200 rows
    assert np.median(late) < 15


@pytest.mark.parametrize("make", [
    lambda: Ewma(weight=0.0), lambda: Ewma(limit=0.0), lambda: Ewma(warm_up=1), lambda: Cusum(drift=-1.0),
    lambda: Cusum(limit=inf), lambda: Spread(PLAIN, weight=2.0), lambda: Mewma((0.0,), (1.0,), (), limit=1.0),
    lambda: Mewma((0.0,), (1.0,), ((1.0,),), limit=0.0),
    lambda: Spread(Directions((0.0,), (1.0, 1.0), (), (), 1.0, 1.0)),
    lambda: Spread(Directions((0.0,), (1.0,), ((1.0,),), (0.0,), 1.0, 1.0)),
    lambda: learn_directions(np.zeros((4, 1))), lambda: learn_directions(np.zeros((50, 2))),
    lambda: learn_directions(np.full((50, 2), np.nan)),
], ids=range(13))  # fmt: skip
def test_settings_that_make_no_sense_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(Malformed):
        make()


def process(shared: Path, name: str) -> Array:
    """Tennessee Eastman: (rows, 52)."""
    archive = next((shared / "data" / "tep").glob("*.tar.gz"))
    with tarfile.open(archive) as files:
        member = next(each for each in files.getnames() if each.endswith(name))
        data = files.extractfile(member)
        assert data is not None
        table = np.loadtxt(io.TextIOWrapper(data, "ascii"))
    return table if table.shape[1] == 52 else table.T


def test_on_a_chemical_plant(shared: Path) -> None:
    """Learnt from the plant's normal training run; faults begin at row 160 of the test runs, 3 minutes a row."""
    known = learn_directions(process(shared, "d00.dat"))
    quiet = Spread(known)
    alarms = [quiet.update(row).alarm for row in process(shared, "d00_te.dat").tolist()]
    assert np.mean(alarms) < 0.05
    for fault, soon in (("d01_te.dat", 6), ("d04_te.dat", 6), ("d05_te.dat", 6)):
        detector = Spread(known)
        alarms = [detector.update(row).alarm for row in process(shared, fault).tolist()]
        assert np.mean(alarms[:160]) < 0.01
        assert alarms[160:].index(True) < soon
