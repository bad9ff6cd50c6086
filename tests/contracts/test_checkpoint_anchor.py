"""CheckpointAnchor: each refusal by name, signatures, wallets, ownership."""

from __future__ import annotations

import pytest

from tests.contracts.anchoring import NONE, Head, proof, root, signature
from tests.contracts.kit import ALICE, BOB, CAROL, START, Deployed, World, refused
from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import keccak

ORIGIN = "twin.example/log0"


@pytest.fixture
def anchor(world: World) -> Deployed:
    return world.deploy("CheckpointAnchor")


def register(anchor: Deployed, owner: Account = ALICE, origin: str = ORIGIN) -> bytes:
    log_id = anchor.send(ALICE, "register", origin, owner.address).value
    assert isinstance(log_id, bytes)
    return log_id


def put(anchor: Deployed, log_id: bytes, old: Head, size: int, by: Account = ALICE) -> Head:
    time = anchor.world.time
    done = anchor.send(by, "anchor", log_id, old, size, root(size), proof(old.size, size))
    assert done.events == [("Anchored", {"logId": log_id, "size": size, "root": root(size), "time": time})]
    return Head(size, time, root(size))


def test_a_log_id_depends_on_who_registers(anchor: Deployed) -> None:
    done = anchor.send(ALICE, "register", ORIGIN, BOB.address)
    name = ORIGIN.encode()
    encoded = (64).to_bytes(32, "big") + ALICE.address.rjust(32, b"\0")
    encoded += len(name).to_bytes(32, "big") + name.ljust(32, b"\0")
    assert done.value == keccak(encoded)
    assert done.events == [("LogRegistered", {"logId": done.value, "owner": BOB.address, "origin": ORIGIN})]
    assert anchor.call("ownerOf", done.value) == BOB.address
    with refused("AlreadyRegistered"):
        anchor.send(ALICE, "register", ORIGIN, ALICE.address)
    assert anchor.send(BOB, "register", ORIGIN, BOB.address).value != done.value
    with refused("NoOwner"):
        anchor.send(ALICE, "register", "another", bytes(20))


def test_an_unknown_log(anchor: Deployed) -> None:
    assert anchor.call("ownerOf", bytes(32)) == bytes(20)
    assert anchor.call("latest", bytes(32)) == (0, 0, 0)
    assert anchor.call("isAnchored", bytes(32), NONE) is False
    with refused("NotOwner"):
        anchor.send(ALICE, "anchor", bytes(32), NONE, 1, root(1), [])
    with refused("BadOwnerSignature"):
        anchor.send(ALICE, "anchorSigned", bytes(32), NONE, 1, root(1), [], bytes(65))
    with refused("NotOwner"):
        anchor.send(ALICE, "transferLog", bytes(32), ALICE.address)
    with refused("NotOffered"):
        anchor.send(ALICE, "acceptLog", bytes(32))


def test_heads_follow_each_other(anchor: Deployed) -> None:
    log_id = register(anchor)
    heads = [NONE]
    for size in (1, 2, 3, 8, 9, 40, 64):
        anchor.world.time += 600
        heads.append(put(anchor, log_id, heads[-1], size))
        assert anchor.call("latest", log_id) == (size, heads[-1].time, len(heads) - 1)
    assert [anchor.call("isAnchored", log_id, head) for head in heads] == [False] + [True] * 7
    last = heads[-1]
    for wrong in (last._replace(size=63), last._replace(time=last.time + 1), last._replace(root=root(40))):
        assert anchor.call("isAnchored", log_id, wrong) is False
    assert anchor.call("isAnchored", register(anchor, origin="another"), last) is False


def test_what_is_not_newer_or_not_from_the_latest_is_refused(anchor: Deployed) -> None:
    log_id = register(anchor)
    with refused("NotNewer"):
        anchor.send(ALICE, "anchor", log_id, NONE, 0, root(0), [])
    with refused("NotLatest"):
        anchor.send(ALICE, "anchor", log_id, Head(1, 0, root(1)), 2, root(2), proof(1, 2))
    with refused("NotLatest"):
        anchor.send(ALICE, "anchor", log_id, Head(0, 1, bytes(32)), 2, root(2), [])
    with refused("NotLatest"):
        anchor.send(ALICE, "anchor", log_id, Head(0, 0, root(0)), 2, root(2), [])
    with refused("BadConsistencyProof"):
        anchor.send(ALICE, "anchor", log_id, NONE, 2, root(2), [bytes(32)])
    with refused("BadConsistencyProof"):
        anchor.send(ALICE, "anchor", log_id, NONE, 1 << 63, root(2), [])
    first = put(anchor, log_id, NONE, 5)
    second = put(anchor, log_id, first, 9)
    for size in (5, 9):
        with refused("NotNewer"):
            anchor.send(ALICE, "anchor", log_id, second, size, root(size), [])
    changed = ({"size": 5}, {"time": second.time - 1}, {"root": first.root})
    for old in (first, NONE, *(second._replace(**change) for change in changed)):
        with refused("NotLatest"):
            anchor.send(ALICE, "anchor", log_id, old, 12, root(12), proof(9, 12))


def test_a_fork_is_refused(anchor: Deployed) -> None:
    log_id = register(anchor)
    head = put(anchor, log_id, NONE, 9)
    for fork in range(9):
        # The forger has a whole tree of its own, with honest proofs inside it.
        with refused("BadConsistencyProof"):
            anchor.send(ALICE, "anchor", log_id, head, 12, root(12, fork), proof(9, 12, fork))
        with refused("BadConsistencyProof"):
            anchor.send(ALICE, "anchor", log_id, head, 12, root(12, fork), proof(9, 12))
    # What is appended differently is no fork.
    anchor.send(ALICE, "anchor", log_id, head, 12, root(12, 9), proof(9, 12, 9))


