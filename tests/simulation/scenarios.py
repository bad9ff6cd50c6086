"""Scenarios and their inputs, as files."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.builders import signer
from twinproof.twin.prediction import PREDICTION, UNCLAIMED, Prediction, Read, format_prediction
from twinproof.twin.statement import sign_statement

PREDICTOR = signer("did:web:predictor.example", 9)
TERMS = {"planned": 1, "failure": 10, "lead": 3, "price": 0.1}
DEPOT = {
    "bays": 1, "crews": 1, "spares": 1, "resupply": 4, "planned": [1, 2], "repair": [4, 6], "horizon": 40,
    "planned_cost": 1, "failure_cost": 10.5, "downtime_cost": 0.1,
}  # fmt: skip


def prediction(model: bytes, point: float, *, widened: bool = False, twin: str = "urn:engine:1") -> bytes:
    """A logged prediction of this model."""
    said = Prediction(
        max(point - 8, 0.0), point, point + 8, UNCLAIMED if widened else 0.9, "{cycle}",
        hashlib.sha256(model).digest(), (Read("did:web:device.example", 0, 3, bytes(32)),),
        widened=0.9 if widened else None,
    )  # fmt: skip
    return sign_statement(
        PREDICTOR.key, issuer=PREDICTOR.issuer, subject=twin, content_type=PREDICTION,
        payload=format_prediction(said), seq=0, prev=None, issued_at=1_790_000_000,
    )  # fmt: skip


def scenario(kind: str, inputs: dict[str, bytes], settings: dict[str, Any], **changed: Any) -> bytes:
    """A scenario's file; `changed` replaces members."""
    value = {
        "format": "twinproof.scenario/1",
        "kind": kind,
        "name": "test",
        "seed": 7,
        "tools": {"numpy": "2.4.6"},
        "inputs": {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in inputs.items()},
        "settings": settings,
        **changed,
    }
    return json.dumps(value).encode()


def asking(kind: str, model: bytes, /, **changed: Any) -> tuple[bytes, dict[str, bytes]]:
    """A scenario of a small fleet, one forecast of it from the log, and its inputs; `changed` replaces settings."""
    inputs = {"model": model, "forecast": prediction(model, 21.0)}
    engines: list[dict[str, Any]] = [
        {"name": "a", "age": 90, "prediction": "forecast"},
        {"name": "b", "age": 100, "point": 12.5},
        {"name": "c", "age": 80, "point": 35.0, "widened": True},
    ]
    settings: dict[str, Any] = {"terms": TERMS, "model": "model", "assets": engines}
    if kind == "decision":
        settings["draws"] = 2000
    elif kind == "plan":
        settings |= {
            "slots": 5,
            "cycles": 5,
            "limits": [
                {"name": "crew", "amounts": [1, 1, 1, 1, 1], "used_up": False},
                {"name": "spare", "amounts": [1, 0, 0, 1, 0], "used_up": True},
            ],
        }
        for engine in engines:
            engine["needs"] = {"crew": 1, "spare": 1}
    else:
        settings |= {"depot": DEPOT, "replications": 20}
    return scenario(kind, inputs, {**settings, **changed}), inputs
