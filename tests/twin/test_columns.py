"""Columns: the arrays against struct, round trips, and every way to break a payload."""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.proof.cbor import EncodeError, Tagged
from twinproof.twin.columns import MAX_COLUMNS, Columns, format_columns, parse_columns, view
from twinproof.twin.reading import MAX_PAYLOAD, RELATIVE_BELOW, TIME_LIMIT, Reading

NOW = 1_700_000_000
NAN64 = bytes.fromhex("000000000000f87f")
NAN32 = bytes.fromhex("0000c07f")
# RFC 8746 §2.1, table 1: little-endian and one-byte elements.
RFC_TAGS = {64: "B", 69: "H", 70: "I", 71: "Q", 72: "b", 77: "h", 78: "i", 79: "q", 85: "f", 86: "d"}


def doubles(*numbers: float) -> Tagged:
    return Tagged(86, struct.pack(f"<{len(numbers)}d", *numbers))


def content(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"bt": NOW, "dt": 0.5, "n": 2, "c": [["T2", "[degR]", doubles(1.5, 2.5)]]}
    whole.update(changes)
    return {key: value for key, value in whole.items() if value is not None}


def parse(value: Any, now: int = NOW) -> Columns:
    return parse_columns(cbor.encode(value), now)


# --- reading --------------------------------------------------------------------------------


@pytest.mark.parametrize(("tag", "code"), RFC_TAGS.items())
def test_every_element_type(tag: int, code: str) -> None:
    size = struct.calcsize(f"<{code}")
    numbers = [0, 1, 2 ** (8 * size - 2)] if code not in "fd" else [0.0, -1.5, 2.0**100]
    raw = struct.pack(f"<3{code}", *numbers)
    (column,) = parse(content(n=3, c=[["a", None, Tagged(tag, raw)]])).columns
    assert column.values.tolist() == numbers
    assert column.values.format == code


@pytest.mark.parametrize("code", RFC_TAGS.values())
def test_a_big_endian_host_reads_the_same(code: str) -> None:
    size = struct.calcsize(f"<{code}")
    foreign = array(code, [1, 2, 3])
    foreign.byteswap()  # what this host sees if its order is not the payload's
    assert view(foreign.tobytes(), code, swap=True).tolist() == [1, 2, 3]
    assert view(bytes(3 * size), code, swap=False).tolist() == [0, 0, 0]


def test_rows_in_time_order() -> None:
    columns = parse(content(c=[["a", "m", doubles(1, 2)], ["b", None, Tagged(64, b"\x07\x08")]]))
    assert columns.rows == 2
    assert columns.times() == [columns.time(0), columns.time(1)] == [NOW, NOW + 0.5]
    assert list(columns.readings()) == [
        Reading("a", 1.0, "m", NOW),
        Reading("b", 7, None, NOW),
        Reading("a", 2.0, "m", NOW + 0.5),
        Reading("b", 8, None, NOW + 0.5),
    ]


def test_rows_at_offsets() -> None:
    columns = parse(content(dt=None, n=None, t=doubles(-1, 0.25)))
    assert columns.times() == [columns.time(0), columns.time(1)] == [NOW - 1, NOW + 0.25]
    assert columns.step is None


def test_a_small_base_time_is_relative() -> None:
    assert parse(content(bt=-60), now=NOW).times() == [NOW - 60, NOW - 59.5]
    assert parse(content(bt=RELATIVE_BELOW)).times()[0] == RELATIVE_BELOW


def test_missing_samples() -> None:
    a = Tagged(86, struct.pack("<d", 1) + NAN64)
    b = Tagged(85, NAN32 + struct.pack("<f", 2))
    nothing = Tagged(86, NAN64 * 2)
    columns = parse(content(c=[["a", None, a], ["b", None, b], ["none", None, nothing]]))
    assert list(columns.readings()) == [Reading("a", 1.0, None, NOW), Reading("b", 2.0, None, NOW + 0.5)]
    assert columns.latest() == [Reading("a", 1.0, None, NOW), Reading("b", 2.0, None, NOW + 0.5)]


def test_latest_is_the_last_row() -> None:
    assert parse(content()).latest() == [Reading("T2", 2.5, "[degR]", NOW + 0.5)]


def test_finite_samples_whose_sum_is_not() -> None:
    (column,) = parse(content(c=[["a", None, doubles(1e308, 1e308)]])).columns
    assert column.values.tolist() == [1e308, 1e308]


# --- what is refused ------------------------------------------------------------------------

