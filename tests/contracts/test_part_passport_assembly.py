"""Parts in parts: installation and removal, depth, and the hand-over of whole assemblies."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.contracts.kit import Snapshot, refused
from tests.contracts.passports import (
    IN_SERVICE,
    LEAF,
    MANUFACTURER,
    NOBODY,
    OWNER,
    QUARANTINED,
    RECEIVER,
    REMOVED,
    SCRAPPED,
    USER,
    Passports,
)
from twinproof.errors import Reverted

DEPTH = 16


@pytest.fixture(scope="module")
def deployed() -> tuple[Passports, Snapshot]:
    passports = Passports()
    return passports, passports.world.snapshot()


@pytest.fixture
def passports(deployed: tuple[Passports, Snapshot]) -> Passports:
    deployed[0].world.revert(deployed[1])
    return deployed[0]


def chain_of(passports: Passports, count: int) -> list[int]:
    """Parts of the manufacturer's, each in the one before."""
    tokens = [passports.new() for _ in range(count)]
    for parent, child in pairwise(tokens):
        passports.send(MANUFACTURER, "install", child, parent)
    return tokens


def offered_engine(passports: Passports) -> tuple[int, int, int, int]:
    """An engine with a pump, with a seal in it, and a filter; all the owner's, offered to the receiver."""
    engine, pump, seal, filter_ = (passports.new(OWNER) for _ in range(4))
    for child, parent in ((pump, engine), (seal, pump), (filter_, engine)):
        passports.send(OWNER, "install", child, parent)
    passports.send(OWNER, "offer", engine, RECEIVER.address, passports.soon)
    return engine, pump, seal, filter_


# --- installation and removal -----------------------------------------------------------------


def test_a_part_goes_in_and_comes_out(passports: Passports) -> None:
    pump, engine = passports.new(OWNER), passports.new(OWNER)
    done = passports.contract.send(OWNER, "install", pump, engine)
    assert done.events == [("Installed", {"child": pump, "parent": engine})]
    assert (passports.call("parentOf", pump), passports.call("parentOf", engine)) == (engine, 0)
    assert passports.call("partOf", pump)[5] == engine
    assert (passports.call("childCount", pump), passports.call("childCount", engine)) == (0, 1)
    done = passports.contract.send(OWNER, "remove", pump)
    assert done.events == [("Removed", {"child": pump, "parent": engine})]
    assert passports.call("parentOf", pump) == passports.call("childCount", engine) == 0


def test_both_parts_must_be_the_callers(passports: Passports) -> None:
    mine, theirs = passports.new(OWNER), passports.new(MANUFACTURER)
    with refused(f"NotOwner({theirs}"):
        passports.send(OWNER, "install", mine, theirs)
    with refused(f"NotOwner({theirs}"):
        passports.send(OWNER, "install", theirs, mine)


def test_a_part_is_in_one_place(passports: Passports) -> None:
    pump, engine, other = (passports.new(OWNER) for _ in range(3))
    passports.send(OWNER, "install", pump, engine)
    for parent in (engine, other):
        with refused(f"StillInstalled({pump}, {engine})"):
            passports.send(OWNER, "install", pump, parent)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_there_are_no_cycles(passports: Passports, length: int) -> None:
    tokens = chain_of(passports, length)
    for parent in tokens:
        with refused(f"Cycle({tokens[0]}, {parent})"):
            passports.send(MANUFACTURER, "install", tokens[0], parent)


def test_what_goes_into_what_by_status(passports: Passports) -> None:
    pump, engine = passports.new(OWNER), passports.new(OWNER)
    before = passports.world.snapshot()
    for status, as_child, as_parent in ((REMOVED, False, True), (QUARANTINED, False, False), (SCRAPPED, False, False)):
        for token, good in ((pump, as_child), (engine, as_parent)):
            passports.world.revert(before)
            passports.send(OWNER, "setStatus", token, status, LEAF)
            if good:
                passports.send(OWNER, "install", pump, engine)
            else:
                with refused(f"WrongStatus({token}, {status})"):
                    passports.send(OWNER, "install", pump, engine)


