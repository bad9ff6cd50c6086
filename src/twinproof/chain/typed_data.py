"""EIP-712: structured data as a digest that a contract computes, too. Strict: a value that does not fit is refused.

keccak256(0x1901 ‖ hashStruct(domain) ‖ hashStruct(message))
hashStruct(s) = keccak256(keccak256(encodeType) ‖ one word for each field)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from twinproof.chain.abi_types import Parameter, encode_values, parse_parameters
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Malformed

Types = Mapping[str, Sequence[tuple[str, str]]]
"""Structs without `EIP712Domain`: name -> fields of (name, type)."""

_DOMAIN: Final = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
_ARRAY: Final = re.compile(r"(?P<item>.+)\[(?P<count>[1-9][0-9]*)?\]", re.ASCII)
_MAX_DEPTH: Final = 16


def typed_digest(domain: Mapping[str, Any], types: Types, message: Mapping[str, Any]) -> bytes:
    """The digest, 32 bytes, of a message whose struct is the one that no other refers to.

    `domain` has `name`, `version`, `chainId`, `verifyingContract` and `salt` or some of them; bytes are bytes,
    addresses 20 bytes, structs mappings, arrays lists or tuples. Raises `Malformed` with the path of what is wrong.
    """
    shape = tuple(field for field in _DOMAIN if field[0] in domain)
    separator = _hash_struct("EIP712Domain", {"EIP712Domain": shape}, domain, "domain", 0)
    return keccak(b"\x19\x01" + separator + _hash_struct(_primary(types), types, message, "message", 0))


def _primary(types: Types) -> str:
    used = {_base(kind) for name, fields in types.items() for _, kind in fields if _base(kind) != name}
    free = [name for name in types if name not in used]
    if len(free) != 1:
        raise Malformed("types", "must have exactly one struct that no other refers to")
    return free[0]


def _base(kind: str) -> str:
    return kind.split("[", 1)[0]


def _encode_type(name: str, types: Types) -> str:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        struct = waiting.pop()
        if struct not in found:
            found.add(struct)
            waiting += [_base(kind) for _, kind in types[struct] if _base(kind) in types]
    ordered = [name, *sorted(found - {name})]
    return "".join(f"{one}({','.join(f'{kind} {field}' for field, kind in types[one])})" for one in ordered)


def _hash_struct(name: str, types: Types, value: Any, path: str, depth: int) -> bytes:
    fields = types[name]
    if not isinstance(value, Mapping) or set(value) != {field for field, _ in fields} or depth > _MAX_DEPTH:
        raise Malformed(path, f"needs exactly the fields {', '.join(field for field, _ in fields) or 'none'} of {name}")
    words = [_word(kind, types, value[field], f"{path}.{field}", depth) for field, kind in fields]
    return keccak(keccak(_encode_type(name, types).encode()) + b"".join(words))


def _word(kind: str, types: Types, value: Any, path: str, depth: int) -> bytes:
    if array := _ARRAY.fullmatch(kind):
        wanted = array["count"]
        if not isinstance(value, list | tuple) or (wanted is not None and len(value) != int(wanted)):
            raise Malformed(path, f"needs a list for {kind}")
        items = [_word(array["item"], types, one, f"{path}[{place}]", depth) for place, one in enumerate(value)]
        return keccak(b"".join(items))
    if kind in types:
        return _hash_struct(kind, types, value, path, depth + 1)
    if kind == "string" and isinstance(value, str):
        return keccak(_encoded(path, value))
    if kind == "bytes" and isinstance(value, bytes):
        return keccak(value)
    [parameter] = parse_parameters([{"name": "", "type": kind}], path)
    if parameter.compound:
        raise Malformed(path, f"has the type {kind}, which is neither a struct nor a Solidity type")
    return encode_values((Parameter("value", kind),), (value,), path)


def _encoded(path: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed(path, "is not text that UTF-8 can hold") from None
