"""The sender on a real node: fees, nonces, replacements, reorganisations, restarts. One purpose, one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chain.anvil import CHAIN_ID, ETHER, Anvil
from tests.chain.lyingnode import Lost, LyingNode, Refuse
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.outbox import State, TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.chain.signing import Unsigned
from twinproof.chain.transactions import parse_transaction
from twinproof.errors import (
    ChainLied,
    ChainUnreachable,
    ConfigError,
    Malformed,
    NotAuthorised,
    NotFound,
    OutOfFunds,
    Replaced,
    Reverted,
    StorageFailed,
    TooExpensive,
    Underpriced,
    WrongChain,
)

GWEI = 10**9
SETTINGS = SenderSettings(max_fee=100 * GWEI, stuck_seconds=60, stuck_blocks=5)


class Clock:
    """POSIX seconds that a test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """An account with its outbox, on a node."""

    def __init__(self, anvil: Anvil, folder: Path, url: str | None = None, settings: SenderSettings = SETTINGS) -> None:
        self.anvil = anvil
        self.path = folder / "outbox.db"
        self.account = anvil.account()
        self.clock = Clock()
        self.settings = settings
        self.url = url or anvil.url
        self.chain: Any = RpcChain(RpcClient(self.url, timeout=5, sleep=lambda _: None), CHAIN_ID)
        self.outbox: Any = None
        self.sender: Any = None
        self.open()

    def open(self) -> None:
        """As after a restart of the process."""
        if self.outbox is not None:
            self.outbox.close()
        self.outbox = TransactionOutbox(self.path)
        self.sender = Sender(
            self.chain, self.account, self.outbox, self.settings, clock=self.clock, sleep=lambda _: None
        )

    def close(self) -> None:
        self.outbox.close()
        self.chain.close()

    def pay(self, purpose: str, wei: int = 1) -> Any:
        """One wei for an address of the purpose: what it got tells how often that happened."""
        return self.sender.submit(purpose, self.payee(purpose), b"", wei)

    def payee(self, purpose: str) -> bytes:
        return keccak(purpose.encode())[:20]

    def paid(self, purpose: str) -> int:
        got: int = self.chain.balance(self.payee(purpose))
        return got

    def attempts(self, purpose: str) -> list[Any]:
        return [parse_transaction(one.raw) for one in self.outbox.attempts(self.sender.find(purpose))]

    def elsewhere(self, nonce: int, **changes: Any) -> bytes:
        """Somebody else uses the same key."""
        fields = {"max_tip": 50 * GWEI, "max_fee": 90 * GWEI, "gas": 21_000, "to": b"\7" * 20, **changes}
        raw = self.account.sign_transaction(Unsigned(CHAIN_ID, nonce, **fields))
        return bytes.fromhex(self.anvil.rpc("eth_sendRawTransaction", "0x" + raw.hex())[2:])


