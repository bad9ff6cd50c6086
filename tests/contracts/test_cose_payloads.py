"""What a contract reads of predictions and installations, against twinproof.twin's parsers."""

from __future__ import annotations

import struct
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.kit import Deployed, World, refused
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.installation import Installation, format_installation
from twinproof.twin.prediction import Prediction, Read, float_bits, format_prediction, parse_prediction

PREDICTION = Prediction(
    lower=10.0,
    point=20.5,
    upper=31.0,
    coverage=0.9,
    unit="cycles",
    model=bytes(32),
    reads=(Read("urn:a", 0, 4, bytes(32)),),
)
FULL = replace(PREDICTION, until=900, drivers={"T24": -3.5}, episode="since overhaul 2")
GOOD = format_prediction(PREDICTION)
UNIT_AT = 1 + 6 + 32 + 5


@pytest.fixture(scope="module")
def harness() -> Deployed:
    return World().deploy("CoseStatementHarness")


def python_takes(payload: bytes) -> bool:
    try:
        parse_prediction(payload)
    except Malformed:
        return False
    return True


def with_rul(*numbers: float) -> bytes:
    return GOOD[:7] + struct.pack(">4d", *numbers) + GOOD[39:]


def with_unit(item: bytes) -> bytes:
    return GOOD[:UNIT_AT] + item + GOOD[UNIT_AT + 7 :]


TINY = 5e-324
LARGEST = 1.7976931348623157e308
RIGHT = {
    "as it is": GOOD,
    "with everything": format_prediction(FULL),
    "nothing is left": with_rul(0.0, 0.0, 0.0, 0.5),
    "no width": with_rul(7.0, 7.0, 7.0, 0.5),
    "coverage of 1": with_rul(1.0, 2.0, 3.0, 1.0),
    "coverage above 0": with_rul(1.0, 2.0, 3.0, TINY),
    "the smallest": with_rul(TINY, TINY, TINY, 0.5),
    "the largest": with_rul(0.0, LARGEST, LARGEST, 0.5),
    "a unit of one": with_unit(b"\x61h"),
    "a unit of 16": with_unit(cbor.encode("~" * 15 + "!")),
}
WRONG = {
    "nothing": b"",
    "NaN below": with_rul(nan, 2.0, 3.0, 0.5),
    "NaN": with_rul(1.0, nan, 3.0, 0.5),
    "NaN above": with_rul(1.0, 2.0, nan, 0.5),
    "negative NaN": with_rul(1.0, 2.0, -nan, 0.5),
    "infinite": with_rul(1.0, 2.0, inf, 0.5),
    "all infinite": with_rul(inf, inf, inf, 0.5),
    "negative": with_rul(-1.0, 2.0, 3.0, 0.5),
    "all negative": with_rul(-1.0, -2.0, -3.0, 0.5),
    "minus infinity": with_rul(-inf, 2.0, 3.0, 0.5),
    "minus zero below": with_rul(-0.0, 2.0, 3.0, 0.5),
    "all minus zero": with_rul(-0.0, -0.0, -0.0, 0.5),
    "lower above point": with_rul(2.5, 2.0, 3.0, 0.5),
    "point above upper": with_rul(1.0, 3.5, 3.0, 0.5),
    "coverage 0": with_rul(1.0, 2.0, 3.0, 0.0),
    "coverage minus 0": with_rul(1.0, 2.0, 3.0, -0.0),
    "coverage above 1": with_rul(1.0, 2.0, 3.0, 1.0000000000000002),
    "coverage negative": with_rul(1.0, 2.0, 3.0, -0.5),
    "coverage NaN": with_rul(1.0, 2.0, 3.0, nan),
    "coverage infinite": with_rul(1.0, 2.0, 3.0, inf),
    "rul of 31 bytes": GOOD[:5] + b"\x58\x1f" + GOOD[7:38] + GOOD[39:],
    "rul's length in three bytes": GOOD[:5] + b"\x59\x00\x20" + GOOD[7:],
    "rul as text": GOOD[:5] + b"\x78\x20" + GOOD[7:],
    "another first key": GOOD.replace(b"\x63rul", b"\x63rum"),
    "another second key": GOOD.replace(b"\x64unit", b"\x64unis"),
    "unit first": cbor.encode({"unit": "h"}),
    "rul alone": b"\xa1" + GOOD[1:39],
    "a map in two bytes": b"\xb8\x04" + GOOD[1:],
    "a map without end": b"\xbf" + GOOD[1:] + b"\xff",
    "an array": b"\x84" + GOOD[1:],
    "empty unit": with_unit(b"\x60"),
    "a unit of 17": with_unit(cbor.encode("x" * 17)),
    "a unit of 24": with_unit(cbor.encode("x" * 24)),
    "a unit's length in two bytes": with_unit(b"\x78\x06cycles"),
    "a unit in bytes": with_unit(b"\x46cycles"),
    "a unit with a space": with_unit(b"\x66cyc es"),
    "a unit with a space at the end": with_unit(b"\x66cycle "),
    "a unit with DEL": with_unit(b"\x66\x7fycles"),
    "a unit with NUL": with_unit(b"\x66cycle\0"),
    "a unit beyond ASCII": with_unit(cbor.encode("größe")),
    "a unit that is not UTF-8": with_unit(b"\x66cycle\xff"),
    "cut in rul": GOOD[:38],
    "cut before unit": GOOD[:39],
    "cut in unit": GOOD[: UNIT_AT + 6],
}


