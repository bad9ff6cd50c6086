"""A what-if as a file: what was asked, of which inputs, with which seed and tools. JSON (RFC 8259), strict.

    {"format": "twinproof.scenario/1", "kind": "depot", "name": "two crews instead of one", "seed": 7,
     "tools": {"numpy": "2.4.6", "simpy": "4.1.2"},
     "inputs": {"model": {"sha256": "ab…"}, "forecast of 17": {"sha256": "cd…", "index": 4711}},
     "settings": {…},
     ? "log": {"origin": "twin.example/log0", "size": 5000, "root": "ef…"}, ? "notes": ["…"]}

`inputs` pins bytes by their SHA-256; one with an `index` is the entry of the log with this index. `log` says which log
and how it stood when the inputs were chosen: every index lies below its size. `notes` are for readers. `tools` says
what the author had; a run elsewhere tells what it has. `settings` depend on the kind: `runs`, `cosimulation`. A file
with an unknown or repeated name, a number that is none, or anything too large is refused. The digest of a scenario is
SHA-256 of the deterministic CBOR of its value, so that neither spaces nor the order of names change it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.fields import fields, text, whole

FORMAT: Final = "twinproof.scenario/1"
KINDS: Final = ("decision", "plan", "depot", "cosimulation")
MAX_SCENARIO: Final = 4 * 1024 * 1024
MAX_INPUTS: Final = 20_000
MAX_NAME: Final = 128
MAX_TOOLS: Final = 32
"""Of settings too."""
MAX_DIGITS: Final = 40
"""Of a number."""
MAX_DEPTH: Final = 12
MAX_NOTES: Final = 32
MAX_NOTE: Final = 1000
"""Characters."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Input:
    """Bytes that a scenario needs."""

    sha256: bytes
    index: int | None
    """Log index of the entry that they are."""


