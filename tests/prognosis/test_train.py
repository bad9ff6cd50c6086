"""Training: repeatable, by unit, blind to the future and to labels that mean nothing."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from tests.prognosis.fleets import CAP, QUICK, wearing_fleet
from twinproof.errors import Malformed
from twinproof.exchange.cmapss.files import read_snapshots
from twinproof.exchange.cmapss.layout import FIELDS
from twinproof.prognosis.card import ModelCard, parse_card
from twinproof.prognosis.conformal import fit_intervals
from twinproof.prognosis.data import Array, Fleet, Integers, unit
from twinproof.prognosis.ensemble import Recipe
from twinproof.prognosis.model import Forest, Network, format_model, parse_model
from twinproof.prognosis.replay import replay
from twinproof.prognosis.serve import Predictor, load_predictor
from twinproof.prognosis.train import Trained, fit_model, folds, out_of_fold, train
from twinproof.proof import cbor


def rmse(predicted: Array, actual: Array) -> float:
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def test_the_same_seed_gives_the_same_bytes(fleet: Fleet, trained: Trained) -> None:
    said: list[tuple[str, int, int]] = []
    again = train(
        fleet, seed=3, name="wearing", cap=CAP, recipe=QUICK, fold_count=3,
        progress=lambda *parts: said.append(parts),
    )  # fmt: skip
    assert again.model == trained.model
    assert said == [*(("out of fold", done, 3) for done in range(1, 4)), ("fit", 1, 1)]
    other = fit_model(fleet, parse_model(trained.model).intervals, seed=4, cap=CAP, recipe=QUICK)
    assert other.members != parse_model(trained.model).members


def test_it_has_skill_on_units_it_never_saw(predictor: Predictor) -> None:
    fleet = wearing_fleet(12, seed=21)
    units = fleet.columns(predictor.model.settings, predictor.model.signals).units
    found = predictor.histories(units)
    actual = np.minimum(np.concatenate([each.remaining() for each in units]), CAP)
    good = np.isfinite(found.point)
    actual = actual[good].astype(np.float64)
    assert rmse(found.point[good], actual) < 0.6 * rmse(np.full(len(actual), actual.mean()), actual)
    inside = (found.lower[good] <= actual) & (actual <= found.upper[good])
    assert inside.mean() > 0.8


def test_labels_that_mean_nothing_teach_nothing(fleet: Fleet) -> None:
    """Each unit's rows in a random order: signals no longer tell what is left, and neither does anything else.

    What may tell is how long the record is. So each unit starts at a random cycle, and the first 40 rows, whose
    averages are still restless, are not looked at.
    """
    rng = np.random.default_rng(11)
    units = []
    for each in fleet.units:
        order = rng.permutation(len(each))
        cycles = each.cycles + int(rng.integers(0, 400))
        units.append(unit(each.id, cycles, each.settings[order], each.signals[order], True))
    shuffled = Fleet(fleet.settings, fleet.signals, tuple(units))

    def skill(of: Fleet) -> float:
        unseen = out_of_fold(of, seed=0, cap=CAP, recipe=QUICK, fold_count=3)
        place = np.concatenate([np.arange(len(of.units[at])) for at in dict.fromkeys(unseen.unit.tolist())])
        late = place >= 40
        actual = unseen.actual[late]
        return 1 - rmse(unseen.predicted[late], actual) / rmse(np.full(len(actual), actual.mean()), actual)

    assert skill(shuffled) < 0.1
    assert skill(fleet) > 0.5


def test_folds_part_units_and_nothing_else(fleet: Fleet) -> None:
    parts = folds(fleet, 7)
    assert sorted(at for part in parts for at in part) == list(range(len(fleet.units)))
    assert {len(part) for part in parts} <= {4, 5}
    lives = [np.mean([len(fleet.units[at]) for at in part]) for part in parts]
    assert max(lives) - min(lives) < 25


def test_out_of_fold_really_is(fleet: Fleet) -> None:
    """A unit's prediction does not change when its own labels do (they move only what others learn)."""
    target = fleet.units[0]
    longer = unit(
        target.id,
        np.concatenate((target.cycles, target.cycles[-1] + np.arange(1, 41))),
        np.concatenate((target.settings, target.settings[-40:])),
        np.concatenate((target.signals, target.signals[-40:])),
        True,
    )
    few = fleet.take(range(6))
    changed = Fleet(few.settings, few.signals, (longer, *few.units[1:]))
    parts = folds(few, 6)
    assert [len(part) for part in parts] == [1] * 6
    first = out_of_fold(few, seed=0, cap=CAP, recipe=replace(QUICK, trees=5, networks=0), fold_count=6)
    second = out_of_fold(changed, seed=0, cap=CAP, recipe=replace(QUICK, trees=5, networks=0), fold_count=6)
    before, after = first.predicted[first.unit == 0], second.predicted[second.unit == 0]
    assert before.tobytes() == after[: len(before)].tobytes()


