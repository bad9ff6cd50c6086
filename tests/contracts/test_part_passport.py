"""Part passports: minting, hand-over, users, status, assemblies; and what each of it costs."""

from __future__ import annotations

import pytest

from tests.contracts.kit import Snapshot, refused
from tests.contracts.passports import (
    ACCREDITOR,
    BIRTH,
    IN_SERVICE,
    LEAF,
    MANUFACTURER,
    NOBODY,
    OTHER_MANUFACTURER,
    OWNER,
    QUARANTINED,
    RECEIVER,
    REMOVED,
    SCRAPPED,
    STRANGER,
    TWIN,
    USER,
    WITHDRAWN,
    Passports,
    token_id,
)
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import Reverted


@pytest.fixture(scope="module")
def deployed() -> tuple[Passports, Snapshot]:
    passports = Passports()
    return passports, passports.world.snapshot()


@pytest.fixture
def passports(deployed: tuple[Passports, Snapshot]) -> Passports:
    deployed[0].world.revert(deployed[1])
    deployed[0].serials = 0
    return deployed[0]


CLASH = ("779DF27FA2815F", "21D47F22B4B985")
"""Found by a birthday search over 2^28 texts."""


# --- minting ----------------------------------------------------------------------------------


def test_a_minted_part_says_what_it_is(passports: Passports) -> None:
    done = passports.contract.send(MANUFACTURER, "mint", "PN-4711", "SN-1", TWIN, BIRTH)
    token = done.value
    assert token == token_id(MANUFACTURER, "PN-4711", "SN-1")
    assert [name for name, _ in done.events] == ["Transfer", "Minted"]
    assert done.events[1][1] == {
        "tokenId": token, "manufacturer": MANUFACTURER.address, "twin": TWIN, "partNumber": "PN-4711", "serial": "SN-1",
        "birth": BIRTH,
    }  # fmt: skip
    assert passports.call("partOf", token) == (MANUFACTURER.address, keccak(b"PN-4711"), TWIN, BIRTH, IN_SERVICE, 0)
    assert passports.call("ownerOf", token) == MANUFACTURER.address
    assert passports.call("balanceOf", MANUFACTURER.address) == 1
    assert passports.observe(token)[2:] == ((NOBODY, 0), NOBODY, 0)


def test_a_serial_is_unique_per_manufacturer_and_part_number(passports: Passports) -> None:
    first = passports.send(MANUFACTURER, "mint", "PN-1", "SN-1", TWIN, BIRTH)
    others = {
        passports.send(MANUFACTURER, "mint", "PN-1", "SN-2", TWIN, BIRTH),
        passports.send(MANUFACTURER, "mint", "PN-2", "SN-1", TWIN, BIRTH),
        passports.send(OTHER_MANUFACTURER, "mint", "PN-1", "SN-1", TWIN, BIRTH),
        passports.send(MANUFACTURER, "mint", "PN-1S", "N-1", TWIN, BIRTH),
    }
    assert len(others | {first}) == 5
    with refused(f"AlreadyExists({first}"):
        passports.send(MANUFACTURER, "mint", "PN-1", "SN-1", bytes(31) + b"\1", BIRTH)
    # Not even when somebody else owns it by now, or it is scrapped.
    passports.hand_over(first, MANUFACTURER, OWNER)
    passports.send(OWNER, "setStatus", first, SCRAPPED, LEAF)
    with refused("AlreadyExists"):
        passports.send(MANUFACTURER, "mint", "PN-1", "SN-1", TWIN, BIRTH)


@pytest.mark.parametrize(
    ("part_number", "serial", "twin", "birth", "error"),
    [
        ("", "SN", TWIN, BIRTH, "BadLength(0)"),
        ("PN", "", TWIN, BIRTH, "BadLength(0)"),
        ("P" * 129, "SN", TWIN, BIRTH, "BadLength(129)"),
        ("PN", "S" * 129, TWIN, BIRTH, "BadLength(129)"),
        ("PN", "SN", bytes(32), BIRTH, "MissingHash"),
        ("PN", "SN", TWIN, bytes(32), "MissingHash"),
    ],
    ids=["no number", "no serial", "long number", "long serial", "no twin", "no birth"],
)
def test_bad_input_mints_nothing(
    passports: Passports, part_number: str, serial: str, twin: bytes, birth: bytes, error: str
) -> None:
    with refused(error):
        passports.send(MANUFACTURER, "mint", part_number, serial, twin, birth)
    assert passports.call("balanceOf", MANUFACTURER.address) == 0


