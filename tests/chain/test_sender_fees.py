"""Fees as a table and as properties, and many threads and processes that want the same thing at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chain.anvil import CHAIN_ID, Anvil
from twinproof.chain.fees import Offer, first_offer, next_offer
from twinproof.chain.model import Fees
from twinproof.chain.outbox import Entry, TransactionOutbox
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.errors import TooExpensive

WEI = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("base", "tip", "limit", "offer"),
    [(10, 2, 100, Offer(22, 2)), (10, 2, 15, Offer(15, 2)), (10, 2, 12, Offer(12, 2)), (0, 0, 0, Offer(0, 0))],
    ids=["double", "limited", "just", "free"],
)
def test_first_offers(base: int, tip: int, limit: int, offer: Offer) -> None:
    assert first_offer(Fees(base, tip), limit) == offer


@given(WEI, WEI, WEI)
def test_a_first_offer_is_enough_and_within_the_limit(base: int, tip: int, limit: int) -> None:
    if base + tip > limit:
        with pytest.raises(TooExpensive):
            first_offer(Fees(base, tip), limit)
        return
    offer = first_offer(Fees(base, tip), limit)
    assert base + tip <= offer.max_fee <= limit
    assert offer.max_tip == tip


@given(WEI, WEI, WEI, WEI, WEI)
def test_a_next_offer_is_an_eighth_more_and_within_the_limit(
    fee: int, tip: int, base: int, suggested: int, limit: int
) -> None:
    before = Offer(fee + tip, tip)
    try:
        offer = next_offer(before, Fees(base, suggested), limit)
    except TooExpensive:
        assert limit < max(before.max_fee * 9 // 8 + 1, base + suggested)
        return
    assert offer.max_fee * 8 > before.max_fee * 9
    assert offer.max_tip * 8 > before.max_tip * 9
    assert offer.max_tip <= offer.max_fee <= limit
    assert offer.max_fee >= base + suggested


def test_four_that_want_the_same_at_once(anvil: Anvil, tmp_path: Path) -> None:
    account = anvil.account()
    chain = RpcChain(RpcClient(anvil.url), CHAIN_ID)
    outboxes = [TransactionOutbox(tmp_path / "outbox.db") for _ in range(4)]  # as of four processes
    senders = [Sender(chain, account, one, SenderSettings(max_fee=10**11), sleep=lambda _: None) for one in outboxes]
    payees = [bytes([number]) * 20 for number in range(1, 9)]

    def work(sender: Sender) -> list[Entry]:
        for number, payee in enumerate(payees):
            sender.submit(f"rent {number}", payee, b"", 1)
        return [sender.wait(f"rent {number}", 30) for number in range(len(payees))]

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, senders))
    assert all(one == done[0] for one in done)
    assert sorted(entry.nonce for entry in done[0]) == list(range(len(payees)))
    assert [chain.balance(payee) for payee in payees] == [1] * len(payees)
    assert chain.nonce(account.address, pending=True) == len(payees)
    for outbox in outboxes:
        outbox.close()
    chain.close()
