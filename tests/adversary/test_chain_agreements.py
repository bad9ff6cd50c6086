"""Maintenance agreements against those who keep the log, held the part before, or write calldata by hand."""

from __future__ import annotations

import pytest

from tests.contracts.agreement_rig import (
    ACCOMPLICE,
    MAX_AGE,
    OPERATOR,
    PRICE,
    RECEIVE,
    STRANGER,
    SUPPLIER,
    Key,
    Rig,
    State,
    twin,
)
from tests.contracts.kit import Deployed, refused
from twinproof.proof.keys import ES256, PrivateKey

EVIL_KEY = PrivateKey(ES256, b"\x33" * 32)


@pytest.fixture
def rig() -> Rig:
    return Rig.fresh()


# --- the log's owner ------------------------------------------------------------------------


def test_a_prediction_that_the_log_repeats_orders_again_while_it_is_fresh(rig: Rig) -> None:
    """The contract knows predictions by their places: docs/agreements.md tells this risk. Its bound is maxAge."""
    agreement = rig.active(terms := rig.terms())
    said = rig.prediction()
    order = rig.order(agreement, terms, rig.logged(said))
    token = rig.shipped(order, terms)
    rig.send(STRANGER, "confirmInstallation", order, terms, rig.logged(rig.installation(order, token)))
    assert rig.seen(order).state == State.FULFILLED
    repeated = rig.logged(said)
    start = rig.snapshot()
    assert rig.seen(rig.order(agreement, terms, repeated)).state == State.PLACED
    rig.revert(start)
    rig.world.time += MAX_AGE + 1
    with refused("Stale"):
        rig.order(agreement, terms, repeated)


def test_a_log_of_ones_own_orders_nothing_elsewhere(rig: Rig) -> None:
    """A head that the supplier anchored for itself holds the true prediction, and proves nothing under the terms."""
    agreement = rig.active(terms := rig.terms())
    proof = rig.logged(rig.prediction())
    mine = rig.anchors.send(SUPPLIER, "register", "twin.example/log0", SUPPLIER.address).value
    assert mine != rig.log_id
    time = rig.world.time
    rig.anchors.send(SUPPLIER, "anchor", mine, (0, 0, bytes(32)), 1, b"\1" * 32, [])
    with refused("NotAnchored"):
        rig.order(agreement, terms, type(proof)(proof.statement, 0, type(proof.head)(1, time, b"\1" * 32), ()))
    other = rig.terms(log_id=mine)
    with refused("WrongTerms"):
        rig.order(agreement, other, proof)


# --- who held the part before -----------------------------------------------------------------


def test_a_part_that_a_former_owner_had_paid_for_itself_is_told_by_servedBy(rig: Rig) -> None:
    """One wei and keys of one's own make a part useless for agreements here: buyers ask `servedBy` first."""
    agreement = rig.active(terms := rig.terms())
    order = rig.order(agreement, terms)
    rig.send(SUPPLIER, "acceptOrder", order, terms)
    token = rig.part(owner=ACCOMPLICE)

    key = Key.of(EVIL_KEY)
    fake = rig.terms(
        operator=STRANGER.address,
        supplier=ACCOMPLICE.address,
        arbiter=bytes(20),
        predictor=key,
        technician=key,
        price=1,
    )
    number = rig.send(STRANGER, "propose", fake, [twin()], value=1).value
    rig.send(ACCOMPLICE, "agree", number, fake)
    bogus = rig.send(STRANGER, "order", number, fake, rig.logged(rig.prediction(key=EVIL_KEY))).value
    rig.send(ACCOMPLICE, "acceptOrder", bogus, fake)
    rig.offer(token, ACCOMPLICE, STRANGER)
    rig.send(ACCOMPLICE, "ship", bogus, fake, token)
    done = rig.logged(rig.installation(bogus, token, key=EVIL_KEY))
    rig.send(STRANGER, "confirmInstallation", bogus, fake, done)
    rig.passports.send(ACCOMPLICE, "cancelOffer", token)
    rig.hand_over(token, ACCOMPLICE, SUPPLIER)

    assert rig.agreement.call("servedBy", rig.passports.address, token) == bogus
    rig.offer(token, SUPPLIER, OPERATOR)
    with refused(f"PartTaken({bogus})"):
        rig.send(SUPPLIER, "ship", order, terms, token)
    # Another part does, so the order is not lost.
    fresh = rig.part()
    rig.offer(fresh, SUPPLIER, OPERATOR)
    rig.send(SUPPLIER, "ship", order, terms, fresh)


