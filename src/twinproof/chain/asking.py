"""Asking a contract on a chain: its view functions, and its events over many blocks.

Nodes of networks answer for some thousand blocks at once, so a long stretch is asked for in ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twinproof.chain.abi import Contract
from twinproof.chain.model import Chain, Log, Topics
from twinproof.errors import Reverted

RANGE: Final = 5000
"""Blocks asked for at once. `RpcChain` asks for fewer where a node does not give as many."""


def ask(chain: Chain, contract: Contract, function: str, *arguments: object, block: int | None = None) -> Any:
    """What a view function answers; a refusal is `Reverted` with the contract's own error in words."""
    data = contract.encode(function, *arguments)
    try:
        return contract.decode(function, chain.call(contract.address, data, block=block))
    except Reverted as refusal:
        raise Reverted(contract.error(refusal.data), refusal.data) from None


def block_ranges(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The blocks `first` to `last`, both included, as consecutive ranges of at most `RANGE`; none if first > last."""
    for start in range(first, last + 1, RANGE):
        yield start, min(start + RANGE - 1, last)


def logs_of(chain: Chain, contract: Contract, topics: Topics, first: int, last: int | None = None) -> Iterator[Log]:
    """A contract's logs in blocks `first` to `last` (without it, to the newest) that `topics` let through, in order."""
    for start, end in block_ranges(first, chain.head().number if last is None else last):
        yield from chain.logs(first=start, last=end, addresses=[contract.address], topics=topics)


def newest_log(chain: Chain, contract: Contract, topics: Topics, first: int) -> Log | None:
    """The last such log from block `first` on; looked for backwards: what is asked for is mostly new."""
    last = chain.head().number
    while last >= first:
        start = max(first, last - RANGE + 1)
        if found := chain.logs(first=start, last=last, addresses=[contract.address], topics=topics):
            return found[-1]
        last = start - 1
    return None
