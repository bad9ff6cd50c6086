"""Scenario files from strangers: read strictly, refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.scenarios import scenario
from twinproof.errors import Malformed, TooLarge, TwinproofError
from twinproof.simulation.scenario import MAX_SCENARIO, check_inputs, parse_scenario

FILE = scenario("decision", {"model": b"model"}, {"draws": 5})


def changed(**members: Any) -> bytes:
    value = json.loads(FILE)
    value.update(members)
    return json.dumps(value).encode()


def test_a_scenario_is_read() -> None:
    found = parse_scenario(FILE)
    assert (found.kind, found.name, found.seed) == ("decision", "test", 7)
    assert found.inputs["model"].index is None
    check_inputs(found, {"model": b"model"})
    pinned = {"model": {**json.loads(FILE)["inputs"]["model"], "index": 4711}}
    assert parse_scenario(changed(inputs=pinned)).inputs["model"].index == 4711


def test_only_the_value_counts_for_the_digest() -> None:
    value = json.loads(FILE)
    other = json.dumps(dict(reversed(value.items())), indent=3).encode()
    assert other != FILE
    assert parse_scenario(other).digest == parse_scenario(FILE).digest
    assert parse_scenario(changed(seed=8)).digest != parse_scenario(FILE).digest


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "scenario"),
    "not UTF-8": (b"\xff{}", "scenario"),
    "not JSON": (b"{", "scenario"),
    "two values": (FILE + b"{}", "scenario"),
    "a list": (b"[]", "scenario"),
    "another format": (changed(format="twinproof.scenario/2"), "scenario.format"),
    "another kind": (changed(kind="shell"), "scenario.kind"),
    "kind is a list": (changed(kind=["plan"]), "scenario.kind"),
    "an unknown member": (changed(command="rm"), "scenario"),
    "seed is negative": (changed(seed=-1), "scenario.seed"),
    "seed is a float": (changed(seed=7.0), "scenario.seed"),
    "seed is true": (changed(seed=True), "scenario.seed"),
    "seed is too large": (changed(seed=2**64), "scenario"),
    "a number of many digits": (FILE.replace(b'"seed": 7', b'"seed": ' + b"9" * 5000), "scenario"),
    "a float of many digits": (FILE.replace(b'"draws": 5', b'"draws": 0.' + b"1" * 5000), "scenario"),
    "a number beyond floats": (FILE.replace(b'"draws": 5', b'"draws": 1e999'), "scenario"),
    "NaN": (FILE.replace(b'"draws": 5', b'"draws": NaN'), "scenario"),
    "Infinity": (FILE.replace(b'"draws": 5', b'"draws": -Infinity'), "scenario"),
    "a name twice": (FILE.replace(b'"seed": 7', b'"seed": 7, "seed": 8'), "scenario"),
    "a lone surrogate": (changed(settings={"x": "\ud800"}), "scenario"),
    "name is empty": (changed(name=""), "scenario.name"),
    "name with a control": (changed(name="a\x00b"), "scenario.name"),
    "tools is a list": (changed(tools=[]), "scenario.tools"),
    "a version is a number": (changed(tools={"numpy": 2}), "scenario.tools.numpy"),
    "inputs is a list": (changed(inputs=["model"]), "scenario.inputs"),
    "a digest in capitals": (changed(inputs={"m": {"sha256": "AB" * 32}}), "scenario.inputs.m.sha256"),
    "a digest too short": (changed(inputs={"m": {"sha256": "ab" * 31}}), "scenario.inputs.m.sha256"),
    "a digest with a line feed": (changed(inputs={"m": {"sha256": "ab" * 32 + "\n"}}), "scenario.inputs.m.sha256"),
    "an index below zero": (changed(inputs={"m": {"sha256": "ab" * 32, "index": -1}}), "scenario.inputs.m.index"),
    "a path beside a digest": (changed(inputs={"m": {"sha256": "ab" * 32, "path": "/"}}), "scenario.inputs.m"),
    "settings is a text": (changed(settings="x"), "scenario.settings"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(name: str) -> None:
    data, field = HOSTILE[name]
    with pytest.raises(Malformed) as caught:
        parse_scenario(data)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "data",
    [b" " * (MAX_SCENARIO + 1), b"[" * 100_000, b'{"a":' * 50_000, changed(tools={str(n): "1" for n in range(99)})],
    ids=["long", "deep", "deep in maps", "many tools"],
)
def test_what_is_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(TooLarge):
        parse_scenario(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(TwinproofError):
        parse_scenario(data)


@given(st.data())
def test_any_changed_byte_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(FILE)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_scenario(bytes(raw))
    except TwinproofError:
        return


def test_inputs_have_to_be_the_pinned_ones() -> None:
    found = parse_scenario(FILE)
    for inputs, field in (
        ({}, "inputs.model"),
        ({"model": b"Model"}, "inputs.model"),
        ({"model": b"model", "more": b""}, "inputs.more"),
    ):
        with pytest.raises(Malformed) as caught:
            check_inputs(found, inputs)
        assert caught.value.field == field