def test_predictions_that_are_taken(harness: Deployed) -> None:
    for name, payload in RIGHT.items():
        read = parse_prediction(payload)
        bits = tuple(float_bits(value) for value in (read.lower, read.point, read.upper, read.coverage))
        assert harness.call("prediction", payload) == (*bits, keccak(read.unit.encode())), name


def test_predictions_that_are_refused(harness: Deployed) -> None:
    names = list(WRONG)
    found = harness.call("predictions", list(WRONG.values()))
    assert dict(zip(names, found, strict=True)) == dict.fromkeys(names, 0)
    assert [name for name, payload in WRONG.items() if python_takes(payload)] == []


def test_the_refusal_names_the_place(harness: Deployed) -> None:
    places = {
        "an array": 0,
        "another first key": 1,
        "NaN": 7,
        "coverage 0": 31,
        "another second key": 39,
        "empty unit": 44,
    }
    for name, offset in places.items():
        with refused(f"BadStatement({offset})"):
            harness.call("prediction", WRONG[name])


@settings(max_examples=200)
@given(st.tuples(*(st.floats(allow_nan=True) for _ in range(4))), st.booleans())
def test_any_four_numbers_are_judged_alike(
    harness: Deployed, numbers: tuple[float, float, float, float], ordered: bool
) -> None:
    if ordered:
        lower, point, upper = sorted(abs(value) for value in numbers[:3])
        numbers = (lower, point, upper, numbers[3])
    payload = with_rul(*numbers)
    assert bool(harness.call("predictions", [payload])[0]) == python_takes(payload)


def test_any_byte_of_a_unit_is_judged_alike(harness: Deployed) -> None:
    payloads = [with_unit(bytes([0x60 + size]) + bytes([ord("a")] * (size - 1) + [byte]))
                for byte in range(256) for size in (1, 5, 16)]  # fmt: skip
    found = harness.call("predictions", payloads)
    assert [bool(answer) for answer in found] == [python_takes(payload) for payload in payloads]
    assert sum(found) == 3 * 94


def test_installations(harness: Deployed) -> None:
    part, order = bytes(range(32)), bytes(range(100, 132))
    for installation in (Installation(part, order), Installation(part, order, "SN 7", "replaced in place")):
        assert harness.call("installation", format_installation(installation)) == (order, part)
    good = format_installation(Installation(part, order))
    wrong = {
        b"": 0,
        b"\xa1" + good[1:40]: 0,
        b"\xb8\x02" + good[1:]: 0,
        b"\x82" + good[1:]: 0,
        good.replace(b"part", b"pact"): 1,
        good[:6] + b"\x58\x1f" + good[8:39] + good[40:]: 1,
        good.replace(b"order", b"ordep"): 40,
        good[:-1]: 48,
        good[:40]: 40,
        good[:30]: 40,
    }
    for payload, offset in wrong.items():
        with refused(f"BadStatement({offset})"):
            harness.call("installation", payload)
