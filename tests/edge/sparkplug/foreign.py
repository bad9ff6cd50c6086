"""Sparkplug B by Google's protocol buffers: the messages of the specification's Appendix A, made at run time."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "uint32": _TYPES.TYPE_UINT32,
    "uint64": _TYPES.TYPE_UINT64,
    "bool": _TYPES.TYPE_BOOL,
    "float": _TYPES.TYPE_FLOAT,
    "double": _TYPES.TYPE_DOUBLE,
    "string": _TYPES.TYPE_STRING,
    "bytes": _TYPES.TYPE_BYTES,
}
_VALUES = ["uint32 int_value", "uint64 long_value", "float float_value", "double double_value"]
_VALUES += ["bool boolean_value", "string string_value"]

# message -> first number of its oneof, the plain fields, the members of the oneof
_MESSAGES: dict[str, tuple[int, list[str], list[str]]] = {
    "Payload": (0, ["uint64 timestamp", "*Metric metrics", "uint64 seq", "string uuid", "bytes body"], []),
    "Metric": (
        10,
        [
            "string name",
            "uint64 alias",
            "uint64 timestamp",
            "uint32 datatype",
            "bool is_historical",
            "bool is_transient",
            "bool is_null",
            "MetaData metadata",
            "PropertySet properties",
        ],
        [*_VALUES, "bytes bytes_value", "DataSet dataset_value", "Template template_value"],
    ),
    "MetaData": (
        0,
        [
            "bool is_multi_part",
            "string content_type",
            "uint64 size",
            "uint64 seq",
            "string file_name",
            "string file_type",
            "string md5",
            "string description",
        ],
        [],
    ),
    "PropertySet": (0, ["*string keys", "*PropertyValue values"], []),
    "PropertyValue": (
        3,
        ["uint32 type", "bool is_null"],
        [*_VALUES, "PropertySet propertyset_value", "PropertySetList propertysets_value"],
    ),
    "PropertySetList": (0, ["*PropertySet propertyset"], []),
    "DataSet": (0, ["uint64 num_of_columns", "*string columns", "*uint32 types", "*Row rows"], []),
    "Row": (0, ["*Cell elements"], []),
    "Cell": (1, [], _VALUES),
    "Template": (
        0,
        ["string version", "*Metric metrics", "*Parameter parameters", "string template_ref", "bool is_definition"],
        [],
    ),
    "Parameter": (3, ["string name", "uint32 type"], _VALUES),
}


def _load() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="foreign.proto", package="foreign", syntax="proto2")
    for name, (first, plain, oneof) in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, text in enumerate(plain, 1):
            _add(message, number, text)
        if oneof:
            message.oneof_decl.add(name="value")
        for number, text in enumerate(oneof, first):
            _add(message, number, text).oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("foreign.Payload"))


def _add(message: Any, number: int, text: str) -> Any:
    kind, name = text.removeprefix("*").split()
    label = _TYPES.LABEL_REPEATED if text.startswith("*") else _TYPES.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _TYPES.TYPE_MESSAGE, f".foreign.{kind}"
    return field


ForeignPayload: Any = _load()


def fill(target: Any, ours: Any) -> None:
    """Copy one of our messages into a foreign one."""
    for name in ours.__dataclass_fields__:
        value = getattr(ours, name)
        if value is None:
            continue
        if name == "value":
            name, value = f"{value.kind}_value", value.value
        if isinstance(value, tuple):
            for item in value:
                if hasattr(item, "__dataclass_fields__"):
                    fill(getattr(target, name).add(), item)
                else:
                    getattr(target, name).append(item)
        elif hasattr(value, "__dataclass_fields__"):
            getattr(target, name).SetInParent()
            fill(getattr(target, name), value)
        else:
            setattr(target, name, value)
