"""Batches: quantities are offered, installed, removed and scrapped, and always add up."""

from __future__ import annotations

import pytest

from tests.contracts.kit import Snapshot, refused
from tests.contracts.passports import (
    BIRTH,
    LEAF,
    MANUFACTURER,
    OTHER_MANUFACTURER,
    OWNER,
    QUARANTINED,
    RECEIVER,
    REMOVED,
    SCRAPPED,
    STRANGER,
    TWIN,
    Passports,
)
from twinproof.chain.hexadecimal import keccak

MOST = 2**64 - 1


@pytest.fixture(scope="module")
def deployed() -> tuple[Passports, Snapshot]:
    passports = Passports()
    return passports, passports.world.snapshot()


@pytest.fixture
def passports(deployed: tuple[Passports, Snapshot]) -> Passports:
    deployed[0].world.revert(deployed[1])
    return deployed[0]


def sums(passports: Passports, batch: int) -> tuple[int, int, int, int]:
    """Released, installed, scrapped, and what the test's parties hold."""
    _, _, _, released, installed, scrapped = passports.call("batchOf", batch)
    parties = (MANUFACTURER, OWNER, RECEIVER, STRANGER)
    return released, installed, scrapped, sum(sum(passports.call("heldOf", batch, who.address)) for who in parties)


def batch_id(maker: bytes, part_number: str, lot: str) -> int:
    """keccak256(abi.encode("batch", address, string, string)), put together by hand."""
    tails = [len(text).to_bytes(32, "big") + text + bytes(-len(text) % 32) for text in
             (b"batch", part_number.encode(), lot.encode())]  # fmt: skip
    first, second = 128 + len(tails[0]), 128 + len(tails[0]) + len(tails[1])
    head = [(128).to_bytes(32, "big"), maker.rjust(32, b"\0"), first.to_bytes(32, "big"), second.to_bytes(32, "big")]
    return int.from_bytes(keccak(b"".join(head + tails)), "big")


def test_a_released_batch_says_what_it_is(passports: Passports) -> None:
    done = passports.contract.send(MANUFACTURER, "releaseBatch", "BOLT-M8", "LOT-7", 500, BIRTH)
    batch = done.value
    assert batch == batch_id(MANUFACTURER.address, "BOLT-M8", "LOT-7")
    assert done.events == [
        ("BatchReleased", {
            "batchId": batch, "manufacturer": MANUFACTURER.address, "partNumber": "BOLT-M8", "lot": "LOT-7",
            "quantity": 500, "birth": BIRTH,
        })
    ]  # fmt: skip
    assert passports.call("batchOf", batch) == (MANUFACTURER.address, keccak(b"BOLT-M8"), BIRTH, 500, 0, 0)
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (500, 0)
    with refused(f"AlreadyExists({batch})"):
        passports.send(MANUFACTURER, "releaseBatch", "BOLT-M8", "LOT-7", 1, BIRTH)
    other = passports.send(OTHER_MANUFACTURER, "releaseBatch", "BOLT-M8", "LOT-7", 1, BIRTH)
    assert other != batch
    with refused(f"NoSuchBatch({batch + 1})"):
        passports.call("batchOf", batch + 1)


@pytest.mark.parametrize(
    ("part_number", "lot", "quantity", "birth", "error"),
    [
        ("", "L", 1, BIRTH, "BadLength(0)"),
        ("P", "", 1, BIRTH, "BadLength(0)"),
        ("P", "L" * 129, 1, BIRTH, "BadLength(129)"),
        ("P", "L", 0, BIRTH, "ZeroQuantity"),
        ("P", "L", 1, bytes(32), "MissingHash"),
    ],
    ids=["no number", "no lot", "long lot", "nothing", "no birth"],
)
def test_bad_input_releases_nothing(
    passports: Passports, part_number: str, lot: str, quantity: int, birth: bytes, error: str
) -> None:
    with refused(error):
        passports.send(MANUFACTURER, "releaseBatch", part_number, lot, quantity, birth)


def test_a_serial_and_a_lot_of_one_name_do_not_meet(passports: Passports) -> None:
    batch = passports.send(MANUFACTURER, "releaseBatch", "PN", "7", 5, BIRTH)
    token = passports.send(MANUFACTURER, "mint", "PN", "7", TWIN, BIRTH)
    assert token != batch
    passports.send(MANUFACTURER, "installQuantity", batch, token, 5)
    assert passports.call("installedIn", batch, token) == 5


