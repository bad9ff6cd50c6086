"""Which predictor is in use for which twin: a fold of descriptions and predictors."""

from __future__ import annotations

from dataclasses import replace

from twinproof.node.assignments import Assignments
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.predictor import Predictor, Stage, StandingPredictor, Trained

PUMP, FAN = "dtmi:example:pump;1", "dtmi:example:fan;1"
ONE, TWO = "https://twin.example/1", "https://twin.example/2"
FIRST = Predictor(b"\1" * 32, Stage.ACTIVE, "h", 0.9, Trained(1, b"\0" * 32, 10, 10, 100))
SECOND = replace(FIRST, model=b"\2" * 32)


def fold() -> Assignments:
    found = Assignments()
    found.describe(ONE, Description(model=PUMP))
    found.describe(TWO, Description(model=PUMP))
    return found


def test_a_models_predictor_is_that_of_its_twins() -> None:
    found = fold()
    assert found.of(ONE) is None
    assert found.state(PUMP, FIRST, 5) == {PUMP, ONE, TWO}
    assert found.of(ONE) == found.of(TWO) == StandingPredictor(FIRST, 5)
    assert found.assigned() == [PUMP, ONE, TWO]
    assert found.in_use() == {FIRST.model}


def test_a_candidate_concerns_nobody() -> None:
    found = fold()
    assert found.state(PUMP, replace(FIRST, stage=Stage.CANDIDATE), 5) == set()
    assert found.of(ONE) is None
    assert found.in_use() == set()


def test_ones_own_comes_first_and_its_retirement_gives_the_models_back() -> None:
    found = fold()
    found.state(PUMP, FIRST, 5)
    assert found.state(ONE, SECOND, 6) == {ONE}
    assert (found.of(ONE), found.of(TWO)) == (StandingPredictor(SECOND, 6), StandingPredictor(FIRST, 5))
    found.state(ONE, SECOND.at(Stage.RETIRED), 7)
    assert found.of(ONE) == StandingPredictor(FIRST, 5)


def test_a_twin_that_changes_its_model_changes_its_predictor() -> None:
    found = fold()
    found.state(PUMP, FIRST, 5)
    found.state(FAN, SECOND, 6)
    found.describe(ONE, Description(model=FAN))
    assert found.of(ONE) == StandingPredictor(SECOND, 6)
    assert found.state(PUMP, SECOND, 7) == {PUMP, TWO}
    # words about something else change nothing
    found.describe(ONE, Description(set={"colour": "red"}))
    assert found.of(ONE) == StandingPredictor(SECOND, 6)


def test_a_retired_twin_has_none_until_it_is_back() -> None:
    found = fold()
    found.state(PUMP, FIRST, 5)
    found.describe(ONE, Description(lifecycle=Lifecycle.RETIRED))
    assert found.of(ONE) is None
    found.describe(ONE, Description(set={"colour": "red"}))
    assert found.of(ONE) is None
    found.describe(ONE, Description(lifecycle=Lifecycle.IN_SERVICE))
    assert found.of(ONE) == StandingPredictor(FIRST, 5)
