"""SenML packs: the RFC's own examples, then round trips, then every way to break a record."""

from __future__ import annotations

import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.proof.cbor import EncodeError
from twinproof.twin.reading import MAX_NAME, MAX_PAYLOAD, RELATIVE_BELOW, TIME_LIMIT
from twinproof.twin.senml import MAX_INTEGER, MAX_RECORDS, Reading, format_senml, parse_senml
from twinproof.twin.units import SENML_UNITS

NOW = 1_700_000_000

# RFC 8428 §6, the dump of the CBOR example.
RFC_CBOR = bytes.fromhex(
    "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b001062236141200500"
    "67766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a300676375"
    "7272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e"
    "74062102f93e00a3006763757272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333"
    "333333"
)

# RFC 8428 §5.1.3 (a mobile device), in numbers for labels, and §5.1.4, the same resolved.
RFC_MULTIPLE: list[dict[int, Any]] = [
    {-2: "urn:dev:ow:10e2073a01080063", -3: 1.320067464e09, -4: "%RH", 2: 20},
    {1: "lon", 2: 24.30621},
    {1: "lat", 2: 60.07965},
    {6: 60, 2: 20.3},
    {1: "lon", 6: 60, 2: 24.30622},
    {1: "lat", 6: 60, 2: 60.07965},
    {6: 120, 2: 20.7},
    {1: "lon", 6: 120, 2: 24.30623},
    {1: "lat", 6: 120, 2: 60.07966},
    {1: "%EL", 6: 150, 2: 98},
    {6: 180, 2: 21.2},
    {1: "lon", 6: 180, 2: 24.30628},
    {1: "lat", 6: 180, 2: 60.07967},
]
RFC_RESOLVED = [
    ("%RH", 1320067464, 20),
    ("lon", 1320067464, 24.30621),
    ("lat", 1320067464, 60.07965),
    ("%RH", 1320067524, 20.3),
    ("lon", 1320067524, 24.30622),
    ("lat", 1320067524, 60.07965),
    ("%RH", 1320067584, 20.7),
    ("lon", 1320067584, 24.30623),
    ("lat", 1320067584, 60.07966),
    ("%EL", 1320067614, 98),
    ("%RH", 1320067644, 21.2),
    ("lon", 1320067644, 24.30628),
    ("lat", 1320067644, 60.07967),
]


def parse(*records: Any, now: int = NOW) -> list[Reading]:
    return parse_senml(cbor.encode(list(records)), now)


# --- the RFC's examples ---------------------------------------------------------------------


def test_cbor_example_of_the_rfc() -> None:
    records = cbor2.loads(RFC_CBOR)
    assert records[0].pop(-1) == 5  # the example kept a draft's version number; 10 is the published one
    readings = parse(*records)
    name = "urn:dev:ow:10e2073a0108006:"
    assert readings[0] == Reading(f"{name}voltage", 120.1, "V", 1276020076.001)
    assert readings[1:] == [
        Reading(f"{name}current", value, "A", 1276020076.001 + offset)
        for value, offset in [(1.2, -5), (1.3, -4), (1.4, -3), (1.5, -2), (1.6, -1), (1.7, 0)]
    ]


def test_the_examples_own_bytes_are_refused_because_its_keys_are_not_sorted() -> None:
    with pytest.raises(Malformed, match="out of order"):
        parse_senml(RFC_CBOR, NOW)


def test_resolved_example_of_the_rfc() -> None:
    expected = [
        Reading("urn:dev:ow:10e2073a01080063", value, SENML_UNITS[unit], float(time))
        for unit, time, value in RFC_RESOLVED
    ]
    assert parse(*RFC_MULTIPLE) == expected


def test_multiple_data_types() -> None:  # RFC 8428 §5.1.5
    readings = parse(
        {-2: "urn:dev:ow:10e2073a01080063:", 0: "temp", 1: "Cel", 2: 23.1},
        {0: "label", 3: "Machine Room"},
        {0: "open", 4: False},
        {0: "nfc-reader", 8: b"hi \n"},
    )
    assert [(reading.value, reading.unit) for reading in readings] == [
        (23.1, "Cel"),
        ("Machine Room", None),
        (False, None),
        (b"hi \n", None),
    ]


def test_base_name_and_time_are_replaced_separately() -> None:  # RFC 8428 §5.1.6
    readings = parse(
        {-2: "2001:db8::2/", -3: 1.320078429e09, 0: "temperature", 1: "Cel", 2: 25.2},
        {0: "humidity", 1: "%RH", 2: 30},
        {-2: "2001:db8::1/", 0: "temperature", 1: "Cel", 2: 12.3},
        {0: "humidity", 1: "%RH", 2: 67},
    )
    assert [reading.name for reading in readings] == [
        "2001:db8::2/temperature",
        "2001:db8::2/humidity",
        "2001:db8::1/temperature",
        "2001:db8::1/humidity",
    ]
    assert {reading.time for reading in readings} == {1320078429.0}