def test_units_that_did_not_fail_are_not_learnt_from(fleet: Fleet, trained: Trained) -> None:
    removed = tuple(replace(each.head(60), id=f"removed {each.id}") for each in wearing_fleet(5, seed=5).units)
    joined = Fleet(fleet.settings, fleet.signals, (*fleet.units, *removed))
    assert sorted(at for part in folds(joined, 5) for at in part) == list(range(len(fleet.units)))
    unseen = out_of_fold(joined, seed=0, cap=CAP, recipe=replace(QUICK, trees=5, networks=0), fold_count=3)
    assert set(unseen.unit.tolist()) == set(range(len(fleet.units)))


def test_what_cannot_be_trained_is_refused(fleet: Fleet) -> None:
    with pytest.raises(Malformed, match="9 ran to failure"):
        train(fleet.take(range(9)), seed=0, recipe=QUICK)
    still = Fleet(fleet.settings, ("still",), tuple(
        unit(each.id, each.cycles, each.settings, each.signals[:, 3:4], True) for each in fleet.units
    ))  # fmt: skip
    with pytest.raises(Malformed, match="none varies"):
        train(still, seed=0, recipe=QUICK)


def test_a_fleet_with_holes_can_be_trained_on(fleet: Fleet) -> None:
    rng = np.random.default_rng(6)
    units = []
    for each in fleet.units[:12]:
        signals, settings = each.signals.copy(), each.settings.copy()
        signals[rng.random(signals.shape) < 0.1] = np.nan
        signals[rng.random(signals.shape) < 0.01] = np.inf
        settings[rng.random(settings.shape) < 0.05] = np.nan
        units.append(unit(each.id, each.cycles, settings, signals, True))
    holed = Fleet(fleet.settings, fleet.signals, tuple(units))
    intervals = fit_intervals(np.zeros(4), np.zeros(4), np.arange(4), CAP)
    model = fit_model(holed, intervals, seed=0, cap=CAP, recipe=replace(QUICK, trees=5))
    assert len(model.regimes.cells) == 2
    assert np.isfinite(np.asarray(model.projection)).all()
    format_model(model)


def test_the_ensemble_is_what_the_recipe_says(predictor: Predictor) -> None:
    members = predictor.model.members
    assert [type(member) for member in members] == [Forest, Network]
    assert sum(member.weight for member in members) == pytest.approx(1.0)
    assert "still" not in predictor.model.signals


def test_the_card(trained: Trained, predictor: Predictor) -> None:
    card = parse_card(predictor.model.card)
    assert card == trained.card
    assert card.to_cbor() == predictor.model.card
    assert (card.units, card.failed, card.seed, card.regimes, card.unused) == (30, 30, 3, 2, ["still"])
    assert 0 < card.rmse < 20
    assert 0.85 <= card.coverage <= 1.0
    assert 0 < card.width <= CAP
    shown = card.to_markdown()
    for part in ("wearing", "RMSE", "coverage", "lightgbm", "## Limits", "trees: 30", "| hot |"):
        assert part in shown


@pytest.mark.parametrize("change", [
    {"format": "x"}, {"units": 1.0}, {"rmse": 1}, {"extra": 1}, {"ranges": {"hot": [1.0]}}, {"ranges": {"hot": [1, 2]}},
    {"limits": "none"},
], ids=str)  # fmt: skip
def test_a_crooked_card_is_refused(change: dict[str, object], trained: Trained) -> None:
    with pytest.raises(Malformed):
        parse_card(cbor.encode({**cbor.decode(trained.card.to_cbor()), **change}))


