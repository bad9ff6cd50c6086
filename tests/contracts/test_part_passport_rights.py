"""Who may do what: every function, by every party, in every state of a part. A refusal says why and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.contracts.kit import Snapshot
from tests.contracts.passports import (
    ACCREDITOR,
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
    USER,
    WITHDRAWN,
    Passports,
)
from twinproof.chain.accounts import Account
from twinproof.errors import Reverted

PARTIES = {
    "owner": OWNER, "user": USER, "receiver": RECEIVER, "manufacturer": MANUFACTURER, "accreditor": ACCREDITOR,
    "other manufacturer": OTHER_MANUFACTURER, "withdrawn manufacturer": WITHDRAWN, "stranger": STRANGER,
}  # fmt: skip
SUSPECT = ("quarantined by owner", "quarantined by manufacturer", "quarantined by accreditor")
DEAD = (*SUSPECT, "scrapped")
STATES = (
    "in service", "removed", *DEAD, "offered", "offer expired", "removed and offered", "installed",
    "installed and scrapped", "with a part in it", "with a part in it, offered", "scrapped with a part in it",
)  # fmt: skip
NO_WAY = dict.fromkeys((*DEAD, "installed and scrapped", "scrapped with a part in it"), "WrongStatus")


@dataclass
class Scene:
    """The world in which the part `token` is in some state; 5 pieces of `batch` are in it."""

    passports: Passports
    token: int
    other: int
    """Another part of the owner's, in service."""
    child: int
    batch: int
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    views: dict[str, list[object]] = field(default_factory=dict)
    """What the contract says, by state."""


def bring(scene: Scene, state: str) -> None:
    """Bring the part into a state."""
    passports, token = scene.passports, scene.token
    if "with a part in it" in state:
        passports.send(OWNER, "install", scene.child, token)
    if "installed" in state:
        passports.send(OWNER, "install", token, scene.other)
    if "removed" in state:
        passports.send(OWNER, "setStatus", token, REMOVED, LEAF)
    if "quarantined by " in state:
        passports.send(PARTIES[state.removeprefix("quarantined by ")], "setStatus", token, QUARANTINED, LEAF)
    if "scrapped" in state:
        passports.send(OWNER, "setStatus", token, SCRAPPED, LEAF)
    if "offer" in state:
        passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    if "expired" in state:
        passports.world.time = passports.soon


@pytest.fixture(scope="module")
def scene() -> Scene:
    passports = Passports()
    token, other, child = (passports.new(OWNER) for _ in range(3))
    batch = passports.batch(20, OWNER)
    passports.send(OWNER, "installQuantity", batch, token, 5)
    passports.send(OWNER, "setUser", token, USER.address)
    for party in (MANUFACTURER, STRANGER):
        passports.send(OWNER, "offerQuantity", batch, party.address, 5, 2**40)
        passports.send(party, "acceptQuantity", batch, OWNER.address, 5)
    made = Scene(passports, token, other, child, batch)
    start = passports.world.snapshot()
    for state in STATES:
        passports.world.revert(start)
        bring(made, state)
        made.snapshots[state] = passports.world.snapshot()
        made.views[state] = everything(made)
    return made


@dataclass(frozen=True)
class Action:
    """A call, who may make it, and with which error it is refused to others and in which states to those."""

    function: str
    arguments: tuple[object, ...]
    parties: tuple[str, ...]
    others: str
    states: dict[str, str]


