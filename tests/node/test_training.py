"""Training data out of a node's log: lives between overhauls, and units of measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.builders import MODEL
from tests.node.forecast_rig import opened, rows_of, twin
from tests.prognosis.fleets import CAP, QUICK, wearing_fleet
from twinproof.node.training import Wish, gather
from twinproof.prognosis.data import Fleet
from twinproof.prognosis.model import parse_model
from twinproof.prognosis.train import train
from twinproof.twin.description import Lifecycle

CODES = {"load": "kN", "hot": "K"}
WISH = Wish(MODEL, settings=("load",), signals=("hot", "tight"), cycle="cycle")


def test_each_life_between_overhauls_is_a_unit_and_only_the_last_one_has_a_known_end(tmp_path: Path) -> None:
    with opened(tmp_path / "node", blob=False) as rig:
        for number in (0, 1):
            rig.describe(number)
            rig.read(number, *rows_of(number)[:10])
        rig.overhaul(0)
        rig.read(0, *rows_of(0)[10:16])
        rig.overhaul(0)
        rig.overhaul(0)
        rig.read(0, *rows_of(1)[:4])
        rig.describe(0, lifecycle=Lifecycle.RETIRED)
        found = gather(rig.live.node, WISH)
        told = {unit.id: (unit.asset, unit.failed, unit.cycles.tolist()) for unit in found.fleet.units}
        assert told == {
            twin(0): (twin(0), False, list(range(1, 11))),
            f"{twin(0)} (1)": (twin(0), False, list(range(1, 7))),
            f"{twin(0)} (3)": (twin(0), True, list(range(1, 5))),
            twin(1): (twin(1), False, list(range(1, 11))),
        }
        assert (found.trained.twins, found.trained.failed, found.trained.rows) == (2, 1, 30)
        every = gather(rig.live.node, Wish(MODEL, WISH.settings, WISH.signals, "cycle", failed_at_end=True))
        assert [unit.failed for unit in every.fleet.units] == [True] * 4
        assert (every.trained.twins, every.trained.failed) == (2, 2)


def test_the_unit_of_most_twins_is_learnt_and_other_numbers_are_not(tmp_path: Path) -> None:
    with opened(tmp_path / "node", blob=False) as rig:
        for number in range(3):
            rig.describe(number)
            rig.read(number, *rows_of(number)[:6], units=CODES if number else {**CODES, "hot": "Cel"})
        found = gather(rig.live.node, WISH)
        assert found.fleet.codes == ("kN", "K", None)
        assert found.strange == ("hot",)
        hot = {unit.id: np.isnan(unit.signals[:, 0]).all() for unit in found.fleet.units}
        assert hot == {twin(0): True, twin(1): False, twin(2): False}


def test_the_unit_of_a_reading_that_comes_late_is_found(tmp_path: Path) -> None:
    with opened(tmp_path / "node", blob=False) as rig:
        rig.describe(0)
        rig.read(0, *rows_of(0)[:3], without=("tight",), units=CODES)
        rig.read(0, *rows_of(0)[3:6], units={**CODES, "tight": "mm"})
        assert gather(rig.live.node, WISH).fleet.codes == ("kN", "K", "mm")


def test_the_model_says_the_units_that_it_learnt() -> None:
    plain = wearing_fleet()
    codes = ("kN", "K", "mm", None, None, "1")
    known = Fleet(plain.settings, plain.signals, plain.units, codes)
    said = {}
    for name, each in (("plain", plain), ("known", known)):
        made = train(each, seed=3, name="wearing", cap=CAP, recipe=QUICK, fold_count=2)
        said[name] = parse_model(made.model)
    assert said["plain"].units is None
    by_name = dict(zip((*plain.settings, *plain.signals), codes, strict=True))
    assert said["known"].units == tuple(by_name[name] for name in ("load", *said["known"].signals))
    # And nothing else about it is another one.
    assert said["known"].projection == said["plain"].projection
