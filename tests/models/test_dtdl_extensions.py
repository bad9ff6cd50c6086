"""Language extensions: what their adjunct types allow and demand."""

from __future__ import annotations

from typing import Any

import pytest

from twinproof.models import dtdl
from twinproof.models.dtdl.facts import build, units

_BASE = "dtmi:dtdl:extension"


def extended(version: int, *names: str) -> list[str]:
    return [f"dtmi:dtdl:context;{version}", *(f"{_BASE}:{name}" if ":" not in name else name for name in names)]


def document(context: Any, *contents: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"@context": context, "@id": "dtmi:ex:a;1", "@type": "Interface", "contents": list(contents), **more}


def content(kind: str, name: str, *cotypes: str, **more: Any) -> dict[str, Any]:
    return {"@type": [kind, *cotypes], "name": name, **more}


def rules(*documents: Any) -> set[str]:
    try:
        dtdl.parse(list(documents))
    except dtdl.ParsingError as error:
        return {finding.rule for finding in error.findings}
    return set()


QUANTITATIVE = {3: "quantitativeTypes;1", 4: "quantitativeTypes;2"}


@pytest.mark.parametrize("version", [2, 3, 4])
def test_every_unit_of_every_semantic_type(version: int) -> None:
    context = extended(version, *([QUANTITATIVE[version]] if version > 2 else []))
    tried = 0
    for name, kind in units.semantic_types(version).items():
        for number, unit in enumerate(units.units(version)[kind]):
            thing = content("Telemetry", f"t{number}", name, schema="double", unit=unit)
            assert rules(document(context, thing)) == set(), (name, unit)
            tried += 1
        wrong = "second" if kind != "TimeUnit" else "metre"
        assert rules(document(context, content("Telemetry", "t", name, schema="double", unit=wrong))) == {
            "reference-not-allowed"
        }
    assert tried > (150 if version == 2 else 250)


@pytest.mark.parametrize(
    ("version", "kind", "schema", "broken"),
    [
        (4, "Property", "decimal", None),
        (4, "Property", "unsignedByte", None),
        (4, "Property", "string", "cotype-schema"),
        (4, "Property", {"@type": "Array", "elementSchema": "double"}, "cotype-schema"),
        (3, "Telemetry", "long", None),
        (3, "Relationship", None, "cotype-not-applicable"),
        (2, "Telemetry", "boolean", "cotype-schema"),
    ],
)
def test_semantic_types_need_numbers(version: int, kind: str, schema: Any, broken: str | None) -> None:
    context = extended(version, *([QUANTITATIVE[version]] if version > 2 else []))
    thing = content(kind, "x", "Length", unit="metre", **({"schema": schema} if schema else {}))
    assert rules(document(context, thing)) == ({broken} if broken else set())


@pytest.mark.parametrize(
    ("version", "broken"), [(2, {"member-undefined", "cotype-not-applicable"}), (3, set()), (4, set())]
)
def test_fields_have_semantic_types_since_version_3(version: int, broken: set[str]) -> None:
    field = {"@type": ["Field", "Mass"], "name": "m", "schema": "double", "unit": "gram"}
    context = extended(version, *([QUANTITATIVE[version]] if version > 2 else []))
    found = rules(document(context, content("Telemetry", "t", schema={"@type": "Object", "fields": field})))
    assert found == (broken if version > 2 else {"cotype-not-applicable"})


def test_extension_serves_its_language_version_only() -> None:
    thing = content("Telemetry", "t", "Mass", schema="double", unit="gram")
    assert rules(document(extended(4, "quantitativeTypes;1"), thing)) == {"cotype-not-applicable"}
    assert (
        rules(document(extended(3, "historization;2"), content("Telemetry", "t", "Historized", schema="long"))) == set()
    )
    assert rules(document(extended(4, "historization;1"), content("Telemetry", "t", "Historized", schema="long"))) == {
        "cotype-not-applicable"
    }
    assert rules(document(extended(3), content("Telemetry", "t", "Historized", schema="long"))) == {"type-undefined"}
    command = content("Command", "c", "Historized")
    assert rules(document(extended(3, "historization;1"), command)) == {"cotype-not-applicable"}


def test_abstract_types_are_not_used_and_several_semantic_types_depend_on_the_version() -> None:
    context = extended(4, "quantitativeTypes;2")
    assert rules(document(context, content("Telemetry", "t", "QuantitativeType", schema="double"))) == {
        "cotype-abstract"
    }
    both = content("Telemetry", "t", "Length", "Distance", schema="double", unit="metre")
    assert rules(document(context, both)) == set(), "one unit serves both"
    assert rules(document(extended(2), both)) == {"cotype-group"}
    clash = content("Telemetry", "t", "Length", "Mass", schema="double", unit="metre")
    assert rules(document(context, clash)) == {"reference-not-allowed"}