@pytest.fixture
def desk(anvil: Anvil, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(anvil, tmp_path)
    yield made
    made.close()


@pytest.fixture
def manual(desk: Desk) -> Desk:
    """Nothing is mined but by `anvil.mine`."""
    desk.anvil.rpc("evm_setAutomine", False)
    return desk


# --- the plain way ---


def test_one_purpose_is_one_transaction(desk: Desk) -> None:
    entry = desk.pay("rent")
    assert (entry.state, entry.nonce, entry.code) == (State.SIGNED, 0, None)
    done = desk.sender.wait("rent", 10)
    assert done.state is State.CONFIRMED
    assert done.cost == done.gas_used * done.gas_price > 0
    for _ in range(3):
        assert desk.pay("rent") == done
        assert desk.sender.retry("rent") == done
    assert desk.sender.step() == []
    assert desk.paid("rent") == 1
    assert desk.chain.nonce(desk.account.address) == 1


def test_what_it_costs_is_told_before_and_after(desk: Desk) -> None:
    estimate = desk.sender.estimate(b"\1" * 20, b"data", 5)
    assert estimate.gas < estimate.gas_limit <= estimate.gas * 5 // 4
    desk.sender.submit("x", b"\1" * 20, b"data", 5)
    done = desk.sender.wait("x", 10)
    assert done.gas_used is not None
    assert done.cost is not None
    assert done.gas_used <= estimate.gas
    assert done.cost <= estimate.likely <= estimate.most


def test_a_contract_is_created_and_refuses(desk: Desk) -> None:
    artifact = Artifact.load("CheckpointAnchor")
    desk.sender.submit("deploy", None, artifact.deployment())
    address = desk.sender.wait("deploy", 10).contract
    assert address is not None
    contract = Contract(artifact, address)
    data = contract.encode("register", "log.example", desk.account.address)
    desk.sender.submit("register", address, data)
    assert desk.sender.wait("register", 10).gas_used
    with pytest.raises(Reverted) as caught:
        desk.sender.submit("register again", address, data)
    assert caught.value.reason == contract.error(caught.value.data)
    with pytest.raises(NotFound):
        desk.sender.find("register again")
    assert desk.chain.nonce(desk.account.address, pending=True) == 2


def test_a_transaction_that_reverts_when_it_is_mined(manual: Desk) -> None:
    """It looked well when it was tried out; another one came first."""
    artifact = Artifact.load("CheckpointAnchor")
    manual.sender.submit("deploy", None, artifact.deployment())
    manual.anvil.mine()
    address = manual.sender.wait("deploy", 10).contract
    assert address is not None
    data = Contract(artifact, address).encode("register", "log.example", manual.account.address)
    manual.sender.submit("one", address, data)
    manual.chain.estimate_gas = lambda _: 200_000
    manual.sender.submit("two", address, data)
    del manual.chain.estimate_gas
    manual.anvil.mine()
    assert manual.sender.wait("one", 10).state is State.CONFIRMED
    with pytest.raises(Reverted):
        manual.sender.wait("two", 10)
    failed = manual.sender.find("two")
    assert (failed.state, failed.code) == (State.FAILED, "reverted")
    assert failed.cost
    assert manual.sender.submit("two", address, data) == failed
    with pytest.raises(Reverted):  # now the trial tells, and nothing is paid
        manual.sender.retry("two")
    assert manual.sender.find("two") == failed


def test_a_purpose_stands_for_one_transaction(desk: Desk) -> None:
    desk.pay("rent")
    with pytest.raises(Malformed, match="stands for another transaction"):
        desk.pay("rent", 2)
    for purpose in ("", "x" * 201, "a\nb"):
        with pytest.raises(Malformed, match="purpose"):
            desk.pay(purpose)
    with pytest.raises(NotFound):
        desk.sender.wait("never", 0)


def test_confirmations(anvil: Anvil, tmp_path: Path) -> None:
    desk = Desk(anvil, tmp_path, settings=SenderSettings(max_fee=100 * GWEI, confirmations=3))
    desk.pay("rent")
    anvil.rpc("evm_setAutomine", False)
    with pytest.raises(ChainUnreachable, match="not confirmed after 0 s"):
        desk.sender.wait("rent", 0)
    for _ in range(1000):
        desk.sender.step()
        if desk.sender.find("rent").state is State.MINED:
            break
    anvil.mine()
    assert desk.sender.step() == []
    anvil.mine()
    assert [one.state for one in desk.sender.step()] == [State.CONFIRMED]
    desk.close()


# --- money ---


def test_too_expensive_is_found_out_before(anvil: Anvil, tmp_path: Path) -> None:
    for settings in (SenderSettings(max_fee=1), SenderSettings(max_fee=100 * GWEI, max_cost=1000)):
        desk = Desk(anvil, tmp_path, settings=settings)
        with pytest.raises(TooExpensive, match="nothing was sent"):
            desk.pay("rent")
        assert desk.sender.live() == []
        desk.close()


def test_out_of_funds_is_found_out_before(desk: Desk) -> None:
    with pytest.raises(OutOfFunds):
        desk.pay("palace", 1000 * ETHER)
    desk.anvil.rpc("evm_setAutomine", False)
    desk.pay("house", 99 * ETHER)
    with pytest.raises(OutOfFunds, match="nothing was sent"):
        desk.pay("yacht", 99 * ETHER)
    assert [entry.purpose for entry in desk.sender.live()] == ["house"]


def test_funds_that_go_in_between(manual: Desk) -> None:
    """Sent on as soon as there is money again."""
    manual.chain.send = _refuse_once(manual.chain.send, OutOfFunds("gone"))
    entry = manual.pay("rent")
    assert (entry.state, entry.code) == (State.SIGNED, "out-of-funds")
    manual.sender.step()
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).code is None
    assert manual.paid("rent") == 1


