"""What was predicted of a twin, at which of its rows, and how far its rows went.

A course is what one model said of one life of a twin. An episode (since an overhaul, say) is a life of its own; how an
earlier one would have ended nobody knows, since what was done to the asset came first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final, NamedTuple

from twinproof.errors import Malformed, NotFound
from twinproof.log.reader import Reader
from twinproof.node.blobs import Blobs
from twinproof.node.statements import logged_about
from twinproof.prognosis.model import Model, parse_model
from twinproof.prognosis.rows import NEVER, RowReader, Wanted, episode_of
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import Prediction
from twinproof.twin.statement import Statement

MODELS_KEPT: Final = 16

History = list[tuple[int, Statement, object]]
"""Log index, statement, payload; in log order."""
_Name = tuple[bytes, str | None, str | None]
"""Model, name of the reading that counts, episode."""


class Models:
    """The models that a node has, read once; methods may be called from any thread."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._held: OrderedDict[bytes, Model] = OrderedDict()
        self._lock = Lock()

    def get(self, name: bytes) -> Model | None:
        """The model with this digest; None if it is not here, or is none. Raises `Corrupt`, `StorageFailed`."""
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        try:
            found = parse_model(self._blobs.get(name))
        except (NotFound, Malformed):
            return None
        with self._lock:
            self._held[name] = found
            while len(self._held) > MODELS_KEPT:
                self._held.popitem(last=False)
        return found


class Spoken(NamedTuple):
    """One prediction."""

    entry: int
    time: int
    """The statement's `iat`."""
    prediction: Prediction
    x: int | None
    """Cycle of the newest row that it read; None if no row of these readings is known."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one model said of one life of a twin, and the row at which that stands."""

    subject: str
    model: bytes
    cycle: str | None
    episode: str | None
    said: tuple[Spoken, ...]
    last: int
    """Cycle of its last row; `NEVER` if there is none."""
    ended: int
    """Log index of its last row."""
    newest: bool
    """Whether no other episode came after it."""


def courses(reader: Reader, subject: str, models: Models, *, upto: int | None = None) -> list[Course]:
    """Of a twin, in the order of their first predictions; of models that are here. Up to entry `upto`."""
    history: History = [
        (index, statement, parse_payload(statement))
        for index, statement in logged_about(reader, subject)
        if upto is None or index <= upto
    ]
    said: dict[_Name, list[tuple[int, Statement, Prediction]]] = {}
    episode: str | None = None
    for index, statement, payload in history:
        episode = episode_of(statement, payload) or episode
        if isinstance(payload, Prediction):
            name = payload.model, payload.cycle, payload.episode
            said.setdefault(name, []).append((index, statement, payload))
    found = []
    for name, predictions in said.items():
        model = models.get(name[0])
        if model is not None:
            found.append(_course(subject, name, predictions, history, model, name[2] == episode))
    return found


def _course(
    subject: str,
    name: _Name,
    predictions: list[tuple[int, Statement, Prediction]],
    history: History,
    model: Model,
    newest: bool,
) -> Course:
    digest, cycle, episode = name
    begins = {(read.issuer, read.first) for _, _, prediction in predictions for read in prediction.reads}
    reader = RowReader(Wanted(model.settings, model.signals, cycle, model.units), renewed=episode is not None)
    rows: dict[tuple[str, int], int] = {}
    last, ended = NEVER, 0
    for index, statement, payload in _from_first(history, begins):
        taken = reader.take(payload)
        if taken:
            last = rows[statement.issuer, statement.seq] = taken[-1].cycle
            ended = index
    spoken = []
    for index, statement, prediction in predictions:
        read = [rows[each.issuer, each.last] for each in prediction.reads if (each.issuer, each.last) in rows]
        spoken.append(Spoken(index, statement.issued_at, prediction, max(read, default=None)))
    return Course(subject, digest, cycle, episode, tuple(spoken), last, ended, newest)


def _from_first(history: History, begins: set[tuple[str, int]]) -> Iterable[tuple[int, Statement, object]]:
    """From the first statement on that was read: rows before it belong to another life."""
    begun = False
    for entry in history:
        begun = begun or (entry[1].issuer, entry[1].seq) in begins
        if begun:
            yield entry
