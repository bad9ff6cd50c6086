"""The terms of an agreement as a TOML file: what `agreement template` prints and `agreement propose` reads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twinproof.cli.chain_values import parse_amount
from twinproof.cli.options import read_card, read_file
from twinproof.errors import Malformed
from twinproof.twin.prediction import parse_unit
from twinproof.twin.statement import check_iri

if TYPE_CHECKING:
    from twinproof.chain.agreements import Key, Terms
    from twinproof.node.chain_setup import Contracts

MAX_TERMS: Final = 256 * 1024
"""Bytes of the file."""
TIMES: Final = ("max_age", "accept", "ship", "receive", "install", "dispute")
"""In the contract's order."""
_SPAN: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}\Z", re.ASCII)

TEMPLATE: Final = """\
# The terms of a maintenance agreement. The account that proposes them is its operator.

supplier = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
# Who decides disputes; without one, who holds the part decides.
# arbiter = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"

# The twins that it covers, up to what fits into one transaction.
twins = ["https://twin.example/pump/7"]

# Signer cards, beside this file, of whose predictions place orders and of whose installations fulfil them.
# Both need ES256 keys: twinproof key new forecaster.pem --iss IRI --es256
predictor = "forecaster.json"
technician = "technician.json"

# A prediction in this unit orders when its lower bound is below `below`, with at least this coverage.
unit = "{cycle}"
below = 30.0
coverage = 0.9

part_number = "HPT-7"
# Of one order, in the chain's coin; or with `currency`, an ERC-20, in its smallest units: "250000000units".
price = "0.5"
# currency = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"

# The log whose anchors count: the node's own, unless it is named.
# log_id = "0x…"

[within]
max_age = "2d"   # how old a prediction may be
accept = "2d"    # what is not accepted by then is refunded
ship = "5d"      # what is not shipped by then is refunded
receive = "7d"   # the part's offer must last so long
install = "14d"  # what is received and not disputed by then is paid
dispute = "14d"  # a dispute that is not decided by then, who holds the part decides
"""
_REQUIRED: Final = {
    "supplier", "twins", "predictor", "technician", "unit", "below", "coverage", "part_number", "price", "within",
}  # fmt: skip
_OPTIONAL: Final = {"arbiter", "currency", "log_id"}


def read_terms(path: Path, operator: bytes, contracts: Contracts) -> tuple[Terms, list[str]]:
    """Terms and twins from a file; raises `Malformed` naming the key. Cards are looked for beside the file."""
    from twinproof.chain.agreements import Terms
    from twinproof.chain.hexadecimal import keccak
    from twinproof.twin.prediction import float_bits

    value = _load(path)
    price = value["price"]
    if type(price) is not str:
        raise Malformed("terms.price", 'is not text such as "0.5"')
    currency = _address(value, "currency")
    times = _times(value["within"])
    terms = Terms(
        operator=operator,
        supplier=_address(value, "supplier"),
        arbiter=_address(value, "arbiter"),
        anchors=contracts.addresses["CheckpointAnchor"],
        passports=contracts.addresses["PartPassport"],
        log_id=_log_id(value, contracts.log_id),
        predictor=_key(path.parent, value, "predictor"),
        technician=_key(path.parent, value, "technician"),
        unit=keccak(parse_unit(value["unit"], "terms.unit").encode()),
        below=float_bits(_number(value, "below")),
        coverage=float_bits(_number(value, "coverage")),
        part_number=keccak(_text(value, "part_number").encode()),
        currency=currency,
        price=parse_amount(price, currency, "terms.price"),
        max_age=times[0],
        accept_within=times[1],
        ship_within=times[2],
        receive_within=times[3],
        install_within=times[4],
        dispute_within=times[5],
    )
    return terms, _twins(value["twins"])


def _load(path: Path) -> dict[str, Any]:
    try:
        value = tomllib.loads(read_file(path, MAX_TERMS, "terms").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Malformed("terms", f"{path}: {problem}") from None
    if missing := sorted(_REQUIRED - value.keys()):
        raise Malformed(f"terms.{missing[0]}", "is missing; see: twinproof agreement template")
    if unknown := sorted(value.keys() - _REQUIRED - _OPTIONAL):
        raise Malformed(f"terms.{unknown[0]}", "is unknown; see: twinproof agreement template")
    return value


def _text(value: dict[str, Any], name: str) -> str:
    found = value[name]
    if type(found) is not str or not found:
        raise Malformed(f"terms.{name}", "is not text")
    return found


def _address(value: dict[str, Any], name: str) -> bytes:
    from twinproof.chain.hexadecimal import NO_ADDRESS, parse_address

    return parse_address(_text(value, name), f"terms.{name}") if name in value else NO_ADDRESS


def _log_id(value: dict[str, Any], default: bytes) -> bytes:
    if "log_id" not in value:
        return default
    found = _text(value, "log_id")
    if not _HASH.match(found):
        raise Malformed("terms.log_id", "is not 0x and 64 hexadecimal digits")
    return bytes.fromhex(found[2:])


def _key(folder: Path, value: dict[str, Any], name: str) -> Key:
    from twinproof.chain.agreements import Key
    from twinproof.proof.keys import ES256

    file = folder / _text(value, name)
    key = read_card(file).key
    if key.algorithm != ES256:
        raise Malformed(f"terms.{name}", f"{file} is not the card of an ES256 key, and contracts read no others")
    return Key(key.raw[:32], key.raw[32:])


def _number(value: dict[str, Any], name: str) -> float:
    found = value[name]
    if type(found) not in (int, float) or not 0 < found < float("inf"):
        raise Malformed(f"terms.{name}", "is not a positive number")
    return float(found)


def _times(value: Any) -> list[int]:
    if type(value) is not dict or value.keys() != set(TIMES):
        raise Malformed("terms.within", f"does not hold just {', '.join(TIMES)}")
    times = []
    for name in TIMES:
        found = _SPAN.match(value[name]) if type(value[name]) is str else None
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 0 < seconds < 1 << 32:
            raise Malformed(f"terms.within.{name}", 'is not a span such as "7d", "12h", "30m" or "45s"')
        times.append(seconds)
    return times


def _twins(value: Any) -> list[str]:
    if type(value) is not list or not value:
        raise Malformed("terms.twins", "is not a list of IRIs")
    return [check_iri(twin, f"terms.twins[{place}]") for place, twin in enumerate(value)]
