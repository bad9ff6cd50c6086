"""Sending once: each purpose becomes one mined transaction, whatever is lost on the way.

    sender = Sender(chain, account, TransactionOutbox(path), SenderSettings(max_fee=50 * 10**9))
    sender.submit("anchor 4711", contract.address, contract.encode("anchor", …))
    sender.step()                      # a task calls this now and then
    sender.wait("anchor 4711", 60)     # a command waits

| what is seen                                   | what is done                                                   |
|------------------------------------------------|----------------------------------------------------------------|
| a receipt in a canonical block, deep enough    | final: confirmed, or failed with the contract's reason         |
| a receipt in a block that was dropped          | the receipt is forgotten                                       |
| no receipt, the node does not know it          | the same bytes are sent again                                  |
| it waits for too long, and is the next         | signed again with an eighth more fee and the same nonce        |
| no receipt, the nonce is used in deep blocks   | those blocks are looked at; then it is replaced, which is final|
| a nonce below ours that nobody uses            | filled with an empty transaction to oneself                    |
| the node does not answer                       | nothing is known; next time the receipts are asked for first   |

A block that is dropped although it had the confirmations asked for is noticed only while something else is on its way:
ask for more confirmations where that happens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from twinproof.chain.accounts import Signer
from twinproof.chain.fees import Offer, first_offer, next_offer
from twinproof.chain.model import Block, Chain, Receipt, Request
from twinproof.chain.outbox import Attempt, Entry, State, TransactionOutbox, check_purpose
from twinproof.chain.signing import Unsigned
from twinproof.chain.transactions import parse_transaction
from twinproof.errors import (
    BadSignature,
    ChainError,
    ChainLied,
    ChainUnreachable,
    Malformed,
    NonceTaken,
    NotAuthorised,
    NotFound,
    OutOfFunds,
    Replaced,
    Reverted,
    TooExpensive,
    TransactionRefused,
    Underpriced,
    WrongChain,
)

_PROBLEMS: Final = (OutOfFunds, Underpriced, NonceTaken, TooExpensive, TransactionRefused, NotAuthorised, BadSignature)
_BY_CODE: Final = {problem.code: problem for problem in _PROBLEMS}
MAX_WAITING: Final = 1024
"""Transactions of the account that may wait in a node's pool, or nonces that may have to be filled: more is a lie."""
_POLL: Final = 0.5
"""Seconds between two looks of `wait`."""


@runtime_checkable
class _Batching(Protocol):
    """A chain that answers many questions at once."""

    def receipts(self, transactions: Sequence[bytes]) -> list[Receipt | None]: ...


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """What a transaction may cost, and how patient the sender is."""

    max_fee: int
    """Wei for a unit of gas, at most."""
    max_cost: int | None = None
    """Wei for the gas of one transaction, at most."""
    confirmations: int = 1
    """Blocks from the transaction's own to the newest, both counted, until it is final."""
    stuck_seconds: float = 120.0
    """After this time without being mined it is replaced by a better offer,"""
    stuck_blocks: int = 10
    """or after so many blocks."""
    gas_margin: int = 25
    """Percent above the estimate that the gas limit allows."""

    def __post_init__(self) -> None:
        if min(self.max_fee, self.gas_margin) < 0 or min(self.confirmations, self.stuck_blocks) < 1:
            raise Malformed(
                "sender", "max_fee and gas_margin are not negative, confirmations and stuck_blocks at least 1"
            )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a transaction would cost now."""

    gas: int
    """Units that it would use."""
    gas_limit: int
    offer: Offer
    likely: int
    """Wei for gas, at the next block's base fee."""
    most: int
    """Wei for gas, if all of the limit is used at the full offer."""


def estimate(chain: Chain, request: Request, settings: SenderSettings) -> Estimate:
    """What a transaction would cost, whoever signs it; raises `Reverted`, `TooExpensive`, `OutOfFunds`."""
    gas = chain.estimate_gas(request)
    limit = gas + gas * settings.gas_margin // 100
    fees = chain.fees()
    offer = first_offer(fees, settings.max_fee)
    _check_cost(limit, offer, settings)
    return Estimate(gas, limit, offer, gas * (fees.base + fees.tip), limit * offer.max_fee)


def _check_cost(gas: int, offer: Offer, settings: SenderSettings) -> None:
    most = settings.max_cost
    if most is not None and gas * offer.max_fee > most:
        raise TooExpensive(f"the gas may cost {gas * offer.max_fee} wei, the limit is {most}; nothing was sent")