def test_only_the_owner_anchors(anchor: Deployed) -> None:
    log_id = register(anchor, BOB)
    with refused("NotOwner"):
        anchor.send(ALICE, "anchor", log_id, NONE, 5, root(5), [])
    put(anchor, log_id, NONE, 5, BOB)


def test_anybody_anchors_with_the_owners_signature(anchor: Deployed) -> None:
    log_id = register(anchor, BOB)
    first = put(anchor, log_id, NONE, 5, BOB)
    consent = signature(BOB, anchor, log_id, first, 9, root(9))
    assert len(consent) == 65
    arguments = (log_id, first, 9, root(9), proof(5, 9))
    wrong = [
        signature(CAROL, anchor, log_id, first, 9, root(9)),
        signature(BOB, anchor, log_id, first, 8, root(9)),
        signature(BOB, anchor, log_id, first, 9, root(8)),
        signature(BOB, anchor, log_id, first._replace(size=4), 9, root(9)),
        signature(BOB, anchor, log_id, first._replace(time=first.time + 1), 9, root(9)),
        signature(BOB, anchor, log_id, first._replace(root=root(4)), 9, root(9)),
        signature(BOB, anchor, bytes(32), first, 9, root(9)),
        signature(BOB, anchor, log_id, first, 9, root(9), chainId=1),
        signature(BOB, anchor, log_id, first, 9, root(9), verifyingContract=bytes(20)),
        signature(BOB, anchor, log_id, first, 9, root(9), name="CheckpointAnchor"),
        signature(BOB, anchor, log_id, first, 9, root(9), version="2"),
        consent[:-1],
        b"",
    ]
    for other in wrong:
        with refused("BadOwnerSignature"):
            anchor.send(CAROL, "anchorSigned", *arguments, other)
    time = anchor.world.time
    done = anchor.send(CAROL, "anchorSigned", *arguments, consent)
    assert done.events == [("Anchored", {"logId": log_id, "size": 9, "root": root(9), "time": time})]
    assert anchor.call("isAnchored", log_id, Head(9, time, root(9))) is True
    with refused("NotNewer"):
        anchor.send(CAROL, "anchorSigned", *arguments, consent)


def test_a_signature_does_not_make_a_fork_acceptable(anchor: Deployed) -> None:
    log_id = register(anchor, BOB)
    head = put(anchor, log_id, NONE, 9, BOB)
    consent = signature(BOB, anchor, log_id, head, 12, root(12, 4))
    with refused("BadConsistencyProof"):
        anchor.send(CAROL, "anchorSigned", log_id, head, 12, root(12, 4), proof(9, 12, 4), consent)


def test_a_wallet_contract_may_own_a_log(anchor: Deployed) -> None:
    wallet = anchor.world.deploy("Wallet", BOB.address)
    log_id = anchor.send(ALICE, "register", ORIGIN, wallet.address).value
    with refused("BadOwnerSignature"):
        consent = signature(CAROL, anchor, log_id, NONE, 3, root(3))
        anchor.send(CAROL, "anchorSigned", log_id, NONE, 3, root(3), [], consent)
    consent = signature(BOB, anchor, log_id, NONE, 3, root(3))
    anchor.send(CAROL, "anchorSigned", log_id, NONE, 3, root(3), [], consent)
    assert anchor.call("latest", log_id)[0] == 3


def test_a_log_changes_hands_in_two_steps(anchor: Deployed) -> None:
    log_id = register(anchor)
    with refused("NotOwner"):
        anchor.send(BOB, "transferLog", log_id, BOB.address)
    anchor.send(ALICE, "transferLog", log_id, BOB.address)
    assert anchor.call("ownerOf", log_id) == ALICE.address
    with refused("NotOffered"):
        anchor.send(CAROL, "acceptLog", log_id)
    anchor.send(ALICE, "transferLog", log_id, bytes(20))
    with refused("NotOffered"):
        anchor.send(BOB, "acceptLog", log_id)
    anchor.send(ALICE, "transferLog", log_id, CAROL.address)
    anchor.send(ALICE, "transferLog", log_id, BOB.address)
    with refused("NotOffered"):
        anchor.send(CAROL, "acceptLog", log_id)
    done = anchor.send(BOB, "acceptLog", log_id)
    assert done.events == [("LogTransferred", {"logId": log_id, "from": ALICE.address, "to": BOB.address})]
    assert anchor.call("ownerOf", log_id) == BOB.address
    with refused("NotOffered"):
        anchor.send(BOB, "acceptLog", log_id)
    with refused("NotOwner"):
        anchor.send(ALICE, "anchor", log_id, NONE, 1, root(1), [])
    put(anchor, log_id, NONE, 1, BOB)


def test_the_domain_is_published(anchor: Deployed) -> None:
    _, name, version, chain_id, contract, _, _ = anchor.call("eip712Domain")
    assert (name, version, chain_id) == ("Twinproof CheckpointAnchor", "1", 31337)
    assert contract == anchor.address


def test_time_is_that_of_the_block(anchor: Deployed) -> None:
    log_id = register(anchor)
    anchor.world.time = START + 12_345
    assert put(anchor, log_id, NONE, 4).time == START + 12_345