@dataclass(frozen=True, slots=True)
class LogHead:
    """A log as it stood (RFC 9162)."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Scenario:
    """See the module."""

    kind: str
    name: str
    seed: int
    tools: Mapping[str, str]
    inputs: Mapping[str, Input]
    settings: Mapping[str, Any]
    """As parsed; its kind checks it."""
    digest: bytes
    log: LogHead | None = None
    """Where the indices count."""


def parse_scenario(data: bytes) -> Scenario:
    """The scenario in a file from anybody; raises `Malformed`."""
    if len(data) > MAX_SCENARIO:
        raise TooLarge("scenario", f"more than {MAX_SCENARIO} bytes")
    value = _json(data)
    found = fields(
        value, "scenario", ("format", "kind", "name", "seed", "tools", "inputs", "settings"), ("log", "notes")
    )
    if found["format"] != FORMAT:
        raise Malformed("scenario.format", f"not {FORMAT!r}")
    if found["kind"] not in KINDS:
        raise Malformed("scenario.kind", f"not one of {', '.join(KINDS)}")
    name = text(found["name"], "scenario.name", MAX_NAME)
    seed = whole(found["seed"], "scenario.seed", 0, 2**64)
    tools = _map(found["tools"], "scenario.tools", MAX_TOOLS)
    for tool, version in tools.items():
        text(version, f"scenario.tools.{tool}", MAX_NAME)
    inputs = {}
    for each, pinned in _map(found["inputs"], "scenario.inputs", MAX_INPUTS).items():
        what = f"scenario.inputs.{each}"
        members = fields(pinned, what, ("sha256",), ("index",))
        if type(members["sha256"]) is not str or not _DIGEST.fullmatch(members["sha256"]):
            raise Malformed(f"{what}.sha256", "not 64 lowercase hexadecimal digits")
        index = whole(members["index"], f"{what}.index", 0, 2**63) if "index" in members else None
        inputs[each] = Input(bytes.fromhex(members["sha256"]), index)
    settings = _map(found["settings"], "scenario.settings", MAX_TOOLS)
    log = _log(found["log"], inputs) if "log" in found else None
    for note in array(found.get("notes", []), "scenario.notes", MAX_NOTES, 0):
        text(note, "scenario.notes", MAX_NOTE)
    try:
        digest = hashlib.sha256(cbor.encode(value)).digest()
    except cbor.EncodeError as error:
        raise Malformed("scenario", str(error)) from None
    return Scenario(found["kind"], name, seed, tools, inputs, settings, digest, log)


def _log(value: cbor.Value, inputs: Mapping[str, Input]) -> LogHead:
    what = "scenario.log"
    members = fields(value, what, ("origin", "size", "root"))
    if type(members["root"]) is not str or not _DIGEST.fullmatch(members["root"]):
        raise Malformed(f"{what}.root", "not 64 lowercase hexadecimal digits")
    size = whole(members["size"], f"{what}.size", 1, 2**63)
    for name, pinned in inputs.items():
        if pinned.index is not None and pinned.index >= size:
            raise Malformed(f"scenario.inputs.{name}.index", f"not below {what}.size")
    return LogHead(text(members["origin"], f"{what}.origin", 255), size, bytes.fromhex(members["root"]))


def check_inputs(scenario: Scenario, inputs: Mapping[str, bytes]) -> None:
    """Raises `Malformed` unless these are the bytes that the scenario pins, all of them and no others."""
    for name in inputs:
        if name not in scenario.inputs:
            raise Malformed(f"inputs.{name}", "the scenario names no such input")
    for name, pinned in scenario.inputs.items():
        if name not in inputs:
            raise Malformed(f"inputs.{name}", "missing")
        if hashlib.sha256(inputs[name]).digest() != pinned.sha256:
            raise Malformed(f"inputs.{name}", "its SHA-256 is not the scenario's")


def number(value: cbor.Value, field: str, low: float, high: float) -> float:
    """A whole or other number in low..high, as a float."""
    if type(value) not in (int, float) or not low <= value <= high:
        raise Malformed(field, f"not a number in {low:g}..{high:g}")
    return float(value)


def array(value: cbor.Value, field: str, limit: int, low: int = 1) -> list[cbor.Value]:
    """An array of `low` to `limit` members."""
    if type(value) is not list or len(value) < low:
        raise Malformed(field, f"not an array of {low} members or more")
    if len(value) > limit:
        raise TooLarge(field, f"more than {limit} members")
    return value


def input_of(name: cbor.Value, field: str, inputs: Mapping[str, bytes]) -> bytes:
    """The bytes of an input that settings name."""
    if type(name) is not str or name not in inputs:
        raise Malformed(field, "names no input of the scenario")
    return inputs[name]


def _map(value: cbor.Value, field: str, limit: int) -> dict[str, cbor.Value]:
    if type(value) is not dict:
        raise Malformed(field, "not a map")
    if len(value) > limit:
        raise TooLarge(field, f"more than {limit} members")
    for name in value:
        text(name, field, MAX_NAME)
    return value


def _json(data: bytes) -> cbor.Value:
    try:
        source = data.decode()
    except UnicodeDecodeError:
        raise Malformed("scenario", "not UTF-8") from None
    depth = 0
    # Braces in texts count too: a text with a dozen of them that are not closed is no loss.
    for character in source:
        depth += (character in "[{") - (character in "]}")
        if depth > MAX_DEPTH:
            raise TooLarge("scenario", f"nested deeper than {MAX_DEPTH}")
    try:
        return json.loads(
            source, object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_float
        )
    except json.JSONDecodeError as error:
        raise Malformed("scenario", f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Malformed("scenario", "an object has a name twice")
    return made


def _constant(name: str) -> Any:
    raise Malformed("scenario", f"{name} is no number of JSON")


def _whole(digits: str) -> int:
    value = int(digits) if len(digits) <= MAX_DIGITS else 2**64
    if not -(2**63) <= value < 2**64:
        raise Malformed("scenario", "a whole number of more than 64 bits")
    return value


def _float(digits: str) -> float:
    value = float(digits) if len(digits) <= MAX_DIGITS else float("inf")
    if not -1e300 <= value <= 1e300:
        raise Malformed("scenario", "a number that is too large or too long")
    return value
