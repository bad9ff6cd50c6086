"""What forecasting keeps of each twin beside its features, and of each model in use."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from twinproof.prognosis.live import LiveFleet
from twinproof.prognosis.record import Row
from twinproof.prognosis.rows import RowReader, Wanted, episode_of
from twinproof.twin.prediction import Read
from twinproof.twin.predictor import Predictor, StandingPredictor
from twinproof.twin.statement import Statement

_LOG = logging.getLogger(__name__)

RunKey = tuple[bytes, str, str | None, float]
"""Model, unit, name of the reading that counts, coverage."""


class Given(NamedTuple):
    """A statement that gave rows."""

    entry: int
    """Its log index."""
    statement: Statement
    rows: list[Row]


@dataclass(eq=False, slots=True)
class Run:
    """A model in use."""

    predictor: Predictor
    fleet: LiveFleet
    wanted: Wanted

    @property
    def key(self) -> RunKey:
        return run_key(self.predictor)


def run_key(predictor: Predictor) -> RunKey:
    """Predictors that are alike in this share states."""
    return predictor.model, predictor.unit, predictor.cycle, predictor.coverage


@dataclass(eq=False, slots=True)
class Twin:
    """What is kept of a twin beside its features."""

    subject: str
    standing: StandingPredictor
    run: Run
    slot: int
    rows: RowReader
    stated: int = 0
    """First entry that no prediction read."""
    time: float = 0.0
    """When the last prediction was stated."""
    said: int = -1
    """Log index of the newest own prediction, as far as that is known."""
    since: int = 0
    """Rows after those that the last prediction read."""
    until: int = 0
    """One above the entry that gave the newest row."""
    primer: int = -1
    """The entry before the predictor's promotion that is predicted, so that a twin need not wait for its next row."""
    streams: dict[str, tuple[int, int, bytes]] = field(default_factory=dict)
    """Issuer -> first and last `seq` read, digest of the last."""
    withheld: tuple[str, ...] = ()
    """Why nothing could be predicted of the newest row."""
    episode: str | None = None
    """Name of what began its history, if that was an overhaul."""

    def reads(self) -> list[Read]:
        return [Read(issuer, *self.streams[issuer]) for issuer in sorted(self.streams)]

    def take(self, statement: Statement, payload: object) -> list[Row] | None:
        """The rows that a statement gives; None if it begins an episode: what was given before counts no more."""
        episode = episode_of(statement, payload)
        if episode is not None:
            self._renew(episode)
            return None
        known = len(self.rows.strange)
        rows = self.rows.take(payload)
        if len(self.rows.strange) > known:
            names = ", ".join(sorted(self.rows.strange))
            _LOG.warning("%s tells in other units than its model learnt, so these say nothing: %s", self.subject, names)
        return rows

    def _renew(self, episode: str) -> None:
        before, self.rows = self.rows, RowReader(self.run.wanted, renewed=True)
        self.rows.left_out, self.rows.strange = before.left_out, before.strange
        self.run.fleet.renew(self.slot)
        self.episode, self.streams, self.since, self.primer = episode, {}, 0, -1


Step = tuple[Row, Given | None]
"""A row; with the last one of a statement, the statement."""


def steps(given: Sequence[Given]) -> Iterator[Step]:
    """Row by row."""
    for each in given:
        for at, row in enumerate(each.rows):
            yield row, each if at == len(each.rows) - 1 else None
