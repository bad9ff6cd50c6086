"""What to offer for gas (EIP-1559), and what to offer instead when it was too little. All in wei for a unit of gas."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.model import Fees
from twinproof.errors import TooExpensive


@dataclass(frozen=True, slots=True)
class Offer:
    """The two fees of a transaction."""

    max_fee: int
    max_tip: int


def first_offer(fees: Fees, limit: int) -> Offer:
    """Room for six full blocks in a row (the base fee may double); at most `limit`.

    Raises `TooExpensive` if `limit` is below what the next block asks for.
    """
    needed = fees.base + fees.tip
    if needed > limit:
        raise TooExpensive(
            f"the next block asks for {needed} wei a unit of gas, the limit is {limit}; nothing was sent. "
            "Wait, or raise the limit"
        )
    return Offer(min(limit, fees.base + needed), fees.tip)


def next_offer(before: Offer, fees: Fees, limit: int) -> Offer:
    """At least an eighth more of both, as pools demand of a replacement; raises `TooExpensive`."""
    least = Offer(_eighth_more(before.max_fee), _eighth_more(before.max_tip))
    needed = max(least.max_fee, fees.base + fees.tip)
    if needed > limit:
        raise TooExpensive(
            f"a replacement must offer {needed} wei a unit of gas, the limit is {limit}; the transaction waits as it is"
        )
    max_fee = max(least.max_fee, min(limit, 2 * fees.base + max(fees.tip, least.max_tip)))
    return Offer(max_fee, min(max_fee, max(least.max_tip, fees.tip)))


def _eighth_more(wei: int) -> int:
    return wei + wei // 8 + 1
