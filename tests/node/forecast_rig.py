"""A live node with engines that wear out, a model trained on others of them, and forecasting that runs step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.builders import MODEL, ORIGIN, START, Signer, signer
from tests.node.folders import OPERATOR_IRI, continue_log
from tests.prognosis.fleets import CAP, QUICK, SETTINGS, SIGNALS, wearing_fleet
from twinproof.errors import TwinproofError
from twinproof.node.blobs import Blobs
from twinproof.node.forecasting import Forecasting
from twinproof.node.intake import Accepted
from twinproof.node.live import Live, open_live
from twinproof.node.node import init_node
from twinproof.node.service_keys import FORECAST
from twinproof.prognosis.data import Unit
from twinproof.prognosis.record import Row
from twinproof.prognosis.train import Trained, train
from twinproof.testing import ManualClock
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, Attestation, format_attestation
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.prediction import PREDICTION, Prediction, parse_prediction
from twinproof.twin.predictor import PREDICTOR, Predictor, Stage, format_predictor
from twinproof.twin.predictor import Trained as Origin
from twinproof.twin.statement import Statement, parse_statement

FLEET = "https://fleet.example/engine/"
RECORDER = signer("urn:example:recorder", 21)
NAMES = (*SETTINGS, *SIGNALS)


@cache
def trained() -> Trained:
    """A small model, made once."""
    return train(wearing_fleet(), seed=3, name="wearing", cap=CAP, recipe=QUICK, fold_count=3)


@cache
def strangers() -> tuple[Unit, ...]:
    """Engines that the model was not trained on."""
    return wearing_fleet(6, seed=8).units


def twin(number: int) -> str:
    return f"{FLEET}{number}"


def predictor(stage: Stage = Stage.ACTIVE, **changes: Any) -> Predictor:
    values: dict[str, Any] = {
        "model": trained().digest, "stage": stage, "unit": "{cycle}", "coverage": 0.9,
        "trained": Origin(1, b"\0" * 32, 30, 30, 3000), "cycle": "cycle",
    }  # fmt: skip
    return Predictor(**{**values, **changes})


def payload(row: Row, *, without: Sequence[str] = (), units: Mapping[str, str] | None = None) -> bytes:
    values = zip(NAMES, (*row.settings, *row.signals), strict=True)
    named = [("cycle", float(row.cycle)), *values]
    columns = [(name, (units or {}).get(name), [x]) for name, x in named if name not in without]
    return format_columns(START + 60.0 * row.cycle, columns)


class Rig:
    """Everything that a test of forecasting needs."""

    def __init__(self, live: Live, clock: ManualClock, **settings: Any) -> None:
        self.live = live
        self.clock = clock
        self.script = continue_log(live.node)
        self.key = FORECAST.key(live.node.folder, ORIGIN)
        self.blobs = Blobs(live.node.folder)
        self.problems: list[TwinproofError] = []
        self.settings = settings
        self.forecasting = self.new()

    def new(self) -> Forecasting:
        """Forecasting as after a restart."""
        self.settle()
        return Forecasting(
            self.live.node, self.live.feed, self.live.states, self.key, self.blobs,
            clock=self.clock, on_problem=self.problems.append, **self.settings,
        )  # fmt: skip

    def settle(self) -> None:
        assert self.live.states.wait(self.live.feed.size, 30)

    def take(self, *statements: Statement) -> list[int]:
        outcomes = self.live.node.intake.submit([statement.raw for statement in statements]).result(30)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome.index for outcome in outcomes if isinstance(outcome, Accepted)]

    def describe(self, number: int, **change: Any) -> None:
        said = Description(**{"model": MODEL, "lifecycle": Lifecycle.IN_SERVICE, **change})
        self.take(self.script.describe(self.script.operator, said, subject=twin(number), at=int(self.clock())))

    def promote(self, about: str = MODEL, **changes: Any) -> int:
        said = format_predictor(predictor(**changes))
        (index,) = self.take(self.script.say(self.script.operator, about, PREDICTOR, said, at=int(self.clock())))
        return index

    def read(
        self, number: int, *rows: Row, by: Signer = RECORDER, without: Sequence[str] = (),
        units: Mapping[str, str] | None = None,
    ) -> list[int]:  # fmt: skip
        self.clock.advance(1)
        at = int(self.clock())
        said = [
            self.script.say(by, twin(number), COLUMNS, payload(row, without=without, units=units), at=at)
            for row in rows
        ]
        return self.take(*said)

    def overhaul(self, number: int) -> tuple[int, str]:
        """State one; its index and the episode's name."""
        said = format_attestation(Attestation(OVERHAUL))
        self.clock.advance(1)
        statement = self.script.say(self.script.operator, twin(number), ATTESTATION, said, at=int(self.clock()))
        (index,) = self.take(statement)
        return index, statement.digest.hex()

    def step(self) -> bool:
        done = self.forecasting.step()
        self.settle()
        return done

    def statements(self) -> list[tuple[int, Statement]]:
        entries = self.live.node.reader.entries(0, self.live.node.reader.head().size)
        parsed = [(index, parse_statement(raw)) for index, raw in enumerate(entries)]
        return [(index, statement) for index, statement in parsed if statement.content_type == PREDICTION]

    def predictions(self, number: int = 0) -> list[Prediction]:
        """What is stated of a twin, oldest first."""
        return [
            parse_prediction(statement.payload)
            for _, statement in self.statements()
            if statement.subject == twin(number)
        ]


def rows_of(number: int) -> list[Row]:
    return list(strangers()[number].rows())


@contextmanager
def opened(folder: Path, *, enabled: bool = True, blob: bool = True, **settings: Any) -> Iterator[Rig]:
    clock = ManualClock(START)
    if not folder.exists():
        init_node(folder, ORIGIN, OPERATOR_IRI, clock=clock)
    # The rig steps a forecasting of its own: the node's would predict the same rows beside it.
    with patch("twinproof.node.live._forecasting", return_value=None), open_live(folder, clock=clock) as live:
        rig = Rig(live, clock, **settings)
        if enabled:
            FORECAST.enable(live.node, rig.key)
        rig.script = continue_log(live.node)
        if not any(name == RECORDER.issuer for name, _ in rig.script.heads):
            rig.take(rig.script.grant(RECORDER, {Capability.RECORD}, Scope("prefix", FLEET)))
        if blob:
            rig.blobs.put(trained().model)
        yield rig
