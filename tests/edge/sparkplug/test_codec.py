"""The wire codec against bytes of the Tahu project's own code, and against Google's protocol buffers."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.sparkplug.foreign import ForeignPayload, fill
from twinproof.edge.sparkplug import codec
from twinproof.edge.sparkplug.codec import MAX_DEPTH, MAX_PARTS, MAX_PAYLOAD, format_payload, parse_payload
from twinproof.edge.sparkplug.messages import (
    Cell,
    DataSet,
    MetaData,
    Metric,
    Parameter,
    Payload,
    PropertySet,
    PropertySetList,
    PropertyValue,
    Row,
    Template,
    Variant,
)
from twinproof.errors import Malformed, TooLarge

# Written by the Python classes that Tahu generates from its sparkplug_b.proto.
GOLDEN = bytes.fromhex(
    "08b8d095ffbc3112120a05626453657118b8d095ffbc3120085807121a0a144e6f646520436f6e74726f6c2f5265626972746820"
    "0b700012290a05537065656410031881d095ffbc3120094a100a075175616c6974791205080318f403650010b944120d0a015410"
    "04200350d6ffffff0f12230a055461626c6520108a011708021201611201621803180c22090a0208050a0332017812260a045075"
    "6d70201392011b0a013112080a026f6e200b70011a0a0a0473697a6510072009280112240a08537065637472756d201e28013001"
    "42071203782f7918088201080000803f00000040120f10ffffffffffffffffff01200a380118002201752a01ff"
)
MEANING = Payload(
    timestamp=1_700_000_000_056,
    metrics=(
        Metric("bdSeq", timestamp=1_700_000_000_056, datatype=8, value=Variant("long", 7)),
        Metric("Node Control/Rebirth", datatype=11, value=Variant("boolean", False)),
        Metric(
            "Speed",
            alias=3,
            timestamp=1_700_000_000_001,
            datatype=9,
            properties=PropertySet(("Quality",), (PropertyValue(3, value=Variant("int", 500)),)),
            value=Variant("float", 1480.5),
        ),
        Metric("T", alias=4, datatype=3, value=Variant("int", 2**32 - 42)),
        Metric(
            "Table",
            datatype=16,
            value=Variant(
                "dataset",
                DataSet(2, ("a", "b"), (3, 12), (Row((Cell(Variant("int", 5)), Cell(Variant("string", "x")))),)),
            ),
        ),
        Metric(
            "Pump",
            datatype=19,
            value=Variant(
                "template",
                Template(
                    "1",
                    (Metric("on", datatype=11, value=Variant("boolean", True)),),
                    (Parameter("size", 7, Variant("long", 9)),),
                    is_definition=True,
                ),
            ),
        ),
        Metric(
            "Spectrum",
            datatype=30,
            is_historical=True,
            is_transient=True,
            metadata=MetaData(content_type="x/y", size=8),
            value=Variant("bytes", struct.pack("<2f", 1, 2)),
        ),
        Metric(alias=2**64 - 1, datatype=10, is_null=True),
    ),
    seq=0,
    uuid="u",
    body=b"\xff",
)


def test_tahus_bytes_are_read_and_written() -> None:
    assert parse_payload(GOLDEN) == MEANING
    assert format_payload(MEANING) == GOLDEN


def test_the_example_of_the_docstring() -> None:
    lines = (codec.__doc__ or "").splitlines()
    data = bytes.fromhex("".join(line[4:34] for line in lines if line.startswith("    ")))
    assert parse_payload(data) == Payload(
        1_700_000_000_056, (Metric("Speed", 7, datatype=9, value=Variant("float", 1480.0)),), 0
    )


# --- properties -----------------------------------------------------------------------------

_uint32 = st.integers(0, 2**32 - 1)
_uint64 = st.integers(0, 2**64 - 1)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_plain = st.one_of(
    st.builds(Variant, st.just("int"), _uint32),
    st.builds(Variant, st.just("long"), _uint64),
    st.builds(Variant, st.just("float"), st.floats(width=32, allow_nan=False)),
    st.builds(Variant, st.just("double"), st.floats(allow_nan=False)),
    st.builds(Variant, st.just("boolean"), st.booleans()),
    st.builds(Variant, st.just("string"), _texts),
)


def _few(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(items, max_size=3).map(tuple)


def _maybe(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | items


_property_sets: st.SearchStrategy[PropertySet] = st.deferred(
    lambda: st.builds(
        PropertySet,
        _few(_texts),
        _few(
            st.builds(
                PropertyValue,
                _maybe(_uint32),
                _maybe(st.booleans()),
                _maybe(
                    _plain
                    | st.builds(Variant, st.just("propertyset"), _property_sets)
                    | st.builds(Variant, st.just("propertysets"), st.builds(PropertySetList, _few(_property_sets)))
                ),
            )
        ),
    )
)
_datasets = st.builds(
    DataSet,
    _maybe(_uint64),
    _few(_texts),
    _few(_uint32),
    _few(st.builds(Row, _few(st.builds(Cell, _maybe(_plain))))),
)
_metrics: st.SearchStrategy[Metric] = st.deferred(
    lambda: st.builds(
        Metric,
        _maybe(_texts),
        _maybe(_uint64),
        _maybe(_uint64),
        _maybe(_uint32),
        _maybe(st.booleans()),
        _maybe(st.booleans()),
        _maybe(st.booleans()),
        _maybe(st.builds(MetaData, _maybe(st.booleans()), _maybe(_texts), _maybe(_uint64), _maybe(_uint64))),
        _maybe(_property_sets),
        _maybe(
            _plain
            | st.builds(Variant, st.just("bytes"), st.binary(max_size=8))
            | st.builds(Variant, st.just("dataset"), _datasets)
            | st.builds(Variant, st.just("template"), _templates)
        ),
    )
)
_templates: st.SearchStrategy[Template] = st.builds(
    Template,
    _maybe(_texts),
    st.lists(_metrics, max_size=1).map(tuple),
    _few(st.builds(Parameter, _maybe(_texts), _maybe(_uint32), _maybe(_plain))),
    _maybe(_texts),
    _maybe(st.booleans()),
)
_payloads = st.builds(
    Payload, _maybe(_uint64), _few(_metrics), _maybe(_uint64), _maybe(_texts), _maybe(st.binary(max_size=8))
)


@given(_payloads)
def test_round_trip_and_the_bytes_are_those_of_protocol_buffers(payload: Payload) -> None:
    data = format_payload(payload)
    assert parse_payload(data) == payload
    foreign = ForeignPayload()
    fill(foreign, payload)
    assert foreign.SerializeToString(deterministic=True) == data


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        payload = parse_payload(data)
    except Malformed:
        return
    # What we take, protocol buffers take too, and it means the same.
    foreign = ForeignPayload.FromString(data)
    foreign.DiscardUnknownFields()
    again = ForeignPayload.FromString(format_payload(payload))
    again.DiscardUnknownFields()
    assert str(foreign) == str(again)


@given(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255))
def test_damaged_bytes_are_read_or_refused(at: int, byte: int) -> None:
    with suppress(Malformed):
        parse_payload(GOLDEN[:at] + bytes([byte]) + GOLDEN[at + 1 :])


def test_every_cut_inside_a_field_is_refused() -> None:
    # Between two fields of the payload a cut leaves a shorter message; nowhere else.
    whole = [
        format_payload(replace(MEANING, metrics=MEANING.metrics[:n], seq=None, uuid=None, body=None)) for n in range(9)
    ]
    whole += [format_payload(replace(MEANING, uuid=None, body=None)), format_payload(replace(MEANING, body=None)), b""]
    for end in range(len(GOLDEN)):
        if GOLDEN[:end] in whole:
            parse_payload(GOLDEN[:end])
        else:
            with pytest.raises(Malformed):
                parse_payload(GOLDEN[:end])


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ("00", "Payload"),  # field number 0
        ("08", "Payload.timestamp"),
        ("0801 0802", "Payload.timestamp"),  # twice
        ("08 ffffffffffffffffff02", "Payload.timestamp"),  # 65 bits
        ("08 80808080808080808080808001", "Payload.timestamp"),  # too long a varint
        ("0a00", "Payload.timestamp"),  # bytes for a number
        ("1001", "Payload.metrics"),  # a number for a message
        ("0b", "Payload.timestamp"),  # a group
        ("3b", "Payload.7"),  # an unknown group
        ("3f", "Payload.7"),  # wire type 7
        ("3a05 00", "Payload.7"),  # an unknown field that is cut
        ("3d 000000", "Payload.7"),
        ("2202 c328", "Payload.uuid"),  # no UTF-8
        ("1202 2802", "Metric.is_historical"),  # 2 is no boolean
        ("1206 2080808080 10", "Metric.datatype"),  # 33 bits
        ("1204 5001 5801", "Metric.value"),  # two values
        ("1204 0a05 4142", "Metric.name"),  # longer than its message
        ("1203 650000", "Metric.value"),  # half a float
        ("1203 690000", "Metric.value"),
    ],
)
def test_refusals_name_the_field(data: str, field: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_payload(bytes.fromhex(data))
    assert refusal.value.field == field


def test_unknown_fields_are_passed_over() -> None:
    assert parse_payload(bytes.fromhex("3001 390000000000000000 3a0161 3d00000000 1805")) == Payload(seq=5)


def test_negative_numbers_in_ten_bytes_and_packed_numbers_are_read() -> None:
    metric = bytes.fromhex("50 d6ffffffffffffffff01")
    assert parse_payload(b"\x12\x0b" + metric).metrics[0].value == Variant("int", 2**32 - 42)
    dataset = bytes.fromhex("8a01 04 1a 02 03 0c")
    assert parse_payload(b"\x12\x07" + dataset).metrics[0].value == Variant("dataset", DataSet(types=(3, 12)))


def test_limits() -> None:
    with pytest.raises(TooLarge, match="bytes"):
        parse_payload(bytes(MAX_PAYLOAD + 1))
    assert len(parse_payload(b"\x12\x00" * MAX_PARTS).metrics) == MAX_PARTS
    with pytest.raises(TooLarge, match="more than"):
        parse_payload(b"\x12\x00" * (MAX_PARTS + 1))
    packed = format_payload(Payload(body=bytes(MAX_PARTS + 1))).replace(b"\x2a", b"\x1a", 1)
    table = b"\x8a\x01" + _length(packed) + packed
    with pytest.raises(TooLarge, match="more than"):
        parse_payload(b"\x12" + _length(table) + table)


def _length(data: bytes) -> bytes:
    return format_payload(Payload(seq=len(data)))[1:]


def test_depth_is_limited() -> None:
    metric = Metric("leaf")
    for _ in range(MAX_DEPTH // 2 - 1):
        metric = Metric("t", value=Variant("template", Template(metrics=(metric,))))
    payload = Payload(metrics=(metric,))
    assert parse_payload(format_payload(payload)) == payload
    deeper = Metric("t", value=Variant("template", Template(metrics=(metric,))))
    with pytest.raises(TooLarge, match="deep"):
        parse_payload(format_payload(Payload(metrics=(deeper,))))


@pytest.mark.parametrize(
    "payload",
    [
        Payload(seq=-1),
        Payload(seq=2**64),
        Payload(metrics=(Metric(datatype=2**32),)),
        Payload(metrics=(Metric(value=Variant("float", 1e300)),)),
        Payload(metrics=(Metric(value=Variant("double", "x")),)),
    ],
)
def test_what_does_not_fit_is_not_written(payload: Payload) -> None:
    with pytest.raises(Malformed):
        format_payload(payload)
