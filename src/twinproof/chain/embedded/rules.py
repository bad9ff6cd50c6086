"""Who may have a transaction mined: every check that stands before the EVM, and the base fee's course. Pure.

Where public nodes have words of their own for a refusal, the message begins with them: clients know no better.
"""

from __future__ import annotations

from twinproof.chain.embedded.engine import BlockContext, Payer
from twinproof.chain.encoding import Header
from twinproof.chain.transactions import MAX_INIT_CODE, MAX_NONCE, Transaction, floor_gas, intrinsic_gas
from twinproof.errors import NonceTaken, OutOfFunds, TransactionRefused, Underpriced, WrongChain

ELASTICITY = 2
"""A block of half the gas limit leaves the base fee as it is (EIP-1559)."""
BASE_FEE_STEP = 8
"""It moves by an eighth at most (EIP-1559)."""


def next_base_fee(parent: Header) -> int:
    """Wei per gas, for the block after `parent` (EIP-1559)."""
    target = parent.gas_limit // ELASTICITY
    if parent.gas_used > target:
        rise = parent.base_fee * (parent.gas_used - target) // target // BASE_FEE_STEP
        return parent.base_fee + max(rise, 1)
    return parent.base_fee - parent.base_fee * (target - parent.gas_used) // target // BASE_FEE_STEP


def check_transaction(transaction: Transaction, context: BlockContext, gas_left: int, payer: Payer) -> None:
    """Refuse what may not be mined in this block; `gas_left` is the room in it.

    Raises `WrongChain`, `NonceTaken`, `Underpriced`, `OutOfFunds` or `TransactionRefused`.
    """
    _check_form(transaction, context, gas_left)
    if payer.has_code:
        raise TransactionRefused("the sender is a contract, and contracts sign nothing (EIP-3607)")
    if transaction.nonce < payer.nonce:
        raise NonceTaken(f"the nonce {transaction.nonce} is used; the account's next is {payer.nonce}")
    if transaction.nonce > payer.nonce:
        raise TransactionRefused(f"nonce too high: {transaction.nonce}; the account's next is {payer.nonce}")
    if transaction.nonce >= MAX_NONCE:
        raise TransactionRefused("the account has used up its nonces (EIP-2681)")
    if transaction.max_fee < context.base_fee:
        raise Underpriced(f"offers {transaction.max_fee} wei per gas; the next block asks for {context.base_fee}")
    needed = transaction.value + transaction.gas * transaction.max_fee
    if payer.balance < needed:
        raise OutOfFunds(
            f"0x{transaction.sender.hex()} has {payer.balance} wei; value and highest fee are {needed} wei"
        )


def _check_form(transaction: Transaction, context: BlockContext, gas_left: int) -> None:
    if transaction.chain_id is None:
        raise WrongChain(f"the transaction names no chain id (EIP-155); this chain is {context.chain_id}")
    if transaction.chain_id != context.chain_id:
        raise WrongChain(f"the transaction is for chain {transaction.chain_id}; this chain is {context.chain_id}")
    if transaction.to is None and len(transaction.data) > MAX_INIT_CODE:
        raise TransactionRefused(
            f"max initcode size exceeded: {len(transaction.data)} bytes of {MAX_INIT_CODE} (EIP-3860)"
        )
    least = max(intrinsic_gas(transaction.to, transaction.data, transaction.access_list), floor_gas(transaction.data))
    if transaction.gas < least:
        raise TransactionRefused(f"intrinsic gas too low: {transaction.gas}; this transaction needs at least {least}")
    if transaction.gas > context.gas_limit:
        raise TransactionRefused(f"exceeds block gas limit: {transaction.gas}; a block has {context.gas_limit}")
    if transaction.gas > gas_left:
        raise TransactionRefused(
            f"exceeds block gas limit: {transaction.gas}; this block has {gas_left} left. Send it alone"
        )
