"""How well a model's predictions held, over the twins that have ended, and whether the whole fleet moves away from it.

Judging a twin reads its whole history, so what came of it is kept until the twin gets another entry.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

from twinproof.log.reader import Reader
from twinproof.node.hindsight import Models
from twinproof.node.scoring import Case, Judged, judge, mean
from twinproof.twin.prediction import Prediction

T = TypeVar("T")
KEPT: Final = 512
"""Twins."""
MAX_POINTS: Final = 200
"""Of one twin's series."""
FEWEST_ENDED: Final = 10
"""Twins that have ended, below which their bias over time says nothing."""
FEWEST_RUNNING: Final = 10
"""Twins in service, below which their remarks say nothing of the fleet."""
ERRORS: Final = 3.5
"""Standard errors (Welch's) by which later bias must differ from earlier bias; of ten twins 1 in 100 by chance."""
SHARE: Final = 1 / 3
"""Of the twins in service with remarks about their readings, from which on it is the fleet and not single twins."""
BAD: Final = frozenset(("held", "lost", "stuck", "outlier", "unknown-regime", "jump", "old"))
"""Remarks that tell of readings unlike those in training; `gap`, `short` and `horizon` are everyday ones."""


class Point(NamedTuple):
    """One prediction in hindsight."""

    x: int
    predicted: float
    lower: float
    upper: float
    actual: float
    """What was left, at most the model's cap."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one model said of one twin that has ended."""

    model: bytes
    unit: str
    coverage: float
    levels: tuple[int, ...]
    """Per mille; of `case.below`."""
    case: Case
    points: tuple[Point, ...]
    """At most `MAX_POINTS`, evenly out of all."""


class Outcomes:
    """One per node; methods may be called from any thread."""

    def __init__(self, reader: Reader, models: Models) -> None:
        self._reader = reader
        self._models = models
        self._held: OrderedDict[str, tuple[int, tuple[Kept, ...]]] = OrderedDict()
        self._lock = Lock()

    def of(self, subject: str, newest: int) -> tuple[Kept, ...]:
        """A twin that has ended; `newest` is the log index of its newest entry."""
        with self._lock:
            held = self._held.get(subject)
            if held is not None and held[0] == newest:
                self._held.move_to_end(subject)
                return held[1]
        found = tuple(map(_keep, judge(self._reader, subject, self._models)))
        with self._lock:
            self._held[subject] = newest, found
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        return found


def _keep(judged: Judged) -> Kept:
    points = [
        Point(one.x, one.prediction.point, one.prediction.lower, one.prediction.upper, one.left)
        for one in thinned(judged.compared, MAX_POINTS)
    ]
    return Kept(judged.model, judged.unit, judged.coverage, judged.levels, judged.case, tuple(points))


def thinned(values: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[at * (len(values) - 1) // (most - 1)] for at in range(most)]


def calibration(kept: Sequence[Kept]) -> list[tuple[float, float]]:
    """(level, realised) for each level of the model's residuals: how often life was not above its bound.

    Each twin weighs alike. Of predictions that were widened nothing is counted.
    """
    claiming = [each for each in kept if each.case.below]
    if not claiming:
        return []
    return [
        (level / 1000, mean([each.case.below[at] for each in claiming])) for at, level in enumerate(claiming[0].levels)
    ]


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether a whole fleet moves away from its model."""

    word: str
    """none, fleet, or unknown."""
    why: str
    early: float | None
    """Mean bias of the earlier half of the twins that have ended, by their end; and of the later half."""
    late: float | None
    error: float | None
    """Standard error of late - early; None of fewer than four."""
    running: int
    """Twins in service whose newest prediction is the model's."""
    remarked: int
    """Of them, those whose newest prediction tells of bad readings."""
    widened: int


def drift_of(cases: Sequence[Case], newest: Iterable[Prediction]) -> Drift:
    """From what became of ended twins, and the newest predictions of those in service."""
    ordered = sorted(cases, key=lambda case: case.ended)
    half = len(ordered) // 2
    early, late = ([case.bias for case in part] for part in (ordered[:half], ordered[-half:] if half else ()))
    error = None
    if half >= 2:
        error = sqrt(_variance(early) / half + _variance(late) / half)
    said = list(newest)
    widened = sum(each.widened is not None for each in said)
    remarked = sum(not BAD.isdisjoint(each.remarks) for each in said)
    word, why = _judge(len(ordered), early, late, error, len(said), remarked)
    return Drift(
        word, why, mean(early) if early else None, mean(late) if late else None, error, len(said), remarked, widened
    )


def _judge(
    ended: int, early: Sequence[float], late: Sequence[float], error: float | None, running: int, remarked: int
) -> tuple[str, str]:
    told = []
    if ended >= FEWEST_ENDED and error is not None:
        moved = mean(late) - mean(early)
        if abs(moved) > ERRORS * error and moved:
            how = "hopeful" if moved > 0 else "pessimistic"
            return "fleet", f"of twins that ended later the model was more {how} by {abs(moved):.3g}"
        told.append(f"of {ended} ended twins the bias differs no more, early to late, than chance makes it")
    if running >= FEWEST_RUNNING:
        if remarked > SHARE * running:
            return "fleet", f"{remarked} of {running} twins in service have readings unlike those in training"
        told.append(f"{remarked} of {running} twins in service have readings unlike those in training")
    if told:
        return "none", "; ".join(told)
    return "unknown", f"{ended} ended and {running} running twins are too few"


def _variance(values: Sequence[float]) -> float:
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values) / (len(values) - 1)


# --- signed scores ----------------------------------------------------------------------------

LARGEST: Final = 1e15
"""Size of a score's numbers."""
_NUMBERS: Final = ("coverage", "twins", "predictions", "widened", "realised", "bias", "rmse", "width", "drift")


def read_score(text: str | None) -> tuple[str, dict[str, Any]] | None:
    """(digest of the model in hex, its numbers and unit) out of a score's text, which anybody may have written."""
    try:
        said = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, Mapping) or type(said.get("model")) is not str or type(said.get("unit")) is not str:
        return None
    numbers = {name: said.get(name) for name in _NUMBERS}
    # JSON's reader takes NaN and Infinity, and halves of a character; no answer could tell of these.
    if not said["unit"].isprintable() or not all(value is None or _is_told(value) for value in numbers.values()):
        return None
    return said["model"], {"unit": said["unit"], **numbers}


def _is_told(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
