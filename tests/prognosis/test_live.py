"""Twins that come and go under one model: whatever the batch, each answers as the second implementation does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.prognosis import live as module
from twinproof.prognosis.data import Unit
from twinproof.prognosis.live import LiveFleet
from twinproof.prognosis.quality import Forecast
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.serve import Predictor


def said(forecast: Forecast) -> str:
    return repr(forecast)  # NaN compares by its word


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=4, max_size=25), page=st.sampled_from([1, 2, 4]))
def test_any_order_of_batches_gives_the_replays_answers(
    steps: list[set[int]], page: int, predictor: Predictor, strangers: tuple[Unit, ...]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "PAGE", page)
        fleet = LiveFleet(predictor, 800)
        slots = [fleet.add() for _ in range(6)]
        rows = [list(unit.rows()) for unit in strangers]
        replayers = [Replayer(predictor.model) for _ in range(6)]
        done = [0] * 6
        for step in steps:
            # backwards, so that slots do not ascend
            twins = sorted(step, reverse=True)
            found = [rows[twin][done[twin]] for twin in twins]
            fleet.take([slots[twin] for twin in twins], found)
            for twin, row in zip(twins, found, strict=True):
                replayers[twin].take(row)
                done[twin] += 1
            answers = fleet.forecasts([slots[twin] for twin in twins])
            assert [said(answer) for answer in answers] == [said(replayers[twin].forecast(800)) for twin in twins]
        assert len(fleet) == 6


def test_a_coverage_that_the_model_has_not_is_refused(predictor: Predictor) -> None:
    with pytest.raises(Malformed, match="coverage"):
        LiveFleet(predictor, 123)


def test_a_cycle_that_does_not_grow_is_refused(predictor: Predictor, strangers: tuple[Unit, ...]) -> None:
    fleet = LiveFleet(predictor)
    slot = fleet.add()
    first, second, *_ = strangers[0].rows()
    fleet.take([slot], [second])
    with pytest.raises(Malformed, match="cycle"):
        fleet.take([slot], [first])