def test_a_quantity_changes_hands_by_offer_and_acceptance(passports: Passports) -> None:
    batch = passports.batch(100)
    expires = passports.soon
    done = passports.contract.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, 60, expires)
    assert done.events[0][0] == "QuantityOffered"
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (40, 60)
    assert passports.call("quantityOfferOf", batch, MANUFACTURER.address, OWNER.address) == (60, expires)
    for wrong in (59, 61, 0):
        with refused(f"WrongQuantity({batch}, 60, {wrong})"):
            passports.send(OWNER, "acceptQuantity", batch, MANUFACTURER.address, wrong)
    done = passports.contract.send(OWNER, "acceptQuantity", batch, MANUFACTURER.address, 60)
    handed = {"batchId": batch, "from": MANUFACTURER.address, "to": OWNER.address, "quantity": 60}
    assert done.events == [("QuantityHandedOver", handed)]
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (40, 0)
    assert passports.call("heldOf", batch, OWNER.address) == (60, 0)
    with refused("NotOffered"):
        passports.send(OWNER, "acceptQuantity", batch, MANUFACTURER.address, 60)


def test_offers_reserve(passports: Passports) -> None:
    batch, token = passports.batch(100), passports.new()
    passports.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, 60, passports.soon)
    for function, arguments in [
        ("offerQuantity", (batch, RECEIVER.address, 41, passports.soon)),
        ("installQuantity", (batch, token, 41)),
        ("scrapQuantity", (batch, 41)),
    ]:
        with refused(f"InsufficientQuantity({batch}, 40, 41)"):
            passports.send(MANUFACTURER, function, *arguments)
    passports.send(MANUFACTURER, "offerQuantity", batch, RECEIVER.address, 40, passports.soon)
    passports.send(RECEIVER, "acceptQuantity", batch, MANUFACTURER.address, 40)
    passports.send(OWNER, "acceptQuantity", batch, MANUFACTURER.address, 60)
    assert sums(passports, batch) == (100, 0, 0, 100)


def test_an_expired_quantity_is_free_once_cancelled_or_offered_again(passports: Passports) -> None:
    batch = passports.batch(100)
    expires = passports.soon
    passports.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, 100, expires)
    with refused(f"AlreadyOffered({batch}"):
        passports.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, 1, expires)
    passports.world.time = expires
    with refused(f"OfferExpired({batch}, {expires})"):
        passports.send(OWNER, "acceptQuantity", batch, MANUFACTURER.address, 100)
    before = passports.world.snapshot()
    done = passports.contract.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, 30, passports.soon)
    assert [name for name, _ in done.events] == ["QuantityOfferCancelled", "QuantityOffered"]
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (70, 30)
    passports.world.revert(before)
    passports.send(MANUFACTURER, "cancelQuantity", batch, MANUFACTURER.address, OWNER.address)
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (100, 0)


@pytest.mark.parametrize("by", ["giver", "receiver"])
def test_either_side_cancels(passports: Passports, by: str) -> None:
    batch = passports.batch(100)
    pair = (MANUFACTURER.address, OWNER.address)
    passports.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, 60, passports.soon)
    for other in (STRANGER, RECEIVER, OTHER_MANUFACTURER):
        with refused("NotOffered"):
            passports.send(other, "cancelQuantity", batch, *pair)
    done = passports.contract.send(MANUFACTURER if by == "giver" else OWNER, "cancelQuantity", batch, *pair)
    cancelled = {"batchId": batch, "from": pair[0], "to": pair[1], "quantity": 60}
    assert done.events == [("QuantityOfferCancelled", cancelled)]
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (100, 0)
    with refused("NotOffered"):
        passports.send(MANUFACTURER, "cancelQuantity", batch, *pair)


def test_bad_offers_reserve_nothing(passports: Passports) -> None:
    batch = passports.batch(100)
    for to, quantity, expires, error in [
        (OWNER.address, 0, passports.soon, "ZeroQuantity"),
        (OWNER.address, 101, passports.soon, f"InsufficientQuantity({batch}, 100, 101)"),
        (OWNER.address, MOST, passports.soon, "InsufficientQuantity"),
        (OWNER.address, 1, passports.world.time, "OfferExpired"),
        (MANUFACTURER.address, 1, passports.soon, "BadReceiver"),
        (bytes(20), 1, passports.soon, "BadReceiver"),
    ]:
        with refused(error):
            passports.send(MANUFACTURER, "offerQuantity", batch, to, quantity, expires)
    with refused("InsufficientQuantity"):
        passports.send(STRANGER, "offerQuantity", batch, OWNER.address, 1, passports.soon)
    assert passports.call("heldOf", batch, MANUFACTURER.address) == (100, 0)