class Sender:
    """One account on one chain. Any thread may call; calls of one sender wait for each other.

    Nothing sleeps but `wait`. `clock` gives POSIX seconds.
    """

    def __init__(
        self,
        chain: Chain,
        signer: Signer,
        outbox: TransactionOutbox,
        settings: SenderSettings,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chain = chain
        self._signer = signer
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.RLock()
        self._pinned = False
        self._gap: tuple[int, float, int] | None = None
        """A nonce that nobody uses, when that was first seen, and the newest block's number then."""

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self._signer.address

    @property
    def settings(self) -> SenderSettings:
        """What a transaction may cost."""
        return self._settings

    def find(self, purpose: str) -> Entry:
        """What became of a purpose, as the outbox knows it; raises `NotFound`."""
        entry = self._outbox.find(purpose)
        if entry is None:
            raise NotFound(f"nothing was ever sent for {purpose!r}")
        return entry

    def find_by_transaction(self, transaction: bytes) -> Entry | None:
        """The entry of any account here that a transaction belongs to, by its hash."""
        return self._outbox.by_transaction(transaction)

    def hash_of(self, entry: Entry) -> bytes:
        """The hash of a purpose's transaction: the mined one, else the one that was signed last."""
        return entry.transaction or self._outbox.attempts(entry)[-1].hash

    def live(self) -> list[Entry]:
        """Everything that is not final, by nonce."""
        return self._outbox.live(self.address)

    def estimate(self, to: bytes | None, data: bytes = b"", value: int = 0) -> Estimate:
        """What sending this would cost; raises `Reverted`, `TooExpensive`, `OutOfFunds`. Nothing is sent."""
        return estimate(self._chain, Request(to, data, value, self.address), self._settings)

    # --- submitting ---

    def submit(self, purpose: str, to: bytes | None, data: bytes = b"", value: int = 0) -> Entry:
        """Send a transaction for a purpose, or see to the one that there is already.

        On return it is durable, and sent if the node could be reached: `code` of the entry tells what is in the way.
        Raises, with nothing kept or sent: `Reverted` (tried out first), `TooExpensive`, `OutOfFunds`, `WrongChain`,
        `ChainUnreachable`, what the signer raises, and `Malformed` if the purpose stands for another transaction.
        """
        return self._submit(purpose, Request(to, data, value, self.address), again=False)

    def retry(self, purpose: str) -> Entry:
        """Send a purpose again, with a new nonce, that failed or was replaced; of any other this is `submit`."""
        entry = self.find(purpose)
        return self._submit(purpose, Request(entry.to, entry.data, entry.value, self.address), again=True)

    def _submit(self, purpose: str, request: Request, *, again: bool) -> Entry:
        check_purpose(purpose)
        with self._lock:
            self._pin()
            entry = self._outbox.find(purpose)
            if entry is not None and (entry.to, entry.data, entry.value) != (request.to, request.data, request.value):
                raise Malformed("purpose", f"{purpose!r} stands for another transaction")
            if entry is None or (again and entry.state in (State.FAILED, State.REPLACED)):
                return self._begin(purpose, request, again=again)
            if entry.live and entry.sender == self.address:
                self._look_at([entry], self._chain.head(), self._chain.nonce(self.address))
            return self.find(purpose)

    def _begin(self, purpose: str, request: Request, *, again: bool = False) -> Entry:
        estimate = self.estimate(request.to, request.data, request.value)
        needed = self._outbox.owed(self.address) + request.value + estimate.most
        has = self._chain.balance(self.address)
        if has < needed:
            raise OutOfFunds(f"the account has {has} wei and may need {needed}; nothing was sent")
        head = self._chain.head()
        entry = self._outbox.take(
            purpose,
            self.address,
            request,
            estimate.gas_limit,
            lambda nonce: self._sign(request, nonce, estimate.gas_limit, estimate.offer),
            chain_nonce=self._pending(),
            now=self._clock(),
            head=head.number,
            again=again,
        )
        # From here on the transaction is durable: whatever is raised, `step` goes on with it.
        self._send(entry, self._outbox.attempts(entry)[-1])
        return self.find(purpose)

    def _pending(self) -> int:
        """The next nonce by the node's word, its pool included: once it is taken, all later ones are above it."""
        pending, used = self._chain.nonce(self.address, pending=True), self._chain.nonce(self.address)
        if pending > used + MAX_WAITING or pending >> 63:
            raise ChainLied(
                f"the chain's node tells {pending} as the account's next nonce, and {used} as used; nothing was sent"
            )
        return pending

    def _sign(self, request: Request, nonce: int, gas: int, offer: Offer) -> bytes:
        return self._signer.sign_transaction(
            Unsigned(
                chain_id=self._chain.chain_id,
                nonce=nonce,
                max_tip=offer.max_tip,
                max_fee=offer.max_fee,
                gas=gas,
                to=request.to,
                value=request.value,
                data=request.data,
            )
        )

    def _send(self, entry: Entry, attempt: Attempt) -> bool:
        """Hand in one attempt; whether the offer was too low. What is in the way is kept with the entry."""
        try:
            self._chain.send(attempt.raw)
        except WrongChain:
            raise
        except ChainError as problem:
            self._outbox.note(entry, type(problem).code, str(problem))
            return isinstance(problem, Underpriced)
        self._outbox.accept(attempt.hash)
        if entry.code is not None:
            self._outbox.note(entry, None, None)
        return False

    def _pin(self) -> None:
        if not self._pinned:
            first = self._chain.block(0)
            self._outbox.pin(self._chain.chain_id, b"" if first is None else first.hash)
            self._pinned = True

    # --- settling ---

    def step(self) -> list[Entry]:
        """Look at everything that is not final and do what is to be done; the entries that became final.

        Raises `ChainUnreachable`, `ChainLied` or `WrongChain`, with everything as it was or further.
        """
        with self._lock:
            entries = self.live()
            if not entries:
                return []
            self._pin()
            head = self._chain.head()
            # Before the receipts: a nonce that is used now has its receipt by then, or is somebody else's.
            used = self._chain.nonce(self.address)
            # A reorganisation deeper than the confirmations: what was final is open again.
            self._outbox.reopen(self.address, used)
            seen, entries = entries, self.live()
            if entries:  # else another process settled them meanwhile
                self._look_at(entries, head, used)
                self._fill_gap(entries[0].nonce, used, head)
            purposes = dict.fromkeys(one.purpose for one in (*seen, *entries))
            return [now for purpose in purposes if not (now := self.find(purpose)).live]

    def _receipts(self, hashes: list[bytes]) -> dict[bytes, Receipt]:
        if isinstance(self._chain, _Batching):
            found = self._chain.receipts(hashes)
        else:
            found = [self._chain.receipt(named) for named in hashes]
        return {receipt.transaction: receipt for receipt in found if receipt is not None}

    def _look_at(self, entries: list[Entry], head: Block, used: int) -> None:
        attempts = [self._outbox.attempts(entry) for entry in entries]
        receipts = self._receipts([attempt.hash for some in attempts for attempt in some])
        blocks: dict[int, Block | None] = {head.number: head}
        for entry, some in zip(entries, attempts, strict=True):
            receipt = self._canonical(entry, [receipts[one.hash] for one in some if one.hash in receipts], blocks)
            self._look(entry, some, receipt, head, used)

    def _look(self, entry: Entry, attempts: list[Attempt], receipt: Receipt | None, head: Block, used: int) -> None:
        if receipt is not None:
            self._mined(entry, receipt, head)
            return
        if entry.state is State.MINED:
            self._outbox.unmined(entry)
        if used > entry.nonce:
            self._check_replaced(entry, attempts, head)
            return
        last = attempts[-1]
        refused = False
        if not last.accepted or self._chain.transaction(last.hash) is None:
            refused = self._send(entry, last)
        if entry.nonce == used and (refused or self._stuck(last.signed_at, last.head, head)):
            self._bump(entry, last, head)

    def _canonical(self, entry: Entry, receipts: list[Receipt], blocks: dict[int, Block | None]) -> Receipt | None:
        """The receipt whose block is on the chain."""
        for receipt in receipts:
            if receipt.sender != entry.sender or receipt.to != entry.to:
                raise ChainLied("the chain's node tells of a transaction of ours with another sender or receiver")
            if receipt.number not in blocks:
                blocks[receipt.number] = self._chain.block(receipt.number)
            block = blocks[receipt.number]
            if block is not None and block.hash == receipt.block:
                if receipt.transaction not in block.transactions:
                    raise ChainLied("the chain's node tells a receipt for a block that does not hold the transaction")
                return receipt
        return None

    def _mined(self, entry: Entry, receipt: Receipt, head: Block) -> None:
        if head.number - receipt.number + 1 < self._settings.confirmations:
            if entry.block != receipt.block:
                self._outbox.mined(entry, receipt, State.MINED)
        elif receipt.succeeded:
            self._outbox.mined(entry, receipt, State.CONFIRMED)
        else:
            self._outbox.mined(entry, receipt, State.FAILED, self._reason(entry, receipt))

    def _reason(self, entry: Entry, receipt: Receipt) -> str:
        """Why it failed, by trying it again on the block before; not always to be had."""
        try:
            if entry.to is not None:
                before = receipt.number - 1
                self._chain.call(entry.to, entry.data, sender=entry.sender, value=entry.value, block=before)
        except Reverted as refusal:
            return refusal.reason
        except ChainUnreachable:
            raise
        except ChainError:
            return "reverted; the state before its block is gone, so the reason is unknown"
        return "ran out of gas" if receipt.gas_used >= entry.gas else "reverted because of what came before it"

    def _stuck(self, since: float, block: int, head: Block) -> bool:
        settings = self._settings
        return self._clock() - since >= settings.stuck_seconds or head.number - block >= settings.stuck_blocks

    def _bump(self, entry: Entry, last: Attempt, head: Block) -> None:
        signed = parse_transaction(last.raw)
        before = Offer(signed.max_fee, signed.max_tip)
        try:
            offer = next_offer(before, self._chain.fees(), self._settings.max_fee)
            _check_cost(entry.gas, offer, self._settings)
            raw = self._sign(Request(entry.to, entry.data, entry.value), entry.nonce, entry.gas, offer)
        except (TooExpensive, NotAuthorised, BadSignature) as problem:
            self._outbox.note(entry, type(problem).code, str(problem))
            return
        self._outbox.add_attempt(entry, raw, now=self._clock(), head=head.number)
        self._send(entry, self._outbox.attempts(entry)[-1])

    # --- nonces that others use, or nobody ---

    def _check_replaced(self, entry: Entry, attempts: list[Attempt], head: Block) -> None:
        """The nonce is used, and no receipt of ours is there: look into the block that used it."""
        deep = head.number - self._settings.confirmations + 1
        if deep < 0 or self._chain.nonce(self.address, block=deep) <= entry.nonce:
            return
        low, high = -1, deep
        while high - low > 1:
            middle = (low + high) // 2
            if self._chain.nonce(self.address, block=middle) > entry.nonce:
                high = middle
            else:
                low = middle
        block = self._chain.block(high)
        # A node may know a block before it has its receipts; then ours is in there.
        if block is None or any(attempt.hash in block.transactions for attempt in attempts):
            return
        self._outbox.replaced(
            entry,
            f"another transaction of the account took nonce {entry.nonce} in block {high}; is the key used elsewhere? "
            "Nothing of this purpose happened; it can be sent again",
        )

    def _fill_gap(self, lowest: int, used: int, head: Block) -> None:
        """If the chain waits for a nonce below all of ours that nobody uses, use it for nothing after a while."""
        if lowest <= used or self._chain.nonce(self.address, pending=True) > used:
            self._gap = None
            return
        if lowest - used > MAX_WAITING:
            raise ChainLied(
                f"the chain waits for nonce {used} of the account, and the first one here is {lowest}: its node lies "
                "now, or did when that was taken. Nothing is filled; if it did then, begin with a new outbox"
            )
        if self._gap is None or self._gap[0] != used:
            self._gap = (used, self._clock(), head.number)
        if not self._stuck(self._gap[1], self._gap[2], head):
            return
        request = Request(self.address, sender=self.address)
        estimate = self.estimate(request.to)
        entry = self._outbox.take(
            f"fill nonce {used}",
            self.address,
            request,
            estimate.gas_limit,
            lambda nonce: self._sign(request, nonce, estimate.gas_limit, estimate.offer),
            chain_nonce=used,
            now=self._clock(),
            head=head.number,
            exactly=True,
        )
        self._send(entry, self._outbox.attempts(entry)[-1])

    # --- waiting ---

    def wait(self, purpose: str, timeout: float) -> Entry:
        """Step until a purpose is confirmed, for at most `timeout` seconds.

        Raises `Reverted` and `Replaced`, which are final, and otherwise what is in the way when the time is over
        (`ChainUnreachable` and others): it stays in the outbox and goes on.
        """
        end = self._monotonic() + timeout
        while True:
            unreachable: ChainUnreachable | None = None
            try:
                self.step()
            except ChainUnreachable as problem:
                unreachable = problem
            entry = self.find(purpose)
            if entry.state is State.CONFIRMED:
                return entry
            if entry.state is State.FAILED:
                raise Reverted(entry.detail or "no reason given")
            if entry.state is State.REPLACED:
                raise Replaced(entry.detail or "")
            left = end - self._monotonic()
            if left <= 0:
                if unreachable is not None:
                    raise unreachable
                told = f"{purpose!r} is not confirmed after {timeout:g} s and stays in the outbox"
                raise _BY_CODE.get(entry.code or "", ChainUnreachable)(
                    f"{told}: {entry.detail}" if entry.detail else told
                )
            self._sleep(min(_POLL, left))