# --- resolution -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "time"),
    [
        ({}, NOW),
        ({6: -5}, NOW - 5),
        ({6: 5}, NOW + 5),
        ({6: RELATIVE_BELOW - 1}, NOW + RELATIVE_BELOW - 1),
        ({6: RELATIVE_BELOW}, RELATIVE_BELOW),
        ({-3: -10, 6: 5.5}, NOW - 4.5),
        ({-3: 1_600_000_000, 6: -5}, 1_599_999_995),
        ({-3: RELATIVE_BELOW, 6: -1}, NOW + RELATIVE_BELOW - 1),
        ({6: TIME_LIMIT - 1}, TIME_LIMIT - 1),
    ],
)
def test_times(record: dict[int, Any], time: float) -> None:
    (reading,) = parse({0: "a", 2: 1, **record})
    assert reading.time == time
    assert type(reading.time) is float


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([{-5: 100, 0: "a", 2: 1}, {0: "a", 2: 0.5}], [(101, None), (100.5, None)]),
        ([{-6: 100, 0: "a", 2: 1}, {0: "a", 2: 2, 5: 7}], [(1, 100), (2, 107)]),
        ([{0: "a", 5: 7}], [(None, 7)]),
        ([{-6: 0, 0: "a", 2: 1}, {0: "a", 5: 7}], [(1, 0), (None, 7)]),
        ([{-6: 5, 0: "a"}], [(None, 5)]),
        ([{-5: 100, 0: "a", 3: "text"}], [("text", None)]),
        ([{-5: 1, 0: "a", 2: 1}, {-5: 0, 0: "a", 2: 1}], [(2, None), (1, None)]),
    ],
)
def test_base_value_and_sums(records: list[Any], expected: list[Any]) -> None:
    assert [(reading.value, reading.sum) for reading in parse(*records)] == expected


def test_a_new_base_name_renames_a_name_seen_before() -> None:
    names = [reading.name for reading in parse({-2: "x:", 0: "a", 2: 1}, {0: "a", 2: 1}, {-2: "y:", 0: "a", 2: 1})]
    assert names == ["x:a", "x:a", "y:a"]


def test_secondary_units_need_the_version_that_has_them() -> None:
    assert parse({-1: 26, 0: "a", 1: "ms", 2: 1})[0].unit == "ms"
    with pytest.raises(Malformed, match="secondary unit"):
        parse({-1: 10, 0: "a", 1: "ms", 2: 1})
    with pytest.raises(Malformed, match="secondary unit"):
        parse({-4: "ms", 0: "a", 2: 1})


# --- what is refused ------------------------------------------------------------------------