def test_texts_of_one_and_of_128_bytes_are_good(passports: Passports) -> None:
    token = passports.send(MANUFACTURER, "mint", "ä" * 64, "S", TWIN, BIRTH)
    assert token == token_id(MANUFACTURER, "ä" * 64, "S")
    assert passports.call("partOf", token)[1] == keccak(("ä" * 64).encode())


def test_part_numbers_whose_hashes_begin_alike_do_not_mix(passports: Passports) -> None:
    first, second = CLASH
    assert keccak(first.encode())[:7] == keccak(second.encode())[:7]
    kept = passports.send(MANUFACTURER, "mint", first, "SN-1", TWIN, BIRTH)
    with refused(f"PartNumberClash(0x{keccak(second.encode()).hex()}"):
        passports.send(MANUFACTURER, "mint", second, "SN-1", TWIN, BIRTH)
    assert passports.call("partOf", kept)[1] == keccak(first.encode())
    other = passports.send(OTHER_MANUFACTURER, "mint", second, "SN-1", TWIN, BIRTH)
    assert passports.call("partOf", other)[1] == keccak(second.encode())


# --- accreditation ----------------------------------------------------------------------------


def test_accreditation_is_given_and_withdrawn_and_what_exists_stays(passports: Passports) -> None:
    with refused("NotAccredited"):
        passports.send(STRANGER, "mint", "PN", "SN", TWIN, BIRTH)
    done = passports.contract.send(ACCREDITOR, "setAccredited", STRANGER.address, True)
    assert done.events == [("Accredited", {"manufacturer": STRANGER.address, "accredited": True})]
    assert passports.call("isAccredited", STRANGER.address) is True
    token = passports.send(STRANGER, "mint", "PN", "SN", TWIN, BIRTH)
    passports.send(ACCREDITOR, "setAccredited", STRANGER.address, False)
    assert passports.call("isAccredited", STRANGER.address) is False
    with refused("NotAccredited"):
        passports.send(STRANGER, "mint", "PN", "SN-2", TWIN, BIRTH)
    with refused("NotAccredited"):
        passports.send(STRANGER, "releaseBatch", "PN", "LOT", 5, BIRTH)
    passports.hand_over(token, STRANGER, OWNER)
    assert passports.call("partOf", token)[0] == STRANGER.address


def test_the_accreditors_role_is_passed_on(passports: Passports) -> None:
    role = passports.call("ACCREDITOR_ROLE")
    assert role == keccak(b"ACCREDITOR_ROLE")
    for nobody in (MANUFACTURER, OWNER, WITHDRAWN, STRANGER):
        with refused("AccessControlUnauthorizedAccount"):
            passports.send(nobody, "setAccredited", nobody.address, True)
        with refused("AccessControlUnauthorizedAccount"):
            passports.send(nobody, "grantRole", role, nobody.address)
    passports.send(ACCREDITOR, "grantRole", role, STRANGER.address)
    passports.send(ACCREDITOR, "revokeRole", role, ACCREDITOR.address)
    passports.send(STRANGER, "setAccredited", OWNER.address, True)
    with refused("AccessControlUnauthorizedAccount"):
        passports.send(ACCREDITOR, "setAccredited", OWNER.address, False)


# --- hand-over --------------------------------------------------------------------------------


def test_a_part_changes_hands_by_offer_and_acceptance(passports: Passports) -> None:
    token = passports.new(OWNER)
    passports.send(OWNER, "setUser", token, USER.address)
    expires = passports.soon
    done = passports.contract.send(OWNER, "offer", token, RECEIVER.address, expires)
    offered = {"tokenId": token, "from": OWNER.address, "to": RECEIVER.address, "expires": expires}
    assert done.events == [("Offered", offered)]
    assert passports.call("offerOf", token) == (RECEIVER.address, expires)
    assert passports.call("ownerOf", token) == OWNER.address
    done = passports.contract.send(RECEIVER, "accept", token)
    assert done.events == [
        ("Transfer", {"from": OWNER.address, "to": RECEIVER.address, "tokenId": token}),
        ("UserAssigned", {"tokenId": token, "user": NOBODY}),
        ("HandedOver", {"tokenId": token, "from": OWNER.address, "to": RECEIVER.address}),
    ]
    assert passports.observe(token)[0] == RECEIVER.address
    assert passports.observe(token)[2:] == ((NOBODY, 0), NOBODY, 0)
    assert [passports.call("balanceOf", who.address) for who in (OWNER, RECEIVER)] == [0, 1]
    with refused("NotOffered"):
        passports.send(RECEIVER, "accept", token)


