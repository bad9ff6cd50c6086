"""What values mean, by the examples of the specification (§6.4.16) and round trips."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.edge.sparkplug.codec import format_payload, parse_payload
from twinproof.edge.sparkplug.datatypes import DataType, datatype_of, format_value, parse_table, parse_value
from twinproof.edge.sparkplug.messages import Cell, DataSet, Metric, Payload, Row, Template, Variant
from twinproof.errors import Malformed

D = DataType


@pytest.mark.parametrize(
    ("datatype", "kind", "value", "meaning"),
    [
        (D.INT8, "int", 0xD6, -42),  # 8 bits, as Tahu's Python sends it
        (D.INT8, "int", 0xFFFFFFD6, -42),  # widened to 32, as its Java does
        (D.INT8, "int", 0x80, -128),
        (D.INT8, "int", 127, 127),
        (D.INT16, "int", 0x8000, -32768),
        (D.INT16, "int", 0xFFFF8000, -32768),
        (D.INT32, "int", 0xFFFFFFFF, -1),
        (D.INT32, "long", 0xFFFFFFFF, -1),
        (D.INT32, "long", 2**64 - 1, -1),
        (D.INT64, "long", 2**63, -(2**63)),
        (D.INT64, "long", 2**64 - 1, -1),
        (D.INT64, "long", 0xFFFFFFFF, 2**32 - 1),
        (D.INT64, "int", 5, 5),
        (D.UINT8, "int", 255, 255),
        (D.UINT32, "long", 2**32 - 1, 2**32 - 1),
        (D.UINT32, "int", 2**32 - 1, 2**32 - 1),
        (D.UINT64, "long", 2**64 - 1, 2**64 - 1),
        (D.DATETIME, "long", 1_700_000_000_000, 1_700_000_000_000),
        (D.FLOAT, "float", 1.5, 1.5),
        (D.DOUBLE, "double", 0.1, 0.1),
        (D.BOOLEAN, "boolean", True, True),
        (D.STRING, "string", "ü", "ü"),
        (D.TEXT, "string", "t", "t"),
        (D.UUID, "string", "u", "u"),
        (D.BYTES, "bytes", b"\0", b"\0"),
        (D.FILE, "bytes", b"\0", b"\0"),
        (D.TEMPLATE, "template", Template(), Template()),
        # the specification's own examples of arrays
        (D.INT16_ARRAY, "bytes", bytes.fromhex("D08A3075"), (-30000, 30000)),
        (D.INT32_ARRAY, "bytes", bytes.fromhex("FFFFFFFFFAAFCB12"), (-1, 315338746)),
        (
            D.INT64_ARRAY,
            "bytes",
            bytes.fromhex("CE0672AC189CBAC4C4BA9C18AC7206CE"),
            (-4270929666821191986, -3601064768563266876),
        ),
        (D.UINT32_ARRAY, "bytes", bytes.fromhex("3400000049FB55C4"), (52, 3293969225)),
        (D.UINT64_ARRAY, "bytes", bytes.fromhex("3400000000000000D99E02D1B27637E4"), (52, 16444743074749521625)),
        (
            D.BOOLEAN_ARRAY,
            "bytes",
            bytes.fromhex("0C00000034D0"),
            (False, False, True, True, False, True, False, False, True, True, False, True),
        ),
        (D.BOOLEAN_ARRAY, "bytes", bytes(4), ()),
        (D.STRING_ARRAY, "bytes", b"ABC\0hello\0", ("ABC", "hello")),
        (D.STRING_ARRAY, "bytes", b"\0", ("",)),
        (D.STRING_ARRAY, "bytes", b"", ()),
        (D.FLOAT_ARRAY, "bytes", bytes.fromhex("0000803f00000040"), (1.0, 2.0)),
        (D.DATETIME_ARRAY, "bytes", (1_256_102_875_335).to_bytes(8, "little"), (1_256_102_875_335,)),
    ],
)
def test_meanings(datatype: DataType, kind: str, value: Any, meaning: Any) -> None:
    found = parse_value(Variant(kind, value), datatype, "x")
    assert found == meaning
    assert type(found) is type(meaning)


@pytest.mark.parametrize(
    ("datatype", "kind", "value"),
    [
        (D.INT8, "int", 256),
        (D.INT8, "int", 0xFF80),
        (D.INT8, "int", 0xFFFFFF7F),
        (D.INT16, "int", 2**16),
        (D.INT32, "long", 2**32),
        (D.UINT8, "int", 256),
        (D.UINT32, "long", 2**32),
        (D.UINT8, "float", 1.0),
        (D.FLOAT, "double", 1.0),
        (D.FLOAT, "int", 1),
        (D.DOUBLE, "double", float("nan")),
        (D.FLOAT, "float", float("inf")),
        (D.BOOLEAN, "int", 1),
        (D.STRING, "bytes", b"x"),
        (D.UNKNOWN, "int", 1),
        (D.PROPERTY_SET, "bytes", b""),
        (D.INT16_ARRAY, "bytes", b"123"),
        (D.INT16_ARRAY, "string", "12"),
        (D.FLOAT_ARRAY, "bytes", bytes.fromhex("0000c07f")),
        (D.BOOLEAN_ARRAY, "bytes", b"\1\0\0"),
        (D.BOOLEAN_ARRAY, "bytes", b"\x09\0\0\0\0"),
        (D.BOOLEAN_ARRAY, "bytes", b"\xff\xff\xff\xff\0"),
        (D.STRING_ARRAY, "bytes", b"ABC"),
        (D.STRING_ARRAY, "bytes", b"\xff\0"),
    ],
)
def test_what_is_none_of_its_datatype_is_refused(datatype: DataType, kind: str, value: Any) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_value(Variant(kind, value), datatype, "speed")
    assert refusal.value.field == "speed"


@pytest.mark.parametrize("number", [None, 0, 35, 2**32 - 1])
def test_numbers_that_are_no_datatype(number: int | None) -> None:
    with pytest.raises(Malformed, match="datatype"):
        datatype_of(number, "x")


_integers = {
    D.INT8: (-(2**7), 2**7),
    D.INT16: (-(2**15), 2**15),
    D.INT32: (-(2**31), 2**31),
    D.INT64: (-(2**63), 2**63),
    D.UINT8: (0, 2**8),
    D.UINT16: (0, 2**16),
    D.UINT32: (0, 2**32),
    D.UINT64: (0, 2**64),
    D.DATETIME: (0, 2**64),
}
_values: dict[DataType, st.SearchStrategy[Any]] = {
    **{kind: st.integers(low, high - 1) for kind, (low, high) in _integers.items()},
    D.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    D.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    D.BOOLEAN: st.booleans(),
    D.STRING: st.text(),
    D.BYTES: st.binary(),
}
_elements = {
    D.INT8_ARRAY: D.INT8,
    D.INT16_ARRAY: D.INT16,
    D.INT32_ARRAY: D.INT32,
    D.INT64_ARRAY: D.INT64,
    D.UINT8_ARRAY: D.UINT8,
    D.UINT16_ARRAY: D.UINT16,
    D.UINT32_ARRAY: D.UINT32,
    D.UINT64_ARRAY: D.UINT64,
    D.FLOAT_ARRAY: D.FLOAT,
    D.DOUBLE_ARRAY: D.DOUBLE,
    D.BOOLEAN_ARRAY: D.BOOLEAN,
    D.DATETIME_ARRAY: D.DATETIME,
}
_values |= {kind: st.lists(_values[element], max_size=20).map(tuple) for kind, element in _elements.items()}
_values[D.STRING_ARRAY] = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))).map(
    tuple
)


@pytest.mark.parametrize("datatype", list(_values))
def test_round_trip_over_the_wire(datatype: DataType) -> None:
    @given(_values[datatype])
    def check(value: Any) -> None:
        sent = format_payload(Payload(metrics=(Metric("x", value=format_value(value, datatype)),)))
        variant = parse_payload(sent).metrics[0].value
        assert variant is not None
        assert parse_value(variant, datatype, "x") == value

    check()


@pytest.mark.parametrize(
    ("datatype", "value"),
    [(D.INT8, 128), (D.UINT8, -1), (D.INT8, 1.5), (D.STRING_ARRAY, ("a\0b",)), (D.INT8_ARRAY, (300,)), (D.INT8, (1,))],
)
def test_what_does_not_fit_is_not_written(datatype: DataType, value: Any) -> None:
    with pytest.raises(Malformed):
        format_value(value, datatype)


def test_tables() -> None:
    row = Row((Cell(Variant("int", 0xFF)), Cell()))
    table = DataSet(2, ("a", "b"), (D.INT8, D.STRING), (row,))
    assert parse_table(table, "t") == (("a", "b"), [(-1, None)])
    for wrong in (
        DataSet(1, ("a", "b"), (1, 12)),
        DataSet(2, ("a",), (1, 12)),
        DataSet(2, ("a", "b"), (1, 99)),
        DataSet(2, ("a", "b"), (1, 12), (Row((Cell(),)),)),
    ):
        with pytest.raises(Malformed):
            parse_table(wrong, "t")