BAD = [
    ([], "columns", "not a map"),
    ({}, "columns", "either"),
    (content(x=1), "columns", "either"),
    (content(t=doubles(0, 1)), "columns", "either"),
    (content(dt=None), "columns", "either"),
    (content(bt="x"), "bt", "seconds"),
    (content(bt=True), "bt", "seconds"),
    (content(bt=math.nan), "bt", "seconds"),
    (content(bt=math.inf), "bt", "seconds"),
    (content(bt=TIME_LIMIT), "dt", "9999"),
    (content(bt=-NOW - 1), "dt", "1970"),
    (content(dt=0), "dt", "above 0"),
    (content(dt=-1), "dt", "above 0"),
    (content(dt="1"), "dt", "seconds"),
    (content(dt=math.inf), "dt", "seconds"),
    (content(dt=2**63), "dt", "seconds"),
    (content(dt=TIME_LIMIT), "dt", "9999"),
    (content(n=0), "n", "positive"),
    (content(n=2.0), "n", "positive"),
    (content(n=True), "n", "positive"),
    (content(n=3), "column T2", "2 samples; the pack has 3"),
    (content(dt=None, n=None, t=[0, 1]), "t", "tag 86"),
    (content(dt=None, n=None, t=Tagged(85, bytes(8))), "t", "tag 86"),
    (content(dt=None, n=None, t=Tagged(86, bytes(9))), "t", "8-byte"),
    (content(dt=None, n=None, t=Tagged(86, b"")), "t", "no rows"),
    (content(dt=None, n=None, t=Tagged(86, NAN64 * 2)), "t", "finite"),
    (content(dt=None, n=None, t=doubles(0, math.inf)), "t", "finite"),
    (content(dt=None, n=None, t=doubles(1, 0)), "t", "decrease"),
    (content(dt=None, n=None, t=doubles(0, TIME_LIMIT)), "t", "9999"),
    (content(dt=None, n=None, t=doubles(0, 1, 2)), "column T2", "2 samples"),
    (content(c=[]), "c", "at least one"),
    (content(c={}), "c", "array"),
    (content(c=[[]]), "column 1", "typed array"),
    (content(c=[["a", None, doubles(1, 2), 1]]), "column 1", "typed array"),
    (content(c=[[1, None, doubles(1, 2)]]), "column 1, name", "not text"),
    (content(c=[["a b", None, doubles(1, 2)]]), "column 1, name", "outside"),
    (content(c=[["a", None, doubles(1, 2)], ["a", None, doubles(1, 2)]]), "column 2, name", "already"),
    (content(c=[["a", 1, doubles(1, 2)]]), "column 1, unit", "neither"),
    (content(c=[["a", "", doubles(1, 2)]]), "column 1, unit", "UCUM"),
    (content(c=[["a", "[x", doubles(1, 2)]]), "column 1, unit", "missing"),
    (content(c=[["a", None, [1, 2]]]), "column a", "typed array"),
    (content(c=[["a", None, Tagged(86, "x")]]), "column a", "byte string"),
    (content(c=[["a", None, Tagged(86, bytes(15))]]), "column a", "8-byte"),
    *(
        (content(c=[["a", None, Tagged(tag, bytes(32))]]), "column a", "typed array")
        for tag in (2, 40, 41, 63, 65, 66, 67, 68, 73, 74, 75, 76, 80, 81, 82, 83, 84, 87, 88)
    ),
    (content(c=[["a", None, doubles(1, math.inf)]]), "column a", "infinite"),
    (content(c=[["a", None, doubles(-math.inf, math.inf)]]), "column a", "infinite"),
    (content(c=[["a", None, Tagged(86, NAN64 + struct.pack("<d", -math.inf))]]), "column a", "infinite"),
    (content(c=[["a", None, Tagged(86, NAN64 + bytes.fromhex("010000000000f87f"))]]), "column a", "canonical"),
    (content(c=[["a", None, Tagged(86, NAN64 + bytes.fromhex("000000000000f8ff"))]]), "column a", "canonical"),
    (content(c=[["a", None, Tagged(86, NAN64 + bytes.fromhex("010000000000f07f"))]]), "column a", "canonical"),
    (content(c=[["a", None, Tagged(85, NAN32 + bytes.fromhex("0000c0ff"))]]), "column a", "canonical"),
    (content(c=[["a", None, Tagged(85, NAN32 + bytes.fromhex("0000807f"))]]), "column a", "infinite"),
]