def test_an_offer_holds_until_the_second_before_it_expires(passports: Passports) -> None:
    token = passports.new(OWNER)
    expires = passports.soon
    passports.send(OWNER, "offer", token, RECEIVER.address, expires)
    before = passports.world.snapshot()
    passports.world.time = expires - 1
    passports.send(RECEIVER, "accept", token)
    passports.world.revert(before)
    passports.world.time = expires
    with refused(f"OfferExpired({token}, {expires})"):
        passports.send(RECEIVER, "accept", token)
    assert passports.call("ownerOf", token) == OWNER.address
    # A new offer takes its place, while an open one must be cancelled first.
    passports.send(OWNER, "offer", token, STRANGER.address, passports.soon)
    with refused("AlreadyOffered"):
        passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    with refused("NotOffered"):
        passports.send(RECEIVER, "accept", token)
    passports.send(STRANGER, "accept", token)


@pytest.mark.parametrize("by", ["owner", "receiver"])
def test_an_offer_is_cancelled_or_refused(passports: Passports, by: str) -> None:
    token = passports.new(OWNER)
    passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    done = passports.contract.send(OWNER if by == "owner" else RECEIVER, "cancelOffer", token)
    assert done.events == [("OfferCancelled", {"tokenId": token, "to": RECEIVER.address})]
    assert passports.call("offerOf", token) == (NOBODY, 0)
    with refused("NotOffered"):
        passports.send(RECEIVER, "accept", token)


def test_offers_to_nobody_to_oneself_and_to_the_past_are_refused(passports: Passports) -> None:
    token = passports.new(OWNER)
    for nobody in (NOBODY, OWNER.address):
        with refused("BadReceiver"):
            passports.send(OWNER, "offer", token, nobody, passports.soon)
    for past in (0, passports.world.time):
        with refused(f"OfferExpired({token}, {past})"):
            passports.send(OWNER, "offer", token, RECEIVER.address, past)
    passports.send(OWNER, "offer", token, RECEIVER.address, passports.world.time + 1)
    assert passports.call("offerOf", token)[0] == RECEIVER.address


@pytest.mark.parametrize("end", ["quarantine", "scrap", "installation"])
def test_what_ends_an_offer(passports: Passports, end: str) -> None:
    token, engine = passports.new(OWNER), passports.new(OWNER)
    passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    if end == "installation":
        done = passports.contract.send(OWNER, "install", token, engine)
    else:
        status = QUARANTINED if end == "quarantine" else SCRAPPED
        done = passports.contract.send(OWNER, "setStatus", token, status, LEAF)
    assert done.events[0] == ("OfferCancelled", {"tokenId": token, "to": RECEIVER.address})
    with refused("NotOffered"):
        passports.send(RECEIVER, "accept", token)


def test_an_offer_survives_removal_from_service(passports: Passports) -> None:
    token = passports.new(OWNER)
    passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    passports.send(OWNER, "setStatus", token, REMOVED, LEAF)
    passports.send(RECEIVER, "accept", token)
    assert passports.status(token) == REMOVED


def test_erc721s_own_ways_are_closed(passports: Passports) -> None:
    token = passports.new(OWNER)
    pair = (OWNER.address, RECEIVER.address, token)
    for sender in (OWNER, RECEIVER, ACCREDITOR, STRANGER):
        for function, arguments in [
            ("approve", (RECEIVER.address, token)),
            ("setApprovalForAll", (RECEIVER.address, True)),
            ("transferFrom", pair),
            ("safeTransferFrom(address,address,uint256)", pair),
            ("safeTransferFrom(address,address,uint256,bytes)", (*pair, b"x")),
        ]:
            with refused("HandOverOnly"):
                passports.send(sender, function, *arguments)
    assert passports.call("ownerOf", token) == OWNER.address
    assert passports.call("getApproved", token) == NOBODY
    assert passports.call("isApprovedForAll", OWNER.address, RECEIVER.address) is False


