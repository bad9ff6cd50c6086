"""The language extensions as one table: contexts, adjunct types, members and what they demand.

Source: the extension documents and metamodels beside the language specifications (DTDL/v2 to DTDL/v4). A reference to
another extension's adjunct type in `needs` is to the type of the same extension version.
"""

from __future__ import annotations

from twinproof.models.dtdl.facts.rows import Adjunct, Extension, Prop

_CONTENT = ("Property", "Telemetry")
_TOPIC_LABEL = r"[!$-*,-.0-z|~]+"
_BRACED = r"\{(?:[A-Za-z]+:)?[A-Za-z]+\}"
_TOPIC = rf"(?:[!%-*,-.0-z|~][!$-*,-.0-z|~]*|{_BRACED})(?:/(?:{_TOPIC_LABEL}|{_BRACED}))*"
_TOPIC_TEXT = "labels joined by '/', each printable ASCII without space, quote, '+', '#' and braces, or a {token}"
_GROUP_TEXT = "printable ASCII without space, quote, '+', '#', '/' and braces"
DURATION = (
    r"P(?!\Z)(?:(?:(?:[0-9]+Y|[0-9]+\.[0-9]+Y\Z)?(?:[0-9]+M|[0-9]+\.[0-9]+M\Z)?)|(?:[0-9]+W|[0-9]+\.[0-9]+W\Z)?)"
    r"(?:[0-9]+D|[0-9]+\.[0-9]+D\Z)?"
    r"(?:T(?!\Z)(?:[0-9]+H|[0-9]+\.[0-9]+H\Z)?(?:[0-9]+M|[0-9]+\.[0-9]+M\Z)?(?:[0-9]+(?:\.[0-9]+)?S)?)?"
)
"""ISO 8601 duration; a fraction only in the last part."""


def _topic(name: str) -> Prop:
    return Prop(name, "string", high=1, pattern=_TOPIC, pattern_text=_TOPIC_TEXT)


def _group(name: str) -> Prop:
    return Prop(name, "string", high=1, pattern=_TOPIC_LABEL, pattern_text=_GROUP_TEXT)


_GROUPS = (_group("telemServiceGroupId"), _group("cmdServiceGroupId"))
_MQTT_1 = (_topic("telemetryTopic"), _topic("commandTopic"), Prop("payloadFormat", "string", 1, 1))
_COMMANDS = (
    Adjunct("Idempotent", ("Command",)),
    Adjunct("Cacheable", ("Command",), needs=("Idempotent",), props=(
        Prop("ttl", "string", 1, 1, pattern=DURATION, pattern_text="an ISO 8601 duration"),
    )),
    Adjunct("Indexed", ("Telemetry", "Field", "EnumValue"), props=(
        Prop("index", "integer", 1, 1, least=1, unique_value=True),
    )),
)  # fmt: skip
_TRANSPARENT = Adjunct("Transparent", ("CommandPayload",), schema=("Object",))
_REQUIRED = ("dtmi:dtdl:extension:requirement:v1:Required",)
_RESULTS = (
    Adjunct("Result", ("Object",), fields_cotyped=("NormalResult", "ErrorResult")),
    Adjunct("NormalResult", ("Field",), bars=_REQUIRED, within="Result"),
    Adjunct("ErrorResult", ("Field",), bars=_REQUIRED, schema_cotype="Error", within="Result"),
    Adjunct("Error", ("Object",)),
    Adjunct("ErrorMessage", ("Field",), schema=("String",), within="Error"),
)


def _feature(name: str, number: int, versions: tuple[int, ...], *adjuncts: Adjunct) -> Extension:
    base = f"dtmi:dtdl:extension:{name}"
    return Extension(f"{base};{number}", versions, f"{base}:v{number}:", adjuncts=adjuncts)


def _annotation(number: int, versions: tuple[int, ...]) -> Extension:
    return _feature("annotation", number, versions, Adjunct(
        "ValueAnnotation", _CONTENT, sibling="annotates", sibling_not="ValueAnnotation",
        props=(Prop("annotates", "string", 1, 1),),
    ))  # fmt: skip


