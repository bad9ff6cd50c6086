"""Trains a model on a fleet: basis, ensemble, intervals, card; out come the model's bytes.

Extra `train`. Deterministic on one machine: folds come from the units' lives, seeds are arguments.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from twinproof.errors import Malformed
from twinproof.prognosis.card import ModelCard
from twinproof.prognosis.conformal import fit_intervals
from twinproof.prognosis.data import FEWEST_FAILED, Array, Fleet, Integers, Unit
from twinproof.prognosis.ensemble import Recipe, fit_members
from twinproof.prognosis.features import Basis, histories
from twinproof.prognosis.fit import fit_basis
from twinproof.prognosis.model import Forest, Intervals, Model, Network, digest_model, format_model
from twinproof.prognosis.serve import Predictor

FOLDS: Final = 10
CAP: Final = 125.0
COVERAGE: Final = 900

LIMITS: Final = (
    "Beyond the cap the forecast says 'the cap or more': wear does not show that early.",
    "The interval's coverage holds for units like the training units, one row of a unit taken at a time; with n units "
    "the realised coverage scatters by about the square root of coverage (1 - coverage) / n.",
    "A widened interval claims no coverage.",
    "Operating settings that are swept continuously, rather than lying in clusters, are not understood.",
    "Retraining elsewhere may give other bits; what proves a forecast is replaying it with this model.",
)

Progress = Callable[[str, int, int], None]
"""Called with the step's name, how many of its parts are done, and of how many."""


def _silent(step: str, done: int, of: int) -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model and how it did."""

    model: bytes
    digest: bytes
    card: ModelCard


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Predictions of rows by members that saw nothing of their units. All (rows,), unit by unit."""

    predicted: Array
    actual: Array
    """Capped."""
    unit: Integers
    """Position of the first failed unit of the row's asset: of the unit itself, if it is an asset of its own."""


def _assets(fleet: Fleet) -> dict[str, list[int]]:
    """Positions of failed units by asset."""
    found: dict[str, list[int]] = {}
    for at, each in enumerate(fleet.units):
        if each.failed:
            found.setdefault(each.asset, []).append(at)
    return found


def folds(fleet: Fleet, count: int) -> list[list[int]]:
    """Positions of failed units, assets dealt out by length of life, so that every fold has short and long ones."""
    assets = list(_assets(fleet).items())
    assets.sort(key=lambda named: (max(len(fleet.units[at]) for at in named[1]), named[0]))
    return [[at for _, own in assets[number::count] for at in own] for number in range(min(count, len(assets)))]


def train(
    fleet: Fleet,
    *,
    seed: int,
    name: str = "fleet",
    unit: str = "{cycle}",
    cap: float = CAP,
    recipe: Recipe | None = None,
    fold_count: int = FOLDS,
    fewest: int = FEWEST_FAILED,
    progress: Progress = _silent,
) -> Trained:
    """A model of remaining useful life. Units that did not fail help to scale, and are not learnt from.

    `fewest`: assets with a known end, two at the least; with few of them the card says what the intervals are worth.
    Raises `Malformed` if the fleet is too small or says nothing.
    """
    failed = len(_assets(fleet))
    if failed < max(fewest, 2):
        raise Malformed("fleet.units", f"{failed} ran to failure; at least {max(fewest, 2)} are needed")
    recipe = recipe or Recipe()
    unseen = out_of_fold(fleet, seed=seed, cap=cap, recipe=recipe, fold_count=fold_count, progress=progress)
    intervals = fit_intervals(unseen.predicted, unseen.actual, unseen.unit, cap)
    model = fit_model(fleet, intervals, seed=seed, unit=unit, cap=cap, recipe=recipe)
    progress("fit", 1, 1)
    card = _card(fleet, model, unseen, name, seed, fold_count, recipe)
    data = format_model(replace(model, card=card.to_cbor()))
    return Trained(data, digest_model(data), card)


def out_of_fold(
    fleet: Fleet, *, seed: int, cap: float, recipe: Recipe, fold_count: int, progress: Progress = _silent
) -> OutOfFold:
    """Every failed unit, predicted by a model of the other folds: basis, scales and members are fitted anew.

    Raises `Malformed` where one fold holds all.
    """
    parts = folds(fleet, fold_count)
    if len(parts) < 2:
        raise Malformed("fleet.units", "fewer than two assets ran to failure: nothing is left to test on")
    single = replace(recipe, networks=min(recipe.networks, 1))
    first = {name: at[0] for name, at in _assets(fleet).items()}
    predicted, actual, owners = [], [], []
    for done, held in enumerate(parts):
        kept = [at for at in range(len(fleet.units)) if at not in set(held)]
        model = fit_model(fleet.take(kept), _NO_INTERVALS, seed=seed, unit="1", cap=cap, recipe=single)
        tested = fleet.take(held).columns(model.settings, model.signals)
        predictor = Predictor(model, b"")
        features, _, _ = histories(predictor.basis, tested.units)
        predicted.append(predictor.points(features))
        actual.append(_target(tested.units, cap))
        owners.append(np.repeat([first[each.asset] for each in tested.units], [len(each) for each in tested.units]))
        progress("out of fold", done + 1, len(parts))
    return OutOfFold(np.concatenate(predicted), np.concatenate(actual), np.concatenate(owners))


