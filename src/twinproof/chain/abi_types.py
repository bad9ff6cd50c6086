"""Values of Solidity's types, checked before eth-abi encodes them and after it decodes them. Used by `abi`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from twinproof.chain.hexadecimal import ADDRESS_SIZE, format_address
from twinproof.errors import InternalError, Malformed, TooLarge

MAX_DATA: Final = 1 << 20
"""Bytes that are decoded at once. Offsets may share bytes, so what comes out can be larger than what went in."""
MAX_SHOWN: Final = 400
"""Characters of a refusal's arguments: a contract chooses them."""

_TYPE: Final = re.compile(
    r"(?P<base>tuple|address|bool|string|bytes(?P<size>[1-9][0-9]?)?|(?P<sign>u?)int(?P<bits>[1-9][0-9]{0,2}))"
    r"(?P<arrays>(?:\[(?:[1-9][0-9]{0,3})?\])*)",
    re.ASCII,
)
_LAST_ARRAY: Final = re.compile(r"(?P<item>.*)\[(?P<count>[0-9]*)\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input, output or field."""

    name: str
    type: str
    """As in the ABI's JSON: `tuple[]`, `uint64`."""
    components: tuple[Parameter, ...] = ()
    """Fields of a tuple."""
    indexed: bool = False

    @property
    def canonical(self) -> str:
        """The type in a signature: a tuple as its fields' types in brackets."""
        inner = ",".join(component.canonical for component in self.components)
        return self.type.replace("tuple", f"({inner})", 1) if self.type.startswith("tuple") else self.type

    @property
    def dynamic(self) -> bool:
        """Whether an indexed field of this type is kept as a hash only, being bytes or text."""
        return self.type in ("bytes", "string")

    @property
    def compound(self) -> bool:
        """A struct or an array."""
        return self.type.startswith("tuple") or self.type.endswith("]")

    @property
    def item(self) -> tuple[Parameter, int | None] | None:
        """Of an array its item and its length, None if that is free; of anything else None."""
        match = _LAST_ARRAY.fullmatch(self.type)
        if match is None:
            return None
        count = match["count"]
        return Parameter(self.name, match["item"], self.components), int(count) if count else None


def parse_parameters(value: object, field: str, depth: int = 0) -> tuple[Parameter, ...]:
    """Parameters from the ABI's JSON; raises `Malformed`."""
    if not isinstance(value, list) or depth > 8:
        raise Malformed(field, "is not a list of parameters")
    parameters = []
    for number, item in enumerate(value):
        place = f"{field}[{number}]"
        name, kind = (item.get("name", ""), item.get("type")) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(kind, str) or not (match := _TYPE.fullmatch(kind)):
            raise Malformed(place, "is not a parameter with name and type")
        if int(match["size"] or 1) > 32 or int(match["bits"] or 8) not in range(8, 257, 8):
            raise Malformed(f"{place}.type", f"{kind} does not exist")
        inner: tuple[Parameter, ...] = ()
        if match["base"] == "tuple":
            inner = parse_parameters(item.get("components"), f"{place}.components", depth + 1)
        parameters.append(Parameter(name, kind, inner, bool(item.get("indexed"))))
    return tuple(parameters)


def encode_values(parameters: Sequence[Parameter], values: Sequence[object], field: str) -> bytes:
    """Solidity's ABI encoding; raises `Malformed` with the path of the wrong value."""
    from eth_abi.abi import encode  # here, because it takes half a second, and not every command needs it

    if len(values) != len(parameters):
        raise Malformed(field, f"needs {len(parameters)} values, not {len(values)}")
    checked = [
        _outgoing(parameter, value, f"{field}.{parameter.name or place}")
        for place, (parameter, value) in enumerate(zip(parameters, values, strict=True))
    ]
    return bytes(encode([parameter.canonical for parameter in parameters], checked))


def decode_values(parameters: Sequence[Parameter], data: bytes, field: str) -> tuple[Any, ...]:
    """The values that encode to exactly these bytes; raises `Malformed`, `TooLarge`."""
    from eth_abi.abi import decode, encode
    from eth_abi.exceptions import DecodingError

    if len(data) > MAX_DATA:
        raise TooLarge(field, f"has {len(data)} bytes, more than {MAX_DATA}")
    types = [parameter.canonical for parameter in parameters]
    try:
        decoded = decode(types, data)
        # One value has many encodings for a lenient reader; the compiler writes one.
        same = encode(types, decoded) == data
    except (DecodingError, ValueError, OverflowError):
        same = False
    if not same:
        raise Malformed(field, f"is not the encoding of ({','.join(types)})")
    return tuple(_incoming(parameter, value) for parameter, value in zip(parameters, decoded, strict=True))


def show_values(values: Sequence[object]) -> str:
    """Values in brackets for a person: bytes in hexadecimal, 20 of them as an address, text in quotes; bounded."""
    shown = f"({', '.join(_show(value) for value in values)})"
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 2] + "…)"


