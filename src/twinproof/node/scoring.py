"""Predicted against happened: what became of the twins that a model spoke of.

For each twin of an asset model that has reached its end, the predictions in the log are compared with the cycles that
were left. Each twin weighs alike. Life is counted up to the model's cap, as the model does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from twinproof.errors import Malformed, NotFound
from twinproof.node.node import Node
from twinproof.node.statements import logged_about
from twinproof.prognosis.model import Model, parse_model
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import Prediction
from twinproof.twin.statement import parse_statement

CHUNK: Final = 1024
"""Entries read at once."""

Report = Callable[[int, int], None]
"""(done, total) twins."""


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
    cases: dict[bytes, list[Case]] = {}
    claimed: dict[bytes, tuple[str, float]] = {}
    models: dict[bytes, Model | None] = {}
    for done, subject in enumerate(twins):
        for name, case in _cases(node, subject, models, claimed):
            cases.setdefault(name, []).append(case)
        report(done + 1, len(twins))
    if not cases:
        raise NotFound(f"no prediction is about a twin of {model} that has reached its end")
    return [_score(name, *claimed[name], sorted(found, key=lambda case: case.ended)) for name, found in cases.items()]


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


def _cases(
    node: Node, subject: str, models: dict[bytes, Model | None], claimed: dict[bytes, tuple[str, float]]
) -> list[tuple[bytes, Case]]:
    history = [(index, statement, parse_payload(statement)) for index, statement in logged_about(node.reader, subject)]
    said: dict[tuple[bytes, str | None], list[Prediction]] = {}
    for _, _, payload in history:
        if isinstance(payload, Prediction) and _model(node, models, payload.model) is not None:
            said.setdefault((payload.model, payload.cycle), []).append(payload)
            claimed.setdefault(payload.model, (payload.unit, payload.widened or payload.coverage))
    found = []
    for (name, cycle), predictions in said.items():
        model = models[name]
        if model is None:
            continue
        reader = RowReader(Wanted(model.settings, model.signals, cycle))
        cycles: dict[tuple[str, int], int] = {}
        ended = 0
        for index, statement, payload in history:
            if reader.take(payload):
                cycles[statement.issuer, statement.seq] = reader.newest
                ended = index
        case = _compare(subject, ended, predictions, cycles, reader.newest, model.cap)
        if case is not None:
            found.append((name, case))
    return found


def _model(node: Node, models: dict[bytes, Model | None], name: bytes) -> Model | None:
    if name not in models:
        try:
            models[name] = parse_model(node.blobs.get(name))
        except (NotFound, Malformed):
            models[name] = None
    return models[name]


def _compare(
    subject: str, ended: int, said: Sequence[Prediction], cycles: dict[tuple[str, int], int], last: int, cap: float
) -> Case | None:
    errors: list[float] = []
    widths: list[float] = []
    inside = 0
    for prediction in said:
        read = [cycles[each.issuer, each.last] for each in prediction.reads if (each.issuer, each.last) in cycles]
        # The last row is where it ended: what was said then, or before there was a row, foretells nothing.
        if not read or max(read) >= last:
            continue
        left = min(float(last - max(read)), cap)
        errors.append(prediction.point - left)
        if prediction.widened is None:
            widths.append(prediction.upper - prediction.lower)
            inside += prediction.lower <= left <= prediction.upper
    if not errors:
        return None
    count = len(errors)
    square = sum(error * error for error in errors) / count
    width = sum(widths) / len(widths) if widths else 0.0
    return Case(subject, ended, count, len(widths), inside, sum(errors) / count, square, width)


def _score(name: bytes, unit: str, coverage: float, cases: Sequence[Case]) -> Score:
    claiming = [case for case in cases if case.claimed]
    half = len(cases) // 2
    return Score(
        name,
        unit,
        coverage,
        len(cases),
        sum(case.predictions for case in cases),
        sum(case.predictions - case.claimed for case in cases),
        _mean([case.inside / case.claimed for case in claiming]) if claiming else None,
        _mean([case.bias for case in cases]),
        sqrt(_mean([case.square for case in cases])),
        _mean([case.width for case in claiming]) if claiming else 0.0,
        _mean([case.bias for case in cases[-half:]]) - _mean([case.bias for case in cases[:half]])
        if len(cases) >= 4
        else None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