BAD_RECORDS = [
    # the second record, the field named, a part of the reason
    ([], "record 2", "not a map"),
    ({0: "a"}, "record 2, v", "no value"),
    ({0: "a", 2: 1, 3: "x"}, "record 2, vs", "second value beside v"),
    ({0: "a", 4: True, 8: b""}, "record 2, vd", "second value beside vb"),
    ({0: "a", 2: "1"}, "record 2, v", "not a number"),
    ({0: "a", 2: True}, "record 2, v", "not a number"),
    ({0: "a", 2: None}, "record 2, v", "not a number"),
    ({0: "a", 2: cbor.Tagged(4, [0, 1])}, "SenML pack", "deep"),
    ({0: "a", 2: cbor.Tagged(1, 5)}, "SenML pack", "deep"),
    ({0: "a", 2: []}, "SenML pack", "deep"),
    ({0: "a", 2: math.inf}, "record 2, v", "not finite"),
    ({0: "a", 2: math.nan}, "record 2, v", "not finite"),
    ({0: "a", 2: MAX_INTEGER + 1}, "record 2, v", "2^53"),
    ({0: "a", 2: -MAX_INTEGER - 1}, "record 2, v", "2^53"),
    ({-5: MAX_INTEGER, 0: "a", 2: 1}, "record 2, v", "2^53"),
    ({-5: 1e308, 0: "a", 2: 1e308}, "record 2, v", "not finite"),
    ({-5: 1, 0: "a", 5: 1}, "record 2, v", "ambiguous"),
    ({0: "a", 3: 1}, "record 2, vs", "not text"),
    ({0: "a", 3: b"x"}, "record 2, vs", "not text"),
    ({0: "a", 4: 1}, "record 2, vb", "not a boolean"),
    ({0: "a", 8: "x"}, "record 2, vd", "not a byte string"),
    ({0: "a", 2: 1, 5: "x"}, "record 2, s", "not a number"),
    ({0: "a", 5: math.inf}, "record 2, s", "not finite"),
    ({-6: 1e308, 0: "a", 5: 1e308}, "record 2, s", "not finite"),
    ({0: "a", 2: 1, 6: "x"}, "record 2, t", "not a number"),
    ({0: "a", 2: 1, 6: math.nan}, "record 2, t", "not finite"),
    ({0: "a", 2: 1, 6: MAX_INTEGER + 1}, "record 2, t", "2^53"),
    ({0: "a", 2: 1, 6: -NOW - 1}, "record 2, t", "1970"),
    ({0: "a", 2: 1, 6: TIME_LIMIT}, "record 2, t", "9999"),
    ({0: "a", 2: 1, 7: -1}, "record 2, ut", "negative"),
    ({0: "a", 2: 1, 7: "x"}, "record 2, ut", "not a number"),
    ({0: "a", 2: 1, 9: 1}, "record 2, field '9'", "no such field"),
    ({-7: 1, 0: "a", 2: 1}, "record 2, field '-7'", "no such field"),
    ({0: "a", 2: 1, "x": 1}, "record 2, field 'x'", "no such field"),
    ({0: "a", 2: 1, "x_": 1}, "record 2, field 'x_'", "must be understood"),
    ({0: "a", 1: "degC", 2: 1}, "record 2, u", "no registered"),
    ({0: "a", 1: "", 2: 1}, "record 2, u", "no registered"),
    ({0: "a", 1: 1, 2: 1}, "record 2, u", "not text"),
    ({0: "a", 1: None, 2: 1}, "record 2, u", "not text"),
    ({-4: "degC", 0: "a", 2: 1}, "record 2, bu", "no registered"),
    ({-4: 1, 0: "a", 2: 1}, "record 2, bu", "not text"),
    ({2: 1}, "record 2, n", "empty"),
    ({0: "", 2: 1}, "record 2, n", "empty"),
    ({0: 1, 2: 1}, "record 2, n", "not text"),
    ({0: None, 2: 1}, "record 2, n", "not text"),
    ({0: True, 2: 1}, "record 2, n", "not text"),
    ({0: "a b", 2: 1}, "record 2, n", "character outside"),
    ({0: "a\n", 2: 1}, "record 2, n", "character outside"),
    ({0: "é", 2: 1}, "record 2, n", "character outside"),
    ({0: "_a", 2: 1}, "record 2, n", "begin"),
    ({0: "a" * (MAX_NAME + 1), 2: 1}, "record 2, n", "at most"),
    ({-2: "a" * MAX_NAME, 0: "b", 2: 1}, "record 2, n", "at most"),
    ({-2: 1, 0: "a", 2: 1}, "record 2, bn", "not text"),
    ({-3: "x", 0: "a", 2: 1}, "record 2, bt", "not a number"),
    ({-3: math.inf, 0: "a", 2: 1}, "record 2, bt", "not finite"),
    ({-5: True, 0: "a", 2: 1}, "record 2, bv", "not a number"),
    ({-6: None, 0: "a", 2: 1}, "record 2, bs", "not a number"),
    ({-1: 26, 0: "a", 2: 1}, "record 2, bver", "began with 10"),
    ({-1: 11, 0: "a", 2: 1}, "record 2, bver", "neither 10 nor 26"),
    ({-1: 10.0, 0: "a", 2: 1}, "record 2, bver", "neither 10 nor 26"),
]


@pytest.mark.parametrize(("record", "field", "reason"), BAD_RECORDS, ids=lambda value: repr(value)[:40])
def test_a_bad_record_is_named(record: Any, field: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse({0: "fine", 2: 1}, record)
    assert (caught.value.field, reason in caught.value.reason) == (field, True), str(caught.value)


@pytest.mark.parametrize("pack", [{}, [], 1, "x", None])
def test_a_pack_is_a_filled_array(pack: Any) -> None:
    with pytest.raises(Malformed, match="SenML pack"):
        parse_senml(cbor.encode(pack), NOW)


def test_limits_of_the_pack() -> None:
    record = {0: "a", 2: 1}
    assert len(parse(*[record] * MAX_RECORDS)) == MAX_RECORDS
    with pytest.raises(TooLarge, match="records"):
        parse(*[record] * (MAX_RECORDS + 1))
    with pytest.raises(TooLarge, match="payload"):
        parse({0: "a", 8: bytes(MAX_PAYLOAD)})


@given(st.data())
def test_a_damaged_pack_is_refused_or_read_but_never_breaks(data: st.DataObject) -> None:
    payload = bytearray(cbor.encode(RFC_MULTIPLE))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        readings = parse_senml(bytes(payload), NOW)
    except Malformed:
        return
    assert all(isinstance(reading, Reading) for reading in readings)


# --- formatting -----------------------------------------------------------------------------

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9\-:./_]{0,12}", fullmatch=True)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-MAX_INTEGER, MAX_INTEGER)
times = st.floats(RELATIVE_BELOW, TIME_LIMIT - 1) | st.integers(RELATIVE_BELOW, TIME_LIMIT - 1).map(float)
near = st.integers(-1000, 1000).map(lambda tick: NOW + tick / 64)
readings = st.builds(
    Reading,
    names | st.sampled_from(["urn:dev:a:T2", "urn:dev:a:T24", "urn:dev:b:T2"]),
    numbers | st.booleans() | st.text(max_size=8) | st.binary(max_size=8),
    st.none() | st.sampled_from(sorted(SENML_UNITS.values())),
    times | near,
    st.none() | numbers,
) | st.builds(Reading, names, st.none(), st.just("W"), near, numbers)