def _refuse_once(real: Callable[[bytes], bytes], problem: Exception) -> Callable[[bytes], bytes]:
    left = [problem]

    def send(raw: bytes) -> bytes:
        if left:
            raise left.pop()
        return real(raw)

    return send


@pytest.mark.parametrize("by", ["time", "blocks"])
def test_a_stuck_transaction_is_replaced_by_a_better_offer(manual: Desk, by: str) -> None:
    first = manual.pay("rent")
    if by == "time":
        manual.clock.now += 59
        manual.sender.step()
        assert len(manual.attempts("rent")) == 1
        manual.clock.now += 1
    else:
        manual.anvil.rpc("anvil_dropTransaction", "0x" + manual.attempts("rent")[0].hash.hex())
        manual.anvil.mine(5)
    manual.sender.step()
    one, two = manual.attempts("rent")
    assert (one.nonce, one.to, one.value, one.gas) == (two.nonce, two.to, two.value, two.gas)
    assert two.max_fee * 8 >= one.max_fee * 9
    assert two.max_tip * 8 >= one.max_tip * 9
    manual.anvil.mine()
    done = manual.sender.wait("rent", 10)
    assert (done.transaction, done.nonce) == (two.hash, first.nonce)
    assert manual.paid("rent") == 1


def test_the_first_offer_may_be_mined_after_all(manual: Desk) -> None:
    manual.pay("rent")
    manual.clock.now += 60
    manual.sender.step()
    one, two = manual.attempts("rent")
    manual.anvil.rpc("anvil_dropTransaction", "0x" + two.hash.hex())
    manual.anvil.rpc("eth_sendRawTransaction", "0x" + one.raw.hex())
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).transaction == one.hash
    assert manual.paid("rent") == 1


def test_offers_end_at_the_limit(anvil: Anvil, tmp_path: Path) -> None:
    desk = Desk(anvil, tmp_path, settings=SenderSettings(max_fee=4 * GWEI, stuck_seconds=60))
    anvil.rpc("evm_setAutomine", False)
    desk.pay("rent")
    for _ in range(20):
        desk.clock.now += 60
        desk.sender.step()
    offers = desk.attempts("rent")
    assert 1 < len(offers) < 10
    assert max(one.max_fee for one in offers) <= 4 * GWEI
    assert desk.sender.find("rent").code == "too-expensive"
    with pytest.raises(TooExpensive, match="not confirmed"):
        desk.sender.wait("rent", 0)
    anvil.mine()
    assert desk.sender.wait("rent", 10).transaction == offers[-1].hash
    assert desk.paid("rent") == 1
    desk.close()


def test_a_base_fee_that_overtakes_the_offer(manual: Desk) -> None:
    manual.pay("rent")
    manual.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(20 * GWEI))
    manual.anvil.mine()
    assert manual.paid("rent") == 0
    manual.clock.now += 60
    manual.sender.step()
    assert len(manual.attempts("rent")) == 2
    assert manual.attempts("rent")[1].max_fee > 20 * GWEI
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).state is State.CONFIRMED
    assert manual.paid("rent") == 1


def test_underpriced_is_offered_more_for_at_once(manual: Desk) -> None:
    manual.chain.send = _refuse_once(manual.chain.send, Underpriced("minimum 5"))
    assert manual.pay("rent").code == "underpriced"
    manual.chain.send = _refuse_once(manual.chain.send, Underpriced("minimum 5"))
    manual.sender.step()
    assert len(manual.attempts("rent")) == 2
    manual.anvil.mine()
    manual.sender.wait("rent", 10)
    assert manual.paid("rent") == 1