def test_quantities_go_into_parts_and_out_to_stock_or_scrap(passports: Passports) -> None:
    batch, engine = passports.batch(100, OWNER), passports.new(OWNER)
    done = passports.contract.send(OWNER, "installQuantity", batch, engine, 30)
    assert done.events == [("QuantityInstalled", {"batchId": batch, "parent": engine, "quantity": 30})]
    passports.send(OWNER, "installQuantity", batch, engine, 10)
    assert passports.call("installedIn", batch, engine) == 40
    assert sums(passports, batch) == (100, 40, 0, 60)
    done = passports.contract.send(OWNER, "removeQuantity", batch, engine, 15, False)
    removed = {"batchId": batch, "parent": engine, "quantity": 15, "scrapped": False}
    assert done.events == [("QuantityRemoved", removed)]
    passports.send(OWNER, "removeQuantity", batch, engine, 5, True)
    assert sums(passports, batch) == (100, 20, 5, 75)
    done = passports.contract.send(OWNER, "scrapQuantity", batch, 75)
    assert done.events == [("QuantityScrapped", {"batchId": batch, "owner": OWNER.address, "quantity": 75})]
    passports.send(OWNER, "removeQuantity", batch, engine, 20, True)
    assert sums(passports, batch) == (100, 0, 100, 0)


def test_no_more_comes_out_than_is_in(passports: Passports) -> None:
    batch, engine, other = passports.batch(100, OWNER), passports.new(OWNER), passports.new(OWNER)
    passports.send(OWNER, "installQuantity", batch, engine, 30)
    passports.send(OWNER, "installQuantity", batch, other, 30)
    for scrap in (False, True):
        with refused(f"InsufficientQuantity({batch}, 30, 31)"):
            passports.send(OWNER, "removeQuantity", batch, engine, 31, scrap)
        with refused("ZeroQuantity"):
            passports.send(OWNER, "removeQuantity", batch, engine, 0, scrap)
    with refused("ZeroQuantity"):
        passports.send(OWNER, "installQuantity", batch, engine, 0)
    with refused("ZeroQuantity"):
        passports.send(OWNER, "scrapQuantity", batch, 0)
    assert sums(passports, batch) == (100, 60, 0, 40)


def test_only_the_parts_owner_reaches_what_is_in_it(passports: Passports) -> None:
    batch, engine = passports.batch(100, OWNER), passports.new(OWNER)
    passports.send(OWNER, "installQuantity", batch, engine, 30)
    for other in (MANUFACTURER, STRANGER):
        with refused("NotOwner"):
            passports.send(other, "removeQuantity", batch, engine, 30, False)
        with refused("NotOwner"):
            passports.send(other, "installQuantity", batch, engine, 1)


@pytest.mark.parametrize("status", [REMOVED, QUARANTINED, SCRAPPED])
def test_what_takes_quantities_by_status(passports: Passports, status: int) -> None:
    batch, engine = passports.batch(100, OWNER), passports.new(OWNER)
    passports.send(OWNER, "setStatus", engine, status, LEAF)
    if status == REMOVED:
        passports.send(OWNER, "installQuantity", batch, engine, 1)
    else:
        with refused(f"WrongStatus({engine}, {status})"):
            passports.send(OWNER, "installQuantity", batch, engine, 1)


def test_the_largest_batch_adds_up(passports: Passports) -> None:
    batch, engine = passports.batch(MOST), passports.new(OWNER)
    passports.send(MANUFACTURER, "offerQuantity", batch, OWNER.address, MOST, 2**64 - 1)
    passports.send(OWNER, "acceptQuantity", batch, MANUFACTURER.address, MOST)
    passports.send(OWNER, "installQuantity", batch, engine, MOST)
    passports.send(OWNER, "removeQuantity", batch, engine, MOST, False)
    passports.send(OWNER, "scrapQuantity", batch, MOST)
    assert sums(passports, batch) == (MOST, 0, MOST, 0)


def test_what_it_costs(passports: Passports) -> None:
    """Upper bounds in gas; the measured figures are in docs/parts.md."""
    batch, engine = passports.batch(100), passports.new(OWNER)
    maker, owner, soon = MANUFACTURER, OWNER, passports.soon
    for sender, function, arguments, limit in [
        (maker, "releaseBatch", ("BOLT-M8", "LOT-X", 500, BIRTH), 145_000),
        (maker, "offerQuantity", (batch, owner.address, 60, soon), 56_500),
        (owner, "acceptQuantity", (batch, maker.address, 60), 55_000),
        (owner, "installQuantity", (batch, engine, 30), 64_000),
        (owner, "removeQuantity", (batch, engine, 10, False), 45_000),
        (owner, "scrapQuantity", (batch, 10), 37_000),
    ]:
        assert passports.contract.send(sender, function, *arguments).gas <= limit, function
