"""Answers and questions of `api.prognosis`, as OpenAPI shows them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from twinproof.server.parameters import IRI_PATTERN, MAX_INDEX
from twinproof.server.shapes import Derived, EntryIndex, Shape
from twinproof.twin.statement import MAX_IRI

Iri = Annotated[str, Field(max_length=MAX_IRI, json_schema_extra={"pattern": IRI_PATTERN})]
Cost = Annotated[float, Field(gt=0, le=1e12, strict=True)]
Cycles = Annotated[int, Field(ge=0, le=100_000, strict=True)]
Amount = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
ModelDigest = Annotated[str, Field(description="SHA-256 of the model's file, in hex.")]


# --- what if ----------------------------------------------------------------------------------


class WhatIfQuestion(Shape):
    """When should this twin be maintained, under these costs?"""

    sub: Annotated[Iri, Field(description="The twin's IRI.")]
    planned: Annotated[Cost, Field(description="Cost of maintenance in time.")]
    failure: Annotated[Cost, Field(description="Cost of a failure; not less than `planned`.")]
    lead: Annotated[Cycles, Field(description="Cycles from ordering to the earliest maintenance.")]
    price: Annotated[
        Cost | None, Field(description="What a cycle of running is worth; without, the lowest cost per cycle counts.")
    ] = None
    age: Annotated[
        int | None, Field(ge=0, lt=1 << 53, strict=True, description="Cycles run; without, what the log says.")
    ] = None
    at: Annotated[
        int | None, Field(ge=0, le=MAX_INDEX, strict=True, description="As the state is after this entry.")
    ] = None


class BestDate(Shape):
    """The cheapest date."""

    date: Annotated[int, Field(description="Cycles from the row predicted.")]
    rate: float | None
    risk: Annotated[float, Field(description="Probability of a failure before this date.")]
    due: Annotated[bool, Field(description="It has to be ordered now.")]
    open: Annotated[bool, Field(description="The date is the forecast's horizon: then or later.")]


class DatePoint(Shape):
    """One possible date."""

    date: int
    rate: Annotated[float | None, Field(description="Expected cost per cycle; null where it is without bound.")]
    risk: float


class WhatIfAnswer(Derived):
    """The best date and the whole curve."""

    sub: str
    entry: Annotated[int, Field(description="Log index of the prediction used.")]
    unit: str
    point: float
    lower: float
    upper: float
    coverage: float
    model: ModelDigest
    age: int
    best: BestDate
    curve: Annotated[list[DatePoint], Field(max_length=200)]
    assumed: list[str]


class PlanQuestion(Shape):
    """Which twin in which slot?"""

    subs: Annotated[list[Iri] | None, Field(max_length=200, description="The twins; those under `prefix` without.")] = (
        None
    )
    prefix: Annotated[str, Field(max_length=MAX_IRI, description="Beginning of the twins' IRIs.")] = ""
    slots: Annotated[int, Field(ge=1, le=52, strict=True)]
    cycles_per_slot: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    planned: Cost
    failure: Cost
    lead: Cycles
    price: Annotated[Cost, Field(description="What a cycle of running is worth.")]
    crew: Annotated[list[Amount], Field(max_length=52, description="Per slot, how many twins can be worked on.")]
    spares: Annotated[list[Amount], Field(max_length=52, description="Per slot, how many spares are delivered.")]


class PlannedTwin(Shape):
    """One twin in a plan."""

    sub: str
    entry: Annotated[int, Field(description="Log index of the prediction used.")]
    point: float
    model: ModelDigest
    slot: Annotated[int | None, Field(description="Null: after the plan.")]
    date: Annotated[int, Field(description="Cycles from now at the slot's end.")]
    cost: Annotated[float | None, Field(description="Expected: renewal, and the life that is thrown away.")]
    best: Annotated[float | None, Field(description="What its cheapest slot would cost.")]
    risk: Annotated[float, Field(description="Probability of a failure before that date.")]


class LeftOut(Shape):
    """A twin of which nothing can be planned."""

    sub: str
    why: str


class ShortageShape(Shape):
    """A limit that is too small."""

    limit: str
    excess: list[int]


class PlanAnswer(Derived):
    """A plan, or why there is none."""

    feasible: bool
    unit: str
    twins: list[PlannedTwin]
    cost: float | None
    bound: Annotated[float | None, Field(description="No plan is below, says the solver.")]
    certified: Annotated[float | None, Field(description="No plan is below: proved without the solver.")]
    gap: float | None
    status: Annotated[str, Field(description="optimal, node limit, time limit, or infeasible.")]
    reproducible: bool
    shortages: Annotated[list[ShortageShape], Field(description="Each alone is too small; all of them if `together`.")]
    together: bool
    without_slot: list[str]
    left_out: list[LeftOut]
    assumed: list[str]


# --- predicted against happened ----------------------------------------------------------------


class PredictionItem(Shape):
    """A prediction, and what happened."""

    entry: EntryIndex
    time: int
    iss: str
    lower: float
    point: float
    upper: float
    coverage: float
    unit: str
    model: ModelDigest
    episode: str | None
    drivers: dict[str, float]
    remarks: list[str]
    widened: float | None
    until: int | None
    x: Annotated[int | None, Field(description="Cycle of the newest row that it read; null if that is not known.")]
    happened: Annotated[float | None, Field(description="What was left then; null until the twin has ended.")]


class PredictionList(Derived):
    """Predictions of a twin in log order."""

    items: list[PredictionItem]
    next: int | None
    ended: Annotated[bool, Field(description="Whether the twin is retired.")]


class TrainedOn(Shape):
    """What a model learnt from."""

    size: int
    root: str
    twins: int
    failed: int
    rows: int


class SignedScore(Shape):
    """A score that somebody stated."""

    entry: EntryIndex
    iss: str
    time: int
    unit: str
    coverage: float | None
    twins: int | None
    predictions: int | None
    widened: int | None
    realised: float | None
    bias: float | None
    rmse: float | None
    width: float | None
    drift: float | None


class PredictorItem(Shape):
    """A trained model of an asset model, or of one twin."""

    about: str
    model: ModelDigest
    stage: str
    unit: str
    coverage: float
    cycle: str | None
    trained: TrainedOn
    text: str | None
    entry: EntryIndex
    here: Annotated[bool, Field(description="Whether the node has the model's bytes.")]
    card: Annotated[dict[str, Any] | None, Field(description="The model card, if the model is here.")]
    score: SignedScore | None


class PredictorList(Derived):
    """Predictors by what they are about, the newest first."""

    items: list[PredictorItem]
    more: Annotated[bool, Field(description="There are more than `limit`.")]


class CalibrationPoint(Shape):
    """How often life was not above the bound of a level: should be the level."""

    level: float
    realised: float


class DriftShape(Shape):
    """Whether the whole fleet moves away from the model."""

    word: Annotated[str, Field(description="none, fleet, or unknown.")]
    why: str
    early: Annotated[float | None, Field(description="Mean bias of the earlier half of ended twins.")]
    late: float | None
    error: Annotated[float | None, Field(description="Standard error of their difference.")]
    running: Annotated[int, Field(description="Twins in service whose newest prediction is the model's.")]
    remarked: int
    widened: int


class ScoreShape(Shape):
    """Over ended twins, each weighing alike."""

    coverage: Annotated[float, Field(description="Claimed.")]
    realised: float | None
    bias: Annotated[float, Field(description="Above 0: too hopeful.")]
    rmse: float
    width: float
    twins: int
    predictions: int
    widened: int
    drift: Annotated[float | None, Field(description="Bias of the later half minus that of the earlier half.")]


class SeriesPoint(Shape):
    """One prediction in hindsight."""

    x: int
    predicted: float
    lower: float
    upper: float
    actual: Annotated[float, Field(description="What was left, at most the model's cap.")]


class OutcomeSeries(Shape):
    """One twin's predictions."""

    sub: str
    ended: Annotated[int, Field(description="Log index of its last row.")]
    points: Annotated[list[SeriesPoint], Field(max_length=200)]


class OutcomeAnswer(Derived):
    """Predicted against happened, of one model."""

    model: ModelDigest
    about: list[str]
    unit: str
    score: ScoreShape | None
    calibration: list[CalibrationPoint]
    drift: DriftShape
    series: Annotated[list[OutcomeSeries], Field(max_length=20, description="Of the twins that ended last.")]
    left_out: Annotated[int, Field(description="Ended twins not looked at: beyond 200, or of over 50,000 entries.")]
