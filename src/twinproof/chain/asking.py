"""View functions of a contract, asked on a chain."""

from __future__ import annotations

from typing import Any

from twinproof.chain.abi import Contract
from twinproof.chain.model import Chain
from twinproof.errors import Reverted


def ask(chain: Chain, contract: Contract, function: str, *arguments: object, block: int | None = None) -> Any:
    """What a view function answers; a refusal is `Reverted` with the contract's own error in words."""
    data = contract.encode(function, *arguments)
    try:
        return contract.decode(function, chain.call(contract.address, data, block=block))
    except Reverted as refusal:
        raise Reverted(contract.error(refusal.data), refusal.data) from None
