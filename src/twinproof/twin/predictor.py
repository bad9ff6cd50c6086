"""A predictor: which trained model forecasts for a twin, or for each twin of an asset model, and since when.

    {"model": digest, "stage": "candidate" | "active" | "retired", "unit": text, "coverage": x,
     "trained": {"size": n, "root": hash, "twins": n, "failed": n, "rows": n},
     ? "cycle": name, ? "card": digest, ? "text": text}

`sub` is a twin, or the identifier of a model of twins. Promotion and retirement are statements of the same digest with
another stage. Of one subject at most one predictor is active: a newer one retires it. Normative page:
spec/prediction.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields, finite, property_name, text, whole
from twinproof.twin.prediction import parse_unit
from twinproof.twin.statement import MAX_SEQ, shown

PREDICTOR: Final = "application/vnd.twinproof.predictor+cbor"
MAX_TEXT: Final = 1000
"""Characters."""
MAX_COUNT: Final = 2**53
"""Of twins and rows."""
MAX_PREDICTORS: Final = 64
"""Kept in the state of one subject: when there are more, the oldest that is not active goes."""


class Stage(StrEnum):
    """Where a predictor is in its life."""

    CANDIDATE = "candidate"
    """Trained and published; nothing is predicted with it."""
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a model learnt from: the log as it was."""

    size: int
    """Entries of the log."""
    root: bytes
    """Root hash of the log at that size."""
    twins: int
    failed: int
    """Of them, those whose end is known."""
    rows: int


@dataclass(frozen=True, slots=True)
class Predictor:
    """What a predictor statement says."""

    model: bytes
    """SHA-256 of the model's document."""
    stage: Stage
    unit: str
    """Of what it predicts."""
    coverage: float
    """Of the intervals that are stated: 0 < coverage < 1."""
    trained: Trained
    cycle: str | None = None
    """Name of the reading that counts cycles; None: rows are counted from 1."""
    card: bytes | None = None
    """SHA-256 of the model card."""
    text: str | None = None

    def at(self, stage: Stage) -> Predictor:
        """The same at another stage, without the remark."""
        return replace(self, stage=stage, text=None)


class StandingPredictor(NamedTuple):
    """A predictor as a state keeps it."""

    predictor: Predictor
    entry: int
    """Log index of the statement that led to its stage."""


def fold_predictor(
    held: Mapping[bytes, StandingPredictor], predictor: Predictor, entry: int
) -> dict[bytes, StandingPredictor]:
    """What stands after a statement, by the model's digest."""
    found = dict(held)
    if predictor.stage is Stage.ACTIVE:
        for name, other in held.items():
            if other.predictor.stage is Stage.ACTIVE and name != predictor.model:
                found[name] = StandingPredictor(other.predictor.at(Stage.RETIRED), entry)
    found[predictor.model] = StandingPredictor(predictor, entry)
    if len(found) > MAX_PREDICTORS:
        idle = {name: other.entry for name, other in found.items() if other.predictor.stage is not Stage.ACTIVE}
        del found[min(idle, key=lambda name: (idle[name], name))]
    return found


def active_predictor(held: Mapping[bytes, StandingPredictor]) -> StandingPredictor | None:
    """The one that is active."""
    return next((other for other in held.values() if other.predictor.stage is Stage.ACTIVE), None)


def format_predictor(predictor: Predictor) -> bytes:
    """The payload of a predictor statement."""
    return cbor.encode(predictor_map(predictor))


def predictor_map(predictor: Predictor) -> dict[int | str, cbor.Value]:
    """The payload as a map."""
    trained = predictor.trained
    value: dict[int | str, cbor.Value] = {
        "model": predictor.model,
        "stage": predictor.stage.value,
        "unit": predictor.unit,
        "coverage": predictor.coverage,
        "trained": {name: getattr(trained, name) for name in _TRAINED},
    }
    for name in ("cycle", "card", "text"):
        if getattr(predictor, name) is not None:
            value[name] = getattr(predictor, name)
    return value


_TRAINED: Final = ("size", "root", "twins", "failed", "rows")


def parse_predictor(payload: bytes, issued_at: int = 0) -> Predictor:
    """Read a predictor payload; raises `Malformed` naming the key."""
    return read_predictor(cbor.decode(payload, what="predictor"))


def read_predictor(value: cbor.Value) -> Predictor:
    """Read a decoded predictor payload; raises `Malformed` naming the key."""
    what = "predictor"
    value = fields(value, what, ("model", "stage", "unit", "coverage", "trained"), ("cycle", "card", "text"))
    if value["stage"] not in tuple(Stage):
        raise Malformed(f"{what}.stage", f"{shown(value['stage'])} is none of {', '.join(Stage)}")
    coverage = finite(value["coverage"], f"{what}.coverage")
    if not 0 < coverage < 1:
        raise Malformed(f"{what}.coverage", "not between 0 and 1")
    return Predictor(
        model=digest(value["model"], f"{what}.model"),
        stage=Stage(value["stage"]),
        unit=parse_unit(value["unit"], f"{what}.unit"),
        coverage=coverage,
        trained=_trained(value["trained"], f"{what}.trained"),
        cycle=property_name(value["cycle"], f"{what}.cycle") if "cycle" in value else None,
        card=digest(value["card"], f"{what}.card") if "card" in value else None,
        text=text(value["text"], f"{what}.text", MAX_TEXT) if "text" in value else None,
    )


def _trained(value: cbor.Value, what: str) -> Trained:
    value = fields(value, what, _TRAINED)
    twins, failed, rows = (whole(value[name], f"{what}.{name}", 0, MAX_COUNT) for name in _TRAINED[2:])
    if failed > twins:
        raise Malformed(f"{what}.failed", "more than there are twins")
    return Trained(
        whole(value["size"], f"{what}.size", 1, MAX_SEQ), digest(value["root"], f"{what}.root"), twins, failed, rows
    )