def _overriding(number: int, versions: tuple[int, ...]) -> Extension:
    base = "dtmi:dtdl:extension"
    return _feature("overriding", number, versions, Adjunct(
        "Override", ("Property",), needs=(f"{base}:annotation:v{number}:ValueAnnotation",),
        bars=(f"{base}:initialization:v{number}:Initialized",), sibling="annotates", overrides="overrides",
        props=(Prop("overrides", "property", 1, 1),),
    ))  # fmt: skip


_UNIT = Prop("unit", "element", 1, 1, of="EnumValue")
_SYMBOL = Prop("symbol", "string", 1, 1)


def _part(name: str, low: int = 1) -> Prop:
    return Prop(name, "element", low, 1, of="EnumValue")


UNIT_PARTS = (
    Adjunct("RatioUnit", ("EnumValue",), props=(_part("topUnit"), _part("bottomUnit"))),
    Adjunct("UnitPrefix", ("EnumValue",), props=(_SYMBOL, Prop("exponent", "integer", 1, 1))),
    Adjunct("DecimalUnit", ("EnumValue",), props=(_part("baseUnit"), _part("prefix", 0))),
    Adjunct("BinaryUnit", ("Entity",), props=(_part("baseUnit"), _part("prefix", 0))),
    Adjunct("SymbolicUnit", ("EnumValue",), props=(_SYMBOL,)),
)
"""Adjunct types with which the QuantitativeTypes extension describes its own units."""

QUANTITATIVE = Adjunct("QuantitativeType", ("Property", "Telemetry", "SchemaField"), abstract=True,
                       schema=("NumericSchema",), props=(_UNIT,))  # fmt: skip
QUANTITATIVE_2 = Adjunct("QuantitativeType", _CONTENT, abstract=True, schema=("NumericSchema",),
                         props=(Prop("unit", "element", 1, 1, of="Unit"),))  # fmt: skip
"""What all semantic types with a unit have in common. In version 2 they are part of the language."""

_IOT_UNIT = (Prop("unit", "element", 0, 1, of="Unit"),)
_GEO = ("point", "multiPoint", "lineString", "multiLineString", "polygon", "multiPolygon", "geopoint")
IOT_VECTOR_UNITS = {"VelocityVector": "VelocityUnit", "AccelerationVector": "AccelerationUnit"}
IOT_SCHEMAS = ("vector", "geopoint")

EXTENSIONS: tuple[Extension, ...] = (
    Extension("dtmi:iotcentral:context;2", (2,), "dtmi:iotcentral:", "class:", ";2", adjuncts=(
        Adjunct("State", _CONTENT, schema=("Enum",)),
        Adjunct("Event", _CONTENT, schema=("NumericSchema", "String")),
        Adjunct("Location", _CONTENT, schema_terms=_GEO),
        Adjunct("VelocityVector", _CONTENT, schema_terms=("vector",), props=_IOT_UNIT),
        Adjunct("AccelerationVector", _CONTENT, schema_terms=("vector",), props=_IOT_UNIT),
    )),
    Extension("dtmi:dtdl:extension:quantitativeTypes;1", (3,), "dtmi:dtdl:extension:quantitativeTypes:v1:", "class:",
              nested_properties=False),
    Extension("dtmi:dtdl:extension:quantitativeTypes;2", (4,), "dtmi:dtdl:extension:quantitativeTypes:v2:", "class:",
              nested_properties=False),
    _feature("historization", 1, (3,), Adjunct("Historized", _CONTENT)),
    _feature("historization", 2, (3, 4), Adjunct("Historized", _CONTENT)),
    _annotation(1, (3,)),
    _annotation(2, (3, 4)),
    _overriding(1, (3,)),
    _overriding(2, (3, 4)),
    _feature("mqtt", 1, (3,), Adjunct("Mqtt", ("Interface",), props=_MQTT_1), *_COMMANDS),
    _feature("mqtt", 2, (3, 4), Adjunct("Mqtt", ("Interface",), props=_MQTT_1 + _GROUPS), _TRANSPARENT, *_COMMANDS),
    _feature("mqtt", 3, (3, 4), Adjunct("Mqtt", ("Interface",), props=_MQTT_1 + _GROUPS), _TRANSPARENT, *_COMMANDS,
             *_RESULTS),
    _feature("requirement", 1, (3, 4), Adjunct("Required", ("Field",))),
    Extension("dtmi:dtdl:limits:onvif;1", (4,), limits="onvif;1"),
)  # fmt: skip
