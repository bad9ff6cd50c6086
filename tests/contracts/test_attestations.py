"""Attestations: schemas, ids, proofs, expiry, references, revocation."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.contracts.anchoring import NONE, Head, reader, root
from tests.contracts.kit import ACCOUNTS, ALICE, BOB, CAROL, Deployed, World, refused
from twinproof.chain.hexadecimal import keccak
from twinproof.proof import merkle

ZERO = bytes(32)
TWIN = sha256(b"https://fleet.example/engine/1").digest()
INDEX, SIZE = 5, 12
LEAF = reader()(0, INDEX)
PATH = merkle.prove_inclusion(INDEX, SIZE, reader())


@dataclass(frozen=True)
class Request:
    """The contract's struct."""

    schema: bytes
    twin: bytes = TWIN
    expires: int = 0
    ref_uid: bytes = ZERO
    log_id: bytes = ZERO
    leaf: bytes = ZERO
    data: bytes = b""


@dataclass(frozen=True)
class Book:
    """The contract, two schemas, and a log with one head."""

    contract: Deployed
    revocable: bytes
    final: bytes
    log_id: bytes
    head: Head

    @property
    def world(self) -> World:
        return self.contract.world

    def attest(self, request: Request, by: Any = BOB) -> bytes:
        uid = self.contract.send(by, "attest", request).value
        assert isinstance(uid, bytes)
        return uid

    def valid(self, uid: bytes) -> bool:
        return bool(self.contract.call("isValid", uid))


def make_book(world: World) -> Book:
    anchor = world.deploy("CheckpointAnchor")
    contract = world.deploy("Attestations", anchor.address)
    revocable = contract.send(ALICE, "registerSchema", "string standard", True).value
    final = contract.send(ALICE, "registerSchema", "string standard", False).value
    log_id = anchor.send(ALICE, "register", "twin.example/log0", ALICE.address).value
    head = Head(SIZE, world.time, root(SIZE))
    anchor.send(ALICE, "anchor", log_id, NONE, SIZE, head.root, [])
    return Book(contract, revocable, final, log_id, head)


@pytest.fixture
def book(world: World) -> Book:
    return make_book(world)


def test_schemas(book: Book) -> None:
    text = b"string standard"
    encoded = (64).to_bytes(32, "big") + (1).to_bytes(32, "big") + len(text).to_bytes(32, "big") + text.ljust(32, b"\0")
    assert book.revocable == keccak(encoded)
    assert book.contract.call("getSchema", book.revocable) == (True, True, "string standard")
    assert book.contract.call("getSchema", book.final) == (True, False, "string standard")
    assert book.contract.call("getSchema", ZERO) == (False, False, "")
    with refused("AlreadyRegistered"):
        book.contract.send(BOB, "registerSchema", "string standard", True)
    done = book.contract.send(BOB, "registerSchema", "", True)
    event = {"uid": done.value, "by": BOB.address, "schema": "", "revocable": True}
    assert done.events == [("SchemaRegistered", event)]
    assert book.valid(book.attest(Request(done.value)))


def test_an_attestation_says_what_was_asked(book: Book) -> None:
    first = book.attest(Request(book.revocable))
    time = book.world.time
    request = Request(book.revocable, TWIN, time + 100, first, book.log_id, LEAF, b"AS9100" * 9)
    done = book.contract.send(BOB, "attest", request)
    uid = done.value
    found = book.contract.call("getAttestation", uid)
    assert found == (
        book.revocable, TWIN, BOB.address, time, first, book.log_id, LEAF, time + 100, 0, 0, request.data,
    )  # fmt: skip
    event = {
        "uid": uid, "schema": book.revocable, "twin": TWIN, "attester": BOB.address,
        "logId": book.log_id, "leaf": LEAF, "anchored": 0,
    }  # fmt: skip
    assert done.events == [("Attested", event)]
    # The same once more is another attestation.
    assert book.attest(request) != uid
    assert book.contract.call("anchors") != bytes(20)


def test_what_is_not_there(book: Book) -> None:
    assert book.valid(ZERO) is False
    assert book.contract.call("getAttestation", ZERO)[2] == bytes(20)
    with refused("UnknownSchema"):
        book.attest(Request(ZERO))
    with refused("UnknownAttestation"):
        book.attest(Request(book.revocable, ref_uid=b"\x01" * 32))
    with refused("UnknownAttestation"):
        book.contract.send(BOB, "revoke", ZERO)


def test_it_ends_at_the_second_it_names(book: Book) -> None:
    now = book.world.time
    for late in (now, now - 1, 1):
        with refused("Expired"):
            book.contract.call("attest", Request(book.revocable, expires=late))
    uid = book.attest(Request(book.revocable, expires=now + 50))
    book.world.time = now + 49
    assert book.valid(uid)
    book.world.time = now + 50
    assert not book.valid(uid)