# --- nonces ---


def test_many_in_a_row(manual: Desk) -> None:
    for number in range(10):
        assert manual.pay(f"rent {number}").nonce == number
    manual.anvil.mine()
    assert [entry.state for entry in manual.sender.step()] == [State.CONFIRMED] * 10
    assert [manual.paid(f"rent {number}") for number in range(10)] == [1] * 10


def test_receipts_are_asked_for_together(anvil: Anvil, tmp_path: Path) -> None:
    node = LyingNode(anvil.url)
    desk = Desk(anvil, tmp_path, node.url)
    anvil.rpc("evm_setAutomine", False)
    for number in range(30):
        desk.pay(f"rent {number}")
    anvil.mine()
    node.batches.clear()
    assert len(desk.sender.step()) == 30
    assert max(node.batches) == 30
    assert len(node.batches) < 6
    desk.close()
    node.close()


def test_what_waits_from_elsewhere_is_respected(manual: Desk) -> None:
    manual.elsewhere(0)
    manual.elsewhere(1)
    assert manual.pay("rent").nonce == 2
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).nonce == 2


def test_somebody_else_uses_the_nonce(manual: Desk) -> None:
    manual.pay("rent")
    ours = manual.attempts("rent")[0]
    manual.anvil.rpc("anvil_dropTransaction", "0x" + ours.hash.hex())
    manual.elsewhere(0)
    manual.anvil.mine()
    with pytest.raises(Replaced, match="took nonce 0 in block 1"):
        manual.sender.wait("rent", 10)
    entry = manual.pay("rent")
    assert entry.state is State.REPLACED  # asking again never makes a second one by itself
    assert manual.sender.retry("rent").nonce == 1
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).nonce == 1
    assert manual.paid("rent") == 1


def test_the_nonce_is_taken_between_the_question_and_the_sending(desk: Desk) -> None:
    real: Callable[[bytes], bytes] = desk.chain.send

    def late(raw: bytes) -> bytes:
        desk.chain.send = real
        desk.elsewhere(0)
        return real(raw)

    desk.chain.send = late
    assert desk.pay("rent").code == "nonce-taken"
    with pytest.raises(Replaced):
        desk.sender.wait("rent", 10)
    desk.sender.retry("rent")
    desk.sender.wait("rent", 10)
    assert desk.paid("rent") == 1


def test_a_replacement_needs_its_confirmations_too(anvil: Anvil, tmp_path: Path) -> None:
    desk = Desk(anvil, tmp_path, settings=SenderSettings(max_fee=100 * GWEI, confirmations=3))
    anvil.rpc("evm_setAutomine", False)
    desk.pay("rent")
    anvil.rpc("anvil_dropTransaction", "0x" + desk.attempts("rent")[0].hash.hex())
    desk.elsewhere(0)
    for state in (State.SIGNED, State.SIGNED, State.REPLACED):
        anvil.mine()
        desk.sender.step()
        assert desk.sender.find("rent").state is state
    desk.close()


def test_a_used_nonce_with_a_receipt_that_lags(anvil: Anvil, tmp_path: Path) -> None:
    """The node counts the transaction before it tells the receipt: not replaced."""
    node = LyingNode(anvil.url)
    desk = Desk(anvil, tmp_path, node.url)
    desk.pay("rent")
    node.lies["eth_getTransactionReceipt"] = lambda *_: None
    for _ in range(5):
        desk.sender.step()
    assert desk.sender.find("rent").state is State.SIGNED
    node.lies.clear()
    desk.sender.wait("rent", 10)
    assert desk.paid("rent") == 1
    desk.close()
    node.close()


