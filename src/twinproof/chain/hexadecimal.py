"""Keccak-256, and the hexadecimal text of Ethereum's JSON: addresses (EIP-55), data and quantities.

data      0x + an even number of digits:            0x, 0x00ff
quantity  0x + digits without leading zeros:        0x0, 0x1f4
address   0x + 40 digits; mixed case is a checksum: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
"""

from __future__ import annotations

import re
from typing import Final

from eth_hash.auto import keccak as _keccak

from twinproof.errors import Malformed, TooLarge

ADDRESS_SIZE: Final = 20
HASH_SIZE: Final = 32
NO_ADDRESS: Final = bytes(ADDRESS_SIZE)

_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})", re.ASCII)
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


def keccak(data: bytes) -> bytes:
    """Keccak-256, 32 bytes: the padding of the submission to SHA-3, not FIPS 202's."""
    return bytes(_keccak(data))


def format_address(address: bytes) -> str:
    """The EIP-55 text of 20 bytes; raises `Malformed`."""
    if len(address) != ADDRESS_SIZE:
        raise Malformed("address", f"has {len(address)} bytes, not {ADDRESS_SIZE}")
    digits = address.hex()
    sums = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(check, 16) >= 8 else digit for digit, check in zip(digits, sums, strict=False)
    )


def parse_address(text: str, field: str = "address") -> bytes:
    """The 20 bytes of an address; raises `Malformed`, also for mixed case that is no EIP-55 checksum."""
    if not _ADDRESS.fullmatch(text):
        raise Malformed(field, "is not an address: 0x and 40 hexadecimal digits")
    address = bytes.fromhex(text[2:])
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != format_address(address):
        raise Malformed(field, f"{text} does not have its checksum: mistyped? (EIP-55)")
    return address


def format_data(data: bytes) -> str:
    """0x and two digits a byte."""
    return "0x" + data.hex()


def parse_data(text: object, field: str, *, size: int | None = None, limit: int | None = None) -> bytes:
    """Bytes from 0x text, of exactly `size` or at most `limit` bytes; raises `Malformed`, `TooLarge`."""
    if not isinstance(text, str):
        raise Malformed(field, f"is {json_type(text)}, not hexadecimal text")
    if limit is not None and len(text) > 2 + 2 * limit:
        raise TooLarge(field, f"has more than {limit} bytes")
    if not _DATA.fullmatch(text):
        raise Malformed(field, "is not 0x and whole bytes of hexadecimal digits")
    data = bytes.fromhex(text[2:])
    if size is not None and len(data) != size:
        raise Malformed(field, f"has {len(data)} bytes, not {size}")
    return data


def parse_quantity(text: object, field: str, *, bits: int = 64) -> int:
    """A number of at most `bits` bits; raises `Malformed`."""
    if not isinstance(text, str):
        raise Malformed(field, f"is {json_type(text)}, not hexadecimal text")
    if not _QUANTITY.fullmatch(text):
        raise Malformed(field, "is not 0x and hexadecimal digits without leading zeros")
    number = int(text[2:], 16)
    if number.bit_length() > bits:
        raise Malformed(field, f"does not fit into {bits} bits")
    return number


def json_type(value: object) -> str:
    """What a JSON value is, for messages."""
    names = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        dict: "an object",
        list: "a list",
    }
    return names.get(type(value), "text")
