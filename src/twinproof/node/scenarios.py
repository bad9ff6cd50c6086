"""Drafts of scenarios out of a node's own log: what is known of twins, pinned by log index, for somebody to edit.

A draft names the log as it stands, the newest prediction of each twin and the model that made them, and settings
that run as they are. What could not be taken in is told beside it, never dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from typing import Any, Final

from twinproof import __version__
from twinproof.errors import Malformed, NotFound
from twinproof.node.hindsight import Models, Spoken, courses
from twinproof.node.node import Node
from twinproof.node.statements import logged_about
from twinproof.prognosis.model import Model
from twinproof.simulation.scenario import FORMAT
from twinproof.twin.columns import Columns
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.reading import Reading
from twinproof.twin.statement import parse_statement

CHUNK: Final = 1024
"""Entries read at once."""
MODEL: Final = "model"
"""Name of the model among the inputs."""
SLOTS: Final = 8
LONGEST_SLOT: Final = 5
"""Cycles of a drafted slot at most."""

Report = Callable[[int, int], None]
"""(done, total)."""

_NOTES: Final = {
    "decision": ("terms: costs of maintenance in time and of a failure; lead: cycles from ordering to maintenance",
                 "terms.price, if given: what a cycle of running is worth; else the lowest cost per cycle is sought",
                 "draws: the same by Monte Carlo; leave it out to save time"),
    "plan": ("terms.price: what a cycle of running is worth; drafted as the mean of the assets' lowest costs per cycle",
             "limits: what is there per slot; used_up: what is left over stays for the next slot",
             "assets.needs: what maintenance takes of each limit; assets.duration: slots, 1 without"),
    "depot": ("depot: lengths of work and of the horizon in cycles, each length equally likely; costs as in terms",
              "assets.date: cycles from now at which one comes in; without, its own best date",
              "replications: more narrow the confidence intervals"),
    "cosimulation": ("connections: from an output to an input, as model, variable, model, variable",
                     "start: real parameters and inputs before the first step; step in seconds of the models' time",
                     "calibrate fits one variable to logged readings; begin is time 0 in POSIX seconds"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A twin's newest prediction and what it had run by then."""

    subject: str
    spoken: Spoken
    age: int


@dataclass(slots=True)
class Draft:
    """A scenario's value, for JSON, and what was left out of it."""

    value: dict[str, Any]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(twin, why)."""


@dataclass(frozen=True, slots=True)
class Wished:
    """What the author says at once; everything can be edited later."""

    name: str
    seed: int = 0
    planned: float = 1.0
    failure: float = 10.0
    lead: int = 5
    price: float | None = None
    slots: int = SLOTS
    cycles: int | None = None
    crew: int = 1
    spares: int = 1
    replications: int = 200
    draws: int | None = None


def draft(
    node: Node,
    kind: str,
    twins: Sequence[str],
    wished: Wished,
    model: bytes | None = None,
    report: Report = lambda done, total: None,
) -> Draft:
    """A decision, plan or depot of these twins; `model` is that of the first one's newest prediction without.

    Raises `NotFound` if no twin has a prediction whose model is here.
    """
    models = Models(node.blobs)
    left_out: list[tuple[str, str]] = []
    known: list[Foreseen] = []
    for done, subject in enumerate(twins):
        found = foreseen(node, subject, models)
        if isinstance(found, str):
            left_out.append((subject, found))
        else:
            name = found.spoken.prediction.model
            model = model or name
            if name == model:
                known.append(found)
            else:
                left_out.append((subject, f"its newest prediction is by another model, {name.hex()}"))
        report(done + 1, len(twins))
    held = models.get(model) if model is not None else None
    if not known or held is None or model is None:
        why = f": {left_out[0][0]}: {left_out[0][1]}" if left_out else ""
        raise NotFound(f"no twin named has a prediction that a scenario could begin with{why}")
    inputs: dict[str, Any] = {MODEL: {"sha256": model.hex()}}
    assets: list[dict[str, Any]] = []
    for number, each in enumerate(known, 1):
        inputs[f"forecast {number}"] = pin(node, each.spoken.entry)
        assets.append({"name": each.subject, "age": each.age, "prediction": f"forecast {number}"})
    terms: dict[str, Any] = {"planned": wished.planned, "failure": wished.failure, "lead": wished.lead}
    if wished.price is not None:
        terms["price"] = wished.price
    settings = {"terms": terms, "model": MODEL, "assets": assets}
    _ADD[kind](settings, wished, held, known)
    return Draft(_value(node, kind, wished, inputs, settings), left_out)


def foreseen(node: Node, subject: str, models: Models) -> Foreseen | str:
    """The newest prediction of a twin by a model that is here, or why there is none."""
    said = [course.said[-1] for course in courses(node.reader, subject, models)]
    if not said:
        return "no prediction is about it, or the model is not in the node's blobs"
    spoken = max(said, key=lambda each: each.entry)
    if spoken.x is None:
        return "the rows that its newest prediction read are not known"
    return Foreseen(subject, spoken, spoken.x)


def pin(node: Node, index: int) -> dict[str, Any]:
    """An input that is an entry of the log."""
    return {"sha256": sha256(node.reader.entry(index)).hexdigest(), "index": index}


def _value(
    node: Node, kind: str, wished: Wished, inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    head = node.reader.head()
    return {
        "format": FORMAT,
        "kind": kind,
        "name": wished.name,
        "notes": list(_NOTES[kind]),
        "seed": wished.seed,
        "tools": {"twinproof": __version__},
        "log": {"origin": node.config.origin, "size": head.size, "root": head.root.hex()},
        "inputs": dict(inputs),
        "settings": dict(settings),
    }


def _decision(settings: dict[str, Any], wished: Wished, model: Model, known: Sequence[Foreseen]) -> None:
    if wished.draws is not None:
        settings["draws"] = wished.draws


def _plan(settings: dict[str, Any], wished: Wished, model: Model, known: Sequence[Foreseen]) -> None:
    slots = wished.slots
    settings["slots"] = slots
    settings["cycles"] = wished.cycles or max(min(LONGEST_SLOT, int(model.cap) // (slots + 1)), 1)
    settings["limits"] = [
        {"name": "crew", "amounts": [wished.crew] * slots, "used_up": False},
        {"name": "spare", "amounts": [wished.spares] + [0] * (slots - 1), "used_up": True},
    ]
    for asset in settings["assets"]:
        asset["needs"] = {"crew": 1, "spare": 1}
    settings["terms"].setdefault("price", _usual_rate(settings["terms"], model, known))


def _usual_rate(terms: Mapping[str, Any], model: Model, known: Sequence[Foreseen]) -> float:
    from twinproof.prognosis.decision import Terms, decide, life_of_forecast

    wanted = Terms(terms["planned"], terms["failure"], terms["lead"])
    rates = []
    for each in known:
        said = each.spoken.prediction
        stretched = 1.0 if said.widened is None else model.limits.widen
        rates.append(decide(life_of_forecast(said.point, model.intervals, model.cap, stretched), wanted, each.age).rate)
    return float(f"{sum(rates) / len(rates):.3g}")


def _depot(settings: dict[str, Any], wished: Wished, model: Model, known: Sequence[Foreseen]) -> None:
    settings["depot"] = {
        "bays": wished.crew, "crews": wished.crew, "spares": wished.spares, "resupply": 10, "planned": [3, 4, 5],
        "repair": [8, 12], "horizon": 60, "planned_cost": wished.planned, "failure_cost": wished.failure,
        "downtime_cost": 0.05,
    }  # fmt: skip
    settings["replications"] = wished.replications


_ADD: Final = {"decision": _decision, "plan": _plan, "depot": _depot}


# --- co-simulation ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fit:
    """A parameter that is fitted to what a twin said."""

    sought: tuple[str, str]
    low: float
    high: float
    observed: tuple[str, str]
    twin: str
    signal: str
    begin: float | None = None
    """POSIX seconds of time 0; without, the first reading's."""