def test_an_operator_who_takes_nothing_pays_nothing_whoever_accepted_at_once(rig: Rig) -> None:
    """A supplier may order and accept in one breath, so that nobody can cancel in between."""
    agreement = rig.active(terms := rig.terms(), escrow=PRICE)
    order = rig.order(agreement, terms)
    token = rig.shipped(order, terms)
    rig.send(OPERATOR, "cancelOrder", order, terms)
    assert rig.seen(order).state == State.SHIPPED
    rig.world.time += RECEIVE + 100
    rig.send(STRANGER, "expire", order, terms)
    assert (rig.seen(order).state, rig.free(agreement), rig.owed(SUPPLIER)) == (State.REFUNDED, PRICE, 0)
    assert rig.passports.call("ownerOf", token) == SUPPLIER.address


# --- calldata by hand ---------------------------------------------------------------------------


def _call(rig: Rig, data: bytes) -> bool:
    return rig.world.ask(STRANGER.address, rig.agreement.address, data, 0).succeeded


def test_numbers_with_bits_above_their_types_prove_nothing(rig: Rig) -> None:
    agreement = rig.active(terms := rig.terms())
    data = rig.agreement.encode("order", agreement, terms, rig.logged(rig.prediction()))
    assert _call(rig, data)
    # Selector; id, terms (22 words), the proof's offset; then its statement's offset, index, head, path's offset.
    proof = 4 + 24 * 32
    places = {"index": proof + 32, "size": proof + 64, "time": proof + 96}
    for name, place in places.items():
        dirty = bytearray(data)
        dirty[place] = 1
        assert not _call(rig, bytes(dirty)), name
    for word in range(1, 23):
        dirty = bytearray(data)
        dirty[4 + 32 * word] ^= 0x80
        assert not _call(rig, bytes(dirty)), f"terms {word}"


def test_offsets_that_point_elsewhere(rig: Rig) -> None:
    """Backwards, beyond the end, around the end of the numbers, or at each other: none reads what was not proved."""
    agreement = rig.active(terms := rig.terms())
    data = rig.agreement.encode("order", agreement, terms, rig.logged(rig.prediction()))
    proof = 4 + 24 * 32
    statement, path = (int.from_bytes(data[proof + at : proof + at + 32], "big") for at in (0, 5 * 32))
    hostile = (0, 32, statement + 32, path, len(data), 1 << 64, (1 << 64) - 32, (1 << 255) + statement, (1 << 256) - 32)
    for at, own in ((proof, statement), (proof + 5 * 32, path), (4 + 23 * 32, 24 * 32)):
        for offset in hostile:
            if offset != own:
                assert not _call(rig, data[:at] + offset.to_bytes(32, "big") + data[at + 32 :]), (at, offset)
    # The same value by another way is the same proof: a copy of the path behind everything.
    moved = len(data) - proof
    copy = data + data[proof + path :]
    assert _call(rig, copy[: proof + 5 * 32] + moved.to_bytes(32, "big") + copy[proof + 6 * 32 :])


def test_lengths_that_overflow(rig: Rig) -> None:
    agreement = rig.active(terms := rig.terms())
    data = rig.agreement.encode("order", agreement, terms, rig.logged(rig.prediction()))
    proof = 4 + 24 * 32
    for at in (0, 5 * 32):
        place = proof + int.from_bytes(data[proof + at : proof + at + 32], "big")
        true = int.from_bytes(data[place : place + 32], "big")
        for length in (true + (1 << 251), true + (1 << 256) // 32, (1 << 256) - 1, 1 << 64, true + 1, true - 1):
            assert not _call(rig, data[:place] + (length % (1 << 256)).to_bytes(32, "big") + data[place + 32 :]), at


# --- both parsers ---------------------------------------------------------------------------------


def test_payloads_that_begin_right_and_go_on_wrong(rig: Rig) -> None:
    """The contract reads the first two members; what the log would refuse behind them is the predictor's own lie."""
    harness: Deployed = rig.world.deploy("CoseStatementHarness")
    words = b"".join(bits.to_bytes(8, "big") for bits in (1, 2, 3, 0x3FF0000000000000))
    begin = b"\x63rul\x58\x20" + words + b"\x64unit\x61h"
    for rest in (b"", begin, b"\x63rul\x58\x20" + bytes(32), b"\xff", b"\x00" * 40):
        assert harness.call("prediction", b"\xa5" + begin + rest)[:4] == (1, 2, 3, 0x3FF0000000000000)
    for head in (0xA1, 0xB8, 0xBF, 0x85, 0xA0):
        with refused("BadStatement(0)"):
            harness.call("prediction", bytes([head]) + begin)
