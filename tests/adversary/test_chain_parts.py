"""Part passports against names that look alike, changes in the last moment, and parts that come back."""

from __future__ import annotations

import pytest

from tests.contracts.kit import refused
from tests.contracts.passports import (
    ACCREDITOR,
    BIRTH,
    IN_SERVICE,
    LEAF,
    MANUFACTURER,
    OWNER,
    QUARANTINED,
    RECEIVER,
    SCRAPPED,
    STRANGER,
    TWIN,
    Passports,
)


@pytest.fixture(scope="module")
def passports() -> Passports:
    return Passports()


LOOKALIKES = [
    "SN-1",
    "SN\u20101",
    "SN-\u0031\u200b",
    "\u0405N-1",
    "SN-1 ",
    " SN-1",
    "SN-1\0",
    "sn-1",
    "\u202eSN-1",
    "SN-01",
]


def test_serials_that_look_alike_are_other_parts(passports: Passports) -> None:
    """The contract compares bytes: nobody is kept from a serial, and nobody gets another's part by its look."""
    tokens = [passports.send(MANUFACTURER, "mint", "PN", serial, TWIN, BIRTH) for serial in LOOKALIKES]
    tokens.append(passports.send(MANUFACTURER, "mint", "P", "NSN-1", TWIN, BIRTH))
    tokens.append(passports.send(MANUFACTURER, "mint", "PNSN-1", "SN-1", TWIN, BIRTH))
    assert len(set(tokens)) == len(LOOKALIKES) + 2
    for serial in LOOKALIKES:
        with refused("AlreadyExists"):
            passports.send(MANUFACTURER, "mint", "PN", serial, TWIN, BIRTH)


def test_bytes_that_are_no_text(passports: Passports) -> None:
    """Solidity's strings may hold anything; such a serial is a name like others, once."""
    data = bytearray(passports.contract.encode("mint", "PN", "XXXX", TWIN, BIRTH))
    data[data.index(b"XXXX") : data.index(b"XXXX") + 4] = b"\xff\xfe\x80\0"
    world, address = passports.world, passports.contract.address
    assert world.transact(MANUFACTURER.address, address, bytes(data), 0).succeeded
    again = world.transact(MANUFACTURER.address, address, bytes(data), 0)
    assert passports.contract.error(again.output).startswith("AlreadyExists(")


def test_quantities_go_out_of_a_part_until_it_is_accepted(passports: Passports) -> None:
    """docs/parts.md tells this: they are not named in acceptAssembly, so they can go in the moment before."""
    root, child = passports.new(OWNER), passports.new(OWNER)
    batch = passports.batch(10, OWNER)
    passports.send(OWNER, "install", child, root)
    passports.send(OWNER, "installQuantity", batch, root, 10)
    passports.send(OWNER, "offer", root, RECEIVER.address, passports.soon)
    passports.send(OWNER, "removeQuantity", batch, root, 9, False)
    passports.send(RECEIVER, "acceptAssembly", root, [child])
    assert passports.call("installedIn", batch, root) == 1
    # From then on they are the receiver's alone.
    with refused("NotOwner"):
        passports.send(OWNER, "removeQuantity", batch, root, 1, False)


def test_a_part_that_comes_back_brings_nothing_of_its_past(passports: Passports) -> None:
    """Offers, users and quarantines by a former owner end with the ownership."""
    token = passports.new(OWNER)
    passports.send(OWNER, "offer", token, STRANGER.address, passports.soon)
    passports.send(OWNER, "cancelOffer", token)
    passports.send(OWNER, "setUser", token, STRANGER.address)
    passports.hand_over(token, OWNER, RECEIVER)
    passports.hand_over(token, RECEIVER, OWNER)
    with refused("NotOffered"):
        passports.send(STRANGER, "accept", token)
    assert passports.call("userOf", token) == bytes(20)
    assert passports.status(token) == IN_SERVICE


def test_no_cycle_by_hand_over(passports: Passports) -> None:
    """Two owners, each with half of a ring: it never closes, for parts inside each other have one owner."""
    first, second = passports.new(OWNER), passports.new(RECEIVER)
    with refused("NotOwner"):
        passports.send(OWNER, "install", first, second)
    passports.hand_over(second, RECEIVER, OWNER)
    passports.send(OWNER, "install", first, second)
    with refused("Cycle"):
        passports.send(OWNER, "install", second, first)
    passports.send(OWNER, "offer", second, RECEIVER.address, passports.soon)
    with refused("AssemblyMismatch"):
        passports.send(RECEIVER, "acceptAssembly", second, [first, second])
    passports.send(RECEIVER, "acceptAssembly", second, [first])
    with refused("Cycle"):
        passports.send(RECEIVER, "install", second, first)


def test_a_recall_is_not_escaped_by_owners_among_themselves(passports: Passports) -> None:
    """Neither by one's own quarantine first, nor by hiding the part in an assembly."""
    token, shell = passports.new(OWNER), passports.new(OWNER)
    passports.send(OWNER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(MANUFACTURER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(ACCREDITOR, "setStatus", token, QUARANTINED, LEAF)
    for party in (OWNER, MANUFACTURER, STRANGER):
        with refused("StatusRefused"):
            passports.send(party, "setStatus", token, IN_SERVICE, LEAF)
    with refused("WrongStatus"):
        passports.send(OWNER, "install", token, shell)
    with refused("WrongStatus"):
        passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    passports.send(OWNER, "setStatus", token, SCRAPPED, LEAF)
    for party in (OWNER, MANUFACTURER, ACCREDITOR):
        with refused("WrongStatus"):
            passports.send(party, "setStatus", token, IN_SERVICE, LEAF)
