"""An installation: a technician put the part that an order delivered into an asset, which is the statement's twin.

    {"part": token id, "order": order key, ? "remark": text, ? "serial": text}

`part` is the part's ERC-721 token id, `order` is sha256(abi.encode(chain id, agreement contract, order id)); a
contract finds both at a fixed place, because optional keys sort behind them. Normative page: spec/chain.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.proof import cbor
from twinproof.twin.fields import digest, fields, octets, text

INSTALLATION: Final = "application/vnd.twinproof.installation+cbor"
MAX_SERIAL: Final = 128
"""Characters."""
MAX_REMARK: Final = 1000
"""Characters."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Which part, under which order."""

    part: bytes
    """Token id, 32 bytes, big-endian."""
    order: bytes
    """Order key, 32 bytes."""
    serial: str | None = None
    """As it is written on the part."""
    remark: str | None = None


def format_installation(installation: Installation) -> bytes:
    """The payload of an installation statement."""
    value: dict[int | str, cbor.Value] = {"part": installation.part, "order": installation.order}
    if installation.serial is not None:
        value["serial"] = installation.serial
    if installation.remark is not None:
        value["remark"] = installation.remark
    return cbor.encode(value)


def parse_installation(payload: bytes, issued_at: int = 0) -> Installation:
    """Read an installation payload; raises `Malformed` naming the key."""
    what = "installation"
    value = fields(cbor.decode(payload, what=what), what, ("part", "order"), ("serial", "remark"))
    return Installation(
        octets(value["part"], f"{what}.part", 32),
        digest(value["order"], f"{what}.order"),
        serial=text(value["serial"], f"{what}.serial", MAX_SERIAL) if "serial" in value else None,
        remark=text(value["remark"], f"{what}.remark", MAX_REMARK) if "remark" in value else None,
    )