def test_revoking(book: Book) -> None:
    uid = book.attest(Request(book.revocable))
    for stranger in (ALICE, CAROL):
        with refused("NotAttester"):
            book.contract.send(stranger, "revoke", uid)
    assert book.valid(uid)
    time = book.world.time
    done = book.contract.send(BOB, "revoke", uid)
    assert done.events == [("Revoked", {"uid": uid, "attester": BOB.address, "time": time})]
    assert not book.valid(uid)
    assert book.contract.call("getAttestation", uid)[8] == time
    with refused("AlreadyRevoked"):
        book.contract.send(BOB, "revoke", uid)
    final = book.attest(Request(book.final))
    with refused("Irrevocable"):
        book.contract.send(BOB, "revoke", final)
    assert book.valid(final)


def test_a_proven_one_names_the_anchors_time(book: Book) -> None:
    request = Request(book.revocable, log_id=book.log_id, leaf=LEAF)
    done = book.contract.send(BOB, "attestProven", request, book.head, INDEX, PATH)
    assert done.events[0][1]["anchored"] == book.head.time
    found = book.contract.call("getAttestation", done.value)
    assert found[2] == BOB.address
    assert found[9] == book.head.time
    assert book.valid(done.value)


def test_what_is_not_proved_is_refused(book: Book) -> None:
    request = Request(book.revocable, log_id=book.log_id, leaf=LEAF)
    with refused("NotAnchored"):
        book.contract.send(BOB, "attestProven", replace(request, log_id=ZERO), book.head, INDEX, PATH)
    for head in (book.head._replace(time=1), book.head._replace(root=root(11)), book.head._replace(size=11), NONE):
        with refused("NotAnchored"):
            book.contract.send(BOB, "attestProven", request, head, INDEX, PATH)
    for index, path in ((INDEX + 1, PATH), (SIZE, PATH), (INDEX, PATH[:-1]), (INDEX, [*PATH, ZERO]), (INDEX, [])):
        with refused("BadInclusionProof"):
            book.contract.send(BOB, "attestProven", request, book.head, index, path)
    with refused("BadInclusionProof"):
        book.contract.send(BOB, "attestProven", replace(request, leaf=ZERO), book.head, INDEX, PATH)
    with refused("UnknownSchema"):
        book.contract.send(BOB, "attestProven", replace(request, schema=ZERO), book.head, INDEX, PATH)


WORLD = World()
BOOK = make_book(WORLD)
FRESH = WORLD.snapshot()


class Attesting(RuleBasedStateMachine):
    """Nobody but its attester ends an attestation before its time."""

    def __init__(self) -> None:
        super().__init__()
        WORLD.revert(FRESH)
        self.made: dict[bytes, tuple[int, Request]] = {}
        self.revoked: set[bytes] = set()

    def pick(self, number: int) -> bytes:
        return list(self.made)[number % len(self.made)]

    @rule(by=st.integers(0, 3), final=st.booleans(), lasts=st.integers(-5, 500), refers=st.integers(0, 9))
    def attest(self, by: int, final: bool, lasts: int, refers: int) -> None:
        reference = self.pick(refers) if self.made and refers % 2 else ZERO
        expires = WORLD.time + lasts if lasts else 0
        request = Request(BOOK.final if final else BOOK.revocable, expires=expires, ref_uid=reference)
        if lasts < 0:
            with refused("Expired"):
                BOOK.attest(request, ACCOUNTS[by])
        else:
            uid = BOOK.attest(request, ACCOUNTS[by])
            assert uid not in self.made
            self.made[uid] = by, request

    @precondition(lambda self: self.made)
    @rule(by=st.integers(0, 3), number=st.integers(0, 50))
    def revoke(self, by: int, number: int) -> None:
        uid = self.pick(number)
        attester, request = self.made[uid]
        problem = (
            "NotAttester" if by != attester
            else "Irrevocable" if request.schema == BOOK.final
            else "AlreadyRevoked" if uid in self.revoked
            else None
        )  # fmt: skip
        if problem:
            with refused(problem):
                BOOK.contract.send(ACCOUNTS[by], "revoke", uid)
        else:
            BOOK.contract.send(ACCOUNTS[by], "revoke", uid)
            self.revoked.add(uid)

    @rule(seconds=st.integers(1, 300))
    def wait(self, seconds: int) -> None:
        WORLD.time += seconds

    @invariant()
    def validity(self) -> None:
        for uid, (_, request) in self.made.items():
            lasts = not request.expires or WORLD.time < request.expires
            assert BOOK.valid(uid) == (lasts and uid not in self.revoked)

    def teardown(self) -> None:
        """What was said stays said."""
        for uid, (by, request) in self.made.items():
            found = BOOK.contract.call("getAttestation", uid)
            assert (found[0], found[1], found[7], found[4], found[5], found[6], found[10]) == astuple(request)
            assert found[2] == ACCOUNTS[by].address
            assert (found[8] != 0) == (uid in self.revoked)


TestAttesting = Attesting.TestCase
TestAttesting.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
