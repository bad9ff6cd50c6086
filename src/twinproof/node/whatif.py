"""What-if from the newest prediction of a twin: the best date under some costs, and a plan of several twins.

The arithmetic is `prognosis.decision` and `prognosis.planning`; here is what the log says of the twins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed, NotFound, NotInstalled
from twinproof.log.reader import Reader
from twinproof.node.hindsight import Models, courses
from twinproof.prognosis.decision import ASSUMED, Life, Terms, decide, life_of_forecast
from twinproof.twin.ledger import Forecast

WIDENED: Final = "the readings were bad, so the distribution is stretched"
SECONDS: Final = 20.0
NODES: Final = 500
"""Of a search; see `simulation.solver`."""


@dataclass(frozen=True, slots=True)
class Known:
    """A twin and its prediction."""

    subject: str
    forecast: Forecast
    remaining: Life


def known_of(models: Models, subject: str, forecast: Forecast) -> Known:
    """What a prediction says of the remaining life.

    Raises `NotFound` if the model that made it is not here, `Malformed` for a prediction that is none of this model's.
    """
    said = forecast.prediction
    model = models.get(said.model)
    if model is None:
        raise NotFound(
            f"the model {said.model.hex()} is not in the node's blobs, and its residuals are what a date is reckoned "
            "from; bring it with: twinproof predictor import FILE"
        )
    stretched = 1.0 if said.widened is None else model.limits.widen
    return Known(subject, forecast, life_of_forecast(said.point, model.intervals, model.cap, stretched))


def assumed(forecast: Forecast) -> tuple[str, ...]:
    """What a decision from this prediction assumes."""
    return ASSUMED if forecast.prediction.widened is None else (*ASSUMED, WIDENED)


def age_at(reader: Reader, subject: str, forecast: Forecast, models: Models) -> int:
    """What the twin had run at the newest row that the prediction read; raises `Malformed` if nobody knows.

    Reads the twin's whole history.
    """
    for course in courses(reader, subject, models, upto=forecast.entry):
        for spoken in course.said:
            if spoken.entry == forecast.entry and spoken.x is not None:
                return spoken.x
    raise Malformed("age", "missing: the log does not say what the twin had run")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A plan's horizon and limits."""

    slots: int
    cycles: int
    crew: tuple[int, ...]
    spares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """One twin of a plan."""

    known: Known
    slot: int | None
    date: int
    cost: float
    best: float
    risk: float


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or why there is none: then nobody is placed."""

    twins: tuple[Placed, ...]
    cost: float | None
    bound: float | None
    certified: float | None
    gap: float | None
    status: str
    reproducible: bool
    shortages: tuple[tuple[str, tuple[int, ...]], ...] = ()
    together: bool = False
    """Whether it takes all shortages, and not each alone."""
    without_slot: tuple[str, ...] = ()


def plan(known: Sequence[Known], terms: Terms, wanted: Wanted) -> Planned:
    """Of one twin or more. Raises `Malformed`, or `NotInstalled` without a solver."""
    try:
        from twinproof.prognosis.planning import Limit, Problem, asset_of
        from twinproof.simulation.solver import Infeasible, solve
    except ModuleNotFoundError as missing:
        raise NotInstalled(f"planning needs {missing.name}: pip install 'twinproof[sim]'") from None

    for name in ("crew", "spares"):
        if len(getattr(wanted, name)) != wanted.slots:
            raise Malformed(name, f"not {wanted.slots} numbers, one per slot")
    units = sorted({each.forecast.prediction.unit for each in known})
    if len(units) > 1:
        raise Malformed("subs", f"their predictions are in {' and '.join(units)}: plan them apart")
    # With a price, what has been run moves every date's cost alike, so no age is asked for.
    decisions = [decide(each.remaining, terms, 0) for each in known]
    problem = Problem(
        tuple(
            asset_of(each.subject, decision, slots=wanted.slots, cycles=wanted.cycles, needs={"crew": 1, "spare": 1})
            for each, decision in zip(known, decisions, strict=True)
        ),
        (Limit("crew", wanted.crew, False), Limit("spare", wanted.spares, True)),
    )
    found = solve(problem, seconds=SECONDS, nodes=NODES)
    if isinstance(found, Infeasible):
        short = found.shortages or found.together
        named = tuple((each.limit, each.excess) for each in short)
        together = bool(found.together)
        return Planned((), None, None, None, None, "infeasible", True, named, together, found.assets)
    placed = []
    for each, decision, asset, slot in zip(known, decisions, problem.assets, found.slots, strict=True):
        date = (wanted.slots if slot is None else slot) * wanted.cycles + wanted.cycles
        curve = decision.curve
        at = date - int(curve.dates[0])
        cost = asset.later if slot is None else asset.costs[slot]
        placed.append(Placed(each, slot, date, cost, min(*asset.costs, asset.later), float(curve.risk[at])))
    return Planned(
        tuple(placed), found.cost, found.bound, found.certified, found.gap, found.status, found.reproducible
    )  # fmt: skip
