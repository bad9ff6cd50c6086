"""Evidence of an anchor from what a chain's node tells: header, and the trie nodes of its receipt and transaction.

Nothing that the node says is taken on trust: the header must hash to the block's hash, all receipts and all
transactions of the block must make its roots, and the evidence must pass the check that an auditor makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from trie.hexary import HexaryTrie

from twinproof.chain.encoding import encode_receipt
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Block, Chain, Log
from twinproof.errors import BadProof, ChainLied, Malformed, NotFound
from twinproof.proof import rlp
from twinproof.proof.anchor import AnchorEvidence, check_anchor


@runtime_checkable
class _Raw(Protocol):
    """A chain that gives what lies in a block's tries, whatever types of transactions it has."""

    def raw_receipts_of(self, block: bytes) -> list[bytes]: ...
    def raw_transactions_of(self, block: bytes) -> list[bytes]: ...


def prove_item(items: Sequence[bytes], index: int) -> tuple[bytes, tuple[bytes, ...]]:
    """(root, nodes) of the trie that holds each item under the RLP of its place; the nodes lead to items[index]."""
    tree = HexaryTrie({})
    for number, item in enumerate(items):
        tree[rlp.encode_int(number)] = item
    path = tree.get_proof(rlp.encode_int(index))  # type: ignore[no-untyped-call]
    nodes = [rlp.encode(node) for node in path]
    # A node below 32 bytes stands inside its parent; the root is hashed whatever its size.
    return tree.root_hash, (nodes[0], *(node for node in nodes[1:] if len(node) >= 32))


def prove_anchor(chain: Chain, event: Log) -> AnchorEvidence:
    """The evidence of one `Anchored` event, as `Chain.logs` or a receipt gives it.

    Raises `NotFound` if the chain does not have the event's block (any more), `ChainLied` if header, receipts,
    transactions and event do not fit together, and what the chain raises.
    """
    header, block = chain.raw_header(event.block), chain.block(event.block)
    if header is None or block is None:
        raise NotFound(f"the chain has no block {event.block.hex()}")
    if keccak(header) != event.block:
        raise ChainLied(f"the header of block {event.number} does not have the block's hash")
    receipts, transactions = _contents(chain, block)
    at = event.transaction_index
    if len(receipts) != len(block.transactions) or not 0 <= at < len(receipts):
        raise ChainLied(f"block {event.number}: {len(receipts)} receipts of {len(block.transactions)} transactions")
    _, receipt_nodes = prove_item(receipts, at)
    _, transaction_nodes = prove_item(transactions, at)
    position = event.position - sum(map(_count_logs, receipts[:at]))
    evidence = AnchorEvidence(chain.chain_id, header, at, receipt_nodes, position, transaction_nodes)
    try:
        proved = check_anchor(evidence)
    except (BadProof, Malformed) as problem:
        raise ChainLied(f"block {event.number}: {problem}") from None
    told = event.address, event.topics[1:], event.data[:32]
    if told != (proved.contract, (proved.log_id, proved.size.to_bytes(32, "big")), proved.root):
        raise ChainLied(f"block {event.number} holds another event than the one told")
    return evidence


def _contents(chain: Chain, block: Block) -> tuple[list[bytes], list[bytes]]:
    """What lies in the tries of its receipts and of its transactions."""
    if isinstance(chain, _Raw):
        return chain.raw_receipts_of(block.hash), chain.raw_transactions_of(block.hash)
    receipts = [encode_receipt(receipt) for receipt in chain.receipts_of(block.hash)]
    return receipts, [_transaction(chain, known) for known in block.transactions]


def _count_logs(receipt: bytes) -> int:
    """Of a receipt in the trie, of any type: networks add members behind the four that all have."""
    fields = rlp.as_list(rlp.decode(receipt[1:] if receipt[0] < 0x80 else receipt, "receipt"), "receipt", 4, 16)
    return len(rlp.as_list(fields[3], "receipt.logs", 0, len(receipt)))


def _transaction(chain: Chain, known: bytes) -> bytes:
    raw = chain.transaction(known)
    if raw is None or keccak(raw) != known:
        raise ChainLied(f"the transaction {known.hex()} of a known block is missing or another one")
    return raw
