"""Columns against a model: no sample hides behind a missing one, or between two that fit."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from math import nan

import pytest

from tests.builders import GATEWAY, START, TWIN
from tests.node.bench import Bench
from twinproof.errors import Malformed
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.model import MODEL, ModelDocument, format_model

ENGINE = "dtmi:example:engine;1"
MODES = {
    "@type": "Enum",
    "valueSchema": "integer",
    "enumValues": [{"name": "off", "enumValue": 1}, {"name": "on", "enumValue": 5}],
}
DOCUMENT = {
    "@context": "dtmi:dtdl:context;3",
    "@id": ENGINE,
    "@type": "Interface",
    "contents": [
        {"@type": "Telemetry", "name": "count", "schema": "integer"},
        {"@type": "Telemetry", "name": "mode", "schema": MODES},
        {"@type": "Telemetry", "name": "speed", "schema": "float"},
    ],
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """A twin with a published model."""
    with Bench() as made:
        script = made.script
        script.grant(GATEWAY, Capability, Scope("prefix", ""))
        script.say(GATEWAY, ENGINE, MODEL, format_model(ModelDocument("dtdl", json.dumps(DOCUMENT).encode())))
        script.describe(GATEWAY, Description(model=ENGINE))
        made.take(*script.raws[1:])
        yield made


def drafted(bench: Bench, name: str, samples: array[float]) -> bytes:
    return bench.script.draft(GATEWAY, TWIN, COLUMNS, format_columns(START, [(name, None, samples)], step=1))


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("count", array("d", [1.5, 2.0])),
        ("count", array("d", [nan, 1.5, 2.0])),
        ("count", array("q", [1, 2**40, 2])),
        ("nothing", array("d", [nan, 1.5])),
        ("mode", array("b", [1, 3, 5])),
        ("mode", array("d", [nan, 1.0])),
        ("speed", array("d", [nan, 1e300, 1.0])),
        ("speed", array("d", [1.0, nan, -1e300, nan])),
    ],
)
def test_refused(bench: Bench, name: str, samples: array[float]) -> None:
    before = bench.entries()
    refusal = bench.refusal(drafted(bench, name, samples))
    assert isinstance(refusal, Malformed)
    assert refusal.field == name
    assert bench.entries() == before


def test_taken(bench: Bench) -> None:
    script = bench.script
    for name, samples in (
        ("count", array("h", [3, -2])),
        ("mode", array("b", [1, 5, 1])),
        ("speed", array("d", [nan, 1.0, nan])),
        ("speed", array("d", [nan, nan])),
    ):
        payload = format_columns(START, [(name, None, samples)], step=1)
        bench.take(script.say(GATEWAY, TWIN, COLUMNS, payload).raw)
    assert bench.findings() == []
