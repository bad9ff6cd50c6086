"""py-evm behind the engine's seam: Prague's rules and the P-256 precompile (RIP-7212, EIP-7951).

Importing it takes a second. Transactions arrive parsed and checked, so only py-evm's state transition is used: not its
chains, headers, transaction classes or databases.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final, cast

from eth.abc import ComputationAPI
from eth.constants import BLANK_ROOT_HASH, CREATE_CONTRACT_ADDRESS
from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB
from eth.exceptions import Revert
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.prague.state import PragueState
from eth.vm.interrupt import MissingBytecode
from eth_typing import Address
from trie.exceptions import MissingTrieNode

from twinproof.chain.embedded.engine import BlockContext, Event, Execution, Message, NodeMissing, Nodes, Outcome, Payer
from twinproof.chain.encoding import EMPTY_CODE
from twinproof.chain.transactions import Transaction, floor_gas, init_code_gas, intrinsic_gas
from twinproof.proof.keys import verify_p256_digest

# What py-evm asks for itself, 1,024 calls deep. py_ecc, which it imports, sets 100,000: C code that nests, json's above
# all, would then run out of its stack on what a stranger sends, and end the process.
sys.setrecursionlimit(12 * 1024)

P256VERIFY: Final = Address(bytes(18) + b"\x01\x00")
P256VERIFY_GAS: Final = 6_900
_P256_INPUT: Final = 160


def _p256verify(computation: ComputationAPI) -> ComputationAPI:
    """Digest, r, s, x and y, 32 bytes each; answers 1 in 32 bytes, or nothing."""
    computation.consume_gas(P256VERIFY_GAS, reason="P256VERIFY")
    data = computation.msg.data_as_bytes
    valid = len(data) == _P256_INPUT and verify_p256_digest(
        data[:32], *(int.from_bytes(data[at : at + 32], "big") for at in range(32, _P256_INPUT, 32))
    )
    computation.output = bytes(31) + b"\x01" if valid else b""
    return computation


_SELFDESTRUCT: Final = 0xFF
# py-evm warns the operator, in Python's way, of a choice that a contract has made; what does the work is inside.
_QUIET: Any = PRAGUE_OPCODES[_SELFDESTRUCT]


class _Computation(PragueComputation):
    opcodes = {**PRAGUE_OPCODES, _SELFDESTRUCT: _QUIET.__wrapped__}  # noqa: RUF012 - py-evm's own shape
    _precompiles = {**PragueComputation.get_precompiles(), P256VERIFY: _p256verify}  # noqa: RUF012 - py-evm's own shape


class _State(PragueState):
    computation_class = _Computation

    def set_system_contracts(self) -> None:
        """None: no beacon chain stands behind these blocks."""


class _Overlay(BaseDB):
    """What an execution makes lies over what is kept."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.made: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        found = self.made.get(key)
        if found is not None:
            return found
        try:
            return self._nodes(key)
        except NodeMissing:
            # py-evm asks for nodes that may well not be there, and tells with its own errors which one it needed.
            raise KeyError(key) from None

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.made[key] = value

    def __delitem__(self, key: bytes) -> None:
        # Content-addressed: another part of the state may hold the same node.
        pass

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True


@contextmanager
def _missing_named() -> Iterator[None]:
    try:
        yield
    except MissingTrieNode as problem:
        raise NodeMissing(bytes(problem.missing_node_hash)) from None
    except MissingBytecode as problem:
        raise NodeMissing(bytes(problem.missing_code_hash)) from None


