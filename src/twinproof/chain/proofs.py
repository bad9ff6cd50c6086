"""Evidence of an anchor from what a chain's node tells: header, and the trie nodes of its receipt and transaction.

Nothing that the node says is taken on trust: the header must hash to the block's hash, all receipts and all
transactions of the block must make its roots, and the evidence must pass the check that an auditor makes.
"""

from __future__ import annotations

from collections.abc import Sequence

from trie.hexary import HexaryTrie

from twinproof.chain.encoding import encode_receipt
from twinproof.chain.model import Chain, Log
from twinproof.errors import BadProof, ChainLied, Malformed, NotFound
from twinproof.proof import rlp
from twinproof.proof.anchor import AnchorEvidence, check_anchor
from twinproof.proof.keccak import keccak256


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
    if keccak256(header) != event.block:
        raise ChainLied(f"the header of block {event.number} does not have the block's hash")
    receipts = chain.receipts_of(event.block)
    at = event.transaction_index
    if len(receipts) != len(block.transactions) or not 0 <= at < len(receipts):
        raise ChainLied(f"block {event.number}: {len(receipts)} receipts of {len(block.transactions)} transactions")
    _, receipt_nodes = prove_item([encode_receipt(receipt) for receipt in receipts], at)
    _, transaction_nodes = prove_item([_transaction(chain, known) for known in block.transactions], at)
    position = event.position - sum(len(receipt.logs) for receipt in receipts[:at])
    evidence = AnchorEvidence(chain.chain_id, header, at, receipt_nodes, position, transaction_nodes)
    try:
        proved = check_anchor(evidence)
    except (BadProof, Malformed) as problem:
        raise ChainLied(f"block {event.number}: {problem}") from None
    told = event.address, event.topics[1:], event.data[:32]
    if told != (proved.contract, (proved.log_id, proved.size.to_bytes(32, "big")), proved.root):
        raise ChainLied(f"block {event.number} holds another event than the one told")
    return evidence


def _transaction(chain: Chain, known: bytes) -> bytes:
    raw = chain.transaction(known)
    if raw is None or keccak256(raw) != known:
        raise ChainLied(f"the transaction {known.hex()} of a known block is missing or another one")
    return raw
