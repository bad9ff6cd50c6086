"""The part of settings that decisions, plans and depots share: money, the model, the assets' forecasts.

    "terms": {"planned": 1, "failure": 10, "lead": 10, ? "price": 0.005},
    "model": NAME OF AN INPUT,
    "assets": [{"name": text, "age": cycles, "prediction": NAME OF AN INPUT, …}, …]

The model is the model's document, a prediction the logged statement; it has to be a prediction of this model. Instead
of "prediction", "point": x (and "widened": true) asks about a forecast that nobody made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from twinproof.errors import Malformed
from twinproof.prognosis.decision import Decision, Life, Terms, decide, life_of_forecast
from twinproof.prognosis.model import Model, parse_model
from twinproof.proof import cbor
from twinproof.simulation.scenario import array, input_of, number
from twinproof.twin.fields import fields, text, whole
from twinproof.twin.prediction import PREDICTION, parse_prediction
from twinproof.twin.statement import MAX_IRI, parse_statement

MAX_ASSETS: Final = 5_000
MAX_AGE: Final = 2**53
SHARED: Final = ("terms", "model", "assets")
"""Names in settings that are read here."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One asset and what is known of it."""

    name: str
    age: int
    remaining: Life
    more: Mapping[str, Any]
    """Its members that are the kind's own."""


def read_terms(value: cbor.Value, field: str = "settings.terms") -> Terms:
    """Costs, lead time, price."""
    found = fields(value, field, ("planned", "failure", "lead"), ("price",))
    price = number(found["price"], f"{field}.price", 0.0, 1e12) if "price" in found else None
    planned, failure = (number(found[name], f"{field}.{name}", 0.0, 1e12) for name in ("planned", "failure"))
    return Terms(planned, failure, whole(found["lead"], f"{field}.lead", 0, 100_001), price)


def read_assets(
    settings: Mapping[str, Any], inputs: Mapping[str, bytes], own: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> list[Known]:
    """The assets, each with the distribution of its remaining life; raises `Malformed`.

    `own` are the members that the kind needs of each asset beside the shared ones, `optional` those it may have.
    """
    data = input_of(settings["model"], "settings.model", inputs)
    model = parse_model(data)
    digest = hashlib.sha256(data).digest()
    found = []
    for number_, value in enumerate(array(settings["assets"], "settings.assets", MAX_ASSETS)):
        what = f"settings.assets.{number_}"
        members = fields(value, what, ("name", "age", *own), ("prediction", "point", "widened", *optional))
        name = text(members["name"], f"{what}.name", MAX_IRI)
        age = whole(members["age"], f"{what}.age", 0, MAX_AGE)
        point, widened = _forecast(members, what, model, digest, inputs)
        remaining = life_of_forecast(point, model.intervals, model.cap, model.limits.widen if widened else 1.0)
        found.append(Known(name, age, remaining, members))
    if len({known.name for known in found}) != len(found):
        raise Malformed("settings.assets", "a name occurs twice")
    return found


def _forecast(
    members: Mapping[str, Any], what: str, model: Model, digest: bytes, inputs: Mapping[str, bytes]
) -> tuple[float, bool]:
    if ("prediction" in members) == ("point" in members):
        raise Malformed(what, "neither prediction nor point, or both")
    if "point" in members:
        widened = members.get("widened", False)
        if type(widened) is not bool:
            raise Malformed(f"{what}.widened", "neither true nor false")
        return number(members["point"], f"{what}.point", 0.0, model.cap), widened
    if "widened" in members:
        raise Malformed(f"{what}.widened", "the prediction says it")
    statement = parse_statement(input_of(members["prediction"], f"{what}.prediction", inputs))
    if statement.content_type != PREDICTION:
        raise Malformed(f"{what}.prediction", "a statement of another kind")
    prediction = parse_prediction(statement.payload, statement.issued_at)
    if prediction.model != digest:
        raise Malformed(f"{what}.prediction", "made by another model")
    return prediction.point, prediction.widened is not None


def decide_all(known: list[Known], terms: Terms) -> list[Decision]:
    """Each asset's best date on its own."""
    return [decide(each.remaining, terms, each.age) for each in known]
