from __future__ import annotations

import pytest

from tests.prognosis.fleets import CAP, QUICK, wearing_fleet
from twinproof.prognosis.data import Fleet, Unit
from twinproof.prognosis.serve import Predictor, load_predictor
from twinproof.prognosis.train import Trained, train


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return wearing_fleet()


@pytest.fixture(scope="session")
def trained(fleet: Fleet) -> Trained:
    return train(fleet, seed=3, name="wearing", cap=CAP, recipe=QUICK, fold_count=3)


@pytest.fixture(scope="session")
def predictor(trained: Trained) -> Predictor:
    return load_predictor(trained.model)


@pytest.fixture(scope="session")
def strangers(predictor: Predictor) -> tuple[Unit, ...]:
    """Units that the model was not trained on, with its columns."""
    found = wearing_fleet(6, seed=8)
    return found.columns(predictor.model.settings, predictor.model.signals).units