def draft_cosimulation(
    node: Node, fmus: Mapping[str, bytes], settings: Mapping[str, Any], wished: Wished, fit: Fit | None = None
) -> Draft:
    """Coupled models; their bytes go to the node's blobs. Raises `NotFound` if the twin has no such readings."""
    inputs: dict[str, Any] = {name: {"sha256": node.blobs.put(data).hex()} for name, data in fmus.items()}
    members = {"models": {name: name for name in fmus}, **settings}
    if fit is not None:
        taken = list(_readings(node, fit))
        if not taken:
            raise NotFound(f"the log holds no readings of {fit.signal} of {fit.twin}")
        begin = taken[0][1] if fit.begin is None else fit.begin
        inputs |= {f"readings {number}": pin(node, index) for number, (index, _, _) in enumerate(taken, 1)}
        if members.get("steps") is None:
            members["steps"] = max(ceil((max(last for _, _, last in taken) - begin) / members["step"]), 1)
        members["calibrate"] = {
            "model": fit.sought[0], "variable": fit.sought[1], "low": fit.low, "high": fit.high,
            "observed": list(fit.observed), "readings": [f"readings {n}" for n in range(1, len(taken) + 1)],
            "name": fit.signal, "begin": begin,
        }  # fmt: skip
    if members.get("steps") is None:
        raise Malformed("steps", "missing: without readings nothing says how long to simulate")
    return Draft(_value(node, "cosimulation", wished, inputs, members))


def _readings(node: Node, fit: Fit) -> list[tuple[int, float, float]]:
    """Log index, first and last time of each statement that holds the signal."""
    found = []
    for index, statement in logged_about(node.reader, fit.twin):
        payload = parse_payload(statement)
        held: list[Reading] = []
        if isinstance(payload, Columns):
            held = list(payload.readings())
        elif isinstance(payload, list):
            held = payload
        times = [reading.time for reading in held if reading.name == fit.signal]
        if times:
            found.append((index, min(times), max(times)))
    return found


# --- which twins --------------------------------------------------------------------------------


def twins_under(node: Node, prefix: str, report: Report) -> list[str]:
    """Twins whose IRIs begin so and that are not retired, in their order: the log is read once."""
    size = node.reader.head().size
    found: set[str] = set()
    ended: set[str] = set()
    for start in range(0, size, CHUNK):
        for raw in node.reader.entries(start, min(start + CHUNK, size)):
            statement = parse_statement(raw)
            if statement.subject.startswith(prefix):
                found.add(statement.subject)
                said = parse_payload(statement) if statement.content_type == DESCRIPTION else None
                if isinstance(said, Description) and said.lifecycle is not None:
                    retired = said.lifecycle is Lifecycle.RETIRED
                    (ended.add if retired else ended.discard)(statement.subject)
        report(min(start + CHUNK, size), size)
    return sorted(found - ended)