def test_a_gap_is_filled(manual: Desk) -> None:
    """A transaction from elsewhere, behind which ours stood, was dropped."""
    lost = manual.elsewhere(0)
    assert manual.pay("rent").nonce == 1
    manual.anvil.rpc("anvil_dropTransaction", "0x" + lost.hex())
    manual.sender.step()
    manual.anvil.mine()
    manual.sender.step()
    assert manual.paid("rent") == 0
    assert len(manual.sender.live()) == 1
    manual.clock.now += 60
    manual.sender.step()
    assert [entry.purpose for entry in manual.sender.live()] == ["fill nonce 0", "rent"]
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).nonce == 1
    assert manual.paid("rent") == 1
    assert manual.attempts("fill nonce 0")[0].to == manual.account.address


def test_a_gap_that_somebody_fills_is_left_alone(manual: Desk) -> None:
    lost = manual.elsewhere(0)
    manual.pay("rent")
    manual.anvil.rpc("anvil_dropTransaction", "0x" + lost.hex())
    manual.sender.step()
    manual.elsewhere(0)
    manual.clock.now += 60
    manual.sender.step()
    assert [entry.purpose for entry in manual.sender.live()] == ["rent"]
    manual.anvil.mine()
    manual.sender.wait("rent", 10)


# --- what gets lost ---


def test_dropped_by_the_pool(manual: Desk) -> None:
    manual.pay("rent")
    manual.anvil.rpc("anvil_dropAllTransactions")
    manual.sender.step()
    manual.anvil.mine()
    manual.sender.wait("rent", 10)
    assert len(manual.attempts("rent")) == 1
    assert manual.paid("rent") == 1


def test_the_answer_is_lost(anvil: Anvil, tmp_path: Path) -> None:
    node = LyingNode(anvil.url)

    def lose(*_: Any) -> Any:
        del node.lies["eth_sendRawTransaction"]
        raise Lost

    node.lies["eth_sendRawTransaction"] = lose
    desk = Desk(anvil, tmp_path, node.url)
    assert desk.pay("rent").code == "chain-unreachable"
    desk.open()
    desk.pay("rent")
    desk.sender.wait("rent", 10)
    assert len(desk.attempts("rent")) == 1
    assert desk.paid("rent") == 1
    assert desk.chain.nonce(desk.account.address) == 1
    desk.close()
    node.close()


def test_a_node_that_is_away(anvil: Anvil, tmp_path: Path) -> None:
    node = LyingNode(anvil.url)
    desk = Desk(anvil, tmp_path, node.url)

    def away(_: Any) -> None:
        raise Lost

    node.whole = away
    with pytest.raises(ChainUnreachable):
        desk.pay("rent")
    assert desk.sender.live() == []
    node.whole = None
    desk.pay("rent")
    node.whole = away
    with pytest.raises(ChainUnreachable):
        desk.sender.wait("rent", 0)
    node.whole = None
    desk.sender.wait("rent", 10)
    assert desk.paid("rent") == 1
    desk.close()
    node.close()


def _changed(change: dict[str, str]) -> Callable[[list[Any], Any], Any]:
    return lambda _, truth: truth and {**truth, **change}


def test_a_receipt_that_lies(anvil: Anvil, tmp_path: Path) -> None:
    node = LyingNode(anvil.url)
    desk = Desk(anvil, tmp_path, node.url)
    desk.pay("rent")
    for change in ({"from": "0x" + "11" * 20}, {"to": "0x" + "11" * 20}, {"transactionHash": "0x" + "11" * 32}):
        node.lies["eth_getTransactionReceipt"] = _changed(change)
        with pytest.raises(ChainLied):
            desk.sender.wait("rent", 10)
    first = anvil.rpc("eth_getBlockByNumber", "0x0", False)
    place = {"blockHash": first["hash"], "blockNumber": "0x0"}
    node.lies["eth_getTransactionReceipt"] = lambda _, truth: truth and {**truth, **place}
    with pytest.raises(ChainLied, match="does not hold the transaction"):
        desk.sender.step()
    assert desk.sender.find("rent").state is State.SIGNED
    node.lies.clear()
    desk.sender.wait("rent", 10)
    desk.close()
    node.close()


# --- reorganisations and restarts ---


