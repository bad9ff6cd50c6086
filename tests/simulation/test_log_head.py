"""The log that a scenario names, its notes, and what a run tells of how far it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulation.scenarios import asking, scenario
from twinproof.errors import Malformed, TooLarge
from twinproof.simulation.runs import check_settings, run
from twinproof.simulation.scenario import LogHead, parse_scenario

LOG: dict[str, Any] = {"origin": "twin.example/log0", "size": 5, "root": "ab" * 32}
PINNED: dict[str, Any] = {"x": {"sha256": "cd" * 32, "index": 4}}


def parsed(**changed: Any) -> Any:
    value = {**json.loads(scenario("decision", {}, {})), **changed}
    return parse_scenario(json.dumps(value).encode())


def test_a_log_is_named() -> None:
    found = parsed(log=LOG, inputs=PINNED, notes=["one", "two"])
    assert found.log == LogHead("twin.example/log0", 5, bytes.fromhex("ab" * 32))
    assert parsed().log is None
    assert found.digest != parsed(log={**LOG, "size": 6}, inputs=PINNED, notes=["one", "two"]).digest


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an index beyond it": ({"log": {**LOG, "size": 4}, "inputs": PINNED}, "scenario.inputs.x.index"),
    "an empty log": ({"log": {**LOG, "size": 0}}, "scenario.log.size"),
    "no number": ({"log": {**LOG, "size": "5"}}, "scenario.log.size"),
    "no root": ({"log": {"origin": "x", "size": 5}}, "scenario.log"),
    "a short root": ({"log": {**LOG, "root": "ab"}}, "scenario.log.root"),
    "another member": ({"log": {**LOG, "more": 1}}, "scenario.log"),
    "no notes": ({"notes": "x"}, "scenario.notes"),
    "a note that is none": ({"notes": [1]}, "scenario.notes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_log_is_refused(name: str) -> None:
    changed, field = WRONG[name]
    with pytest.raises(Malformed) as problem:
        parsed(**changed)
    assert problem.value.field.startswith(field)


def test_notes_are_bounded() -> None:
    with pytest.raises(TooLarge):
        parsed(notes=["x"] * 33)
    with pytest.raises(TooLarge):
        parsed(notes=["x" * 1001])


@pytest.mark.parametrize("kind", ["decision", "plan", "depot"])
def test_settings_are_checked_without_a_run(model: bytes, kind: str) -> None:
    data, inputs = asking(kind, model)
    check_settings(parse_scenario(data), inputs)
    value = json.loads(data)
    value["settings"]["terms"]["failure"] = 0.5
    with pytest.raises(Malformed, match=r"terms\.failure"):
        check_settings(parse_scenario(json.dumps(value).encode()), inputs)
    value = json.loads(data)
    value["settings"]["more"] = 1
    with pytest.raises(Malformed):
        check_settings(parse_scenario(json.dumps(value).encode()), inputs)


def test_a_long_run_tells_how_far_it_is(model: bytes) -> None:
    data, inputs = asking("depot", model)
    told: list[tuple[int, int]] = []
    run(parse_scenario(data), inputs, report=lambda done, total: told.append((done, total)))
    assert told == [(number, 20) for number in range(1, 21)]
