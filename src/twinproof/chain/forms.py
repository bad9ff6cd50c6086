"""How parts, agreements and orders are written for people and in JSON. Imports no EVM library by itself.

order 1-2           the second order of agreement 1
token 0x…           64 digits
0.5 coins, 900 wei  amounts of the chain's own coin
"""

from __future__ import annotations

import re
import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from twinproof.errors import Malformed

if TYPE_CHECKING:
    from twinproof.chain.agreements import Order, Terms
    from twinproof.chain.parts import Part

COIN: Final = 10**18
"""Wei of the chain's own coin."""
NO_CURRENCY: Final = bytes(20)
"""The chain's own coin."""
_TOKEN: Final = re.compile(r"0x[0-9a-fA-F]{64}|0|[1-9][0-9]{0,77}", re.ASCII)
_ORDER: Final = re.compile(r"([1-9][0-9]{0,17})-([1-9][0-9]{0,9})\Z", re.ASCII)


def twin_name(iri: str) -> bytes:
    """What a twin is on a chain: the SHA-256 of its IRI."""
    return sha256(iri.encode()).digest()


def coins(wei: int) -> str:
    """`0.00123 coins`, exactly; `900 wei` below a thousand million."""
    if 0 < wei < 10**9:
        return f"{wei} wei"
    whole, rest = divmod(wei, COIN)
    return f"{whole}.{rest:018}".rstrip("0").rstrip(".") + " coins"


def amount_in(currency: bytes, amount: int) -> str:
    """An amount of the coin, or of an ERC-20 in its smallest units."""
    return f"{amount:,} units" if any(currency) else coins(amount)


def order_name(order: int) -> str:
    """`1-2`."""
    return f"{order >> 32}-{order & 0xFFFFFFFF}"


def parse_order(text: str, field: str) -> int:
    """`agreement << 32 | number` from `1-2`; raises `Malformed`."""
    found = _ORDER.match(text)
    if not found or int(found[2]) >> 32:
        raise Malformed(field, "is no order such as 1-2, the second of agreement 1")
    return int(found[1]) << 32 | int(found[2])


def token_name(token: int) -> str:
    """0x and 64 digits."""
    return f"{token:#066x}"


def parse_token(text: object, field: str) -> int:
    """A token id from decimal digits, or 0x and 64 hexadecimal digits; raises `Malformed`."""
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise Malformed(field, "is no token: decimal digits, or 0x and 64 hexadecimal digits")
    number = int(text, 16) if text.startswith("0x") else int(text)
    if number >> 256:
        raise Malformed(field, "is no token: it does not fit into 256 bits")
    return number


def hex_of(data: bytes) -> str:
    """0x and two digits a byte."""
    return f"0x{data.hex()}"


def address_name(address: bytes) -> str:
    """With its checksum."""
    from twinproof.chain.hexadecimal import format_address

    return format_address(address)


def address_or_none(address: bytes | None) -> str | None:
    """The same; None for none, which contracts write as zeros."""
    return address_name(address) if address and any(address) else None


def number_of(bits: int) -> float:
    """The float64 of its bits."""
    (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    return float(value)


def terms_json(terms: Terms) -> dict[str, Any]:
    """An agreement's terms, the price apart: it is an amount."""
    return {
        "operator": address_name(terms.operator),
        "supplier": address_name(terms.supplier),
        "arbiter": address_or_none(terms.arbiter),
        "anchors": address_name(terms.anchors),
        "passports": address_name(terms.passports),
        "log_id": hex_of(terms.log_id),
        "predictor": hex_of(terms.predictor.x + terms.predictor.y),
        "technician": hex_of(terms.technician.x + terms.technician.y),
        "unit": hex_of(terms.unit),
        "below": number_of(terms.below),
        "coverage": number_of(terms.coverage),
        "part_number": hex_of(terms.part_number),
        "currency": address_or_none(terms.currency),
        "max_age": terms.max_age,
        "accept_within": terms.accept_within,
        "ship_within": terms.ship_within,
        "receive_within": terms.receive_within,
        "install_within": terms.install_within,
        "dispute_within": terms.dispute_within,
    }


def order_json(order: Order) -> dict[str, Any]:
    """An order."""
    return {
        "order": order_name(order.id),
        "state": order.state.word,
        "prediction": order.index,
        "installation": order.installed or None,
        "deadline": order.deadline,
        "received": order.received,
        "paid": order.paid,
        "part": token_name(order.token) if order.token else None,
    }


def part_json(found: Part) -> dict[str, Any]:
    """A part."""
    return {
        "token": token_name(found.token),
        "manufacturer": address_name(found.manufacturer),
        "owner": address_name(found.owner),
        "user": address_or_none(found.user),
        "twin": hex_of(found.twin),
        "birth": hex_of(found.birth),
        "status": found.status.word,
        "parent": token_name(found.parent) if found.parent else None,
        "offer": {"to": address_name(found.offered_to), "until": found.offer_expires} if found.offered_to else None,
    }
