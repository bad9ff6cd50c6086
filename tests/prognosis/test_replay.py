"""The same bits whatever computes them, and every changed bit found."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from math import nan, nextafter
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinproof.errors import ForecastMismatch, Malformed
from twinproof.prognosis import replay as replay_module
from twinproof.prognosis.data import Unit
from twinproof.prognosis.features import histories
from twinproof.prognosis.model import Forest, format_model
from twinproof.prognosis.quality import DRIVERS, HORIZON, REFUSING
from twinproof.prognosis.record import Row, chain_row, digest_rows, record
from twinproof.prognosis.replay import Replayer, check_replay, replay
from twinproof.prognosis.serve import ForestEvaluator, Predictor, load_predictor
from twinproof.prognosis.train import Trained

CHILD = """
import hashlib, json, sys
import numpy as np
from twinproof.prognosis.data import unit
from twinproof.prognosis.serve import load_predictor
predictor = load_predictor(open(sys.argv[1], "rb").read())
held = np.load(sys.argv[2])
units = [unit(name[:-2], held[name], held[name[:-1] + "s"], held[name[:-1] + "x"], False)
         for name in held.files if name.endswith("c")]
found = predictor.histories(units)
parts = [found.lower, found.point, found.upper, found.remarks]
state, driven = predictor.state(1), []
for row in units[-1].rows():
    state.take(slice(None), [row.cycle], np.array([row.settings]), np.array([row.signals]))
    driven += predictor.drivers(state, slice(None), predictor.now(state))