def test_a_reorganisation_drops_the_block(anvil: Anvil, tmp_path: Path) -> None:
    desk = Desk(anvil, tmp_path, settings=SenderSettings(max_fee=100 * GWEI, confirmations=3))
    anvil.rpc("evm_setAutomine", False)
    anvil.mine(3)
    token = anvil.rpc("evm_snapshot")
    desk.pay("rent")
    anvil.mine()
    desk.sender.step()
    before = desk.sender.find("rent")
    assert (before.state, before.number) == (State.MINED, 4)
    anvil.rpc("evm_revert", token)
    anvil.rpc("anvil_dropAllTransactions")
    anvil.mine(2)
    desk.sender.step()  # forgotten, and the same bytes sent again
    assert desk.sender.find("rent").state is State.SIGNED
    assert desk.paid("rent") == 0
    anvil.mine(3)
    done = desk.sender.wait("rent", 10)
    assert (done.transaction, done.number) == (before.transaction, 6)
    assert len(desk.attempts("rent")) == 1
    assert desk.paid("rent") == 1
    desk.close()


def test_a_receipt_in_a_block_that_is_not_canonical_is_none(anvil: Anvil, tmp_path: Path) -> None:
    node = LyingNode(anvil.url)
    desk = Desk(anvil, tmp_path, node.url)
    anvil.rpc("evm_setAutomine", False)
    desk.pay("rent")
    receipt: list[Any] = []
    node.lies["eth_getTransactionReceipt"] = lambda _, truth: receipt[0] if receipt else truth
    token = anvil.rpc("evm_snapshot")
    anvil.mine()
    named = "0x" + desk.attempts("rent")[0].hash.hex()
    receipt.append(anvil.rpc("eth_getTransactionReceipt", named))
    assert receipt[0]
    anvil.rpc("evm_revert", token)
    anvil.rpc("anvil_dropAllTransactions")
    anvil.rpc("evm_increaseTime", 100)
    anvil.mine()
    desk.sender.step()
    assert desk.sender.find("rent").state is State.SIGNED
    receipt.clear()
    anvil.mine()
    desk.sender.wait("rent", 10)
    assert desk.paid("rent") == 1
    desk.close()
    node.close()


def test_a_reorganisation_deeper_than_the_confirmations(manual: Desk) -> None:
    token = manual.anvil.rpc("evm_snapshot")
    manual.pay("rent")
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).state is State.CONFIRMED
    manual.anvil.rpc("evm_revert", token)
    manual.anvil.rpc("anvil_dropAllTransactions")
    manual.anvil.mine()
    assert manual.paid("rent") == 0
    manual.pay("food")  # the next step sees that the account's count went back
    manual.sender.step()
    manual.anvil.mine()
    manual.sender.wait("food", 10)
    manual.sender.wait("rent", 10)
    assert (manual.paid("rent"), manual.paid("food")) == (1, 1)


@pytest.mark.parametrize("mined", [False, True])
def test_the_node_is_restarted(lasting_anvil: Anvil, tmp_path: Path, mined: bool) -> None:
    desk = Desk(lasting_anvil, tmp_path)
    if not mined:
        lasting_anvil.rpc("evm_setAutomine", False)
    desk.pay("rent")
    if mined:
        desk.sender.wait("rent", 10)
        desk.pay("food")
    lasting_anvil.stop()
    with pytest.raises(ChainUnreachable):
        desk.sender.step()
    lasting_anvil.start()
    desk.open()
    desk.pay("rent")
    desk.sender.wait("rent", 10)
    assert desk.paid("rent") == 1
    if mined:
        desk.sender.wait("food", 10)
        assert desk.paid("food") == 1
    desk.close()


def test_a_chain_that_began_anew_is_another_chain(anvil: Anvil, tmp_path: Path) -> None:
    desk = Desk(anvil, tmp_path)
    desk.pay("rent")
    other = Anvil(options=("--timestamp", "1000000000"))
    other.fund(desk.account.address)
    desk.chain.close()
    desk.chain = RpcChain(RpcClient(other.url), CHAIN_ID)
    desk.open()
    for act in (lambda: desk.pay("food"), lambda: desk.pay("rent"), desk.sender.step):
        with pytest.raises(WrongChain, match="belongs to chain 31337 with the first block"):
            act()
    assert desk.chain.nonce(desk.account.address, pending=True) == 0
    desk.close()
    other.close()


