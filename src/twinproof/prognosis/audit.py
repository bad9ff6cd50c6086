"""Replays the predictions of one twin's history from the statements that they name. Plain Python, no numpy.

    audit = Audit({digest: model bytes})
    for index, statement, payload in history:          # log order, verified before
        finding = audit.take(index, statement, payload)    # None but for predictions

Predictions that read on where the one before stopped are replayed in one pass, so a history costs its length.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from twinproof.errors import ForecastMismatch, Malformed
from twinproof.prognosis.model import Model, digest_model, parse_model
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.rows import RowReader, Wanted, episode_of
from twinproof.prognosis.stated import check_drivers, check_stated, nominal
from twinproof.twin.prediction import Prediction, Read
from twinproof.twin.statement import Statement

MAX_PASSES: Final = 64
"""Replays that are kept to go on; of a history with more, the oldest begins again."""


class Outcome(StrEnum):
    """What became of a replay."""

    OK = "ok"
    """Every bit is the same."""
    DIFFERS = "differs"
    NOT_REPLAYABLE = "not replayable"
    """The model, or statements that it read, are not at hand."""


@dataclass(frozen=True, slots=True)
class Finding:
    """About one prediction."""

    index: int
    outcome: Outcome
    why: str
    """Empty if all is well."""
    model: bytes


@dataclass(slots=True)
class _Pass:
    """A replay that goes on."""

    rows: RowReader
    replayer: Replayer
    lasts: dict[str, int] = field(default_factory=dict)
    """Issuer -> last `seq` that was read."""
    newest: int = -1
    """Greatest index that was read."""


@dataclass(slots=True)
class _Stream:
    """The statements of one issuer, as far as they are known."""

    seqs: list[int] = field(default_factory=list)
    entries: list[tuple[int, Statement, object]] = field(default_factory=list)

    def between(self, first: int, last: int) -> list[tuple[int, Statement, object]]:
        return self.entries[bisect_left(self.seqs, first) : bisect_right(self.seqs, last)]


class Audit:
    """One twin's history, taken in log order."""

    def __init__(self, models: Mapping[bytes, bytes]) -> None:
        """`models` by SHA-256. Raises `Malformed` if a digest is not that of its bytes."""
        for name, data in models.items():
            if digest_model(data) != name:
                raise Malformed("model", f"the bytes are not those of {name.hex()}")
        self._documents = models
        self._models: dict[bytes, Model | str] = {}
        self._streams: dict[str, _Stream] = {}
        self._passes: dict[tuple[bytes, str | None, str | None, tuple[tuple[str, int], ...]], _Pass] = {}
        self._episodes: list[tuple[int, str]] = []
        """Index and name of what began them."""

    def take(self, index: int, statement: Statement, payload: object) -> Finding | None:
        """The next statement; a finding if it is a prediction."""
        finding = self.replay(index, payload) if isinstance(payload, Prediction) else None
        self.keep(index, statement, payload)
        return finding

    def keep(self, index: int, statement: Statement, payload: object) -> None:
        """The next statement, for predictions that read it; of each stream any, but by ascending `seq`."""
        stream = self._streams.setdefault(statement.issuer, _Stream())
        stream.seqs.append(statement.seq)
        stream.entries.append((index, statement, payload))
        self.begin(index, statement, payload)

    def begin(self, index: int, statement: Statement, payload: object) -> None:
        """Hear of a statement that may begin an episode, without keeping it for predictions to read."""
        name = episode_of(statement, payload)
        if name is not None:
            self._episodes.append((index, name))

    def replay(self, index: int, prediction: Prediction) -> Finding:
        """What a prediction at `index` says, computed again from what was kept before."""
        model = self._model(prediction.model)
        if isinstance(model, str):
            return Finding(index, Outcome.NOT_REPLAYABLE, model, prediction.model)
        try:
            missing = self._missing(prediction)
            if missing:
                return Finding(index, Outcome.NOT_REPLAYABLE, missing, prediction.model)
            self._check_episode(index, prediction)
            replayer = self._pass(prediction, model).replayer
            forecast = replayer.forecast(nominal(prediction))
            check_stated(prediction, forecast, model.unit)
            if prediction.drivers:
                # Who states none says nothing about them.
                check_drivers(prediction.drivers, replayer.drivers(forecast))
        except (ForecastMismatch, Malformed) as problem:
            return Finding(index, Outcome.DIFFERS, str(problem), prediction.model)
        return Finding(index, Outcome.OK, "", prediction.model)

    def _model(self, name: bytes) -> Model | str:
        if name not in self._models:
            data = self._documents.get(name)
            if data is None:
                self._models[name] = f"the model {name.hex()} is missing; bring it with --predictor FILE"
            else:
                try:
                    self._models[name] = parse_model(data)
                except Malformed as problem:
                    self._models[name] = f"the model {name.hex()} is none that can be replayed: {problem}"
        return self._models[name]

    def _missing(self, prediction: Prediction) -> str:
        """What the history lacks of what was read; raises `ForecastMismatch` if it contradicts what is stated."""
        for read in prediction.reads:
            found = self._streams.get(read.issuer, _Stream()).between(read.first, read.last)
            if len(found) != read.last - read.first + 1:
                return f"of {read.issuer}'s statements {read.first} to {read.last} before it, {len(found)} are here"
            last, statement, _ = found[-1]
            if statement.digest != read.digest:
                raise ForecastMismatch("reads", f"statement {read.last} of {read.issuer} is another one: entry {last}")
            if prediction.until is not None and last >= prediction.until:
                raise ForecastMismatch("until", f"entry {last} was read, but is not below {prediction.until}")
        return ""

    def _check_episode(self, index: int, prediction: Prediction) -> None:
        """Raises `ForecastMismatch` unless the prediction is about the newest episode that it could know of."""
        upto = index if prediction.until is None else prediction.until
        begun, name = max((found for found in self._episodes if found[0] < upto), default=(-1, None))
        if prediction.episode != name:
            stated = prediction.episode or "none"
            newest = "the log has none" if name is None else f"entry {begun} began {name}"
            raise ForecastMismatch("episode", f"stated {stated}, but {newest}")
        for read in prediction.reads:
            first = self._streams[read.issuer].between(read.first, read.last)[0][0]
            if first < begun:
                raise ForecastMismatch("episode", f"entry {first} was read, but the episode began with entry {begun}")

    def _pass(self, prediction: Prediction, model: Model) -> _Pass:
        begins = tuple((read.issuer, read.first) for read in prediction.reads)
        key = prediction.model, prediction.cycle, prediction.episode, begins
        held = self._passes.get(key)
        new = self._unread(prediction, held)
        if held is None or (new and new[0][0] <= held.newest) or _goes_back(prediction.reads, held):
            if len(self._passes) >= MAX_PASSES and key not in self._passes:
                del self._passes[next(iter(self._passes))]
            wanted = Wanted(model.settings, model.signals, prediction.cycle, model.units)
            rows = RowReader(wanted, renewed=prediction.episode is not None)
            held = self._passes[key] = _Pass(rows, Replayer(model))
            new = self._unread(prediction, held)
        for index, _, payload in new:
            for row in held.rows.take(payload):
                held.replayer.take(row)
            held.newest = index
        held.lasts = {read.issuer: max(read.last, held.lasts.get(read.issuer, -1)) for read in prediction.reads}
        return held

    def _unread(self, prediction: Prediction, held: _Pass | None) -> list[tuple[int, Statement, object]]:
        new = []
        for read in prediction.reads:
            first = max(read.first, held.lasts.get(read.issuer, -1) + 1) if held else read.first
            new += self._streams[read.issuer].between(first, read.last)
        return sorted(new, key=lambda entry: entry[0])


def _goes_back(reads: tuple[Read, ...], held: _Pass) -> bool:
    return any(read.last < held.lasts.get(read.issuer, -1) for read in reads)