@pytest.mark.parametrize("status", [REMOVED, QUARANTINED, SCRAPPED])
def test_parts_come_out_whatever_their_statuses(passports: Passports, status: int) -> None:
    pump, engine = passports.new(OWNER), passports.new(OWNER)
    batch = passports.batch(5, OWNER)
    passports.send(OWNER, "install", pump, engine)
    passports.send(OWNER, "installQuantity", batch, engine, 5)
    passports.send(OWNER, "setStatus", engine, status, LEAF)
    if status != REMOVED:
        passports.send(OWNER, "setStatus", pump, status, LEAF)
    passports.send(OWNER, "remove", pump)
    passports.send(OWNER, "removeQuantity", batch, engine, 5, False)
    assert (passports.call("parentOf", pump), passports.call("heldOf", batch, OWNER.address)) == (0, (5, 0))


def test_an_assembly_has_sixteen_levels_below_its_root(passports: Passports) -> None:
    tokens = chain_of(passports, DEPTH)
    tokens.append(passports.new())
    longest = passports.contract.send(MANUFACTURER, "install", tokens[-1], tokens[-2])
    assert longest.gas <= 190_000, "every level is visited, and becomes higher"
    more = passports.new()
    with refused(f"TooDeep({more}, {tokens[-1]})"):
        passports.send(MANUFACTURER, "install", more, tokens[-1])
    with refused(f"TooDeep({tokens[0]}, {more})"):
        passports.send(MANUFACTURER, "install", tokens[0], more)
    passports.send(MANUFACTURER, "install", more, tokens[-2])
    assert passports.call("parentOf", more) == tokens[-2]


@pytest.mark.parametrize(("upper", "lower", "good"), [(8, 9, True), (9, 8, True), (9, 9, False), (1, 17, False)])
def test_the_depth_counts_what_is_above_and_below(passports: Passports, upper: int, lower: int, good: bool) -> None:
    above, below = chain_of(passports, upper), chain_of(passports, lower)
    if good:
        passports.send(MANUFACTURER, "install", below[0], above[-1])
    else:
        with refused("TooDeep"):
            passports.send(MANUFACTURER, "install", below[0], above[-1])


def test_an_emptied_part_counts_as_flat_again(passports: Passports) -> None:
    tokens = chain_of(passports, DEPTH + 1)
    carrier = passports.new()
    passports.send(MANUFACTURER, "remove", tokens[1])
    passports.send(MANUFACTURER, "install", tokens[0], carrier)
    with refused("TooDeep"):
        passports.send(MANUFACTURER, "install", tokens[1], tokens[0])
    # With something left in it, a part may count as higher than it is, and never as lower.
    carried, holder = passports.new(), passports.new()
    passports.send(MANUFACTURER, "install", tokens[1], holder)
    passports.send(MANUFACTURER, "install", carried, holder)
    passports.send(MANUFACTURER, "remove", tokens[1])
    with refused("TooDeep"):
        passports.send(MANUFACTURER, "install", holder, passports.new())
    passports.send(MANUFACTURER, "remove", carried)
    passports.send(MANUFACTURER, "install", holder, passports.new())


