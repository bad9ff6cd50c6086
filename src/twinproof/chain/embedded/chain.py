"""The embedded chain: real signed transactions, blocks, receipts and logs, in one SQLite file or in memory.

    chain = EmbeddedChain.open(Path("chain.db"), genesis=Genesis(31337, {address: 10**21}))
    digest = chain.send(raw)                  # mined and durable
    assert chain.receipt(digest).succeeded

A transaction makes a block, in one SQL transaction that reads the head again: several processes may send side by side.
Who runs it can rewrite it as a whole; that is what anchors on somebody else's chain are for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from twinproof.chain.embedded import state
from twinproof.chain.embedded.blocks import MadeBlock, make_block, make_genesis, next_context
from twinproof.chain.embedded.compaction import KEEP_STATES, compact
from twinproof.chain.embedded.engine import BlockContext, Engine, Message, NodeMissing, Outcome
from twinproof.chain.embedded.genesis import Genesis
from twinproof.chain.embedded.rules import next_base_fee
from twinproof.chain.embedded.store import ChainStore, set_meta
from twinproof.chain.encoding import Header, decode_header
from twinproof.chain.model import Block, Fees, Log, Receipt, Request, Topics
from twinproof.chain.transactions import Transaction, floor_gas, intrinsic_gas, parse_transaction
from twinproof.errors import ChainError, ConfigError, Corrupt, LogError, OutOfFunds, Reverted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_LOG = logging.getLogger(__name__)
COMPACT_EVERY: Final = 1024
"""Blocks."""
GAS_PRECISION: Final = 64
"""An estimate is at most a 64th above the least that is enough, where the search is not cut off."""


class EmbeddedChain:
    """See `Chain`. Close it when done; `with` does."""

    def __init__(self, store: ChainStore, genesis: Genesis, clock: Callable[[], float], engine: Engine | None) -> None:
        """Use `open`."""
        self._store = store
        self._clock = clock
        self._keep_states = KEEP_STATES
        self._engine_given = engine
        self._engine_lock = Lock()
        self.genesis = genesis

    @classmethod
    def open(
        cls,
        path: Path | str | None,
        *,
        genesis: Genesis | None = None,
        clock: Callable[[], float] = time.time,
        engine: Engine | None = None,
        keep_states: int = KEEP_STATES,
        read_only: bool = False,
    ) -> EmbeddedChain:
        """Open the file, or make it with `genesis`; None lives in memory. `clock` gives POSIX seconds.

        Of a file, the state of the newest `keep_states` blocks stays; older ones go every `COMPACT_EVERY` blocks.
        Raises `ConfigError` if the file is no chain, or has another genesis than the one given; `NotFound`,
        `StorageFailed`, `Corrupt`.
        """
        store = ChainStore(None if path is None else Path(path), read_only=read_only)
        try:
            chain = cls(store, genesis or Genesis(1), clock, engine)
            chain._keep_states = keep_states
            chain.genesis = chain._require_genesis(genesis)
        except BaseException:  # an interrupt too must not leave the file open
            store.database.close()
            raise
        return chain

    def _require_genesis(self, wanted: Genesis | None) -> Genesis:
        kept = self._store.meta("genesis")
        if kept is None:
            if wanted is None:
                raise ConfigError(f"{self._store.database.name}: a new chain needs a genesis")
            block = make_genesis(self._engine, wanted)
            with self._store.database.transaction("create the chain") as writer:
                # Another process may have come first.
                if writer.execute("SELECT 1 FROM meta WHERE key = 'genesis'").fetchone() is None:
                    set_meta(writer, "genesis", wanted.to_json())
                    self._store.add(writer, block)
            kept = self._store.meta("genesis") or ""
        found = Genesis.from_json(kept)
        if wanted is not None and wanted.to_json() != found.to_json():
            raise ConfigError(
                f"{self._store.database.name} was made with another genesis (chain id {found.chain_id}): "
                "open it without one, or with its own"
            )
        return found

    @property
    def _engine(self) -> Engine:
        with self._engine_lock:
            if self._engine_given is None:
                # Here, because importing it takes a second, which those who only read need not wait.
                from twinproof.chain.embedded.pyevm import PyEvm

                self._engine_given = PyEvm()
            return self._engine_given

    def close(self) -> None:
        """Let go of the file."""
        self._store.database.close()

    def __enter__(self) -> EmbeddedChain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- reading ------------------------------------------------------------------------------

    @property
    def chain_id(self) -> int:
        """EIP-155."""
        return self.genesis.chain_id

    def _head(self) -> tuple[bytes, Header]:
        head = self._store.head()
        if head is None:
            raise Corrupt(f"{self._store.database.name}: the chain has no block")
        return head

    def _header(self, number: int | None) -> Header:
        if number is None:
            return self._head()[1]
        found = self._store.raw_header(number)
        if found is None:
            raise ChainError(f"there is no block {number}")
        return decode_header(found[1])

    def head(self) -> Block:
        """The newest block."""
        block = self._store.block(self._head()[0])
        if block is None:
            raise ChainError("the newest block is gone: somebody restores an older state")
        return block

    def block(self, which: int | bytes) -> Block | None:
        """By number or hash."""
        return self._store.block(which)

    def raw_header(self, block: bytes) -> bytes | None:
        """The RLP whose keccak-256 is `block`."""
        found = self._store.raw_header(block)
        return found[1] if found else None

    def transaction(self, hash: bytes) -> bytes | None:
        """The signed bytes."""
        return self._store.transaction(hash)

    def receipt(self, transaction: bytes) -> Receipt | None:
        """By the transaction's hash."""
        return self._store.receipt(transaction)

    def receipts_of(self, block: bytes) -> list[Receipt]:
        """By the block's hash."""
        return self._store.receipts_of(block)

    def logs(self, *, first: int, last: int, addresses: Sequence[bytes] = (), topics: Topics = ()) -> list[Log]:
        """Of blocks `first` to `last`, both included."""
        return self._store.logs(first, last, addresses, topics)

    def balance(self, address: bytes, *, block: int | None = None) -> int:
        """In wei."""
        with self._state(block) as header:
            return state.account(self._store.nodes, header.state_root, address).balance

    def nonce(self, address: bytes, *, pending: bool = False, block: int | None = None) -> int:
        """The next one to use: nothing ever waits here, so `pending` changes nothing."""
        with self._state(block) as header:
            return state.account(self._store.nodes, header.state_root, address).nonce

    def code(self, address: bytes, *, block: int | None = None) -> bytes:
        """The contract's code."""
        with self._state(block) as header:
            return state.code(self._store.nodes, header.state_root, address)

    def storage(self, address: bytes, slot: int, *, block: int | None = None) -> bytes:
        """32 bytes."""
        with self._state(block) as header:
            return state.storage(self._store.nodes, header.state_root, address, slot)

    @contextmanager
    def _state(self, block: int | None) -> Iterator[Header]:
        header = self._header(block)
        try:
            yield header
        except NodeMissing:
            raise self._missing(header) from None

    def _missing(self, header: Header) -> ChainError | Corrupt:
        first = int(self._store.meta("pruned") or 0)
        if header.number < first:
            return ChainError(f"the state of block {header.number} was pruned; the oldest kept is block {first}'s")
        return Corrupt(f"{self._store.database.name}: a node of the state of block {header.number} is missing")

    # --- running code -------------------------------------------------------------------------

    def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, value: int = 0, block: int | None = None
    ) -> bytes:
        """What a contract answers, in the next block or in block `block`. Raises `Reverted` and `ChainError`."""
        return _answer(self._run(Request(to, data, value, sender), block))

    def simulate(self, request: Request, *, block: int | None = None) -> Outcome:
        """Run a request and see everything it did, failures too."""
        return self._run(request, block)

    def _run(self, request: Request, block: int | None) -> Outcome:
        with self._state(block) as header:
            context = self._next_context(header) if block is None else self._context_of(header)
            sender = request.sender or bytes(20)
            if request.value > state.account(self._store.nodes, header.state_root, sender).balance:
                raise OutOfFunds(f"0x{sender.hex()} has not the {request.value} wei that it would send")
            intrinsic = intrinsic_gas(request.to, request.data, request.access_list)
            gas = min(request.gas or context.gas_limit, context.gas_limit)
            least = max(intrinsic, floor_gas(request.data))
            if gas < least:
                raise ChainError(f"a gas limit of {gas}; this needs at least {least}")
            execution = self._engine.begin(self._store.nodes, header.state_root, context)
            message = Message(sender, request.to, request.data, request.value, gas - intrinsic, request.access_list)
            return execution.call(message)

    def estimate_gas(self, request: Request) -> int:
        """A gas limit that is enough, and hardly more."""
        outcome = self._run(request, None)
        _answer(outcome)
        # A call passes on 63 of 64 parts of its gas (EIP-150), so that what was used may not be enough to begin with.
        low, high, guess = 0, request.gas or self.genesis.gas_limit, outcome.gas_needed
        # Code can ask for much and fail with less: without an end, one request would cost a hundred full blocks.
        left = self.genesis.gas_limit
        while not low or high - low > low // GAS_PRECISION:
            left -= guess
            if guess >= high or left < 0:
                break
            if self._run(replace(request, gas=guess), None).succeeded:
                high = guess
                if not low:
                    break
            else:
                low = guess
            guess = min((low + high) // 2, low + low // 16)
        return high

    def fees(self) -> Fees:
        """Of the next block; nobody competes for room, so no tip is suggested."""
        return Fees(base=next_base_fee(self._head()[1]), tip=0)

    def _next_context(self, parent: Header) -> BlockContext:
        return next_context(self.chain_id, parent, int(self._clock()), lambda: self._store.ancestors(parent.number))

    def _context_of(self, header: Header) -> BlockContext:
        return BlockContext(
            chain_id=self.chain_id,
            number=header.number,
            time=header.time,
            gas_limit=header.gas_limit,
            base_fee=header.base_fee,
            beneficiary=header.beneficiary,
            ancestors=lambda: self._store.ancestors(header.number - 1),
        )

    # --- writing ------------------------------------------------------------------------------

    def send(self, raw: bytes) -> bytes:
        """Mine one transaction; its hash."""
        return self.send_many([raw])[0]

    def send_many(self, raws: Sequence[bytes]) -> list[bytes]:
        """Mine all in one block, or none: raises what the first that is refused would raise. Their hashes.

        Those that are mined already are left out; if none is left, no block is made.
        """
        transactions = [parse_transaction(raw) for raw in raws]
        hashes = [transaction.hash for transaction in transactions]
        with self._store.database.transaction("add a block") as writer:
            known = self._store.known(hashes)
            fresh = list({one.hash: one for one in transactions if one.hash not in known}.values())
            if not fresh:
                return hashes
            block = self._make(fresh)
            self._store.add(writer, block)
        self._added(block)
        return hashes

    def mine(self, count: int = 1) -> Block:
        """Add empty blocks; for tests, and for what counts confirmations. The newest."""
        for _ in range(count):
            with self._store.database.transaction("add a block") as writer:
                block = self._make([])
                self._store.add(writer, block)
        return self.head()

    def _added(self, block: MadeBlock) -> None:
        self._store.remember(block)
        if block.header.number % COMPACT_EVERY == 0 and self._store.database.path is not None:
            try:
                self.compact()
            except LogError as problem:
                # The block is durable and must be acknowledged; a later compaction does this one's work.
                _LOG.warning("the chain was not compacted: %s", problem)

    def compact(self) -> int:
        """Let go of states older than the newest `keep_states`; how many nodes went.

        Blocks, transactions, receipts, logs stay. May be killed at any time, and run beside writers.
        """
        return compact(self._store, self._keep_states)

    def _make(self, transactions: Sequence[Transaction]) -> MadeBlock:
        parent = self._head()
        try:
            return make_block(self._engine, self._store.nodes, parent, self._next_context(parent[1]), transactions)
        except NodeMissing:
            raise self._missing(parent[1]) from None

    # --- for tests ----------------------------------------------------------------------------

    def snapshot(self) -> int:
        """A token for `restore`."""
        return self._head()[1].number

    def restore(self, token: int) -> None:
        """Forget every block since. For tests: a chain in a file forgets nothing (`ChainError`)."""
        if self._store.database.path is not None:
            raise ChainError("only a chain in memory goes back")
        with self._store.database.transaction("restore") as writer:
            for table, column in (("block", "number"), ("tx", "block"), ("log", "block")):
                writer.execute(f"DELETE FROM {table} WHERE {column} > ?", (token,))  # noqa: S608 - fixed words only


def _answer(outcome: Outcome) -> bytes:
    if outcome.succeeded:
        return outcome.output
    if outcome.reverted:
        # Here, because it knows ABI libraries, and most answers need none.
        from twinproof.chain.abi import explain_revert

        raise Reverted(explain_revert(outcome.output), outcome.output)
    raise ChainError(f"the code failed: {outcome.problem}")
