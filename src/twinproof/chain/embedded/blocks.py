"""Making a block out of its parent, a time and transactions. Pure, but for the engine; replay makes the same blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from twinproof.chain.embedded.engine import BlockContext, Engine, Nodes, Outcome
from twinproof.chain.embedded.genesis import Genesis
from twinproof.chain.embedded.rules import check_transaction, next_base_fee
from twinproof.chain.encoding import (
    BLOOM_BYTES,
    EMPTY_TRIE,
    Header,
    encode_header,
    encode_receipt,
    logs_bloom,
    ordered_root,
)
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Log, Receipt
from twinproof.chain.transactions import Transaction


@dataclass(frozen=True)
class MadeBlock:
    """A block with everything that is kept of it."""

    header: Header
    raw_header: bytes
    hash: bytes
    transactions: tuple[Transaction, ...]
    receipts: tuple[Receipt, ...]
    nodes: Mapping[bytes, bytes]
    """Of state and storage, and code, that this block has made."""


def make_genesis(engine: Engine, genesis: Genesis) -> MadeBlock:
    """Block 0."""
    root, nodes = engine.genesis({address: wei for address, wei in genesis.balances.items() if wei})
    header = Header(
        parent=bytes(32),
        beneficiary=genesis.beneficiary,
        state_root=root,
        transactions_root=EMPTY_TRIE,
        receipts_root=EMPTY_TRIE,
        bloom=bytes(BLOOM_BYTES),
        number=0,
        gas_limit=genesis.gas_limit,
        gas_used=0,
        time=genesis.time,
        base_fee=genesis.base_fee,
    )
    raw = encode_header(header)
    return MadeBlock(header, raw, keccak(raw), (), (), nodes)


def next_context(chain_id: int, parent: Header, time: int, ancestors: Callable[[], Iterable[bytes]]) -> BlockContext:
    """Of a block after `parent` at `time`, or a second after it if the clock says less."""
    return BlockContext(
        chain_id=chain_id,
        number=parent.number + 1,
        time=max(time, parent.time + 1),
        gas_limit=parent.gas_limit,
        base_fee=next_base_fee(parent),
        beneficiary=parent.beneficiary,
        ancestors=ancestors,
    )


def make_block(
    engine: Engine,
    nodes: Nodes,
    parent: tuple[bytes, Header],
    context: BlockContext,
    transactions: Sequence[Transaction],
) -> MadeBlock:
    """The next block, of all the transactions; raises as `check_transaction` if one may not be mined."""
    parent_hash, above = parent
    execution = engine.begin(nodes, above.state_root, context)
    outcomes: list[Outcome] = []
    gas_used = 0
    for transaction in transactions:
        check_transaction(transaction, context, context.gas_limit - gas_used, execution.payer(transaction.sender))
        outcomes.append(execution.apply(transaction))
        gas_used += outcomes[-1].gas_used
    state_root, made = execution.finish()
    receipts = _receipts(bytes(32), context, transactions, outcomes)
    header = Header(
        parent=parent_hash,
        beneficiary=context.beneficiary,
        state_root=state_root,
        transactions_root=ordered_root([transaction.raw for transaction in transactions]),
        receipts_root=ordered_root([encode_receipt(receipt) for receipt in receipts]),
        bloom=logs_bloom([log for receipt in receipts for log in receipt.logs]),
        number=context.number,
        gas_limit=context.gas_limit,
        gas_used=gas_used,
        time=context.time,
        base_fee=context.base_fee,
    )
    raw = encode_header(header)
    digest = keccak(raw)
    placed = _receipts(digest, context, transactions, outcomes)
    return MadeBlock(header, raw, digest, tuple(transactions), tuple(placed), made)


def _receipts(
    block: bytes, context: BlockContext, transactions: Sequence[Transaction], outcomes: Sequence[Outcome]
) -> list[Receipt]:
    receipts: list[Receipt] = []
    cumulative = position = 0
    for index, (transaction, outcome) in enumerate(zip(transactions, outcomes, strict=True)):
        cumulative += outcome.gas_used
        logs = tuple(
            Log(event.address, event.topics, event.data, block, context.number, transaction.hash, index, position + at)
            for at, event in enumerate(outcome.events)
        )
        position += len(logs)
        receipts.append(
            Receipt(
                transaction=transaction.hash,
                block=block,
                number=context.number,
                index=index,
                type=transaction.type,
                succeeded=outcome.succeeded,
                gas_used=outcome.gas_used,
                cumulative_gas_used=cumulative,
                gas_price=transaction.price(context.base_fee),
                sender=transaction.sender,
                to=transaction.to,
                contract=outcome.contract,
                logs=logs,
            )
        )
    return receipts
