"""Input that means no good: only `ParsingError` may come out, and it must come soon."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinproof.models import dtdl

BASE: list[Any] = [
    {
        "@context": [
            "dtmi:dtdl:context;4", "dtmi:dtdl:extension:quantitativeTypes;2", "dtmi:dtdl:extension:annotation;2",
            "dtmi:dtdl:extension:overriding;2", "dtmi:dtdl:extension:mqtt;3", "dtmi:dtdl:extension:requirement;1",
        ],
        "@id": "dtmi:ex:a;1",
        "@type": ["Interface", "Mqtt"],
        "payloadFormat": "Json/ecma/404",
        "displayName": {"en": "A", "de": "A"},
        "comment": {"@value": "c", "@type": "xsd:string"},
        "extends": ["dtmi:ex:base;1"],
        "schemas": [
            {"@id": "dtmi:ex:tree;1", "@type": "Object", "fields": [
                {"@type": ["Field", "Required"], "name": "v", "schema": "integer"},
                {"name": "kids", "schema": {"@type": "Array", "elementSchema": "dtmi:ex:tree;1"}},
            ]},
            {"@id": "dtmi:ex:mode;1", "@type": "Enum", "valueSchema": "integer",
             "enumValues": [{"name": "x", "enumValue": 1}, {"name": "y", "enumValue": {"@value": 2}}]},
            {"@id": "dtmi:ex:map;1", "@type": "Map", "mapKey": {"name": "k", "schema": "string"},
             "mapValue": {"name": "v", "schema": "dtmi:ex:mode;1"}},
        ],
        "contents": [
            {"@type": ["Telemetry", "Temperature"], "name": "temp", "schema": "double", "unit": "kelvin"},
            {"@type": ["Property", "ValueAnnotation", "Override"], "name": "unit", "annotates": "temp",
             "overrides": "unit", "schema": "TemperatureUnit"},
            {"@type": ["Command", "Idempotent", "Cacheable"], "name": "go", "ttl": "PT1S",
             "request": {"name": "r", "schema": "dtmi:ex:map;1", "nullable": True}},
            {"@type": "Component", "name": "part", "schema": "dtmi:ex:part;1"},
            {"@type": "Relationship", "name": "link", "target": "dtmi:ex:b;1", "maxMultiplicity": 3,
             "properties": [{"@type": "Property", "name": "since", "schema": "date"}]},
        ],
    },
    {"@context": "dtmi:dtdl:context;3", "@id": "dtmi:ex:base;1", "@type": "Interface",
     "contents": {"@type": "Property", "name": "serial", "schema": "string"}},
    {"@context": "dtmi:dtdl:context;2", "@id": "dtmi:ex:part;1", "@type": "Interface",
     "contents": [{"@type": ["Telemetry", "Mass"], "name": "m", "schema": "float", "unit": "gram"}]},
]  # fmt: skip


def attempt(documents: Any, **more: Any) -> dtdl.ParsingError | None:
    """Parses, and compiles what is valid; checks that what is refused is refused well."""
    refused = None
    try:
        model = dtdl.parse(documents, **more)
    except dtdl.ParsingError as error:
        refused = error
    if refused is None:
        for identifier in list(model.interfaces)[:5]:
            dtdl.compile(model, identifier)
        return None
    assert refused.findings
    for finding in refused.findings:
        assert finding.rule in dtdl.RULES
        assert finding.element
        assert finding.path
        assert finding.cause
        assert finding.fix
    return refused


def test_the_base_is_valid() -> None:
    assert attempt(BASE) is None


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _places(item, (*path, key))
    return found


_PLACES = [path for path in _places(BASE) if path]
_WORDS = st.sampled_from(
    ["@id", "@type", "@context", "@value", "@graph", "name", "schema", "unit", "fields", "contents", "extends", "dtmi:",
     "dtmi:ex:a;1", "dtmi:ex:tree;1", "dtmi:ex:base;1", "dtmi:dtdl:context;2", "dtmi:dtdl:context;3",
     "dtmi:dtdl:context;4", "dtmi:dtdl:context;4#limitless", "dtmi:dtdl:limits:onvif;1", "Interface", "Telemetry",
     "Object", "Array", "Enum", "Override", "Temperature", "integer", "string", "point", "TemperatureUnit", "kelvin",
     "dtmi:dtdl:instance:Schema:integer;4", "dtmi:dtdl:class:Interface;4", "Historized", "", "\ud800", "temp"]
)  # fmt: skip
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=8)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=6), inner, max_size=5),
    max_leaves=20,
)


@given(_JSON)
def test_any_json(value: Any) -> None:
    attempt([value])


def _mutate(documents: Any, place: tuple[Any, ...], action: str, value: Any, other: tuple[Any, ...]) -> None:
    """Changes one place; a place that an earlier change removed is left alone."""
    holder, source = documents, documents
    try:
        for key in place[:-1]:
            holder = holder[key]
        for key in other:
            source = source[key]
        if action == "delete":
            del holder[place[-1]]
        elif action == "copy":
            holder[place[-1]] = copy.deepcopy(source)
        elif action == "list":
            holder[place[-1]] = [holder[place[-1]], copy.deepcopy(value)]
        elif action == "rename" and isinstance(holder, dict) and isinstance(value, str):
            holder[value] = holder.pop(place[-1])
        else:
            holder[place[-1]] = value
    except (KeyError, IndexError, TypeError):
        return


_CHANGES = st.tuples(
    st.sampled_from(_PLACES),
    st.sampled_from(["set", "delete", "copy", "list", "rename"]),
    _JSON,
    st.sampled_from(_PLACES),
)


@given(st.lists(_CHANGES, min_size=1, max_size=4), st.booleans())
@settings(max_examples=400)
def test_changed_models(changes: list[Any], allow: bool) -> None:
    documents = copy.deepcopy(BASE)
    for change in changes:
        _mutate(documents, *change)
    options = dtdl.Options(allow_undefined_extensions=allow)
    error = attempt([documents], options=options)
    try:
        text = json.dumps(documents, allow_nan=False)
    except ValueError:
        assert error is not None
        return
    again = attempt(text, options=options)
    assert (again.findings if again else []) == (error.findings if error else []), text


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_text(text: Any) -> None:
    assert attempt(text) is not None or json.loads(text) == []


@given(st.integers(0, 2000), st.binary(max_size=3))
def test_damaged_text(at: int, patch: bytes) -> None:
    text = json.dumps(BASE).encode()
    attempt(text[:at] + patch + text[at + len(patch) :])
    attempt(text[:at])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": {"b": 1, "b": 1}}', "twice"),
        ("NaN", "not a JSON number"),
        ('{"a": -Infinity}', "not a JSON number"),
        ('{"a": 1e999}', "out of range"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ("[" * 100000, "nested deeper"),
        ('{"a":' * 100000, "nested deeper"),
        ("[" * 401 + "]" * 401, "nested deeper"),
        ("", "Expecting value"),
        ("{'a': 1}", "Expecting property name"),
        ('{"a": "\n"}', "control character"),
        (b"\xff\xfe", "not UTF-8"),
        ('"' + "\\" * 100001, "Unterminated string"),
    ],
)
def test_strict_json(text: Any, reason: str) -> None:
    error = attempt(text)
    assert error is not None
    assert [finding.rule for finding in error.findings] == ["json"]
    assert reason in error.findings[0].cause


def test_parsed_values_must_be_json() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for wrong in ({1: 2}, {"a": {1}}, {"a": object()}, {"a": float("nan")}, loop, (1,), {"a": 10**2000}, {"a": b"x"}):
        error = attempt([wrong])
        assert error is not None
        assert error.findings[0].rule == "json"


def test_size_is_bounded() -> None:
    error = attempt(json.dumps(BASE), options=dtdl.Options(max_bytes=100))
    assert error is not None
    assert error.findings[0].rule == "json-size"
    error = attempt([json.dumps(BASE[1]), json.dumps(BASE[2])], options=dtdl.Options(max_bytes=200))
    assert error is not None
    assert "json-size" in {finding.rule for finding in error.findings}


def test_findings_are_bounded() -> None:
    error = attempt([{"@type": "x"}] * 1000, options=dtdl.Options(max_findings=7))
    assert error is not None
    assert len(error.findings) == 7


def interface(name: str, **more: Any) -> dict[str, Any]:
    return {"@context": "dtmi:dtdl:context;4", "@id": f"dtmi:ex:{name};1", "@type": "Interface", **more}


def _schema_web(count: int) -> list[Any]:
    """Objects that all refer to each other: more paths than anybody can follow."""
    fields = [{"name": f"f{n}", "schema": f"dtmi:ex:o{n};1"} for n in range(count)]
    return [
        interface("a", schemas=[{"@id": f"dtmi:ex:o{n};1", "@type": "Object", "fields": fields} for n in range(count)])
    ]


def _extends_web(count: int) -> list[Any]:
    """Interfaces that each extend all earlier ones, ten levels deep."""
    return [
        interface(
            f"i{level}x{n}",
            extends=[f"dtmi:ex:i{level - 1}x{m};1" for m in range(count)] if level else [],
            contents={"@type": "Telemetry", "name": f"t{level}x{n}", "schema": "integer"},
        )
        for level in range(10)
        for n in range(count)
    ]


def _heirs(contents: int, count: int) -> list[Any]:
    """Many Interfaces that inherit a large one."""
    many = [{"@type": "Command", "name": f"c{n}"} for n in range(contents)]
    own = {"@type": "Command", "name": "own"}
    return [
        interface("base", contents=many),
        *(interface(f"i{n}", extends="dtmi:ex:base;1", contents=own) for n in range(count)),
    ]


def _two_lines(contents: int, count: int) -> list[Any]:
    """Many Interfaces that inherit from a large one and a small one."""
    small = interface("small", contents={"@type": "Command", "name": "tiny"})
    both = ["dtmi:ex:base;1", "dtmi:ex:small;1"]
    return [*_heirs(contents, 0), small, *(interface(f"i{n}", extends=both) for n in range(count))]


def _dag(count: int) -> list[Any]:
    """A chain of Objects, each referring twice to the next: exponentially many paths."""
    schemas = [
        {"@id": f"dtmi:ex:o{n};1", "@type": "Object",
         "fields": [{"name": k, "schema": f"dtmi:ex:o{n + 1};1" if n < count - 1 else "integer"} for k in "ab"]}
        for n in range(count)
    ]  # fmt: skip
    return [interface("a", schemas=schemas)]


@pytest.mark.parametrize(
    ("documents", "valid"),
    [
        (_schema_web(60), None),
        (_extends_web(40), None),
        (_heirs(3000, 300), True),
        (_heirs(20000, 3000), True),
        (_two_lines(10000, 1000), False),
        (_dag(8), True),
        (_dag(5000), False),
        ([interface("a", extends=[f"dtmi:ex:x{n};1" for n in range(50000)])], False),
        ([interface("a", displayName={"en": "x" * 10_000_000})], False),
        ([interface("a", contents={"@type": "Telemetry", "name": "a" + "_" * 3_000_000, "schema": "integer"})], False),
        ([interface("a:" * 1_000_000)], False),
        ([interface("a" + "_" * 2000)], False),
        ([interface("a", **{f"x{n}": n for n in range(100_000)})], False),
    ],
    ids=["schema-web", "extends-web", "heirs", "many-heirs", "two-lines", "dag", "long-dag", "references", "long-text",
         "long-name", "many-segments", "underscores", "members"],
)  # fmt: skip
def test_time_is_bounded(documents: list[Any], valid: bool | None) -> None:
    started = time.process_time()
    error = attempt(documents)
    assert time.process_time() - started < 20
    if valid is not None:
        assert (error is None) == valid