def test_byte_is_a_schema_and_a_unit() -> None:
    thing = content("Telemetry", "t", "DataSize", schema="byte", unit="byte")
    model = dtdl.parse(document(extended(4, "quantitativeTypes;2"), thing))
    found = model.contents("dtmi:ex:a;1")["t"]
    assert (found.unit, found.schema and found.schema.kind) == ("byte", "Byte")


def test_own_units() -> None:
    values = [
        {"@type": ["EnumValue", "SymbolicUnit"], "name": "smoot", "enumValue": "smoot", "symbol": "sm"},
        {"@type": ["EnumValue", "SymbolicUnit", "RatioUnit"], "name": "smootPerSecond", "enumValue": "smootPerSecond",
         "symbol": "sm/s", "topUnit": "metre", "bottomUnit": "second"},
    ]  # fmt: skip
    enum = {"@type": "Enum", "valueSchema": "string", "enumValues": values}
    context = extended(3, "quantitativeTypes;1")
    assert rules(document(context, content("Telemetry", "t", schema=enum))) == set()
    del values[0]["symbol"]
    assert rules(document(context, content("Telemetry", "t", schema=enum))) == {"member-missing"}


def test_standard_units_in_an_own_enum() -> None:
    enum = {"@type": "Enum", "valueSchema": "string", "enumValues": ["kelvin", {"name": "x", "enumValue": "X"}]}
    context = extended(4, "quantitativeTypes;2")
    model = dtdl.parse(document(context, content("Telemetry", "t", schema=enum)))
    thing = dtdl.compile(model, "dtmi:ex:a;1")
    thing.check_telemetry("t", "kelvin")
    thing.check_telemetry("t", "X")
    with pytest.raises(dtdl.InvalidValue):
        thing.check_telemetry("t", "degreeCelsius")
    enum["valueSchema"] = "integer"
    assert rules(document(context, content("Telemetry", "t", schema=enum))) == {"enum-value-kind"}


# --- annotation and overriding ----------------------------------------------------------------

ANNOTATION = extended(4, "quantitativeTypes;2", "annotation;2", "overriding;2")
TEMP = content("Telemetry", "temp", "Temperature", schema="double", unit="kelvin")


def annotation(name: str, of: str, *cotypes: str, **more: Any) -> dict[str, Any]:
    return content("Property", name, "ValueAnnotation", *cotypes, **{"schema": "double", "annotates": of, **more})


@pytest.mark.parametrize(
    ("contents", "broken"),
    [
        ([annotation("accuracy", "temp")], None),
        ([annotation("accuracy", "none")], "sibling"),
        ([annotation("accuracy", "accuracy")], "sibling"),
        ([annotation("one", "temp"), annotation("two", "one")], "sibling"),
        ([annotation("accuracy", "link"), content("Relationship", "link")], "sibling"),
        ([annotation("u", "temp", "Override", schema="TemperatureUnit", overrides="unit")], None),
        ([annotation("u", "temp", "Override", schema="LengthUnit", overrides="unit")], "override"),
        ([annotation("u", "temp", "Override", schema="string", overrides="unit")], "override"),
        ([annotation("u", "temp", "Override", schema="TemperatureUnit", overrides="schema")], "override"),
        ([annotation("u", "temp", "Override", schema="TemperatureUnit", overrides="nothing")], "reference-form"),
        ([annotation(n, "temp", "Override", schema="TemperatureUnit", overrides="unit") for n in "uv"], "override"),
        ([content("Property", "u", "Override", schema="TemperatureUnit", overrides="unit")], "cotype-needs"),
        ([content("Property", "u", "ValueAnnotation", schema="double")], "member-missing"),
    ],
)
def test_annotation_and_overriding(contents: list[dict[str, Any]], broken: str | None) -> None:
    assert rules(document(ANNOTATION, TEMP, *contents)) == ({broken} if broken else set())


def test_inherited_contents_may_be_annotated() -> None:
    base = document(ANNOTATION, TEMP) | {"@id": "dtmi:ex:base;1"}
    unit = annotation("u", "temp", "Override", schema="TemperatureUnit", overrides="unit")
    heir = document(ANNOTATION, unit, extends="dtmi:ex:base;1")
    assert rules(base, heir) == set()
    assert rules(document(ANNOTATION, unit)) == {"sibling"}


# --- mqtt and requirement ---------------------------------------------------------------------


@pytest.mark.parametrize(("number", "version"), [(1, 3), (2, 3), (2, 4), (3, 3), (3, 4)])
@pytest.mark.parametrize(
    ("members", "broken"),
    [
        ({"payloadFormat": "Json/ecma/404", "telemetryTopic": "v/{modelId}/{ex:senderId}/t"}, None),
        ({"payloadFormat": "x", "commandTopic": "a"}, None),
        ({"payloadFormat": "x", "commandTopic": "$share/a"}, "string-pattern"),
        ({"payloadFormat": "x", "commandTopic": "a//b"}, "string-pattern"),
        ({"payloadFormat": "x", "commandTopic": "a/+"}, "string-pattern"),
        ({"payloadFormat": "x", "commandTopic": "a/b\n"}, "string-pattern"),
        ({"telemetryTopic": "a"}, "member-missing"),
    ],
)
def test_mqtt_topics(number: int, version: int, members: dict[str, Any], broken: str | None) -> None:
    found = rules(document(extended(version, f"mqtt;{number}")) | {"@type": ["Interface", "Mqtt"], **members})
    assert found == ({broken} if broken else set())


