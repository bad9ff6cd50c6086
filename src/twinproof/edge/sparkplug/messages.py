"""The messages of Sparkplug B and the numbers of their fields (Sparkplug 3.0.0, Appendix A).

An optional field that is absent is None; so is a value that is not given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple


class Variant(NamedTuple):
    """A value as the wire has it, in one of the fields of a `oneof`."""

    kind: str
    """int, long, float, double, boolean, string, bytes, dataset, template, propertyset, propertysets, extension."""
    value: Any


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a row of a DataSet."""

    value: Variant | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a DataSet."""

    elements: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table with one datatype per column."""

    num_of_columns: int | None = None
    columns: tuple[str, ...] = ()
    types: tuple[int, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a Template."""

    name: str | None = None
    type: int | None = None
    value: Variant | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A definition or an instance of a composed type."""

    version: str | None = None
    metrics: tuple[Metric, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    template_ref: str | None = None
    is_definition: bool | None = None


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """One property; `type` is a datatype."""

    type: int | None = None
    is_null: bool | None = None
    value: Variant | None = None


@dataclass(frozen=True, slots=True)
class PropertySet:
    """Properties by name: `keys` and `values` are as long as each other."""

    keys: tuple[str, ...] = ()
    values: tuple[PropertyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class PropertySetList:
    """Several sets."""

    propertyset: tuple[PropertySet, ...] = ()


@dataclass(frozen=True, slots=True)
class MetaData:
    """What describes bytes, files and parts of them."""

    is_multi_part: bool | None = None
    content_type: str | None = None
    size: int | None = None
    seq: int | None = None
    file_name: str | None = None
    file_type: str | None = None
    md5: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One measurement. Births give name, alias and datatype; data messages the alias or the name alone."""

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    """Milliseconds since 1970: when the value was acquired."""
    datatype: int | None = None
    is_historical: bool | None = None
    is_transient: bool | None = None
    is_null: bool | None = None
    metadata: MetaData | None = None
    properties: PropertySet | None = None
    value: Variant | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """One message."""

    timestamp: int | None = None
    """Milliseconds since 1970: when the message was sent."""
    metrics: tuple[Metric, ...] = ()
    seq: int | None = None
    uuid: str | None = None
    body: bytes | None = None


class Field(NamedTuple):
    """A field of a message."""

    name: str
    kind: str
    """A scalar of `WIRE` or a message of `SHAPES`."""
    repeated: bool = False
    variant: str = ""
    """The kind of `Variant` that this field of a `oneof` becomes."""


VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5
WIRE: Final = {
    "uint32": VARINT,
    "uint64": VARINT,
    "bool": VARINT,
    "float": FIXED32,
    "double": FIXED64,
    "string": LENGTH,
    "bytes": LENGTH,
}
_SCALARS: Final = (
    ("int", "uint32"),
    ("long", "uint64"),
    ("float", "float"),
    ("double", "double"),
    ("boolean", "bool"),
    ("string", "string"),
)


def _oneof(first: int, *more: tuple[str, str]) -> dict[int, Field]:
    fields = enumerate((*_SCALARS, *more, ("extension", "bytes")), first)
    return {number: Field("value", kind, variant=variant) for number, (variant, kind) in fields}


SHAPES: Final[dict[str, tuple[type[Any], dict[int, Field]]]] = {
    "Payload": (
        Payload,
        {
            1: Field("timestamp", "uint64"),
            2: Field("metrics", "Metric", True),
            3: Field("seq", "uint64"),
            4: Field("uuid", "string"),
            5: Field("body", "bytes"),
        },
    ),
    "Metric": (
        Metric,
        {
            1: Field("name", "string"),
            2: Field("alias", "uint64"),
            3: Field("timestamp", "uint64"),
            4: Field("datatype", "uint32"),
            5: Field("is_historical", "bool"),
            6: Field("is_transient", "bool"),
            7: Field("is_null", "bool"),
            8: Field("metadata", "MetaData"),
            9: Field("properties", "PropertySet"),
            **_oneof(10, ("bytes", "bytes"), ("dataset", "DataSet"), ("template", "Template")),
        },
    ),
    "MetaData": (
        MetaData,
        {
            1: Field("is_multi_part", "bool"),
            2: Field("content_type", "string"),
            3: Field("size", "uint64"),
            4: Field("seq", "uint64"),
            5: Field("file_name", "string"),
            6: Field("file_type", "string"),
            7: Field("md5", "string"),
            8: Field("description", "string"),
        },
    ),
    "PropertySet": (PropertySet, {1: Field("keys", "string", True), 2: Field("values", "PropertyValue", True)}),
    "PropertyValue": (
        PropertyValue,
        {
            1: Field("type", "uint32"),
            2: Field("is_null", "bool"),
            **_oneof(3, ("propertyset", "PropertySet"), ("propertysets", "PropertySetList")),
        },
    ),
    "PropertySetList": (PropertySetList, {1: Field("propertyset", "PropertySet", True)}),
    "DataSet": (
        DataSet,
        {
            1: Field("num_of_columns", "uint64"),
            2: Field("columns", "string", True),
            3: Field("types", "uint32", True),
            4: Field("rows", "Row", True),
        },
    ),
    "Row": (Row, {1: Field("elements", "Cell", True)}),
    "Cell": (Cell, _oneof(1)),
    "Template": (
        Template,
        {
            1: Field("version", "string"),
            2: Field("metrics", "Metric", True),
            3: Field("parameters", "Parameter", True),
            4: Field("template_ref", "string"),
            5: Field("is_definition", "bool"),
        },
    ),
    "Parameter": (Parameter, {1: Field("name", "string"), 2: Field("type", "uint32"), **_oneof(3)}),
}
"""Message -> its class and its fields by number."""