class Depth(RuleBasedStateMachine):
    """Long chains put together and taken apart: never a cycle, never too deep, refused only near the limit."""

    shared: tuple[Passports, list[int], Snapshot] | None = None

    def __init__(self) -> None:
        super().__init__()
        if Depth.shared is None:
            made = Passports()
            tokens = [token for _ in range(3) for token in chain_of(made, 6)]
            Depth.shared = (made, tokens, made.world.snapshot())
        self.passports, self.tokens, snapshot = Depth.shared
        self.passports.world.revert(snapshot)
        self.parents = {token: self.tokens[at - 1] if at % 6 else 0 for at, token in enumerate(self.tokens)}
        self.removed = False

    def depth(self, token: int) -> int:
        return 1 + self.depth(self.parents[token]) if self.parents[token] else 0

    def height(self, token: int) -> int:
        return max((1 + self.height(child) for child, parent in self.parents.items() if parent == token), default=0)

    @rule(child=st.integers(0, 17), parent=st.integers(0, 17), any_child=st.integers(0, 3))
    def install(self, child: int, parent: int, any_child: int) -> None:
        roots = [token for token in self.tokens if not self.parents[token]]
        token = roots[child % len(roots)] if any_child else self.tokens[child]
        into = self.tokens[parent]
        try:
            self.passports.send(MANUFACTURER, "install", token, into)
        except Reverted as problem:
            reason = problem.reason.split("(")[0]
            above = [into]
            while above[-1]:
                above.append(self.parents[above[-1]])
            too_deep = self.depth(into) + 1 + self.height(token) > DEPTH
            possible = {
                "StillInstalled": self.parents[token] != 0,
                "Cycle": token in above,
                "TooDeep": too_deep or self.removed,
            }
            assert possible[reason]
        else:
            assert self.parents[token] == 0
            self.parents[token] = into

    @rule(child=st.integers(0, 17))
    def remove(self, child: int) -> None:
        token = self.tokens[child]
        if self.parents[token]:
            self.passports.send(MANUFACTURER, "remove", token)
            self.parents[token], self.removed = 0, True
        else:
            with refused("NotInstalled"):
                self.passports.send(MANUFACTURER, "remove", token)

    @invariant()
    def no_cycle_and_not_too_deep(self) -> None:
        assert max(self.depth(token) for token in self.tokens) <= DEPTH

    def teardown(self) -> None:
        assert {token: self.passports.call("parentOf", token) for token in self.tokens} == self.parents


TestDepth = Depth.TestCase
TestDepth.settings = settings(max_examples=15, stateful_step_count=25)


# --- hand-over of assemblies ------------------------------------------------------------------


def test_an_assembly_changes_hands_as_a_whole(passports: Passports) -> None:
    engine, pump, seal, filter_ = offered_engine(passports)
    batch = passports.batch(12, OWNER)
    passports.send(OWNER, "installQuantity", batch, pump, 12)
    passports.send(OWNER, "setUser", seal, USER.address)
    done = passports.contract.send(RECEIVER, "acceptAssembly", engine, [pump, filter_, seal])
    handed = [fields["tokenId"] for name, fields in done.events if name == "HandedOver"]
    assert handed == [engine, pump, filter_, seal]
    assert {passports.call("ownerOf", token) for token in handed} == {RECEIVER.address}
    assert [passports.call("balanceOf", who.address) for who in (OWNER, RECEIVER)] == [0, 4]
    assert [passports.call("parentOf", token) for token in (pump, seal, filter_)] == [engine, pump, engine]
    assert passports.call("userOf", seal) == NOBODY
    # What is in it goes along, quantities too.
    with refused("NotOwner"):
        passports.send(OWNER, "removeQuantity", batch, pump, 12, False)
    passports.send(RECEIVER, "removeQuantity", batch, pump, 12, False)
    assert passports.call("heldOf", batch, RECEIVER.address) == (12, 0)
    passports.send(RECEIVER, "remove", seal)


@pytest.mark.parametrize(
    "listed",
    ["", "p", "pf", "psf+", "sp f", "ppsf", "psfe", "psfx", "pso", "psfo", "e", "psf0"],
)
def test_only_exactly_the_assembly_is_accepted(passports: Passports, listed: str) -> None:
    """p, s, f: pump, seal, filter; x: a part of the giver's; o: one in it; e: the engine; +: one of the receiver's."""
    engine, pump, seal, filter_ = offered_engine(passports)
    extra, own = passports.new(OWNER), passports.new(RECEIVER)
    inside = passports.new(OWNER)
    passports.send(OWNER, "install", inside, extra)
    names = {"p": pump, "s": seal, "f": filter_, "x": extra, "o": inside, "e": engine, "+": own, "0": 0}
    parts = [names[name] for name in listed if name != " "]
    with refused("AssemblyMismatch"):
        passports.send(RECEIVER, "acceptAssembly", engine, parts)
    assert {passports.call("ownerOf", token) for token in (engine, pump, seal, filter_)} == {OWNER.address}