@pytest.mark.parametrize(("value", "field", "reason"), BAD, ids=lambda value: repr(value)[:50])
def test_bad_columns_are_named(value: Any, field: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(value)
    assert (caught.value.field, reason in caught.value.reason) == (field, True), str(caught.value)


def test_limits() -> None:
    with pytest.raises(TooLarge, match="columns"):
        parse(content(n=1, c=[[f"c{n}", None, Tagged(64, b"\0")] for n in range(MAX_COLUMNS + 1)]))
    with pytest.raises(TooLarge, match="payload"):
        parse(content(c=[["a", None, Tagged(64, bytes(MAX_PAYLOAD))]]))


@given(st.data())
def test_damaged_columns_are_refused_or_read_but_never_break(data: st.DataObject) -> None:
    payload = bytearray(cbor.encode(content(c=[["a", "m", doubles(1, 2)], ["b", None, Tagged(85, bytes(8))]])))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        columns = parse_columns(bytes(payload), NOW)
    except Malformed:
        return
    for reading in columns.readings():
        assert not isinstance(reading.value, float) or math.isfinite(reading.value)
        assert 0 <= reading.time < TIME_LIMIT


# --- formatting -----------------------------------------------------------------------------

LIMITS = {"B": (0, 8), "H": (0, 16), "I": (0, 32), "Q": (0, 64), "b": (1, 8), "h": (1, 16), "i": (1, 32), "q": (1, 64)}


def samples(rows: int) -> st.SearchStrategy[array[Any]]:
    def of(code: str) -> st.SearchStrategy[array[Any]]:
        if code in "fd":
            element: st.SearchStrategy[Any] = st.floats(allow_infinity=False, width=32 if code == "f" else 64)
        else:
            signed, bits = LIMITS[code]
            element = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)
        return st.lists(element, min_size=rows, max_size=rows).map(lambda numbers: array(code, numbers))

    return st.sampled_from(sorted(RFC_TAGS.values())).flatmap(of)


tables = st.integers(1, 6).flatmap(
    lambda rows: st.tuples(
        st.lists(samples(rows), min_size=1, max_size=4),
        st.none() | st.lists(st.floats(-1e6, 1e6), min_size=rows, max_size=rows).map(sorted),
        st.integers(NOW, NOW + 10**6) | st.floats(NOW, NOW + 1e6),
    )
)


@given(tables)
def test_round_trip(table: tuple[list[array[Any]], list[float] | None, float]) -> None:
    arrays, offsets, base_time = table
    columns = [(f"c{n}", "m" if n % 2 else None, numbers) for n, numbers in enumerate(arrays)]
    payload = format_columns(base_time, columns, step=0.25 if offsets is None else None, offsets=offsets)
    parsed = parse_columns(payload, 0)
    assert parsed.base_time == base_time
    for (name, unit, numbers), column in zip(columns, parsed.columns, strict=True):
        assert (name, unit, numbers.typecode) == (column.name, column.unit, column.values.format)
        assert all(a == b or (a != a and b != b) for a, b in zip(numbers, column.values, strict=True))
    assert format_columns(parsed.base_time, parsed.columns, step=parsed.step, offsets=parsed.offsets) == payload


@pytest.mark.parametrize(
    ("numbers", "tag"),
    [
        ([0, 255], 64),
        ([-1, 127], 72),
        ([0, 256], 69),
        ([-1, 128], 77),
        ([65536], 70),
        ([-32769], 78),
        ([2**32], 71),
        ([-(2**31) - 1], 79),
        ([1, 2.5], 86),
        ([1.0], 86),
        (array("f", [1.5]), 85),
        (array("l", [1, 2]), 64),
    ],
)
def test_the_smallest_element_type_is_taken(numbers: Any, tag: int) -> None:
    payload = format_columns(NOW, [("a", None, numbers)], step=1)
    assert cbor2.loads(payload)["c"][0][2].tag == tag
    assert parse_columns(payload, 0).columns[0].values.tolist() == list(numbers)


def test_any_nan_becomes_the_canonical_one() -> None:
    odd = array("d", bytes.fromhex("010000000000f8ff"))
    assert NAN64 in format_columns(NOW, [("a", None, odd)])


@pytest.mark.parametrize(
    ("base_time", "columns", "options", "reason"),
    [
        (NOW, [], {}, "no columns"),
        (NOW, [("a", None, [])], {}, "no numbers"),
        (NOW, [("a", None, ["x"])], {}, "no numbers"),
        (NOW, [("a", None, [True])], {}, "no numbers"),
        (NOW, [("a", None, [2**64])], {}, "64 bits"),
        (NOW, [("a", None, [-1, 2**63])], {}, "64 bits"),
        (NOW, [("a", None, [math.inf])], {}, "infinite"),
        (NOW, [("a", None, [1, 2])], {}, "dt"),
        (NOW, [("a", None, [1, 2])], {"step": 0}, "above 0"),
        (NOW, [("a", None, [1, 2])], {"step": 1, "offsets": [0, 1]}, "either"),
        (NOW, [("a", None, [1, 2])], {"offsets": [1, 0]}, "decrease"),
        (NOW, [("a", None, [1, 2])], {"offsets": [1]}, "samples"),
        (NOW, [("a", None, [1]), ("a", None, [1])], {}, "already"),
        (NOW, [("a", "m s", [1])], {}, "UCUM"),
        (RELATIVE_BELOW - 1, [("a", None, [1])], {}, "relative"),
        (NOW, [("a", None, array("d", bytes(MAX_PAYLOAD)))], {"step": 1}, "bytes; at most"),
    ],
)
def test_what_columns_cannot_say(base_time: int, columns: Any, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(EncodeError, match=reason):
        format_columns(base_time, columns, **options)
