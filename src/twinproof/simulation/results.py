"""What a scenario came to, as bytes that a stranger's run is compared with.

Deterministic CBOR (RFC 8949 §4.2.1):

    {"format": "twinproof.result/1", "scenario": digest, "kind": text, "tools": {name: version},
     "reproducible": bool, "result": {…}}

`tools` are those that ran; they may differ between two runs without the result doing so, and are told apart.
`reproducible` is false if a clock had a say (a plan that its time limit stopped).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any, Final

from twinproof.errors import ForecastMismatch, Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields

FORMAT: Final = "twinproof.result/1"
MEDIA_TYPE: Final = "application/vnd.twinproof.result+cbor"
SCENARIO_RESULT: Final = "urn:twinproof:scenario-result"
"""Type of the attestation that states a result: its document is the result, its text JSON that names the scenario."""
MAX_RESULT: Final = 256 * 1024 * 1024
MOST_DIFFERENCES: Final = 100


@dataclass(frozen=True, slots=True)
class Result:
    """See the module."""

    scenario: bytes
    """`Scenario.digest`."""
    kind: str
    tools: Mapping[str, str]
    reproducible: bool
    result: Mapping[str, Any]

    def to_cbor(self) -> bytes:
        """Deterministic."""
        return cbor.encode(
            {
                "format": FORMAT,
                "scenario": self.scenario,
                "kind": self.kind,
                "tools": dict(self.tools),
                "reproducible": self.reproducible,
                "result": dict(self.result),
            }
        )

    @property
    def digest(self) -> bytes:
        """SHA-256 of its bytes."""
        return hashlib.sha256(self.to_cbor()).digest()


def parse_result(data: bytes) -> Result:
    """From anybody's bytes; raises `Malformed`."""
    if len(data) > MAX_RESULT:
        raise TooLarge("result", f"more than {MAX_RESULT} bytes")
    found = fields(
        cbor.decode(data, what="result"), "result", ("format", "scenario", "kind", "tools", "reproducible", "result")
    )
    if found["format"] != FORMAT:
        raise Malformed("result.format", f"not {FORMAT!r}")
    tools, value = found["tools"], found["result"]
    if type(tools) is not dict or not all(type(x) is str for pair in tools.items() for x in pair):
        raise Malformed("result.tools", "not a map of text to text")
    if type(value) is not dict or type(found["kind"]) is not str or type(found["reproducible"]) is not bool:
        raise Malformed("result", "a member of another type")
    return Result(digest(found["scenario"], "result.scenario"), found["kind"], tools, found["reproducible"], value)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two results differ."""

    field: str
    recorded: str
    rerun: str


def compare(recorded: Result, rerun: Result, tolerance: float = 0.0) -> list[Difference]:
    """Where they differ, at most `MOST_DIFFERENCES` places; none: the same. Tools are not compared.

    Floats are the same if their bits are, or if they lie within a relative `tolerance`, for native models that were
    compiled anew.
    """
    found: list[Difference] = []
    for name in ("scenario", "kind", "reproducible"):
        _compare(getattr(recorded, name), getattr(rerun, name), name, tolerance, found)
    _compare(dict(recorded.result), dict(rerun.result), "result", tolerance, found)
    return found[:MOST_DIFFERENCES]


def check_rerun(recorded: Result, rerun: Result, tolerance: float = 0.0) -> None:
    """Raises `ForecastMismatch`, naming the first place that differs and the tools that do."""
    differences = compare(recorded, rerun, tolerance)
    if not differences:
        return
    tools = [
        f"{name} {recorded.tools.get(name, 'none')} / {rerun.tools.get(name, 'none')}"
        for name in sorted({*recorded.tools, *rerun.tools})
        if recorded.tools.get(name) != rerun.tools.get(name)
    ]
    first = differences[0]
    reason = f"recorded {first.recorded}, the rerun says {first.rerun}"
    raise ForecastMismatch(first.field, reason + (f" (other tools: {', '.join(tools)})" if tools else ""))


def _compare(recorded: Any, rerun: Any, field: str, tolerance: float, found: list[Difference]) -> None:
    if len(found) >= MOST_DIFFERENCES:
        return
    if type(recorded) is type(rerun) is dict:
        for name in sorted({*recorded, *rerun}, key=str):
            if name in recorded and name in rerun:
                _compare(recorded[name], rerun[name], f"{field}.{name}", tolerance, found)
            else:
                found.append(
                    Difference(f"{field}.{name}", *("there" if name in x else "absent" for x in (recorded, rerun)))
                )
    elif type(recorded) is type(rerun) is list and len(recorded) == len(rerun):
        for at, (one, other) in enumerate(zip(recorded, rerun, strict=True)):
            _compare(one, other, f"{field}.{at}", tolerance, found)
    elif type(recorded) is type(rerun) is float and tolerance and isclose(recorded, rerun, rel_tol=tolerance):
        return
    elif cbor.encode(recorded) != cbor.encode(rerun):
        found.append(Difference(field, _shown(recorded), _shown(rerun)))


def _shown(value: Any) -> str:
    shown = value.hex() if type(value) is bytes else repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
