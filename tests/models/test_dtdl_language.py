"""What the language says, in cases of our own: version 4 and its limits, references, findings, resolvers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twinproof.errors import Malformed
from twinproof.models import dtdl

V4 = "dtmi:dtdl:context;4"
LIMITLESS = f"{V4}#limitless"
ONVIF = "dtmi:dtdl:limits:onvif;1"
QUANTITATIVE = "dtmi:dtdl:extension:quantitativeTypes;2"


def interface(*contents: dict[str, Any], context: Any = V4, name: str = "a", **more: Any) -> dict[str, Any]:
    document = {"@context": context, "@id": f"dtmi:ex:{name};1", "@type": "Interface", **more}
    return document | {"contents": list(contents)} if contents else document


def telemetry(schema: Any, name: str = "t", **more: Any) -> dict[str, Any]:
    return {"@type": "Telemetry", "name": name, "schema": schema} | more


def nested_array(depth: int, inner: Any = "boolean") -> Any:
    for _ in range(depth):
        inner = {"@type": "Array", "elementSchema": inner}
    return inner


def rules(*documents: Any, **options: Any) -> set[str]:
    """The rules that the documents break."""
    try:
        dtdl.parse(list(documents), **options)
    except dtdl.ParsingError as error:
        return {finding.rule for finding in error.findings}
    return set()


# --- contexts and limits of version 4 ---------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "broken"),
    [
        (V4, None),
        ([V4], None),
        ([LIMITLESS, f"{V4}#limits"], None),
        ([LIMITLESS, V4], None),
        ([LIMITLESS, ONVIF], None),
        ([LIMITLESS, ONVIF, QUANTITATIVE], None),
        (["dtmi:dtdl:context;3", LIMITLESS, ONVIF], None),
        ([V4, LIMITLESS, ONVIF], None),
        ([LIMITLESS], "context-limits"),
        (LIMITLESS, "context-limits"),
        ([f"{V4}#limits"], "context-limits"),
        ([V4, f"{V4}#limits"], "context-limits"),
        ([V4, ONVIF], "context-limits"),
        ([LIMITLESS, QUANTITATIVE, ONVIF], "context-limits"),
        ([LIMITLESS, "dtmi:example:limits;1"], "context-limits"),
        ([ONVIF, LIMITLESS, V4], "context-limits"),
        ([QUANTITATIVE, LIMITLESS, f"{V4}#limits"], "context-order"),
        ([QUANTITATIVE, V4], "context-order"),
        ([f"{V4}#other"], "context-dtmi"),
        (["dtmi:dtdl:context;3#limitless", "dtmi:dtdl:context;3#limits"], "context-dtmi"),
        ("dtmi:dtdl:context;5", "context-version"),
        ("dtmi:dtdl:context", "context-dtmi"),
        ([ONVIF], "context-limits"),
        ([QUANTITATIVE], "context-missing"),
        (None, "context-form"),
        ({"name": "dtmi:ex:name;1"}, "context-form"),
    ],
)
def test_contexts(context: Any, broken: str | None) -> None:
    found = rules(interface(context=context))
    assert (broken in found) if broken else not found


def test_undefined_extension_context_follows_the_option() -> None:
    odd = telemetry("integer", odd=1) | {"@type": ["Telemetry", "Odd"]}
    document = interface(odd, context=[V4, "dtmi:ex:x;1"])
    assert rules(document) == {"context-undefined"}
    assert rules(document, options=["DisallowUndefinedExtensions"]) == {"context-undefined"}
    assert rules(document, options=["AllowUndefinedExtensions"]) == set()
    version_2 = json.loads(json.dumps(document).replace("context;4", "context;2"))
    assert rules(version_2) == set(), "version 2 accepts by default"
    formal = interface(telemetry("integer", odd=1), context=[V4, "dtmi:ex:x;1"])
    assert rules(formal, options=["AllowUndefinedExtensions"]) == {"member-undefined"}


def test_options_are_named() -> None:
    with pytest.raises(Malformed, match="unknown parsing option"):
        dtdl.parse([], options=["Anything"])
    assert dtdl.Options.named([]).allow_undefined_extensions is None


@pytest.mark.parametrize(("context", "most"), [(V4, 8), ([LIMITLESS, ONVIF], 24), ("dtmi:dtdl:context;3", 5)])
def test_schema_depth(context: Any, most: int) -> None:
    assert rules(interface(telemetry(nested_array(most)), context=context)) == set()
    assert rules(interface(telemetry(nested_array(most + 1)), context=context)) == {"schema-depth"}


@pytest.mark.parametrize(("context", "most"), [(V4, 512), ([LIMITLESS, ONVIF], 4096)])
def test_description_length(context: Any, most: int) -> None:
    assert rules(interface(context=context, description="x" * most)) == set()
    assert rules(interface(context=context, description={"de": "x" * (most + 1)})) == {"string-length"}


@pytest.mark.parametrize(("context", "most"), [(V4, 128), ([LIMITLESS, ONVIF], 256)])
def test_interface_identifier_length(context: Any, most: int) -> None:
    assert rules(interface(context=context, name="x" * (most - 10))) == set()
    assert rules(interface(context=context, name="x" * (most - 9))) == {"id-length"}


def test_limits_hold_where_their_context_does() -> None:
    deep = telemetry(nested_array(12), name="deep", **{"@context": [LIMITLESS, ONVIF]})
    assert rules(interface(deep)) == set()
    assert rules(interface(deep, telemetry(nested_array(12)))) == {"schema-depth"}


def test_extends_depth_and_circle() -> None:
    def chain(count: int, version: int) -> list[dict[str, Any]]:
        context = f"dtmi:dtdl:context;{version}"
        return [interface(context=context, name=f"i{n}", extends=f"dtmi:ex:i{n + 1};1") for n in range(count)] + [
            interface(context=context, name=f"i{count}")
        ]

    assert rules(*chain(12, 4)) == set()
    assert rules(*chain(13, 4)) == {"extends-depth"}
    assert rules(*chain(11, 3)) == {"extends-depth"}
    assert rules(interface(extends="dtmi:ex:a;1")) == {"cycle"}
    assert rules(*chain(2000, 4)) == {"extends-depth"}


def test_extends_count_is_over_all_paths() -> None:
    bases = [interface(name=f"b{n}", extends="dtmi:ex:root;1") for n in range(513)]
    root = interface(name="root")
    some = interface(name="some", extends=[base["@id"] for base in bases[:512]])
    assert rules(root, *bases, some) == set()
    assert rules(root, *bases, interface(name="all", extends=[base["@id"] for base in bases])) == {"extends-count"}


def test_contents_count_includes_what_is_inherited() -> None:
    bases = [interface(*(telemetry("integer", f"t{n}x{m}") for m in range(1700)), name=f"b{n}") for n in range(30)]
    some = interface(name="some", extends=[base["@id"] for base in bases[:29]])
    assert rules(*bases, some) == set()
    assert rules(*bases, interface(name="all", extends=[base["@id"] for base in bases])) == {"contents-count"}


# --- recursion --------------------------------------------------------------------------------


def recursive(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"@id": "dtmi:ex:r;1", "@type": kind}
    if kind == "Array":
        schema["elementSchema"] = "dtmi:ex:r;1"
    elif kind == "Map":
        schema |= {"mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "dtmi:ex:r;1"}}
    else:
        schema["fields"] = [{"name": "f", "schema": "dtmi:ex:r;1"}, {"name": "g", "schema": "integer"}]
    return schema


@pytest.mark.parametrize("kind", ["Array", "Map", "Object"])
def test_schemas_may_recur_since_version_4(kind: str) -> None:
    assert rules(interface(schemas=recursive(kind))) == set()
    assert rules(interface(telemetry(recursive(kind)))) == set()
    assert rules(interface(telemetry(recursive(kind)), context="dtmi:dtdl:context;3")) == {"cycle"}


def test_mutual_recursion_is_fine_and_other_circles_are_not() -> None:
    schemas = [
        {"@id": "dtmi:ex:x;1", "@type": "Object", "fields": {"name": "y", "schema": "dtmi:ex:y;1"}},
        {"@id": "dtmi:ex:y;1", "@type": "Array", "elementSchema": "dtmi:ex:x;1"},
    ]
    assert rules(interface(telemetry("dtmi:ex:x;1"), schemas=schemas)) == set()
    component = {"@type": "Component", "name": "me", "schema": "dtmi:ex:a;1"}
    assert rules(interface(component)) == {"cycle"}
    assert rules(interface({"@type": "Relationship", "name": "me", "target": "dtmi:ex:a;1"})) == set()


# --- new schemas ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "term",
    ["byte", "bytes", "decimal", "short", "unsignedByte", "unsignedInteger", "unsignedLong", "unsignedShort", "uuid",
     "scaledDecimal"],
)  # fmt: skip
def test_schemas_of_version_4(term: str) -> None:
    assert rules(interface(telemetry(term))) == set()
    found = rules(interface(telemetry(term), context="dtmi:dtdl:context;3"))
    assert found == {"reference-form"}


def test_nullable_payload() -> None:
    command = {"@type": "Command", "name": "c", "request": {"name": "r", "schema": "string", "nullable": True}}
    assert rules(interface(command)) == set()
    assert rules(interface(command, context="dtmi:dtdl:context;3")) == {"member-undefined"}
    command["request"] = {"name": "r", "schema": "string", "nullable": 1}
    assert rules(interface(command)) == {"value-kind"}


def test_enum_may_be_empty_since_version_3() -> None:
    enum = {"@type": "Enum", "valueSchema": "integer"}
    assert rules(interface(telemetry(enum))) == set()
    assert rules(interface(telemetry(enum), context="dtmi:dtdl:context;2")) == {"member-missing"}
    enum["enumValues"] = [{"name": "x", "enumValue": 1}, {"name": "y", "enumValue": 1}]  # type: ignore[assignment]
    assert rules(interface(telemetry(enum))) == {"not-unique"}


def test_primitive_schemas_are_named_and_not_written() -> None:
    assert rules(interface(telemetry({"@type": "Double"}))) == {"type-standard"}


# --- versions beside each other ---------------------------------------------------------------


@pytest.mark.parametrize("inner", [2, 3, 4])
@pytest.mark.parametrize("outer", [2, 3, 4])
def test_elements_of_earlier_versions_may_be_included(outer: int, inner: int) -> None:
    part = interface(telemetry("integer"), context=f"dtmi:dtdl:context;{inner}", name="part")
    component = {"@type": "Component", "name": "c", "schema": "dtmi:ex:part;1"}
    whole = interface(component, context=f"dtmi:dtdl:context;{outer}")
    assert rules(part, whole) == ({"reference-version"} if inner > outer else set())
    component["schema"] = part  # type: ignore[assignment]
    assert rules(whole) == ({"reference-version"} if inner > outer else set())


def test_inner_language_version_brings_its_own_terms() -> None:
    thermometer = {"@type": ["Telemetry", "Temperature"], "name": "t", "schema": "double", "unit": "kelvin"}
    inner = interface(thermometer, context="dtmi:dtdl:context;2", name="inner")
    outer = interface(
        thermometer | {"name": "own"},
        {"@type": "Component", "name": "c", "schema": inner},
        context=["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"],
    )
    model = dtdl.parse(outer)
    assert model.contents("dtmi:ex:inner;1")["t"].values["unit"][0].id == "dtmi:standard:unit:kelvin;2"
    unit = model.contents("dtmi:ex:a;1")["own"].values["unit"][0].id
    assert unit == "dtmi:dtdl:extension:quantitativeTypes:v1:unit:kelvin"


# --- inheritance, references, sizes -----------------------------------------------------------


def test_inherited_names_clash() -> None:
    base = interface(telemetry("integer", "x"), name="base")
    left = interface(name="left", extends="dtmi:ex:base;1")
    right = interface(telemetry("integer", "y"), name="right", extends="dtmi:ex:base;1")
    diamond = interface(name="diamond", extends=["dtmi:ex:left;1", "dtmi:ex:right;1"])
    assert rules(base, left, right, diamond) == set(), "the same content by two ways is one content"
    model = dtdl.parse([diamond, right, left, base])
    assert set(model.contents("dtmi:ex:diamond;1")) == {"x", "y"}
    assert model.extends("dtmi:ex:diamond;1", "dtmi:ex:base;1")
    assert not model.extends("dtmi:ex:base;1", "dtmi:ex:left;1")
    again = interface(telemetry("string", "x"), name="again", extends="dtmi:ex:right;1")
    assert rules(base, right, again) == {"not-unique"}
    other = interface(telemetry("integer", "x"), name="other")
    both = interface(name="both", extends=["dtmi:ex:base;1", "dtmi:ex:other;1"])
    assert rules(base, other, both) == {"not-unique"}


def test_contents_of_version_2_are_counted_with_inherited_ones() -> None:
    context = "dtmi:dtdl:context;2"
    base = interface(*(telemetry("integer", f"b{n}") for n in range(200)), context=context, name="base")
    more = interface(
        *(telemetry("integer", f"a{n}") for n in range(101)), context=context, name="more", extends="dtmi:ex:base;1"
    )
    assert rules(base, more) == {"too-many"}


def test_component_inherits_component() -> None:
    leaf = interface(telemetry("integer"), name="leaf")
    middle = interface({"@type": "Component", "name": "c", "schema": "dtmi:ex:leaf;1"}, name="middle")
    heir = interface(name="heir", extends="dtmi:ex:middle;1")
    top = interface({"@type": "Component", "name": "c", "schema": "dtmi:ex:heir;1"}, name="top")
    assert rules(leaf, middle, heir, top) == {"component-in-component"}


def test_property_of_version_2_holds_no_array_at_any_depth() -> None:
    field = {"name": "f", "schema": {"@type": "Object", "fields": {"name": "g", "schema": "point"}}}
    thing = {"@type": "Property", "name": "p", "schema": {"@type": "Object", "fields": field}}
    assert rules(interface(thing, context="dtmi:dtdl:context;2")) == {"array-in-property"}
    assert rules(interface(thing, context="dtmi:dtdl:context;3")) == set()


def test_schemas_stay_in_their_interface() -> None:
    one = interface(name="one", schemas={"@id": "dtmi:ex:s;1", "@type": "Array", "elementSchema": "integer"})
    two = interface(telemetry("dtmi:ex:s;1"), name="two")
    assert rules(one, two) == {"reference-partition"}


def test_interface_size_counts_without_inner_interfaces() -> None:
    def texts(count: int, prefix: str) -> list[dict[str, Any]]:
        return [telemetry("integer", f"{prefix}{n}", comment="\u00e9" * 500) for n in range(count)]

    inner = interface(*texts(600, "i"), name="inner")
    outer = interface(*texts(600, "o"), {"@type": "Component", "name": "c", "schema": inner})
    assert rules(outer) == set()
    assert rules(json.dumps(outer, ensure_ascii=False).encode()) == set()
    large = interface(*texts(1100, "o"))
    assert rules(large) == {"interface-size"}
    assert rules(json.dumps(large)) == {"interface-size"}
    assert rules(large | {"@context": "dtmi:dtdl:context;2", "contents": large["contents"][:300]}) == set()


def test_resolver_supplies_what_is_missing() -> None:
    asked: list[tuple[str, ...]] = []
    library = {f"dtmi:ex:i{n};1": interface(name=f"i{n}", extends=f"dtmi:ex:i{n + 1};1") for n in range(3)}
    library["dtmi:ex:i3;1"] = interface(name="i3")

    def resolver(wanted: Any) -> list[Any]:
        asked.append(wanted)
        return [json.dumps(library[name]) for name in wanted if name in library]

    model = dtdl.parse(interface(extends="dtmi:ex:i0;1"), resolver=resolver)
    assert len(model.interfaces) == 5
    assert asked == [(f"dtmi:ex:i{n};1",) for n in range(4)]
    del library["dtmi:ex:i2;1"]
    with pytest.raises(dtdl.ParsingError) as caught:
        dtdl.parse(interface(extends="dtmi:ex:i0;1"), resolver=resolver)
    assert caught.value.unresolved == ["dtmi:ex:i2;1"]


def test_resolver_that_never_ends_is_stopped() -> None:
    def resolver(wanted: Any) -> list[Any]:
        number = int(wanted[0].removeprefix("dtmi:ex:i").removesuffix(";1"))
        return [interface(name=f"i{number}", extends=f"dtmi:ex:i{number + 1};1")]

    found = rules(interface(extends="dtmi:ex:i0;1"), resolver=resolver, options=dtdl.Options(max_bytes=2000))
    assert "json-size" in found


# --- findings and the model -------------------------------------------------------------------


def test_findings_name_element_place_rule_and_fix() -> None:
    document = interface(telemetry("integer", "9lives"), {"@type": "Relationship", "name": "r", "minMultiplicity": 1})
    with pytest.raises(dtdl.ParsingError) as caught:
        dtdl.parse([interface(name="other"), [document]])
    first, second = caught.value.findings
    assert (first.element, first.path) == ("dtmi:ex:a:_contents;1", "1[0].contents[0].name")
    assert first.rule == "string-pattern"
    assert '"9lives"' in first.cause
    assert (second.element, second.rule) == ("dtmi:ex:a:_contents:__r;1", "number-range")
    assert second.cause == "minMultiplicity is 1; it must be exactly 0"
    for finding in caught.value.findings:
        assert finding.fix
        assert finding.rule in dtdl.RULES
        assert finding.element in str(finding)
    assert isinstance(caught.value, Malformed)
    assert "(+1 more)" in str(caught.value)


def test_model_gives_texts_units_and_types() -> None:
    thing = {
        "@type": ["Property", "Temperature"], "name": "temp", "schema": "double", "unit": "degreeCelsius",
        "writable": True, "displayName": "Temperature", "comment": "measured at the inlet",
        "description": [{"@value": "warm", "@language": "en-US"}, {"@value": "warm", "@language": "de"}],
    }  # fmt: skip
    model = dtdl.parse(interface(thing, context=[V4, QUANTITATIVE], displayName={"en": "Pump", "de": "Pumpe"}))
    pump = model["dtmi:ex:a;1"]
    assert (pump.kind, pump.version, dict(pump.display_name)) == ("Interface", 4, {"en": "Pump", "de": "Pumpe"})
    temp = model.contents("dtmi:ex:a;1")["temp"]
    assert temp is pump.all("contents")[0]
    assert temp is model["dtmi:ex:a:_contents:__temp;1"]
    assert (temp.unit, temp.semantic_types, temp.writable) == ("degreeCelsius", ("Temperature",), True)
    assert (dict(temp.display_name), temp.comment) == ({"en": "Temperature"}, "measured at the inlet")
    assert dict(temp.description) == {"en-US": "warm", "de": "warm"}
    assert temp.schema is not None
    assert (temp.schema.kind, temp.schema.term) == ("Double", "double")
    assert temp.schema is model["dtmi:dtdl:instance:Schema:double;4"]
    with pytest.raises(KeyError):
        model["dtmi:ex:none;1"]


def test_documents_in_all_forms() -> None:
    one, two = interface(name="one"), interface(name="two")
    forms: list[Any] = [
        [one, two], [[one, two]], [json.dumps(one), json.dumps(two).encode()], json.dumps([one, two]),
        b"\xef\xbb\xbf" + json.dumps([one, two]).encode(), iter([one, two]), ["\ufeff" + json.dumps([one, two])],
    ]  # fmt: skip
    for form in forms:
        assert set(dtdl.parse(form).interfaces) == {"dtmi:ex:one;1", "dtmi:ex:two;1"}
    assert not dtdl.parse([]).interfaces