def test_the_receivers_own_assemblies_do_not_help(passports: Passports) -> None:
    engine, pump, seal, filter_ = offered_engine(passports)
    frame, bolt = passports.new(RECEIVER), passports.new(RECEIVER)
    passports.send(RECEIVER, "install", bolt, frame)
    with refused(f"AssemblyMismatch({bolt})"):
        passports.send(RECEIVER, "acceptAssembly", engine, [pump, seal, filter_, bolt])


def test_a_part_with_parts_in_it_is_not_accepted_alone(passports: Passports) -> None:
    engine, *_ = offered_engine(passports)
    with refused(f"AssemblyMismatch({engine})"):
        passports.send(RECEIVER, "accept", engine)


def test_a_change_after_the_offer_does_not_slip_through(passports: Passports) -> None:
    engine, pump, seal, filter_ = offered_engine(passports)
    passports.send(OWNER, "remove", filter_)
    with refused(f"AssemblyMismatch({filter_})"):
        passports.send(RECEIVER, "acceptAssembly", engine, [pump, seal, filter_])
    passports.send(OWNER, "install", filter_, seal)
    passports.send(RECEIVER, "acceptAssembly", engine, [pump, seal, filter_])


def test_an_installed_part_is_not_offered(passports: Passports) -> None:
    engine, pump, *_ = offered_engine(passports)
    with refused(f"StillInstalled({pump}, {engine})"):
        passports.send(OWNER, "offer", pump, RECEIVER.address, passports.soon)


@pytest.mark.parametrize("status", [REMOVED, QUARANTINED, SCRAPPED])
def test_no_suspect_part_changes_hands_inside_an_assembly(passports: Passports, status: int) -> None:
    engine, pump, seal, filter_ = offered_engine(passports)
    if status == REMOVED:
        passports.send(OWNER, "setStatus", engine, REMOVED, LEAF)
        passports.send(RECEIVER, "acceptAssembly", engine, [pump, seal, filter_])
        assert passports.status(seal) == IN_SERVICE
        return
    passports.send(MANUFACTURER if status == QUARANTINED else OWNER, "setStatus", seal, status, LEAF)
    with refused(f"WrongStatus({seal}, {status})"):
        passports.send(RECEIVER, "acceptAssembly", engine, [pump, seal, filter_])
    passports.send(OWNER, "remove", seal)
    passports.send(RECEIVER, "acceptAssembly", engine, [pump, filter_])


def test_only_the_receiver_accepts_an_assembly_and_only_in_time(passports: Passports) -> None:
    engine, pump, seal, filter_ = offered_engine(passports)
    for other in (OWNER, MANUFACTURER, USER):
        with refused("NotOffered"):
            passports.send(other, "acceptAssembly", engine, [pump, seal, filter_])
    passports.world.time = passports.call("offerOf", engine)[1]
    with refused("OfferExpired"):
        passports.send(RECEIVER, "acceptAssembly", engine, [pump, seal, filter_])


def test_a_part_alone_may_be_accepted_as_an_assembly(passports: Passports) -> None:
    token = passports.new(OWNER)
    passports.send(OWNER, "offer", token, RECEIVER.address, passports.soon)
    passports.send(RECEIVER, "acceptAssembly", token, [])
    assert passports.call("ownerOf", token) == RECEIVER.address


def test_a_hundred_parts_fit_into_a_hand_over(passports: Passports) -> None:
    engine = passports.new()
    parts = [passports.new() for _ in range(100)]
    for part in parts:
        passports.send(MANUFACTURER, "install", part, engine)
    assert passports.call("childCount", engine) == 100
    passports.send(MANUFACTURER, "offer", engine, OWNER.address, passports.soon)
    done = passports.contract.send(OWNER, "acceptAssembly", engine, parts)
    assert done.gas <= 100_000 + 100 * 20_000
    assert passports.call("balanceOf", OWNER.address) == 101