def test_interfaces_that_are_claimed(passports: Passports) -> None:
    for claimed in ("01ffc9a7", "80ac58cd", "5b5e139f", "7965db0b"):  # ERC-165, ERC-721, its metadata, access control
        assert passports.call("supportsInterface", bytes.fromhex(claimed)) is True
    assert passports.call("supportsInterface", bytes.fromhex("ffffffff")) is False
    assert (passports.call("name"), passports.call("symbol")) == ("Twinproof Part Passport", "PART")


# --- status -----------------------------------------------------------------------------------


def test_a_status_change_names_its_evidence(passports: Passports) -> None:
    token = passports.new(OWNER)
    for status in (REMOVED, IN_SERVICE, QUARANTINED, REMOVED, SCRAPPED):
        done = passports.contract.send(OWNER, "setStatus", token, status, LEAF)
        changed = {"tokenId": token, "status": status, "leaf": LEAF, "by": OWNER.address}
        assert done.events == [("StatusChanged", changed)]
        assert passports.status(token) == status


def test_a_stronger_party_quarantines_over_a_weaker_one(passports: Passports) -> None:
    token = passports.new(OWNER)
    passports.send(OWNER, "setStatus", token, QUARANTINED, LEAF)
    with refused("StatusRefused"):
        passports.send(OWNER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(MANUFACTURER, "setStatus", token, QUARANTINED, LEAF)
    for weaker in (OWNER, MANUFACTURER, OTHER_MANUFACTURER, STRANGER):
        with refused("StatusRefused"):
            passports.send(weaker, "setStatus", token, QUARANTINED, LEAF)
    with refused("StatusRefused"):
        passports.send(OWNER, "setStatus", token, IN_SERVICE, LEAF)
    passports.send(ACCREDITOR, "setStatus", token, QUARANTINED, LEAF)
    for weaker in (OWNER, MANUFACTURER):
        with refused("StatusRefused"):
            passports.send(weaker, "setStatus", token, IN_SERVICE, LEAF)
    passports.send(ACCREDITOR, "setStatus", token, IN_SERVICE, LEAF)
    # Released, its history binds nobody.
    passports.send(OWNER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(OWNER, "setStatus", token, IN_SERVICE, LEAF)


def test_a_manufacturers_say_ends_with_its_accreditation(passports: Passports) -> None:
    token, other = passports.new(OWNER), passports.new(OWNER)
    passports.send(MANUFACTURER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(ACCREDITOR, "setAccredited", MANUFACTURER.address, False)
    for target, status in ((token, IN_SERVICE), (other, QUARANTINED)):
        with refused("StatusRefused"):
            passports.send(MANUFACTURER, "setStatus", target, status, LEAF)
    passports.send(ACCREDITOR, "setStatus", token, REMOVED, LEAF)


def test_who_owns_and_made_a_part_quarantines_it_as_its_manufacturer(passports: Passports) -> None:
    token = passports.new(MANUFACTURER)
    passports.send(MANUFACTURER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(MANUFACTURER, "setStatus", token, IN_SERVICE, LEAF)
    passports.send(ACCREDITOR, "setAccredited", MANUFACTURER.address, False)
    passports.send(MANUFACTURER, "setStatus", token, QUARANTINED, LEAF)
    passports.send(MANUFACTURER, "setStatus", token, IN_SERVICE, LEAF)


def test_there_is_no_fifth_status(passports: Passports) -> None:
    token = passports.new(OWNER)
    word = passports.contract.encode("setStatus", token, SCRAPPED, LEAF)
    outcome = passports.world.transact(OWNER.address, passports.contract.address, word[:67] + b"\4" + word[68:], 0)
    assert outcome.reverted
    assert passports.status(token) == IN_SERVICE


def test_an_installed_part_is_not_removed_from_service(passports: Passports) -> None:
    pump, engine = passports.new(OWNER), passports.new(OWNER)
    passports.send(OWNER, "install", pump, engine)
    with refused(f"StillInstalled({pump}, {engine})"):
        passports.send(OWNER, "setStatus", pump, REMOVED, LEAF)
    passports.send(MANUFACTURER, "setStatus", pump, QUARANTINED, LEAF)
    with refused("StillInstalled"):
        passports.send(MANUFACTURER, "setStatus", pump, REMOVED, LEAF)
    passports.send(OWNER, "remove", pump)
    passports.send(MANUFACTURER, "setStatus", pump, REMOVED, LEAF)


def test_a_user_is_named_and_taken_back(passports: Passports) -> None:
    token = passports.new(OWNER)
    done = passports.contract.send(OWNER, "setUser", token, USER.address)
    assert done.events == [("UserAssigned", {"tokenId": token, "user": USER.address})]
    assert passports.call("userOf", token) == USER.address
    passports.send(OWNER, "setStatus", token, SCRAPPED, LEAF)
    with refused("WrongStatus"):
        passports.send(OWNER, "setUser", token, STRANGER.address)
    passports.send(OWNER, "setUser", token, NOBODY)
    assert passports.call("userOf", token) == NOBODY


def test_parts_that_do_not_exist(passports: Passports) -> None:
    token, missing = passports.new(OWNER), 12345
    batch = passports.batch(owner=OWNER)
    calls: list[tuple[str, tuple[object, ...]]] = [
        ("ownerOf", (missing,)), ("partOf", (missing,)), ("parentOf", (missing,)), ("childCount", (missing,)),
        ("offerOf", (missing,)), ("userOf", (missing,)), ("tokenURI", (missing,)), ("getApproved", (missing,)),
        ("offer", (missing, RECEIVER.address, passports.soon)), ("accept", (missing,)), ("cancelOffer", (missing,)),
        ("acceptAssembly", (missing, [])), ("setUser", (missing, USER.address)),
        ("setStatus", (missing, REMOVED, LEAF)), ("install", (missing, token)), ("install", (token, missing)),
        ("remove", (missing,)), ("installQuantity", (batch, missing, 1)), ("removeQuantity", (batch, missing, 1, True)),
    ]  # fmt: skip
    for function, arguments in calls:
        with refused(f"ERC721NonexistentToken({missing})"):
            passports.send(OWNER, function, *arguments)
    assert passports.call("tokenURI", token) == ""


def test_nothing_takes_money(passports: Passports) -> None:
    for member in passports.contract.artifact.members["function"]:
        outcome = passports.world.ask(OWNER.address, passports.contract.address, member.selector + bytes(128), 1)
        assert outcome.reverted, member.name


# --- cost -------------------------------------------------------------------------------------


def test_what_it_costs(passports: Passports) -> None:
    """Upper bounds in gas; the measured figures are in docs/parts.md."""
    first = passports.contract.send(MANUFACTURER, "mint", "PN-4711", "SN-1", TWIN, BIRTH)
    later = passports.contract.send(MANUFACTURER, "mint", "PN-4711", "SN-2", TWIN, BIRTH)
    assert first.gas <= 170_000
    assert later.gas <= 133_000
    token, engine = first.value, later.value
    bounds = [
        (MANUFACTURER, "offer", (token, OWNER.address, passports.soon), 56_000),
        (OWNER, "accept", (token,), 64_000),
        (MANUFACTURER, "offer", (engine, OWNER.address, passports.soon), 56_000),
        (OWNER, "accept", (engine,), 47_500),
        (OWNER, "install", (token, engine), 65_000),
        (OWNER, "offer", (engine, RECEIVER.address, passports.soon), 56_000),
        (OWNER, "cancelOffer", (engine,), 28_500),
        (OWNER, "remove", (token,), 33_000),
        (OWNER, "setStatus", (token, QUARANTINED, LEAF), 39_000),
        (OWNER, "setUser", (engine, USER.address), 53_000),
    ]
    for sender, function, arguments, limit in bounds:
        assert passports.contract.send(sender, function, *arguments).gas <= limit, function


def test_a_refusal_costs_little_and_says_why(passports: Passports) -> None:
    token = passports.new(OWNER)
    with pytest.raises(Reverted, match=rf"NotOwner\(0x{token:064x}, 0x"):
        passports.send(STRANGER, "offer", token, STRANGER.address, passports.soon)
