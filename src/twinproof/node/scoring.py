"""Predicted against happened: what became of the twins that a model spoke of.

For each twin that has reached its end, the predictions in the log are compared with the cycles that were left. Each
twin weighs alike. Life is counted up to the model's cap, as the model does. The command, the signed record and the API
all come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple

from twinproof.errors import NotFound
from twinproof.log.reader import Reader
from twinproof.node.hindsight import Course, Models, courses
from twinproof.node.node import Node
from twinproof.prognosis.model import Intervals
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import Prediction
from twinproof.twin.statement import parse_statement

CHUNK: Final = 1024
"""Entries read at once."""
SCORE: Final = "urn:twinproof:predictor-score"
"""Type of the attestation that states a score; its text is the score as JSON."""

Report = Callable[[int, int], None]
"""(done, total) twins."""


class Compared(NamedTuple):
    """One prediction in hindsight."""

    x: int
    """Cycle at which it was made."""
    left: float
    """Cycles that were left then, at most the model's cap."""
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Case:
    """One twin's life, in hindsight."""

    subject: str
    ended: int
    """Log index of its last row."""
    predictions: int
    claimed: int
    """Predictions that claimed a coverage; the rest were widened."""
    inside: int
    """Of those, how many held what happened."""
    bias: float
    """Mean of point minus what was left; positive: too hopeful."""
    square: float
    """Mean of its square."""
    width: float
    """Mean of upper minus lower, of those that claimed a coverage."""
    below: tuple[float, ...]
    """Per level of the model's residuals, the share of those whose life was not above that level's bound."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's course of a twin that has ended."""

    model: bytes
    unit: str
    coverage: float
    """That was claimed."""
    levels: tuple[int, ...]
    """Of the model's residuals, per mille."""
    case: Case
    compared: tuple[Compared, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Of one trained model, over twins that have ended. Numbers are in `unit`."""

    model: bytes
    unit: str
    coverage: float
    """That was claimed."""
    twins: int
    predictions: int
    widened: int
    realised: float | None
    """Share of claimed intervals that held what happened; None without any."""
    bias: float
    rmse: float
    width: float
    drift: float | None
    """Bias of the later half of the twins (by their end) minus that of the earlier half; None of fewer than four."""


def score(
    node: Node, model: str, *, failed_at_end: bool = False, report: Report = lambda done, total: None
) -> list[Score]:
    """A score per trained model that spoke of twins of `model`; raises `NotFound` if none of them has ended."""
    twins = _twins_of(node, model, failed_at_end)
    models = Models(node.blobs)
    found: list[Judged] = []
    for done, subject in enumerate(twins):
        found += judge(node.reader, subject, models)
        report(done + 1, len(twins))
    if not found:
        raise NotFound(f"no prediction is about a twin of {model} that has reached its end")
    return summarise(found)


def judge(reader: Reader, subject: str, models: Models) -> list[Judged]:
    """What each model said of the last life of a twin that has ended; nothing of what foretold nothing."""
    found = []
    for course in courses(reader, subject, models):
        model = models.get(course.model)
        if model is not None and course.newest:
            compared = tuple(compare(course, model.cap))
            if compared:
                said = course.said[0].prediction
                case = _case(course, compared, model.intervals, model.cap)
                claimed = said.widened or said.coverage
                found.append(Judged(course.model, said.unit, claimed, model.intervals.levels, case, compared))
    return found


def compare(course: Course, cap: float) -> Iterable[Compared]:
    """Each prediction with what was left. The last row is where it ended: of it, or without a row, nothing is told."""
    for spoken in course.said:
        if spoken.x is not None and spoken.x < course.last:
            yield Compared(spoken.x, min(float(course.last - spoken.x), cap), spoken.prediction)


def summarise(judged: Sequence[Judged]) -> list[Score]:
    """A score per model."""
    by_model: dict[bytes, list[Judged]] = {}
    for each in judged:
        by_model.setdefault(each.model, []).append(each)
    return [
        score_of(name, found[0].unit, found[0].coverage, sorted((each.case for each in found), key=lambda c: c.ended))
        for name, found in by_model.items()
    ]


def _twins_of(node: Node, model: str, failed_at_end: bool) -> list[str]:
    size = node.reader.head().size
    models: dict[str, str] = {}
    ended: set[str] = set()
    for start in range(0, size, CHUNK):
        for raw in node.reader.entries(start, min(start + CHUNK, size)):
            statement = parse_statement(raw)
            said = parse_payload(statement) if statement.content_type == DESCRIPTION else None
            if isinstance(said, Description):
                if said.model is not None:
                    models[statement.subject] = said.model
                if said.lifecycle is not None:
                    retired = said.lifecycle is Lifecycle.RETIRED
                    (ended.add if retired else ended.discard)(statement.subject)
    return sorted(
        subject for subject, declared in models.items() if declared == model and (failed_at_end or subject in ended)
    )


def _case(course: Course, compared: Sequence[Compared], intervals: Intervals, cap: float) -> Case:
    errors = [each.prediction.point - each.left for each in compared]
    claiming = [each for each in compared if each.prediction.widened is None]
    widths = [each.prediction.upper - each.prediction.lower for each in claiming]
    inside = sum(each.prediction.lower <= each.left <= each.prediction.upper for each in claiming)
    counts = [0] * len(intervals.levels)
    for each in claiming:
        row = intervals.residuals[sum(edge <= each.prediction.point for edge in intervals.edges)]
        for at, residual in enumerate(row):
            # Bounds are cut as those of intervals are: at the cap it means "that or more".
            counts[at] += each.left <= min(max(each.prediction.point + residual, 0.0), cap)
    count = len(errors)
    return Case(
        course.subject, course.ended, count, len(claiming), inside, sum(errors) / count,
        sum(error * error for error in errors) / count, sum(widths) / len(widths) if widths else 0.0,
        tuple(number / len(claiming) for number in counts) if claiming else (),
    )  # fmt: skip


def score_of(name: bytes, unit: str, coverage: float, cases: Sequence[Case]) -> Score:
    """Of one model's cases, one or more, by their ends."""
    claiming = [case for case in cases if case.claimed]
    half = len(cases) // 2
    return Score(
        name,
        unit,
        coverage,
        len(cases),
        sum(case.predictions for case in cases),
        sum(case.predictions - case.claimed for case in cases),
        mean([case.inside / case.claimed for case in claiming]) if claiming else None,
        mean([case.bias for case in cases]),
        sqrt(mean([case.square for case in cases])),
        mean([case.width for case in claiming]) if claiming else 0.0,
        mean([case.bias for case in cases[-half:]]) - mean([case.bias for case in cases[:half]])
        if len(cases) >= 4
        else None,
    )


def mean(values: Sequence[float]) -> float:
    """Of one value or more."""
    return sum(values) / len(values)