# --- the signer, the file ---


class _Declines:
    address = Account(keccak(b"operator")).address

    def sign_transaction(self, transaction: Unsigned) -> bytes:
        raise NotAuthorised("the signer declines")


def test_a_signer_that_declines_leaves_nothing_behind(desk: Desk) -> None:
    sender = Sender(desk.chain, _Declines(), desk.outbox, SETTINGS)
    with pytest.raises(NotAuthorised):
        sender.submit("rent", b"\1" * 20)
    with pytest.raises(NotFound):
        sender.find("rent")
    assert desk.pay("rent").nonce == 0


def test_a_signer_that_declines_a_better_offer(manual: Desk) -> None:
    manual.pay("rent")
    manual.clock.now += 60
    sender = Sender(manual.chain, _Declines(), manual.outbox, SETTINGS, clock=manual.clock)
    sender.step()
    assert sender.find("rent").code == "not-authorised"
    manual.anvil.mine()
    assert manual.sender.wait("rent", 10).code is None


def test_two_accounts_share_a_file(desk: Desk) -> None:
    other = desk.anvil.account("other")
    second = Sender(desk.chain, other, desk.outbox, SETTINGS, sleep=lambda _: None)
    desk.pay("rent")
    second.submit("other rent", b"\1" * 20, b"", 1)
    assert second.find("other rent").nonce == 0
    desk.sender.wait("rent", 10)
    assert second.wait("other rent", 10).sender == other.address


def test_two_processes_share_a_file(manual: Desk) -> None:
    outbox = TransactionOutbox(manual.path)
    second = Sender(manual.chain, manual.account, outbox, SETTINGS, sleep=lambda _: None)
    manual.pay("rent")
    assert second.submit("food", manual.payee("food"), b"", 1).nonce == 1
    assert second.submit("rent", manual.payee("rent"), b"", 1).nonce == 0
    manual.anvil.mine()
    second.wait("rent", 10)
    manual.sender.wait("food", 10)
    assert (manual.paid("rent"), manual.paid("food")) == (1, 1)
    outbox.close()


def test_files_that_are_no_outbox(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"x" * 5000)
    with pytest.raises(ConfigError, match="do not delete it"):
        TransactionOutbox(tmp_path / "text")
    for name, pragma in (("other", "application_id = 5"), ("later", f"application_id = {0x74707478}")):
        db = sqlite3.connect(tmp_path / name)
        db.execute("CREATE TABLE x (y)")
        db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA user_version = 9")
        db.commit()
        db.close()
    with pytest.raises(ConfigError, match="another program's"):
        TransactionOutbox(tmp_path / "other")
    with pytest.raises(ConfigError, match="format 9"):
        TransactionOutbox(tmp_path / "later")
    with pytest.raises(ConfigError, match="folder"):
        TransactionOutbox(tmp_path / "none" / "x")
    outbox = TransactionOutbox(tmp_path / "new")
    outbox.close()
    with pytest.raises(StorageFailed):
        outbox.find("x")


def test_settings_are_checked() -> None:
    for wrong in ({"max_fee": -1}, {"confirmations": 0}, {"stuck_blocks": 0}, {"gas_margin": -1}):
        with pytest.raises(Malformed):
            SenderSettings(**{"max_fee": 1, **wrong})


def test_busy_nodes_say_so_in_the_entry(anvil: Anvil, tmp_path: Path) -> None:
    node = LyingNode(anvil.url)
    desk = Desk(anvil, tmp_path, node.url)

    def full() -> None:
        raise Refuse(-32000, "txpool is full")

    node.instead["eth_sendRawTransaction"] = full
    entry = desk.pay("rent")
    assert entry.code == "chain"
    assert "txpool is full" in (entry.detail or "")
    assert json.dumps(entry.detail)
    node.instead.clear()
    desk.sender.wait("rent", 10)
    assert desk.paid("rent") == 1
    desk.close()
    node.close()