def engines(shared: Path, name: str, units: int) -> Fleet:
    rows = list(takewhile(lambda row: row.unit <= units, read_snapshots(shared / "data" / "cmapss" / name)))
    table = np.array([(row.unit, row.cycle, *row.values) for row in rows])
    found = []
    for number in range(1, units + 1):
        own = table[table[:, 0] == number]
        cycles: Integers = own[:, 1].astype(np.int64)
        found.append(unit(f"{number:03}", cycles, own[:, 2:5], own[:, 5:], True))
    names = tuple(field.name for field in FIELDS)
    return Fleet(names[:3], names[3:], tuple(found))


def test_on_c_mapss(shared: Path) -> None:
    """30 training engines of FD001 forecast 10 others, each cut at a random cycle; no test file is read."""
    fleet = engines(shared, "train_FD001.txt.gz", 40)
    recipe = Recipe(trees=100, rate=0.1, networks=1, steps=1000)
    known = fleet.take(range(30))
    unseen = out_of_fold(known, seed=0, cap=125.0, recipe=replace(recipe, networks=0), fold_count=3)
    intervals = fit_intervals(unseen.predicted, unseen.actual, unseen.unit, 125.0)
    data = format_model(fit_model(known, intervals, seed=0, recipe=recipe))
    predictor = load_predictor(data)
    assert len(predictor.model.regimes.cells) == 1
    rng = np.random.default_rng(1)
    others = fleet.take(range(30, 40)).columns(predictor.model.settings, predictor.model.signals)
    cuts = [[each.head(int(cut)) for cut in rng.integers(50, len(each), 8)] for each in others.units]
    heads = [head for part in cuts for head in part]
    left = np.array([len(each) - len(head) for each, part in zip(others.units, cuts, strict=True) for head in part])
    found = predictor.histories(heads)
    last = np.cumsum([len(head) for head in heads]) - 1
    capped = np.minimum(left, 125.0)
    assert rmse(found.point[last], capped) < 15
    assert np.mean((found.lower[last] <= capped) & (capped <= found.upper[last])) > 0.75
    assert set(found.remarks.tolist()) < set(range(1 << 13))
    recorded = replay(data, heads[3].rows())
    assert recorded.numbers[8:16] == struct.pack(">d", found.point[last[3]])


def test_the_card_is_a_dataclass_of_plain_values(trained: Trained) -> None:
    assert ModelCard(**{name: getattr(trained.card, name) for name in ModelCard.__dataclass_fields__}) == trained.card


def _paired(fleet: Fleet) -> Fleet:
    """The same lives, but always two are of one asset."""
    return Fleet(
        fleet.settings,
        fleet.signals,
        tuple(replace(each, asset=f"asset {at // 2}") for at, each in enumerate(fleet.units)),
    )


def test_lives_of_one_asset_are_never_parted(fleet: Fleet) -> None:
    paired = _paired(fleet)
    parts = folds(paired, 5)
    assert sorted(at for part in parts for at in part) == [at for at, each in enumerate(paired.units) if each.failed]
    assets = [{paired.units[at].asset for at in part} for part in parts]
    assert sum(map(len, assets)) == len(set.union(*assets))
    unseen = out_of_fold(paired, seed=0, cap=CAP, recipe=Recipe(trees=5, networks=0), fold_count=2)
    assert set(unseen.unit.tolist()) <= set(range(0, len(paired.units), 2))


def test_few_assets_are_refused_unless_asked_for_and_the_card_says_so(fleet: Fleet) -> None:
    few = fleet.take([at for at, each in enumerate(fleet.units) if each.failed][:3])
    recipe = Recipe(trees=5, networks=0)
    with pytest.raises(Malformed, match="3 ran to failure; at least 10"):
        train(few, seed=0, cap=CAP, recipe=recipe)
    card = train(few, seed=0, cap=CAP, recipe=recipe, fewest=2, fold_count=3).card
    assert "3 assets with a known end show intervals of 50 % at the most" in card.limits[-1]
    one = Fleet(few.settings, few.signals, tuple(replace(each, asset="one") for each in few.units))
    with pytest.raises(Malformed, match="1 ran to failure; at least 2"):
        train(one, seed=0, cap=CAP, recipe=recipe, fewest=1)
    with pytest.raises(Malformed, match="nothing is left to test on"):
        out_of_fold(one, seed=0, cap=CAP, recipe=recipe, fold_count=3)