def _outgoing(parameter: Parameter, value: Any, path: str) -> Any:
    if array := parameter.item:
        item, count = array
        if not isinstance(value, list | tuple) or count not in (None, len(value)):
            raise Malformed(path, f"needs a list{'' if count is None else f' of {count}'} for {parameter.type}")
        return [_outgoing(item, one, f"{path}[{place}]") for place, one in enumerate(value)]
    if parameter.type == "tuple":
        return [
            _outgoing(component, one, f"{path}.{component.name or place}")
            for place, (component, one) in enumerate(
                zip(parameter.components, _fields(parameter, value, path), strict=True)
            )
        ]
    if not _fits(parameter.type, value):
        raise Malformed(path, f"needs {_wanted(parameter.type)} for {parameter.type}")
    return value


def _fields(parameter: Parameter, value: Any, path: str) -> Sequence[Any]:
    names = [component.name for component in parameter.components]
    if is_dataclass(value) and not isinstance(value, type):
        own = [field.name for field in fields(value)]
        if [name.replace("_", "").lower() for name in own] != [name.replace("_", "").lower() for name in names]:
            raise Malformed(path, f"{type(value).__name__} does not have the fields {', '.join(names)} in this order")
        return [getattr(value, name) for name in own]
    if not isinstance(value, list | tuple) or len(value) != len(names):
        raise Malformed(path, f"needs {len(names)} values: {', '.join(names)}")
    return value


def _fits(kind: str, value: Any) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if kind == "address":
        return isinstance(value, bytes) and len(value) == ADDRESS_SIZE
    if kind.startswith("bytes"):
        return isinstance(value, bytes) and (kind == "bytes" or len(value) == int(kind[5:]))
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    if kind.startswith("uint"):
        return 0 <= value < 1 << int(kind[4:])
    return -(1 << int(kind[3:]) - 1) <= value < 1 << int(kind[3:]) - 1


def _wanted(kind: str) -> str:
    if kind in ("bool", "string"):
        return {"bool": "a bool", "string": "text"}[kind]
    if kind == "address":
        return f"{ADDRESS_SIZE} bytes"
    if kind.startswith("bytes"):
        return "bytes" if kind == "bytes" else f"{kind[5:]} bytes"
    return "an integer in range"


def _incoming(parameter: Parameter, value: Any) -> Any:
    if array := parameter.item:
        return tuple(_incoming(array[0], one) for one in value)
    if parameter.type == "tuple":
        return tuple(_incoming(component, one) for component, one in zip(parameter.components, value, strict=True))
    if parameter.type == "address":
        return bytes.fromhex(value[2:])
    return value


def _show(value: object) -> str:
    match value:
        case bytes():
            return format_address(value) if len(value) == ADDRESS_SIZE else f"0x{value.hex()}"
        case str():
            return json.dumps(value[:MAX_SHOWN], ensure_ascii=True)
        case bool():
            return "true" if value else "false"
        case int():
            # No amount or time is that large: it is a hash, such as a part's token.
            return str(value) if value < 1 << 128 else f"0x{value:064x}"
        case tuple():
            return show_values(value)
    raise InternalError(f"no Solidity value is a {type(value).__name__}")