def actions(scene: Scene, state: str) -> Iterator[Action]:
    token, other, child, batch = scene.token, scene.other, scene.child, scene.batch
    installed = ("installed", "installed and scrapped")
    still = {"installed": "StillInstalled", "installed and scrapped": "StillInstalled"}
    open_offers = ("offered", "removed and offered", "with a part in it, offered")
    no_offer = {state: "NotOffered" for state in STATES if "offer" not in state}
    full = {state: "AssemblyMismatch" for state in open_offers if "part in it" in state}
    late = {"offer expired": "OfferExpired"}
    owner, receiver = ("owner",), ("receiver",)
    yield Action(
        "offer", (token, STRANGER.address, 2**40), owner, "NotOwner",
        still | NO_WAY | dict.fromkeys(open_offers, "AlreadyOffered"),
    )  # fmt: skip
    yield Action("accept", (token,), receiver, "NotOffered", no_offer | late | full)
    yield Action("acceptAssembly", (token, []), receiver, "NotOffered", no_offer | late | full)
    yield Action("cancelOffer", (token,), ("owner", "receiver"), "NotOffered", no_offer)
    yield Action("setUser", (token, STRANGER.address), owner, "NotOwner", NO_WAY)
    yield Action("setUser", (token, NOBODY), owner, "NotOwner", {})
    unfit = {"removed": "WrongStatus", "removed and offered": "WrongStatus"}
    yield Action("install", (token, other), owner, "NotOwner", unfit | NO_WAY | still)
    nested = {"with a part in it": "StillInstalled", "with a part in it, offered": "StillInstalled",
              "scrapped with a part in it": "StillInstalled"}  # fmt: skip
    yield Action("install", (child, token), owner, "NotOwner", NO_WAY | nested)
    yield Action("remove", (token,), owner, "NotOwner", {s: "NotInstalled" for s in STATES if s not in installed})
    yield Action("remove", (child,), owner, "NotOwner", {s: "NotInstalled" for s in STATES if s not in nested})
    yield Action("installQuantity", (batch, token, 1), owner, "NotOwner", NO_WAY)
    for scrap in (False, True):
        yield Action("removeQuantity", (batch, token, 5, scrap), owner, "NotOwner", {})
    for status in (IN_SERVICE, REMOVED, QUARANTINED, SCRAPPED):
        yield change(token, state, status)


def change(token: int, state: str, status: int) -> Action:
    """A change of the status, from this state alone: who may do it depends on it."""
    parties: tuple[str, ...] = ("owner",)
    if status == QUARANTINED:
        parties = ("owner", "manufacturer", "accreditor")[SUSPECT.index(state) + 1 if state in SUSPECT else 0 :]
    elif state in SUSPECT and status != SCRAPPED:
        parties = (state.removeprefix("quarantined by "), "accreditor")
    elif status == (REMOVED if "removed" in state else IN_SERVICE):
        parties = ()
    elsewhere = {"installed": "StillInstalled"} if status == REMOVED else {}
    if "scrapped" in state:
        return Action("setStatus", (token, status, LEAF), (), "WrongStatus", {})
    return Action("setStatus", (token, status, LEAF), parties, "StatusRefused", elsewhere)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("party", PARTIES)
def test_who_may_do_what(scene: Scene, state: str, party: str) -> None:
    passports = scene.passports
    caller = PARTIES[party]
    passports.world.revert(scene.snapshots[state])
    wrong = []
    for action in actions(scene, state):
        wanted = action.others if party not in action.parties else action.states.get(state)
        said = attempt(passports, caller, action)
        if said != wanted:
            wrong.append((action.function, action.arguments, said, wanted))
        if said is None:
            passports.world.revert(scene.snapshots[state])
    assert wrong == []
    assert everything(scene) == scene.views[state]


def attempt(passports: Passports, caller: Account, action: Action) -> str | None:
    """The error's name, or None if it went through."""
    try:
        passports.send(caller, action.function, *action.arguments)
    except Reverted as refusal:
        return refusal.reason.split("(")[0]
    return None


def everything(scene: Scene) -> list[object]:
    passports = scene.passports
    parts: list[object] = [passports.observe(token) for token in (scene.token, scene.other, scene.child)]
    held = [passports.call("heldOf", scene.batch, party.address) for party in PARTIES.values()]
    return [
        *parts,
        held,
        passports.call("installedIn", scene.batch, scene.token),
        passports.call("batchOf", scene.batch),
    ]


def test_only_the_accreditor_accredits_and_only_the_accredited_make_anything(scene: Scene) -> None:
    passports = scene.passports
    passports.world.revert(scene.snapshots["in service"])
    for party, account in PARTIES.items():
        for accredited in (True, False):
            accredit = Action("setAccredited", (OTHER_MANUFACTURER.address, accredited), (), "", {})
            wanted = None if party == "accreditor" else "AccessControlUnauthorizedAccount"
            assert attempt(passports, account, accredit) == wanted
            passports.world.revert(scene.snapshots["in service"])
        for function, rest in (("mint", (LEAF, LEAF)), ("releaseBatch", (1, LEAF))):
            make = Action(function, ("PN", "X", *rest), (), "", {})
            wanted = None if party in ("manufacturer", "other manufacturer") else "NotAccredited"
            assert attempt(passports, account, make) == wanted
