"""What an embedded chain starts from: its id, who has how much, and the size of a block.

{"balances":{"0x…":"1000000000000000000"},"base_fee":1000000000,"beneficiary":"0x00…","chain_id":31337,
 "gas_limit":30000000,"time":0}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from twinproof.errors import Malformed

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
_AMOUNT: Final = re.compile(r"0|[1-9][0-9]{0,77}")


@dataclass(frozen=True)
class Genesis:
    """Two chains with the same genesis and the same blocks are the same chain."""

    chain_id: int
    """EIP-155; choose one that no public network has."""
    balances: Mapping[bytes, int] = field(default_factory=dict)
    """Wei by address."""
    gas_limit: int = 30_000_000
    """Of every block."""
    base_fee: int = 1_000_000_000
    """Wei per gas, of the genesis block; it falls by an eighth with every block that is nearly empty (EIP-1559)."""
    time: int = 0
    beneficiary: bytes = bytes(20)
    """Gets the tips."""

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("chain_id", self.chain_id, 1, 2**53),
            ("gas_limit", self.gas_limit, 5_000, 2**53),
            ("base_fee", self.base_fee, 0, 2**64),
            ("time", self.time, 0, 2**53),
        ):
            if type(value) is not int or not low <= value < high:
                raise Malformed(f"genesis.{name}", f"must be an integer from {low} to {high - 1}")
        for address, balance in (*self.balances.items(), (self.beneficiary, 0)):
            if type(address) is not bytes or len(address) != 20:
                raise Malformed("genesis", "an address has 20 bytes")
            if type(balance) is not int or not 0 <= balance < 2**128:
                raise Malformed(f"genesis.balances.0x{address.hex()}", "must be from 0 to 2^128 - 1 wei")

    def to_json(self) -> str:
        """One text for one genesis: sorted keys, no spaces."""
        return json.dumps(
            {
                "chain_id": self.chain_id,
                "balances": {f"0x{address.hex()}": str(wei) for address, wei in self.balances.items() if wei},
                "gas_limit": self.gas_limit,
                "base_fee": self.base_fee,
                "time": self.time,
                "beneficiary": f"0x{self.beneficiary.hex()}",
            },
            sort_keys=True,
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Genesis:
        """Read what `to_json` gives; raises `Malformed`."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise Malformed("genesis", "not JSON") from None
        names = {"chain_id", "balances", "gas_limit", "base_fee", "time", "beneficiary"}
        if not isinstance(value, dict) or value.keys() != names or not isinstance(value["balances"], dict):
            raise Malformed("genesis", f"must be an object of {', '.join(sorted(names))}")
        for amount in value["balances"].values():
            if not isinstance(amount, str) or not _AMOUNT.fullmatch(amount):
                raise Malformed("genesis.balances", "must be decimal amounts of wei as text")
        balances = {_address(name): int(amount) for name, amount in value["balances"].items()}
        return cls(**{**value, "balances": balances, "beneficiary": _address(value["beneficiary"])})


def _address(text: object) -> bytes:
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text):
        raise Malformed("genesis", "an address is 0x and 40 lower-case hex digits")
    return bytes.fromhex(text[2:])
