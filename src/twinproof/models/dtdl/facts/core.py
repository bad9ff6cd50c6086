"""The core metamodel of DTDL, versions 2, 3 and 4, as one table.

Source: DTDL language specifications v2, v3 and v4 (repository Azure/opendigitaltwins-dtdl) and the published metamodel.
Everything else here interprets these rows; to follow a change of the language, change a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.models.dtdl.facts.rows import Class, Number, Prop

VERSIONS = (2, 3, 4)

NAME = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"
NAME_TEXT = "letters, digits and underscores, beginning with a letter and ending with a letter or digit"

LIMITS: Mapping[str, Mapping[str, int | None]] = {
    "core;2": {
        "displayName": 64, "description": 512, "comment": 512, "identifier": 2048, "interface": 128,
        "extends_depth": 10, "extends_count": None, "contents_count": None, "schema_depth": 5, "interface_bytes": None,
    },
    "core;3": {
        "displayName": 512, "description": 512, "comment": 512, "identifier": 2048, "interface": 128,
        "extends_depth": 10, "extends_count": 1024, "contents_count": 100_000, "schema_depth": 5,
        "interface_bytes": 1 << 20,
    },
    "core;4": {
        "displayName": 512, "description": 512, "comment": 512, "identifier": 2048, "interface": 128,
        "extends_depth": 12, "extends_count": 1024, "contents_count": 100_000, "schema_depth": 8,
        "interface_bytes": 1 << 20,
    },
    "onvif;1": {
        "displayName": 512, "description": 4096, "comment": 512, "identifier": 512, "interface": 256,
        "extends_depth": 12, "extends_count": 1024, "contents_count": 100_000, "schema_depth": 24,
        "interface_bytes": 1 << 20,
    },
}  # fmt: skip
"""Limits by name. `interface` and `identifier` are characters of an `@id`; depths count members along a path."""


def _element(name: str, of: str, low: Number = 0, high: Number = None, **more: object) -> Prop:
    return Prop(name, "element", low, high, of=of, **more)  # type: ignore[arg-type]


_COMMAND_TYPES = ("asynchronous", "synchronous")

CLASSES: tuple[Class, ...] = (
    Class("Entity", abstract=True, props=(
        Prop("displayName", "langString", limit="displayName"),
        Prop("description", "langString", limit="description"),
        Prop("comment", "string", high=1, limit="comment"),
    )),
    Class("Interface", "Entity", partition=True, identified=True, props=(
        _element("contents", "Content", high={2: 300, 3: None}, unique=("name",)),
        _element("extends", "Interface", high={2: 2, 3: None}, identified=True),
        _element("schemas", "ComplexSchema", older=False, identified=True),
    )),
    Class("NamedEntity", "Entity", abstract=True, props=(
        Prop("name", "string", 1, 1, longest={2: 64, 3: 512}, pattern=NAME, pattern_text=NAME_TEXT),
    )),
    Class("SchemaField", "NamedEntity", abstract=True, props=(_element("schema", "Schema", 1, 1),)),
    Class("Schema", "Entity", abstract=True),
    Class("PrimitiveSchema", "Schema", abstract=True),
    Class("Boolean", "PrimitiveSchema", standard=True),
    Class("NumericSchema", "PrimitiveSchema", abstract=True),
    Class("Byte", "NumericSchema", standard=True, since=4),
    Class("Double", "NumericSchema", standard=True),
    Class("Float", "NumericSchema", standard=True),
    Class("Integer", "NumericSchema", standard=True),
    Class("Long", "NumericSchema", standard=True),
    Class("Short", "NumericSchema", standard=True, since=4),
    Class("UnsignedByte", "NumericSchema", standard=True, since=4),
    Class("UnsignedInteger", "NumericSchema", standard=True, since=4),
    Class("UnsignedLong", "NumericSchema", standard=True, since=4),
    Class("UnsignedShort", "NumericSchema", standard=True, since=4),
    Class("Decimal", "NumericSchema", standard=True, since=4),
    Class("TemporalSchema", "PrimitiveSchema", abstract=True),
    Class("Date", "TemporalSchema", standard=True),
    Class("DateTime", "TemporalSchema", standard=True),
    Class("Duration", "TemporalSchema", standard=True),
    Class("Time", "TemporalSchema", standard=True),
    Class("String", "PrimitiveSchema", standard=True),
    Class("Bytes", "PrimitiveSchema", standard=True, since=4),
    Class("Uuid", "PrimitiveSchema", standard=True, since=4),
    Class("ComplexSchema", "Schema", abstract=True),
    Class("Array", "ComplexSchema", props=(_element("elementSchema", "Schema", 1, 1),)),
    Class("Enum", "ComplexSchema", props=(
        _element("valueSchema", "PrimitiveSchema", 1, 1, terms=("integer", "string")),
        _element("enumValues", "EnumValue", {2: 1, 3: 0}, {2: 100, 3: None}, older=False, inferred=True,
                 unique=("name", "enumValue")),
    )),
    Class("EnumValue", "NamedEntity", props=(Prop("enumValue", "literal", 1, 1),)),
    Class("Map", "ComplexSchema", props=(
        _element("mapKey", "MapKey", 1, 1, older=False, inferred=True),
        _element("mapValue", "MapValue", 1, 1, older=False, inferred=True),
    )),
    Class("MapKey", "NamedEntity", props=(_element("schema", "String", 1, 1, terms=("string",)),)),
    Class("MapValue", "SchemaField"),
    Class("Object", "ComplexSchema", props=(
        _element("fields", "Field", {2: 1, 3: 0}, {2: 30, 3: None}, older=False, inferred=True, unique=("name",)),
    )),
    Class("Field", "SchemaField"),
    Class("Content", "NamedEntity", abstract=True),
    Class("Component", "Content", props=(_element("schema", "Interface", 1, 1, identified=True),)),
    Class("Property", "Content", props=(
        _element("schema", "Schema", 1, 1), Prop("writable", "boolean", high=1),
    )),
    Class("Telemetry", "Content", props=(_element("schema", "Schema", 1, 1),)),
    Class("Command", "Content", props=(
        _element("request", "CommandPayload", high=1, older=False, inferred=True),
        _element("response", "CommandPayload", high=1, older=False, inferred=True),
        _element("commandType", "CommandType", high=1, older=False, terms=_COMMAND_TYPES, deprecated=True),
    )),
    Class("CommandPayload", "SchemaField", abstract={2: False, 3: True}, props=(
        Prop("nullable", "boolean", high=1, since=4),
    )),
    Class("CommandRequest", "CommandPayload", since=3),
    Class("CommandResponse", "CommandPayload", since=3),
    Class("CommandType", "Entity", standard=True),
    Class("Relationship", "Content", props=(
        Prop("maxMultiplicity", "integer", high=1, least=1, most={2: 500, 3: None}),
        Prop("minMultiplicity", "integer", high=1, least=0, most=0),
        Prop("target", "reference", high=1, longest=2048),
        _element("properties", "Property", high={2: 300, 3: None}, unique=("name",)),
        Prop("writable", "boolean", high=1),
    )),
)  # fmt: skip
"""Classes, superclass first. A class inherits the members of those above it."""

NARROWED = {("request", 3): "CommandRequest", ("response", 3): "CommandResponse"}
"""From this version on, the member holds only this class."""

PRIMITIVES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("Boolean",), "date": ("Date",), "dateTime": ("DateTime",), "double": ("Double",),
    "duration": ("Duration",), "float": ("Float",), "integer": ("Integer",), "long": ("Long",), "string": ("String",),
    "time": ("Time",), "byte": ("Byte",), "bytes": ("Bytes",), "decimal": ("Decimal",), "short": ("Short",),
    "unsignedByte": ("UnsignedByte",), "unsignedInteger": ("UnsignedInteger",), "unsignedLong": ("UnsignedLong",),
    "unsignedShort": ("UnsignedShort",), "uuid": ("Uuid",),
}  # fmt: skip
"""Primitive schemas: term and class; they exist where their class does."""

GEOSPATIAL = ("lineString", "multiLineString", "multiPoint", "multiPolygon", "point", "polygon")
"""Standard Objects after GeoJSON (RFC 7946). Each holds an Array, which matters where Arrays are excluded."""

RESERVED: Mapping[str, tuple[str, ...]] = {
    "class 2": ("SemanticType", "SemanticUnit", "Unit", "UnitAttribute"),
    "class 3": ("AdjunctType", "Alias", "LatentType", "NamedLatentType"),
    "property 2": ("exponent", "languageMajorVersion", "symbol"),
    "property 3": ("aliasFor",),
    "meta 3": ("DtdlExtension", "metamodel", "model"),
}
"""Terms that the language reserves and a document has no use for: kind and first version, terms."""


@dataclass(frozen=True, slots=True)
class Depth:
    """No path of `follow` members from an element of class `of` has more than `limit` of them."""

    of: str
    follow: tuple[str, ...]
    limit: str
    rule: str
    through_all: bool = False
    """The path may also use other members, which are not counted."""


@dataclass(frozen=True, slots=True)
class Count:
    """All paths of `follow` members from an element of class `of` hold at most `limit` values together."""

    of: str
    follow: tuple[str, ...]
    limit: str
    rule: str
    inherit: bool = False
    """What is inherited counts too."""


@dataclass(frozen=True, slots=True)
class Exclude:
    """No path of `follow` members from an element of class `of` reaches one of class `kind`."""

    of: str
    follow: tuple[str, ...]
    kind: str
    rule: str
    versions: tuple[int, ...] = VERSIONS
    through_all: bool = False
    """The path may use any members; only its last one must be among `follow`."""


DEPTHS = (
    Depth("Interface", ("extends",), "extends_depth", "extends-depth"),
    Depth("ComplexSchema", ("elementSchema", "schema"), "schema_depth", "schema-depth", through_all=True),
)
COUNTS = (
    Count("Interface", ("extends",), "extends_count", "extends-count"),
    Count("Interface", ("contents", "fields", "enumValues", "request", "response", "properties", "schema",
                        "elementSchema", "mapValue"), "contents_count", "contents-count", inherit=True),
)  # fmt: skip
EXCLUSIONS = (
    Exclude("Component", ("schema", "contents"), "Component", "component-in-component"),
    Exclude("Property", ("schema",), "Array", "array-in-property", versions=(2,), through_all=True),
)
RECURSIVE_SINCE = 4
"""From this version on, a path may lead back to a complex schema through these members."""
RECURSIVE_THROUGH = ("elementSchema", "schema")
