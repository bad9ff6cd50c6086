"""Values against schemas: edges of every primitive, composed schemas, compiled Interfaces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.models import dtdl
from twinproof.models.dtdl import values

INTEGERS = {
    "byte": (-128, 127), "short": (-32768, 32767), "integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1),
    "unsignedByte": (0, 255), "unsignedShort": (0, 65535), "unsignedInteger": (0, 2**32 - 1),
    "unsignedLong": (0, 2**64 - 1),
}  # fmt: skip

GOOD: dict[str, list[Any]] = {
    "boolean": [True, False],
    "double": [0, -0.0, 1.5, 1.7976931348623157e308, 2**1000],
    "float": [3.4028234e38, -1e-45, 7],
    "decimal": ["0", "-12.5", "+7.", "123456789012345678901234567890.1"],
    "date": ["2024-02-29", "2000-02-29", "0000-01-01", "2023-12-31"],
    "dateTime": ["2023-01-02T03:04:05Z", "2016-12-31T23:59:60Z", "2023-01-02T03:04:05.123456789+14:00"],
    "time": ["00:00:00Z", "23:59:60-00:00", "12:30:00.5+05:30"],
    "duration": ["P1Y", "PT15S", "P1Y2M3DT4H5M6.5S", "P2W", "PT0.5S", "P1.5D", "P1W2D"],
    "string": ["", "\u00e9\U0001f600", "a" * 100000],
    "bytes": ["", "AA==", "AAA=", "AAAA", b"\x00\xff"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"],
    "point": [{"type": "Point", "coordinates": [1, 2.5]}, {"type": "Point", "coordinates": [1, 2, 3]}],
    "multiPoint": [{"type": "MultiPoint", "coordinates": []}, {"type": "MultiPoint", "coordinates": [[1, 2]]}],
    "lineString": [{"type": "LineString", "coordinates": [[1, 2], [3, 4]]}],
    "multiLineString": [{"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]]]}],
    "polygon": [{"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [0, 0]]]}],
    "multiPolygon": [{"type": "MultiPolygon", "coordinates": [[[[0, 0], [0, 1], [1, 1], [0, 0]]]]}],
    "scaledDecimal": [{"scale": 7, "value": "1234.56"}],
}  # fmt: skip

BAD: dict[str, list[Any]] = {
    "boolean": [0, 1, "true", None],
    "double": [True, "1", float("nan"), float("inf"), 2**1024, -(2**1024), None],
    "float": [3.5e38, -3.5e38, True, float("-inf")],
    "decimal": ["", "01", ".5", "1e3", "1,5", 1.5, "1\n", "\u0661"],
    "date": ["2023-02-29", "1900-02-29", "2023-13-01", "2023-00-10", "2023-1-1", "2023-01-01\n", 20230101,
             "2023-04-31"],
    "dateTime": ["2023-01-02t03:04:05Z", "2023-01-02T03:04:05", "2023-01-02T24:00:00Z", "2023-01-02 03:04:05Z",
                 "2023-01-02T03:04:05z", "2023-01-02T03:04:61Z", "2023-01-02T03:04:05+24:00", "2023-01-02"],
    "time": ["12:00", "12:00:00", "24:00:00Z", "12:60:00Z", "12:00:00.Z"],
    "duration": ["P", "PT", "P1", "1Y", "P1.5Y2M", "PT1.5H2M", "P1YT", "P1M1W", "p1y", "P1Y\n", "-P1Y"],
    "string": [1, None, b"x", ["x"]],
    "bytes": ["A", "AA=", "A===", "A-_=", 5, "AAAA\n"],
    "uuid": ["123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "", 5],
    "point": [{"type": "Point", "coordinates": [1]}, {"type": "point", "coordinates": [1, 2]}, {"type": "Point"},
              {"type": "Point", "coordinates": [1, "2"]}, [1, 2], {"type": "Point", "coordinates": [1, 2], "x": 1}],
    "multiPoint": [{"type": "MultiPoint", "coordinates": [1, 2]}],
    "lineString": [{"type": "LineString", "coordinates": [[1, 2]]}],
    "polygon": [{"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [1, 0]]]},
                {"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [0, 0]]]}],
    "multiPolygon": [{"type": "MultiPolygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [0, 0]]]}],
    "scaledDecimal": [{"scale": 40000, "value": "1"}, {"scale": 1, "value": 1}, {"scale": 1}],
}  # fmt: skip


def compiled(*contents: dict[str, Any], context: Any = "dtmi:dtdl:context;4", **more: Any) -> dtdl.CompiledInterface:
    document = {"@context": context, "@id": "dtmi:ex:a;1", "@type": "Interface", "contents": list(contents), **more}
    return dtdl.compile(dtdl.parse(document), "dtmi:ex:a;1")


def telemetry(schema: Any, name: str = "t") -> dict[str, Any]:
    return {"@type": "Telemetry", "name": name, "schema": schema}


@pytest.mark.parametrize("term", sorted(GOOD))
def test_values_that_fit(term: str) -> None:
    thing = compiled(telemetry(term))
    for value in GOOD[term]:
        thing.check_telemetry("t", value)


@pytest.mark.parametrize("term", sorted(BAD))
def test_values_that_do_not_fit(term: str) -> None:
    thing = compiled(telemetry(term))
    for value in BAD[term]:
        with pytest.raises(dtdl.InvalidValue) as caught:
            thing.check_telemetry("t", value)
        assert caught.value.field.startswith("t")
        assert caught.value.reason


@pytest.mark.parametrize("term", sorted(INTEGERS))
def test_integer_ranges(term: str) -> None:
    thing = compiled(telemetry(term))
    low, high = INTEGERS[term]
    for value in (low, high, 0):
        thing.check_telemetry("t", value)
    for wrong in (low - 1, high + 1, 1.0, True, "1", None, 10**5000):
        with pytest.raises(dtdl.InvalidValue):
            thing.check_telemetry("t", wrong)


def test_every_primitive_has_a_check_and_a_test() -> None:
    from twinproof.models.dtdl.facts import core

    assert set(core.PRIMITIVES) | set(core.GEOSPATIAL) | {"scaledDecimal"} == set(GOOD) | set(INTEGERS)
    assert {kind for (kind,) in core.PRIMITIVES.values()} == set(values.PRIMITIVE)


@given(st.dates(), st.times(), st.integers(-23 * 60, 23 * 60))
def test_dates_of_the_calendar_pass(day: Any, time: Any, offset: int) -> None:
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{day.isoformat()}T{time.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert values.is_date(day.isoformat())
    assert values.is_date_time(text)


@given(st.text("0123456789-T:.Z+", max_size=30))
def test_date_checks_agree_with_the_library(text: str) -> None:
    from datetime import date

    try:
        expected = len(text) == 10 and text[4] == text[7] == "-" and date.fromisoformat(text) is not None
    except ValueError:
        expected = False
    if not text.startswith("0000"):
        assert values.is_date(text) == expected


# --- composed schemas -------------------------------------------------------------------------

SETTINGS = {
    "@type": "Object",
    "fields": [
        {"name": "high", "schema": "double"},
        {"name": "mode", "schema": {"@type": "Enum", "valueSchema": "string", "enumValues": [
            {"name": "on", "enumValue": "ON"}, {"name": "off", "enumValue": "OFF"}]}},
        {"name": "steps", "schema": {"@type": "Array", "elementSchema": "integer"}},
        {"name": "by", "schema": {"@type": "Map", "mapKey": {"name": "k", "schema": "string"},
                                  "mapValue": {"name": "v", "schema": "boolean"}}},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({}, None),
        ({"high": 3, "mode": "ON", "steps": [1, 2], "by": {"a": True}}, None),
        ({"high": "3"}, "s.high"),
        ({"mode": "on"}, "s.mode"),
        ({"mode": True}, "s.mode"),
        ({"steps": [1, 2.5]}, "s.steps[1]"),
        ({"steps": {"0": 1}}, "s.steps"),
        ({"by": {"a": True, "b": 1}}, "s.by.b"),
        ({"by": {1: True}}, "s.by"),
        ({"low": 3}, "s"),
        ({1: 3}, "s"),
        ([], "s"),
        (None, "s"),
    ],
)
def test_composed_values(value: Any, field: str | None) -> None:
    thing = compiled({"@type": "Property", "name": "s", "schema": SETTINGS})
    if field is None:
        thing.check_property("s", value)
    else:
        with pytest.raises(dtdl.InvalidValue) as caught:
            thing.check_property("s", value)
        assert caught.value.field == field


def test_integer_enum_takes_no_boolean() -> None:
    enum = {"@type": "Enum", "valueSchema": "integer", "enumValues": {"name": "x", "enumValue": 1}}
    thing = compiled(telemetry(enum))
    thing.check_telemetry("t", 1)
    wrong: Any
    for wrong in (True, 1.0, "1", 2, None, [], {}):
        with pytest.raises(dtdl.InvalidValue):
            thing.check_telemetry("t", wrong)


def test_recursive_schema_checks_every_level_and_bounds_depth() -> None:
    tree = {"@id": "dtmi:ex:tree;1", "@type": "Object", "fields": [
        {"name": "v", "schema": "integer"},
        {"name": "kids", "schema": {"@type": "Array", "elementSchema": "dtmi:ex:tree;1"}},
    ]}  # fmt: skip
    thing = compiled(telemetry("dtmi:ex:tree;1"), schemas=tree)
    thing.check_telemetry("t", {"v": 1, "kids": [{"v": 2, "kids": []}, {}]})
    with pytest.raises(dtdl.InvalidValue, match=r"t\.kids\[0\]\.kids\[1\]\.v"):
        thing.check_telemetry("t", {"kids": [{"kids": [{}, {"v": "x"}]}]})
    deep: Any = {}
    for _ in range(5000):
        deep = {"kids": [deep]}
    with pytest.raises(dtdl.InvalidValue, match="nested deeper"):
        thing.check_telemetry("t", deep)


def test_required_fields_and_unit_enums() -> None:
    context = ["dtmi:dtdl:context;4", "dtmi:dtdl:extension:requirement;1", "dtmi:dtdl:extension:quantitativeTypes;2"]
    schema = {"@type": "Object", "fields": [{"@type": ["Field", "Required"], "name": "a", "schema": "integer"},
                                            {"name": "u", "schema": "TemperatureUnit"}]}  # fmt: skip
    thing = compiled(telemetry(schema), context=context)
    thing.check_telemetry("t", {"a": 1, "u": "kelvin"})
    with pytest.raises(dtdl.InvalidValue, match="field a is missing"):
        thing.check_telemetry("t", {"u": "kelvin"})
    with pytest.raises(dtdl.InvalidValue, match=r"t\.u"):
        thing.check_telemetry("t", {"a": 1, "u": "metre"})


# --- the Interface ----------------------------------------------------------------------------


def whole() -> dtdl.CompiledInterface:
    base = {"@context": "dtmi:dtdl:context;4", "@id": "dtmi:ex:base;1", "@type": "Interface",
            "contents": {"@type": "Property", "name": "serial", "schema": "string"}}  # fmt: skip
    part = {"@context": "dtmi:dtdl:context;4", "@id": "dtmi:ex:part;1", "@type": "Interface", "contents": [
        telemetry("double", "level"), {"@type": "Command", "name": "reset"},
        {"@type": "Property", "name": "limit", "schema": "integer", "writable": True},
    ]}  # fmt: skip
    top = {"@context": "dtmi:dtdl:context;4", "@id": "dtmi:ex:top;1", "@type": "Interface", "extends": "dtmi:ex:base;1",
           "contents": [
               {"@type": "Component", "name": "left", "schema": "dtmi:ex:part;1"},
               {"@type": "Component", "name": "right", "schema": "dtmi:ex:part;1"},
               {"@type": "Command", "name": "go", "request": {"name": "speed", "schema": "integer"},
                "response": {"name": "eta", "schema": "duration", "nullable": True}},
               {"@type": "Relationship", "name": "feeds", "target": "dtmi:ex:base;1", "maxMultiplicity": 2,
                "properties": {"@type": "Property", "name": "since", "schema": "date"}},
               {"@type": "Relationship", "name": "any", "writable": True},
           ]}  # fmt: skip
    return dtdl.compile(dtdl.parse([base, part, top]), "dtmi:ex:top;1")


def test_compiled_interface() -> None:
    thing = whole()
    assert set(thing.properties) == {"serial", "left.limit", "right.limit"}
    assert set(thing.telemetry) == {"left.level", "right.level"}
    assert set(thing.commands) == {"go", "left.reset", "right.reset"}
    assert thing.components["left"] is thing.components["right"]
    assert thing.properties["left.limit"].writable
    assert not thing.properties["serial"].writable
    thing.check_property("serial", "x")
    thing.check_property("left.limit", 5)
    thing.check_telemetry("right.level", 1.5)
    thing.check_command_request("go", 7)
    thing.check_command_response("go", None)
    thing.check_command_response("go", "PT3S")
    thing.check_command_request("left.reset", None)
    thing.check_relationship("feeds", ["dtmi:ex:top;1", "dtmi:ex:base;1"])
    thing.check_relationship("any", ["dtmi:ex:part;1"] * 9)
    thing.check_relationship_property("feeds", "since", "2024-02-29")


@pytest.mark.parametrize(
    ("call", "arguments", "field"),
    [
        ("check_property", ("level", 1), "level"),
        ("check_property", ("left.level", 1), "left.level"),
        ("check_property", ("left.limit", 1.5), "left.limit"),
        ("check_telemetry", ("serial", "x"), "serial"),
        ("check_command_request", ("stop", None), "stop"),
        ("check_command_request", ("go", None), "go request"),
        ("check_command_request", ("left.reset", 1), "left.reset request"),
        ("check_command_response", ("go", "3s"), "go response"),
        ("check_relationship", ("feeds", ["dtmi:ex:part;1"]), "feeds[0]"),
        ("check_relationship", ("feeds", ["dtmi:ex:base;1"] * 3), "feeds"),
        ("check_relationship", ("fed", []), "fed"),
        ("check_relationship_property", ("feeds", "since", "yesterday"), "feeds/since"),
        ("check_relationship_property", ("feeds", "until", "2024-02-29"), "until"),
    ],
)
def test_compiled_interface_refuses(call: str, arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(dtdl.InvalidValue) as caught:
        getattr(whole(), call)(*arguments)
    assert caught.value.field == field
    assert caught.value.code == "invalid-value"


def test_only_defined_interfaces_compile() -> None:
    model = dtdl.parse({"@context": "dtmi:dtdl:context;4", "@id": "dtmi:ex:a;1", "@type": "Interface"})
    with pytest.raises(Malformed, match="defines no Interface"):
        dtdl.compile(model, "dtmi:ex:b;1")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_no_value_escapes_the_checks(value: Any) -> None:
    thing = compiled(*(telemetry(term, f"t{n}") for n, term in enumerate(GOOD)), telemetry(SETTINGS, "s"))
    for name in thing.telemetry:
        field = name
        try:
            thing.check_telemetry(name, value)
        except dtdl.InvalidValue as error:
            field = error.field
        assert field.startswith(name)