def shown(pack: list[Reading]) -> list[str]:
    return [repr(tuple(reading)) for reading in pack]


@given(st.lists(readings, min_size=1, max_size=12), st.integers(0, 2**40))
def test_a_formatted_pack_resolves_to_what_went_in(pack: list[Reading], now: int) -> None:
    parsed = parse_senml(format_senml(pack), now)
    assert parsed == pack
    assert shown(parsed) == shown(pack)  # 1, 1.0 and True are equal, and so are 0.0 and -0.0, but not the same


@given(st.lists(readings, min_size=1, max_size=12))
def test_a_pack_can_be_read_by_another_decoder(pack: list[Reading]) -> None:
    records = cbor2.loads(format_senml(pack))
    assert len(records) == len(pack)
    assert records[0].get(-2, "") + records[0].get(0, "") == pack[0].name


def test_what_is_shared_stands_once() -> None:
    pack = [Reading(f"urn:dev:x:{name}", 1.5, "Cel", NOW + tick) for tick in (0, 1) for name in ("T2", "T24")]
    assert cbor2.loads(format_senml(pack)) == [
        {-2: "urn:dev:x:", -3: NOW, -4: "Cel", 0: "T2", 2: 1.5},
        {0: "T24", 2: 1.5},
        {0: "T2", 2: 1.5, 6: 1},
        {0: "T24", 2: 1.5, 6: 1},
    ]


def test_one_sensor_needs_no_names_and_one_reading_no_base() -> None:
    assert cbor2.loads(format_senml([Reading("x:a", 1, None, NOW), Reading("x:a", 2, None, NOW + 1)])) == [
        {-2: "x:a", -3: NOW, 2: 1},
        {2: 2, 6: 1},
    ]
    assert cbor2.loads(format_senml([Reading("x:a", 1, "V", NOW)])) == [{0: "x:a", 1: "V", 2: 1, 6: NOW}]


def test_secondary_units_set_the_version() -> None:
    assert cbor2.loads(format_senml([Reading("a", 1, "%", NOW)])) == [{-1: 26, 0: "a", 1: "/100", 2: 1, 6: NOW}]


def test_a_given_base_name_is_used() -> None:
    assert cbor2.loads(format_senml([Reading("x:a", 1, None, NOW)], base_name="x:"))[0][-2] == "x:"


@pytest.mark.parametrize(
    ("pack", "options", "reason"),
    [
        ([], {}, "1 to"),
        (
            [Reading("T2", 1.0, "[degR]", NOW)],
            {},
            "T2: unit '.degR.' has no SenML symbol; send these readings as columns",
        ),
        ([Reading("a", math.nan, None, NOW)], {}, "not finite"),
        ([Reading("a", math.inf, None, NOW)], {}, "not finite"),
        ([Reading("a", 1, None, NOW, math.inf)], {}, "not finite"),
        ([Reading("a", 2**53 + 1, None, NOW)], {}, "2.53"),
        ([Reading("a", None, None, NOW)], {}, "neither value nor sum"),
        ([Reading("a b", 1, None, NOW)], {}, "outside"),
        ([Reading("a", 1, None, RELATIVE_BELOW - 1)], {}, "1978"),
        ([Reading("a", 1, None, TIME_LIMIT)], {}, "9999"),
        ([Reading("a", 1, None, math.nan)], {}, "time nan"),
        ([Reading("a", 1, None, NOW)], {"base_name": "x:"}, "does not begin"),
        ([Reading("a", bytes(MAX_PAYLOAD), None, NOW)], {}, "bytes; at most"),
    ],
)
def test_what_a_pack_cannot_say(pack: list[Reading], options: dict[str, str], reason: str) -> None:
    with pytest.raises(EncodeError, match=reason):
        format_senml(pack, **options)
