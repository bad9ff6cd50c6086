"""A chain of a script: blocks with events, put on and taken off at will. It runs no contract and takes no transaction.

chain = FakeChain()
chain.mine(chain.event(contract, "Minted", tokenId=1, ...))
chain.reorganise(depth=2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from twinproof.chain.abi import Contract
from twinproof.chain.abi_types import encode_values
from twinproof.chain.model import Block, Log, Topics
from twinproof.errors import ChainUnreachable

START = 1_700_000_000
"""Time of block 0; each block is 10 seconds later than the one before."""


class FakeChain:
    """The reading half of `Chain`, of one's own making."""

    def __init__(self, chain_id: int = 31_000) -> None:
        self.chain_id = chain_id
        self.unreachable = False
        """While it is set, everything raises `ChainUnreachable`."""
        self.asked = 0
        """Calls of `logs`."""
        self._salt = 0
        self._blocks: list[Block] = []
        self._logs: list[tuple[Log, ...]] = []
        self.mine()

    def event(self, contract: Contract, name: str, **args: Any) -> Log:
        """A log of a contract; where it stands is decided when it is mined."""
        member = contract.artifact.find("event", name)
        topics = [member.topic]
        plain = []
        for parameter in member.inputs:
            if parameter.indexed:
                topics.append(encode_values([parameter], [args[parameter.name]], name))
            else:
                plain.append(parameter)
        data = encode_values(plain, [args[parameter.name] for parameter in plain], name)
        return Log(contract.address, tuple(topics), data, b"", 0, b"", 0, 0)

    def mine(self, *logs: Log) -> Block:
        """A block with these events, one transaction each."""
        number = len(self._blocks)
        parent = self._blocks[-1].hash if self._blocks else bytes(32)
        hash_ = sha256(parent + b"%d %d" % (number, self._salt) + b"".join(log.data for log in logs)).digest()
        transactions = tuple(sha256(hash_ + bytes([place])).digest() for place in range(len(logs)))
        empty = bytes(32)
        time = START + 10 * number
        self._blocks.append(Block(number, hash_, parent, time, 10**7, 0, 7, empty, empty, empty, transactions))
        self._logs.append(
            tuple(
                replace(
                    log, block=hash_, number=number, transaction=transactions[at], transaction_index=at, position=at
                )
                for at, log in enumerate(logs)
            )
        )
        return self._blocks[-1]

    def reorganise(self, depth: int) -> None:
        """Take the newest `depth` blocks off; what is mined from now on has other hashes."""
        del self._blocks[-depth:], self._logs[-depth:]
        self._salt += 1

    def take(self, depth: int) -> list[tuple[Block, tuple[Log, ...]]]:
        """Lag behind by the newest `depth` blocks, to be `put` back."""
        taken = list(zip(self._blocks[-depth:], self._logs[-depth:], strict=True))
        del self._blocks[-depth:], self._logs[-depth:]
        return taken

    def put(self, taken: list[tuple[Block, tuple[Log, ...]]]) -> None:
        """Know these blocks again."""
        for block, logs in taken:
            self._blocks.append(block)
            self._logs.append(logs)

    # --- what is asked ----------------------------------------------------------------------------

    def _ask(self) -> None:
        if self.unreachable:
            raise ChainUnreachable("the chain's node does not answer")

    def head(self) -> Block:
        """See `Chain`."""
        self._ask()
        return self._blocks[-1]

    def block(self, which: int | bytes) -> Block | None:
        """See `Chain`."""
        self._ask()
        if isinstance(which, int):
            return self._blocks[which] if 0 <= which < len(self._blocks) else None
        return next((block for block in self._blocks if block.hash == which), None)

    def logs(self, *, first: int, last: int, addresses: Sequence[bytes] = (), topics: Topics = ()) -> list[Log]:
        """See `Chain`; topics must be left out."""
        self._ask()
        self.asked += 1
        if topics:
            raise NotImplementedError("a filter by topics")
        found = (log for logs in self._logs[first : last + 1] for log in logs)
        return [log for log in found if not addresses or log.address in addresses]