_NO_INTERVALS: Final = Intervals((), (500,), ((0.0,),))


def fit_model(
    fleet: Fleet,
    intervals: Intervals,
    *,
    seed: int,
    unit: str = "{cycle}",
    cap: float = CAP,
    recipe: Recipe | None = None,
) -> Model:
    """Basis and ensemble of all failed units, with intervals that were found before."""
    signals, basis = fit_basis(fleet, cap)
    used = fleet.columns(fleet.settings, signals)
    failed = [each for each in used.units if each.failed]
    features, _, _ = histories(basis, failed)
    names = basis.plan.names(basis.projection.shape[1])
    members = fit_members(features, _target(failed, cap), names, recipe or Recipe(), seed)
    model = _model(fleet.settings, signals, basis, members, intervals, unit, cap)
    return replace(model, units=used.codes)


def _target(units: Sequence[Unit], cap: float) -> Array:
    target: Array = np.minimum(np.concatenate([each.remaining() for each in units]), cap)
    return target


def _model(
    settings: tuple[str, ...], signals: tuple[str, ...], basis: Basis, members: tuple[Forest | Network, ...],
    intervals: Intervals, unit: str, cap: float,
) -> Model:  # fmt: skip
    mean, gain, projection = (tuple(map(tuple, table.tolist())) for table in (basis.mean, basis.gain, basis.projection))
    return Model(
        unit,
        cap,
        settings,
        signals,
        basis.regimes,
        mean,
        gain,
        projection,
        basis.plan,
        basis.limits,
        members,
        intervals,
    )


def _few(assets: int) -> list[str]:
    """What so few assets cannot show: the farthest residuals of n hold one more with (n - 1) / (n + 1)."""
    shown = (assets - 1) / (assets + 1)
    if shown >= COVERAGE / 1000:
        return []
    return [
        f"{assets} assets with a known end show intervals of {100 * shown:.0f} % at the most; wider ones than their "
        "farthest errors are not to be had from them, whatever coverage is stated."
    ]


def _card(
    fleet: Fleet, model: Model, unseen: OutOfFold, name: str, seed: int, fold_count: int, recipe: Recipe
) -> ModelCard:
    import lightgbm
    import sklearn

    mass = 1.0 / np.bincount(unseen.unit)[unseen.unit]
    mass /= mass.sum()
    error = unseen.predicted - unseen.actual
    low, high = model.intervals.columns(COVERAGE)
    table = np.asarray(model.intervals.residuals)[
        np.searchsorted(model.intervals.edges, unseen.predicted, side="right")
    ]
    lower = np.clip(unseen.predicted + table[:, low], 0.0, unseen.predicted)
    upper = np.clip(unseen.predicted + table[:, high], unseen.predicted, model.cap)
    inside = (lower <= unseen.actual) & (unseen.actual <= upper)
    width = upper - lower
    late = unseen.predicted < 50
    used = fleet.columns(model.settings, model.signals)
    whole = [np.concatenate([np.hstack((each.settings, each.signals)) for each in used.units])]
    ranges = {
        column: [float(np.nanmin(values)), float(np.nanmax(values))]
        for column, values in zip((*used.settings, *used.signals), whole[0].T, strict=True)
    }
    lives = [int(each.cycles[-1]) for each in fleet.units if each.failed]
    return ModelCard(
        fleet=name,
        unit=model.unit,
        cap=model.cap,
        units=len(fleet.units),
        failed=len(lives),
        rows=sum(map(len, fleet.units)),
        shortest=min(lives),
        longest=max(lives),
        ranges=ranges,
        unused=[signal for signal in fleet.signals if signal not in model.signals],
        regimes=len(model.regimes.cells),
        seed=seed,
        folds=fold_count,
        recipe={key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recipe).items()},
        software={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "lightgbm": lightgbm.__version__,
            "scikit-learn": sklearn.__version__,
        },
        rmse=float(np.sqrt((mass * error**2).sum())),
        bias=float((mass * error).sum()),
        coverage=float((mass * inside).sum()),
        width=float((mass * width).sum()),
        late_width=float(width[late].mean()) if late.any() else 0.0,
        limits=[*LIMITS, *_few(len(_assets(fleet)))],
    )