parts.append(np.array([x for each in driven for _, x in sorted(each.items())]))
print(json.dumps([hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for part in parts]))
"""

MACHINES = {
    "as it is": {},
    "one thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    "Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "no SIMD": {"NPY_DISABLE_CPU_FEATURES": "SIMD"},
}


def features_that_can_be_disabled() -> str:
    """What numpy was built to choose at run time and found here."""
    core = importlib.import_module("numpy._core._multiarray_umath")
    return " ".join(name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, trained: Trained, strangers: tuple[Unit, ...]) -> list[str]:
    folder = tmp_path_factory.mktemp("machines")
    (folder / "model").write_bytes(trained.model)
    tables: dict[str, object] = {}
    for each in strangers:
        tables |= {f"{each.id}.c": each.cycles, f"{each.id}.s": each.settings, f"{each.id}.x": each.signals}
    np.savez(folder / "units.npz", **tables)  # type: ignore[arg-type]
    return [str(folder / "model"), str(folder / "units.npz")]


@pytest.mark.parametrize("name", MACHINES)
def test_another_kernel_gives_the_same_bits(
    name: str, files: list[str], predictor: Predictor, strangers: tuple[Unit, ...]
) -> None:
    extra = {
        key: features_that_can_be_disabled() if value == "SIMD" else value for key, value in MACHINES[name].items()
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, *files],
        env={**os.environ, **extra}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = predictor.histories(strangers)
    plain, driven = Replayer(predictor.model), []
    for row in strangers[-1].rows():
        plain.take(row)
        driven.append(plain.drivers(plain.forecast()))
    assert sum(map(bool, driven)) > 30
    drivers = np.array([x for each in driven for _, x in sorted(each.items())])
    parts = (found.lower, found.point, found.upper, found.remarks, drivers)
    assert json.loads(done.stdout) == [hashlib.sha256(part.tobytes()).hexdigest() for part in parts]


def test_every_forecast_replays(predictor: Predictor, trained: Trained, strangers: tuple[Unit, ...]) -> None:
    found = predictor.histories(strangers)
    at = 0
    for each in strangers:
        replayer = Replayer(predictor.model)
        for number, row in enumerate(each.rows()):
            replayer.take(row)
            ours, theirs = found.one(at + number), replayer.forecast()
            assert record(trained.digest, replayer.digest, ours) == record(trained.digest, replayer.digest, theirs)
            assert theirs.quality == ours.quality
        at += len(each)
    single = predictor.histories(strangers[2:3])
    before = len(strangers[0]) + len(strangers[1])
    assert single.point.tobytes() == found.point[before : before + len(strangers[2])].tobytes()


def test_replay_from_bytes(predictor: Predictor, trained: Trained, strangers: tuple[Unit, ...]) -> None:
    rows = list(strangers[0].rows())
    for coverage in (500, 800, 900, 990):
        expected = predictor.histories(strangers[:1], coverage).one(len(rows) - 1)
        recorded = record(trained.digest, digest_rows(rows), expected)
        assert replay(trained.model, rows, coverage) == recorded
        check_replay(recorded, trained.model, rows, coverage)
        lower, point, upper, stated = struct.unpack(">4d", recorded.numbers)
        assert lower <= point <= upper
        assert stated == coverage / 1000
    for coverage in (0, 333, 901, 1000, -900):
        with pytest.raises(Malformed, match="coverage"):
            replay(trained.model, rows, coverage)


ANY = st.floats(width=64) | st.sampled_from([0.0, -0.0, 500.0, 505.5, 20.0, 390.0, nan])
STEPS = st.lists(
    st.tuples(
        st.integers(1, 40), st.sampled_from([10.0, 50.0, 50.01, 1e9, nan]), st.tuples(*[ANY] * 4), st.booleans()
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=60)
@given(steps=STEPS, start=st.integers(0, 300))
def test_whatever_comes_both_say_the_same(
    predictor: Predictor, strangers: tuple[Unit, ...], steps: list[Any], start: int
) -> None:
    """Hostile values among healthy ones."""
    rows = []
    cycle = start
    for (step, load, values, healthy), real in zip(steps, strangers[2].rows(), strict=False):
        cycle += step
        rows.append(Row(cycle, real.settings if healthy else (load,), real.signals if healthy else values))
    replayer = Replayer(predictor.model)
    state = predictor.state(1)
    for row in rows:
        replayer.take(row)
        state.take(slice(None), [row.cycle], np.array([row.settings]), np.array([row.signals]))
        assert struct.pack(f">{len(replayer.features)}d", *replayer.features) == state.features.astype(">f8").tobytes()
        ours, theirs = predictor.now(state).one(0), replayer.forecast()
        assert record(b"", b"", ours) == record(b"", b"", theirs)
        assert ours.quality == theirs.quality
        driven = predictor.drivers(state, slice(None), predictor.now(state))[0]
        assert {name: x.hex() for name, x in driven.items()} == {
            name: x.hex() for name, x in replayer.drivers(theirs).items()
        }


def test_drivers_name_what_wears_and_neither_noise_nor_what_stands_still(
    predictor: Predictor, strangers: tuple[Unit, ...]
) -> None:
    replayer = Replayer(predictor.model)
    for row in strangers[0].rows():
        replayer.take(row)
    found = replayer.drivers(replayer.forecast())
    assert "still" not in found
    # What wears has shortened the estimate, and noise moved it less than either.
    assert found["hot"] < 0
    assert found["tight"] < 0
    assert abs(found.get("noise", 0.0)) < min(-found["hot"], -found["tight"])
    assert 0 < len(found) <= DRIVERS


def test_a_driver_is_the_point_less_that_of_the_level_at_its_origin(
    predictor: Predictor, strangers: tuple[Unit, ...]
) -> None:
    """By the definition, from whole histories of z and exact sums."""
    unit, model = strangers[1], predictor.model
    replayer, held = Replayer(model), []
    for row in unit.rows():
        replayer.take(row)
        held.append(list(replayer.held))
    forecast = replayer.forecast()
    found = replayer.drivers(forecast)
    assert found
    z = np.array(held)
    decay = (model.plan.recent - 1) / (model.plan.recent + 1)
    weights = decay ** np.arange(len(z))[::-1]
    moved = (weights[:, None] * z).sum(axis=0) / weights.sum() - z[: model.plan.baseline].mean(axis=0)
    names = model.plan.names(model.channels)
    for name, effect in found.items():
        at = model.signals.index(name)
        features = np.array([replayer.features])
        for place, feature in enumerate(names):
            kind, _, channel = feature.partition(".")
            if kind.startswith("ema") or kind == "change":
                features[0, place] -= moved[at] * model.projection[at][int(channel)]
        assert effect == pytest.approx(forecast.point - predictor.points(features)[0], abs=1e-6)


def test_no_driver_is_told_of_a_horizon_or_of_nothing(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    replayer = Replayer(predictor.model)
    silent = 0
    for row in strangers[0].rows():
        replayer.take(row)
        forecast = replayer.forecast()
        if forecast.quality.remarks & (HORIZON | REFUSING):
            silent += 1
            assert replayer.drivers(forecast) == {}
    assert silent > 5


def test_lightgbm_gives_the_same_bits_on_these_features(
    predictor: Predictor, trained: Trained, strangers: tuple[Unit, ...]
) -> None:
    forest = predictor.model.members[0]
    assert isinstance(forest, Forest)
    features, _, _ = histories(predictor.basis, strangers)
    booster = lightgbm.Booster(model_str=forest.source.decode())
    ours = ForestEvaluator(forest.trees, predictor.basis.width)(features)
    for threads in (1, 2):
        assert np.asarray(booster.predict(features, num_threads=threads)).tobytes() == ours.tobytes()


def test_a_changed_input_is_found(trained: Trained, strangers: tuple[Unit, ...]) -> None:
    rows = list(strangers[0].rows())
    recorded = replay(trained.model, rows)
    first = rows[3]
    tampered = {
        "a signal by one bit": first._replace(signals=(nextafter(first.signals[0], 1e9), *first.signals[1:])),
        "a setting by one bit": first._replace(settings=(nextafter(first.settings[0], 1e9),)),
        "a signal gone": first._replace(signals=(nan, *first.signals[1:])),
    }
    for row in tampered.values():
        with pytest.raises(ForecastMismatch, match="rows"):
            check_replay(recorded, trained.model, [*rows[:3], row, *rows[4:]])
    for history in (rows[:-1], rows[1:], [*rows[:10], *rows[11:]]):
        with pytest.raises(ForecastMismatch, match="rows"):
            check_replay(recorded, trained.model, history)


def test_a_changed_model_is_found(predictor: Predictor, trained: Trained, strangers: tuple[Unit, ...]) -> None:
    rows = list(strangers[0].rows())
    recorded = replay(trained.model, rows)
    model = predictor.model
    weights = (nextafter(model.projection[0][0], 9.0), *model.projection[0][1:])
    others = [
        replace(model, projection=(weights, *model.projection[1:])),
        replace(model, plan=replace(model.plan, recent=20)),
        replace(model, cap=nextafter(model.cap, 0.0)),
        replace(model, limits=replace(model.limits, hold=6)),
        replace(model, members=(replace(model.members[0], weight=nextafter(model.members[0].weight, 1.0)),)),
    ]
    for other in others:
        with pytest.raises(ForecastMismatch, match="model"):
            check_replay(recorded, format_model(other), rows)


def test_changed_numbers_are_found(trained: Trained, strangers: tuple[Unit, ...]) -> None:
    rows = list(strangers[0].rows())
    recorded = replay(trained.model, rows)
    for at in range(len(recorded.numbers)):
        numbers = bytearray(recorded.numbers)
        numbers[at] ^= 1
        with pytest.raises(ForecastMismatch, match="numbers"):
            check_replay(replace(recorded, numbers=bytes(numbers)), trained.model, rows)
    with pytest.raises(ForecastMismatch, match="remarks"):
        check_replay(replace(recorded, remarks=recorded.remarks ^ 1), trained.model, rows)


def test_a_reimplementation_that_adds_in_another_order_is_found(
    trained: Trained, predictor: Predictor, strangers: tuple[Unit, ...]
) -> None:
    """What the fixed order is for: numpy's pairwise sum of the same leaves has other bits somewhere."""
    forest = predictor.model.members[0]
    assert isinstance(forest, Forest)
    turned = replace(forest, trees=forest.trees[::-1])
    other = Predictor(replace(predictor.model, members=(turned, *predictor.model.members[1:])), b"")
    assert other.histories(strangers).point.tobytes() != predictor.histories(strangers).point.tobytes()