def test_mqtt_commands_and_indices() -> None:
    context = extended(4, "mqtt;3")
    assert rules(document(context, content("Command", "c", "Idempotent", "Cacheable", ttl="PT15S"))) == set()
    assert rules(document(context, content("Command", "c", "Cacheable", ttl="PT15S"))) == {"cotype-needs"}
    assert rules(document(context, content("Command", "c", "Idempotent", "Cacheable", ttl="15s"))) == {"string-pattern"}
    indexed = [content("Telemetry", f"t{n}", "Indexed", schema="long", index=n // 2 + 1) for n in range(2)]
    assert rules(document(context, *indexed)) == {"not-unique"}
    indexed[1]["index"] = 7
    assert rules(document(context, *indexed)) == set()
    indexed[1]["index"] = 0
    assert rules(document(context, *indexed)) == {"number-range"}


def test_mqtt_results() -> None:
    context = extended(4, "mqtt;3", "requirement;1")

    def command(*fields: dict[str, Any], kind: Any = ("Object", "Result")) -> dict[str, Any]:
        schema = {"@type": list(kind), "fields": list(fields)}
        return document(context, content("Command", "c", response={"name": "r", "schema": schema}))

    def field(name: str, *cotypes: str, schema: Any = "string") -> dict[str, Any]:
        return {"@type": ["Field", *cotypes], "name": name, "schema": schema}

    error = {"@type": ["Object", "Error"], "fields": [field("m", "ErrorMessage")]}
    fine = [field("ok", "NormalResult"), field("bad", "ErrorResult", schema=error)]
    assert rules(command(*fine)) == set()
    assert rules(command(*fine, field("more"))) == {"cotype-fields"}
    assert rules(command(*fine, field("more", "NormalResult"))) == {"cotype-only-one"}
    assert rules(command(*fine, kind=("Object",))) == {"cotype-place"}
    assert rules(command(field("ok", "NormalResult", "Required"))) == {"cotype-bars"}
    assert rules(command(field("bad", "ErrorResult"))) == {"cotype-schema"}
    error["fields"] = [field("m", "ErrorMessage", schema="integer")]
    assert rules(command(*fine)) == {"cotype-schema"}
    transparent: dict[str, Any] = {"@type": ["CommandRequest", "Transparent"], "name": "r", "schema": "string"}
    assert rules(document(context, content("Command", "c", request=transparent))) == {"cotype-schema"}
    transparent["schema"] = {"@type": "Object"}
    assert rules(document(context, content("Command", "c", request=transparent))) == set()
    del transparent["@type"]
    transparent["@type"] = "Transparent"
    assert rules(document(context, content("Command", "c", request=transparent))) == {"type-material"}


# --- version 2's partner extension -------------------------------------------------------------


@pytest.mark.parametrize(
    ("cotype", "schema", "broken"),
    [
        ("Location", "geopoint", set()),
        ("Location", "point", set()),
        ("Location", "double", {"cotype-schema"}),
        ("State", {"@type": "Enum", "valueSchema": "integer", "enumValues": {"name": "x", "enumValue": 1}}, set()),
        ("State", "string", {"cotype-schema"}),
        ("Event", "string", set()),
        ("Event", "boolean", {"cotype-schema"}),
        ("VelocityVector", "vector", set()),
        ("VelocityVector", "geopoint", {"cotype-schema"}),
    ],
)
def test_iot_central(cotype: str, schema: Any, broken: set[str]) -> None:
    context = extended(2, "dtmi:iotcentral:context;2")
    assert rules(document(context, content("Telemetry", "t", cotype, schema=schema))) == broken


def test_iot_central_units_and_identifiers() -> None:
    context = extended(2, "dtmi:iotcentral:context;2")
    vector = content("Telemetry", "t", "VelocityVector", schema="vector", unit="knot")
    assert rules(document(context, vector)) == set()
    vector["unit"] = "gram"
    assert rules(document(context, vector)) == {"reference-not-allowed"}
    reserved = document(context) | {"@id": "dtmi:iotcentral:mine;2"}
    assert rules(reserved) == {"id-reserved"}
    assert rules(reserved | {"@context": extended(2)}) == set()


def test_every_extension_has_a_vocabulary_whose_members_resolve() -> None:
    for context, vocabulary in build.VOCABULARIES.items():
        for fact in vocabulary.adjuncts.values():
            assert fact.on, (context, fact.name)
            assert {version for _, version in fact.on} <= set(fact.versions)
            for identifier, member in fact.properties.items():
                assert member.dtmi == identifier