class PyEvmExecution:
    """See `Execution`."""

    @_missing_named()
    def __init__(self, nodes: Nodes, state_root: bytes, context: BlockContext) -> None:
        self._overlay = _Overlay(nodes)
        self._context = context
        execution = ExecutionContext(
            coinbase=Address(context.beneficiary),
            timestamp=context.time,
            block_number=cast(Any, context.number),
            difficulty=0,
            mix_hash=cast(Any, bytes(32)),
            gas_limit=context.gas_limit,
            prev_hashes=cast(Any, _Lazily(context)),
            chain_id=context.chain_id,
            base_fee_per_gas=context.base_fee,
            excess_blob_gas=0,
        )
        self._state: Any = _State(cast(Any, AtomicDB(self._overlay)), execution, cast(Any, state_root))

    @_missing_named()
    def payer(self, address: bytes) -> Payer:
        state = self._state
        return Payer(state.get_nonce(address), state.get_balance(address), state.get_code_hash(address) != EMPTY_CODE)

    @_missing_named()
    def apply(self, transaction: Transaction) -> Outcome:
        self._state.lock_changes()
        signed = _as_pyevm(
            type_id=transaction.type,
            sender=transaction.sender,
            to=transaction.to,
            data=transaction.data,
            value=transaction.value,
            gas=transaction.gas,
            nonce=transaction.nonce,
            max_fee_per_gas=transaction.max_fee,
            max_priority_fee_per_gas=transaction.max_tip,
            access_list=transaction.access_list,
        )
        executor = self._state.get_transaction_executor()
        computation = executor.build_computation(executor.build_evm_message(signed), signed)
        executor.finalize_computation(signed, computation)
        self._state.clear_transient_storage()
        return _outcome(computation, transaction.gas, transaction.to, transaction.data)

    @_missing_named()
    def call(self, message: Message) -> Outcome:
        self._state.lock_changes()
        intrinsic = intrinsic_gas(message.to, message.data, message.access_list)
        free = _as_pyevm(
            type_id=2,
            sender=message.sender,
            to=message.to,
            data=message.data,
            value=message.value,
            gas=message.gas + intrinsic,
            nonce=self._state.get_nonce(message.sender),
            max_fee_per_gas=0,
            max_priority_fee_per_gas=0,
            access_list=message.access_list,
        )
        executor = self._state.get_transaction_executor()
        computation = executor.build_computation(executor.build_evm_message(free), free)
        return _outcome(computation, message.gas + intrinsic, message.to, message.data)

    @_missing_named()
    def finish(self) -> tuple[bytes, Mapping[bytes, bytes]]:
        self._state.lock_changes()
        self._state.persist()
        return self._state.state_root, self._overlay.made

    def fund(self, balances: Mapping[bytes, int]) -> None:
        """Give accounts their wei, as only a genesis may."""
        for address, balance in balances.items():
            self._state.set_balance(address, balance)


class _Lazily:
    """Ancestors are looked up only if code asks for one."""

    def __init__(self, context: BlockContext) -> None:
        self._context = context

    def __iter__(self) -> Any:
        return iter(self._context.ancestors())


def _as_pyevm(**fields: Any) -> Any:
    """What py-evm's executor reads of a transaction."""
    to, data = fields["to"], fields["data"]
    access = fields["access_list"]
    fields["to"] = CREATE_CONTRACT_ADDRESS if to is None else to
    # py-evm charges for the words of init code (EIP-3860) when it starts to run them.
    fields["intrinsic_gas"] = intrinsic_gas(to, data, access) - (init_code_gas(data) if to is None else 0)
    fields["access_list"] = [(address, [int.from_bytes(key, "big") for key in keys]) for address, keys in access]
    return SimpleNamespace(**fields)


def _outcome(computation: Any, gas: int, to: bytes | None, data: bytes) -> Outcome:
    consumed = gas - computation.get_gas_remaining()
    refund = min(computation.get_gas_refund(), consumed // 5)
    failed = computation.is_error
    reverted = failed and isinstance(computation.error, Revert)
    problem = f"{type(computation.error).__name__}: {computation.error}".rstrip(": ") if failed else ""
    return Outcome(
        succeeded=not failed,
        reverted=reverted,
        problem=problem,
        output=computation.output if reverted or (not failed and to is not None) else b"",
        gas_used=max(consumed - refund, floor_gas(data)),
        gas_needed=max(consumed, floor_gas(data)),
        contract=computation.msg.storage_address if to is None else None,
        events=tuple(
            Event(address, tuple(topic.to_bytes(32, "big") for topic in topics), data)
            for address, topics, data in computation.get_log_entries()
        ),
    )


class PyEvm:
    """See `Engine`."""

    def begin(self, nodes: Nodes, state_root: bytes, context: BlockContext) -> Execution:
        return PyEvmExecution(nodes, state_root, context)

    def genesis(self, balances: Mapping[bytes, int]) -> tuple[bytes, Mapping[bytes, bytes]]:
        nothing: dict[bytes, bytes] = {}
        context = BlockContext(0, 0, 0, 0, 0, bytes(20), tuple)
        execution = PyEvmExecution(nothing.__getitem__, BLANK_ROOT_HASH, context)
        execution.fund(balances)
        return execution.finish()