def test_the_second_implementation_stands_alone() -> None:
    """It needs no numpy, and it never uses the built-in sum, whose bits differ between versions of Python."""
    script = (
        "import sys, twinproof.prognosis.replay; print(sorted({'numpy', 'lightgbm', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    path = Path(replay_module.__file__ or "")
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"sum", "fsum", "exp", "log", "pow"}
    features = path.with_name("features.py").read_text()
    assert "@" not in features.replace("`@`", "").replace("@property", "")
    assert ".dot(" not in features


def test_serving_needs_no_training_library() -> None:
    script = "import sys, twinproof.prognosis.serve; print(sorted({'lightgbm', 'sklearn', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_are_refused_and_nothing_changes(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    rows = list(strangers[0].rows())
    replayer = Replayer(predictor.model)
    for row in rows[:30]:
        replayer.take(row)
    before = (replayer.digest, list(replayer.features), replayer.remarks())
    crooked: list[dict[str, Any]] = [
        {"cycle": 30}, {"cycle": 3}, {"cycle": -1}, {"cycle": 2**53}, {"cycle": 31.0}, {"cycle": True},
        {"signals": rows[30].signals[1:]}, {"settings": ()}, {"settings": (10,)}, {"settings": ("10",)},
        {"settings": (10**400,)},
    ]  # fmt: skip
    for change in crooked:
        with pytest.raises(Malformed):
            replayer.take(rows[30]._replace(**change))
    assert (replayer.digest, list(replayer.features), replayer.remarks()) == before


def test_digest_of_rows_is_as_written_down() -> None:
    row = Row(7, (1.5,), (2.0, nan))
    start = hashlib.sha256(b"twinproof.rows/1").digest()
    body = bytes(7) + b"\x07" + struct.pack(">dd", 1.5, 2.0) + bytes.fromhex("7ff8000000000000")
    assert digest_rows([row]) == hashlib.sha256(start + body).digest()
    odd = struct.unpack(">d", bytes.fromhex("fff8000000000001"))[0]
    assert chain_row(start, 7, (1.5,), (2.0, odd)) == digest_rows([row])


def test_a_hostile_model_cannot_overflow(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    model = predictor.model
    huge = replace(
        model,
        projection=tuple(tuple(1e12 for _ in row) for row in model.projection),
        gain=tuple(tuple(1e12 if x else 0.0 for x in row) for row in model.gain),
        limits=replace(model.limits, outlier=tuple(1e12 for _ in model.limits.outlier)),
    )
    found = load_predictor(format_model(huge)).histories(strangers[:1])
    ours = replay(format_model(huge), strangers[0].rows())
    refused = (found.remarks & REFUSING) != 0
    assert np.isfinite(found.point).tolist() == (~refused).tolist()
    assert not refused.all()
    assert ours.numbers == record(b"", b"", found.one(len(found) - 1)).numbers
