"""Anchors of a dishonest sender, of a dishonest log, of a chain that lies: all are refused in step 3, or in step 1."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DEVICE, START, Log
from tests.verify.anchorkit import anchor, block_at, bundle_with, recorded, with_anchors
from twinproof.errors import VerificationFailed
from twinproof.proof import cbor, merkle, rlp
from twinproof.proof.anchor import ANCHORED, MAX_ANCHOR, AnchorEvidence
from twinproof.proof.keccak import keccak256
from twinproof.testing.anchors import (
    CONTRACT,
    DEFAULT_CHAIN,
    LOG_ID,
    AnchorBlock,
    anchored_log,
    number,
    receipt,
    transaction,
)
from twinproof.twin.anchors import AnchorTrust
from twinproof.twin.evidence import MAX_ANCHORS, Anchor, format_bundle, parse_bundle
from twinproof.verify import verify_bundle

LOG = recorded()
SIZE = 7
ROOT = LOG.head(SIZE).root
TIME = START + 30
BLOCK = block_at(LOG, SIZE, TIME, before=130, after=40)
"""Our transaction has the index 130: a key of two bytes, under four branches."""
GOOD = anchor(LOG, BLOCK.evidence(130), SIZE)
EVERYTHING = AnchorTrust(confirms=lambda *_: True)


def refused(data: bytes, *, step: int = 3) -> str:
    with pytest.raises(VerificationFailed) as failure:
        verify_bundle(data, LOG.policy(), anchors=EVERYTHING)
    assert failure.value.step == step, str(failure.value)
    return "; ".join(failure.value.problems)


def lie(evidence: AnchorEvidence, size: int = SIZE) -> str:
    return refused(with_anchors(LOG, [anchor(LOG, evidence, size)]))


def test_the_honest_one_holds() -> None:
    history = verify_bundle(with_anchors(LOG, [GOOD]), LOG.policy(), anchors=EVERYTHING)
    assert [entry.time.anchored for entry in history.entries] == [TIME] * 5 + [None] * 3
    assert len(GOOD.evidence.receipt) == len(GOOD.evidence.transaction) == 5


# --- every byte -------------------------------------------------------------------------------

SMALL = block_at(LOG, SIZE, TIME, before=2, after=1)
PARTS = with_anchors(LOG, [anchor(LOG, SMALL.evidence(2), SIZE)])
REGION = cbor.encode(cbor.decode(PARTS)["anchors"])[1:]
BEGIN = PARTS.index(REGION)


@pytest.mark.parametrize("part", range(4))
def test_every_byte_of_the_evidence_counts(part: int) -> None:
    """One bit of each byte: refused in step 3, or in step 1 where the form breaks, or the header of another block."""
    chance = random.Random(part)
    trust = AnchorTrust(frozenset([SMALL.hash]))
    header = range(PARTS.index(SMALL.header), PARTS.index(SMALL.header) + len(SMALL.header))
    steps: set[int] = set()
    others = 0
    for at in range(BEGIN + part, BEGIN + len(REGION), 4):
        changed = bytearray(PARTS)
        changed[at] ^= 1 << chance.randrange(8)
        try:
            history = verify_bundle(bytes(changed), LOG.policy(), anchors=trust)
        except VerificationFailed as failure:
            steps.add(failure.step)
            continue
        assert at in header
        assert not history.anchors[0].trusted
        assert history.entries[0].time.anchored is None
        others += 1
    assert steps == {1, 3}
    assert 50 < others < len(header) / 4


def variants(values: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    """A node lost, doubled, exchanged with the next, added."""
    found = [(*values, b"\x80"), (*values, values[-1])]
    for at in range(len(values)):
        found += [values[:at] + values[at + 1 :], (*values[:at], values[at], *values[at:])]
        if at:
            found.append((*values[: at - 1], values[at], values[at - 1], *values[at + 1 :]))
    return found


def test_nodes_lost_doubled_and_exchanged() -> None:
    for nodes in variants(GOOD.evidence.receipt):
        lie(replace(GOOD.evidence, receipt=nodes))
    for nodes in variants(GOOD.evidence.transaction):
        lie(replace(GOOD.evidence, transaction=nodes))


def test_hashes_lost_doubled_and_exchanged() -> None:
    assert len(GOOD.proof) > 2
    for hashes in variants(GOOD.proof):
        data = format_bundle(bundle_with(LOG, [replace(GOOD, proof=tuple(h.rjust(32, b"\0") for h in hashes))]))
        assert "anchor 0:" in refused(data)


# --- lies that are well-formed ------------------------------------------------------------------


def other_index(at: int) -> AnchorEvidence:
    """The proof of another transaction, under our index."""
    return replace(BLOCK.evidence(at), index=130)


def block_with(log: rlp.Item, *, status: bytes = b"\x01", chain_id: int = DEFAULT_CHAIN) -> AnchorEvidence:
    block = AnchorBlock(time=TIME)
    block.fill(3)
    return block.evidence(block.add(receipt([log], status=status), transaction(chain_id, 3)))


def event(**changes: Any) -> list[rlp.Item]:
    return anchored_log(**{"size": SIZE, "root": ROOT, "time": TIME, **changes})


def event_of(contract: Any = CONTRACT, topics: Any = None, data: Any = None) -> list[rlp.Item]:
    honest: Any = event()
    return [contract, honest[1] if topics is None else topics, honest[2] if data is None else data]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def raw_receipt(raw: bytes) -> AnchorEvidence:
    block = AnchorBlock(time=TIME)
    return block.evidence(block.add(raw, transaction(DEFAULT_CHAIN, 0)))


def raw_transaction(raw: bytes) -> AnchorEvidence:
    block = AnchorBlock(time=TIME)
    return block.evidence(block.add(receipt([event()]), raw))


def header(change: Callable[[list[Any]], Any]) -> AnchorEvidence:
    fields: Any = rlp.decode(GOOD.evidence.header, "header")
    fields = change(fields) or fields
    return replace(GOOD.evidence, header=rlp.encode(fields))


def header_set(at: int, value: Any) -> AnchorEvidence:
    return header(lambda fields: [*fields[:at], value, *fields[at + 1 :]])


TOPICS: list[rlp.Item] = [ANCHORED, LOG_ID, word(SIZE)]
LIES: list[tuple[str, Callable[[], AnchorEvidence], str]] = [
    ("a failed transaction", lambda: block_with(event(), status=b""), "failed"),
    ("a status of 2", lambda: block_with(event(), status=b"\x02"), "failed"),
    ("a state root for a status", lambda: block_with(event(), status=bytes(32)), "failed"),
    ("another chain id in the evidence", lambda: replace(GOOD.evidence, chain_id=1), "not for the chain 1"),
    ("a transaction for another chain", lambda: block_with(event(), chain_id=1), "not for the chain 31337"),
    ("both proofs of another index", lambda: other_index(129), "receipt proof"),
    ("both proofs of another index, whose keys differ early", lambda: other_index(5), "receipt proof"),
    ("another index", lambda: replace(GOOD.evidence, index=131), "receipt proof"),
    ("an index beyond the block", lambda: replace(GOOD.evidence, index=171), "receipt proof"),
    ("a much larger index", lambda: replace(GOOD.evidence, index=(1 << 32) - 1), "receipt proof"),
    (
        "the receipt of a neighbour",
        lambda: replace(GOOD.evidence, receipt=BLOCK.evidence(131).receipt),
        "receipt proof",
    ),
    (
        "the transaction of a neighbour",
        lambda: replace(GOOD.evidence, transaction=BLOCK.evidence(129).transaction),
        "transaction proof",
    ),
    (
        "the transaction for the receipt",
        lambda: replace(GOOD.evidence, receipt=GOOD.evidence.transaction),
        "receipt proof",
    ),
    ("a position that is not there", lambda: replace(GOOD.evidence, position=1), "has 1 logs, none at position 1"),
    ("another transaction's logs", lambda: BLOCK.evidence(3), "no Anchored event"),
    ("a block without the event's time", lambda: block_with(event(time=TIME - 1)), "not the block's"),
    ("another event", lambda: block_with(event(topic=keccak256(b"Anchored(bytes32)"))), "no Anchored event"),
    ("an event without topics", lambda: block_with(event_of(topics=[])), "no Anchored event"),
    ("an event with a topic less", lambda: block_with(event_of(topics=TOPICS[:2])), "no Anchored event"),
    ("an event with a topic more", lambda: block_with(event_of(topics=[*TOPICS, word(0)])), "no Anchored event"),
    ("topics as a string", lambda: block_with(event_of(topics=ANCHORED + LOG_ID + word(SIZE))), "log.topics"),
    ("a short log id", lambda: block_with(event_of(topics=[ANCHORED, LOG_ID[1:], word(SIZE)])), "log.logId"),
    ("a short size", lambda: block_with(event_of(topics=[ANCHORED, LOG_ID, bytes((SIZE,))])), "log.size"),
    ("a size of more than 64 bits", lambda: block_with(event_of(topics=[*TOPICS[:2], word(2**64 + SIZE)])), "64 bits"),
    ("a size of 2^63", lambda: block_with(event(size=2**63)), "no size of a log"),
    ("a size of 0", lambda: block_with(event(size=0)), "no size of a log"),
    ("a time of more than 64 bits", lambda: block_with(event_of(data=ROOT + word(2**64 + TIME))), "64 bits"),
    ("data of one word", lambda: block_with(event_of(data=ROOT)), "log.data"),
    ("data of three words", lambda: block_with(event_of(data=ROOT + word(TIME) + word(0))), "log.data"),
    ("data as a list", lambda: block_with(event_of(data=[ROOT, word(TIME)])), "log.data"),
    ("an address of 32 bytes", lambda: block_with(event_of(contract=word(1))), "log.address"),
    ("a log of four parts", lambda: block_with([*event(), b""]), "log:"),
    ("a log as a string", lambda: block_with(b"log"), "log:"),
    ("another root", lambda: block_with(event(root=LOG.head(6).root)), "does not contain the old root"),
    ("another size", lambda: block_with(event(size=6)), "anchor 0:"),
    ("a size beyond the head", lambda: block_with(event(size=11)), "size 10 does not extend size 11"),
    ("a receipt of three fields", lambda: raw_receipt(b"\x02" + rlp.encode([b"\x01", b"", b""])), "receipt:"),
    ("a receipt of five fields", lambda: raw_receipt(rlp.encode([b"\x01", b"", b"", [event()], b""])), "receipt:"),
    ("a receipt without list", lambda: raw_receipt(b"\x02" + bytes(300)), "receipt:"),
    ("logs as a string", lambda: raw_receipt(rlp.encode([b"\x01", b"", b"", b"logs"])), "receipt.logs"),
    ("a type twice", lambda: raw_receipt(b"\x02" + receipt([event()])), "receipt:"),
    ("non-shortest RLP", lambda: raw_receipt(b"\xf9\0" + receipt([event()], kind=0)[1:]), "shortest"),
    ("bytes after the receipt", lambda: raw_receipt(receipt([event()]) + b"\0"), "after the end"),
    ("an unknown type of transaction", lambda: raw_transaction(b"\x7e" + transaction(1, 0)[1:]), "unknown type 126"),
    ("type 0", lambda: raw_transaction(b"\0" + transaction(DEFAULT_CHAIN, 0)[1:]), "unknown type 0"),
    (
        "a transaction of two fields",
        lambda: raw_transaction(b"\x02" + rlp.encode([number(31337), b""])),
        "transaction:",
    ),
    (
        "a transaction without a chain",
        lambda: raw_transaction(rlp.encode([*[b""] * 6, b"\x1b", b"\1", b"\1"])),
        "EIP-155",
    ),
    ("bytes after the transaction", lambda: raw_transaction(transaction(DEFAULT_CHAIN, 0) + b"\0"), "after the end"),
    ("a header of fourteen items", lambda: header(lambda fields: fields[:14]), "header:"),
    ("a header of 65 items", lambda: header(lambda fields: fields + [b""] * 44), "header:"),
    ("a list in a header", lambda: header_set(20, []), "holds a list"),
    ("a header without list", lambda: replace(GOOD.evidence, header=b"\x80"), "header:"),
    ("an empty header", lambda: replace(GOOD.evidence, header=b""), "header: ends early"),
    ("bytes after the header", lambda: replace(GOOD.evidence, header=GOOD.evidence.header + b"\0"), "after the end"),
    ("an earlier timestamp", lambda: header_set(11, number(TIME - 1)), "not the block's"),
    ("a timestamp with a leading zero", lambda: header_set(11, b"\0" + number(TIME)), "header.timestamp"),
    ("a number of nine bytes", lambda: header_set(8, b"\1" * 9), "header.number"),
    ("a short receipts root", lambda: header_set(5, bytes(31)), "header.receiptsRoot"),
    ("a short transactions root", lambda: header_set(4, bytes(31)), "header.transactionsRoot"),
    ("another receipts root", lambda: header_set(5, bytes(32)), "receipt proof"),
    ("another transactions root", lambda: header_set(4, bytes(32)), "transaction proof"),
]


@pytest.mark.parametrize(("make", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in LIES])
def test_lies_are_refused(make: Callable[[], AnchorEvidence], fragment: str) -> None:
    found = lie(make())
    assert fragment in found
    assert found.startswith("anchor 0:")


def test_a_time_of_zero_or_beyond_reason() -> None:
    for time in (0, 1 << 53, (1 << 64) - 1):
        block = AnchorBlock(time=time)
        assert "not the block's" in lie(block.evidence(block.anchor(size=SIZE, root=ROOT)))


def test_a_changed_header_is_another_block() -> None:
    """What no proof touches can be changed, but then it is a block that nobody trusts."""
    other = header_set(12, b"other extra data")
    data = with_anchors(LOG, [anchor(LOG, other, SIZE)])
    history = verify_bundle(data, LOG.policy(), anchors=AnchorTrust(frozenset([BLOCK.hash])))
    assert not history.anchors[0].trusted
    assert history.anchors[0].head.block_hash == keccak256(other.header) != BLOCK.hash


def test_anchors_of_a_fork() -> None:
    fork = Log(keys=LOG.keys)
    fork.record(DEVICE, 99.0)
    for entry in LOG.raws[2:]:
        fork.append(entry)
    evidence = block_at(fork, SIZE, TIME).evidence(0)
    assert "old root of size 7" in lie(evidence)
    their_proof = Anchor(evidence, tuple(merkle.prove_consistency(SIZE, len(fork), fork.nodes())))
    assert "size 10" in refused(with_anchors(LOG, [their_proof]))


def test_the_head_itself_needs_the_same_root_and_no_proof() -> None:
    block = block_at(LOG, 10, TIME)
    good = Anchor(block.evidence(0), ())
    assert verify_bundle(with_anchors(LOG, [good]), LOG.policy()).anchors[0].head.size == 10
    refused(with_anchors(LOG, [replace(good, proof=(bytes(32),))]))
    other = AnchorBlock(time=TIME)
    assert "another root" in lie(other.evidence(other.anchor(size=10, root=ROOT)), 10)


# --- several ------------------------------------------------------------------------------------


def several(sizes: tuple[int, ...]) -> list[Anchor]:
    return [anchor(LOG, block_at(LOG, size, TIME).evidence(0), size) for size in sizes]


@pytest.mark.parametrize("sizes", [(5, 3), (3, 3), (3, 5, 4), (9, 9, 10)])
def test_anchors_ascend_without_repeats(sizes: tuple[int, ...]) -> None:
    assert "out of order" in refused(with_anchors(LOG, several(sizes)))


def test_all_findings_are_told() -> None:
    good, bad = several((3, 5, 8)), replace(GOOD.evidence, position=9)
    found = refused(with_anchors(LOG, [good[0], Anchor(bad, ()), good[1], Anchor(bad, ()), good[2]]))
    assert [part.split(":")[0] for part in found.split("; ")] == ["anchor 1", "anchor 3"]


# --- the form -----------------------------------------------------------------------------------

MEMBERS: list[Any] = cbor.decode(PARTS)["anchors"][0]


def form(anchors: Any) -> bytes:
    return cbor.encode({**cbor.decode(PARTS), "anchors": anchors})


def member(at: int, value: Any) -> Any:
    return [[*MEMBERS[:at], value, *MEMBERS[at + 1 :]]]


FORMS: list[tuple[str, Any, str]] = [
    ("none", [], "not an array of 1 to 1024"),
    ("a map", {}, "not an array of 1 to 1024"),
    ("too many", [MEMBERS] * (MAX_ANCHORS + 1), "not an array of 1 to 1024"),
    ("one as bytes", [b"x"], "bundle.anchors[0]"),
    ("one of nothing", [[]], "bundle.anchors[0]"),
    ("one of six", [MEMBERS[:6]], "bundle.anchors[0]"),
    ("one of eight", [[*MEMBERS, b""]], "bundle.anchors[0]"),
    ("the second of six", [MEMBERS, MEMBERS[:6]], "bundle.anchors[1]"),
    ("chain id 0", member(0, 0), "chain id"),
    ("chain id of 2^63", member(0, 1 << 63), "chain id"),
    ("chain id as text", member(0, "1"), "chain id"),
    ("chain id as true", member(0, True), "chain id"),
    ("header as a list", member(1, []), "header"),
    ("index negative", member(2, -1), "index"),
    ("index of 2^32", member(2, 1 << 32), "index"),
    ("index as a float", member(2, 1.0), "index"),
    ("receipt nodes as bytes", member(3, b"x"), "trie nodes"),
    ("no receipt nodes", member(3, []), "trie nodes"),
    ("17 receipt nodes", member(3, [b"x"] * 17), "trie nodes"),
    ("a receipt node as text", member(3, [b"x", "y"]), "not a byte string"),
    ("position as none", member(4, None), "position"),
    ("transaction nodes as a map", member(5, {}), "trie nodes"),
    ("no transaction nodes", member(5, []), "trie nodes"),
    ("hashes as a list", member(6, [bytes(32)]), "32-byte hashes"),
    ("half a hash", member(6, bytes(16)), "32-byte hashes"),
    ("a large header", member(1, bytes(MAX_ANCHOR)), "the limit is 16384"),
    ("large nodes", member(3, [bytes(3000)] * 16), "the limit is 16384"),
]


@pytest.mark.parametrize(("anchors", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in FORMS])
def test_forms_that_no_bundle_has(anchors: Any, fragment: str) -> None:
    found = refused(form(anchors), step=1)
    assert fragment in found
    assert "bundle.anchors" in found
    assert len(found) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats() | st.binary(max_size=60) | st.text(),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=12,
)


@given(st.integers(0, 6), VALUES)
def test_any_value_in_an_anchor(at: int, value: Any) -> None:
    data = form(member(at, value))
    if data != PARTS:
        with pytest.raises(VerificationFailed):
            verify_bundle(data, LOG.policy(), anchors=EVERYTHING)


@given(VALUES)
def test_any_value_as_a_receipt_or_transaction(value: Any) -> None:
    def items(value: Any) -> Any:
        return (
            [items(part) for part in value] if isinstance(value, list) else value if isinstance(value, bytes) else b""
        )

    raw = rlp.encode(items(value))
    for made in (raw_receipt(raw), raw_receipt(b"\x02" + raw), raw_transaction(raw), raw_transaction(b"\x02" + raw)):
        lie(made)


def test_bundles_with_anchors_are_read_back() -> None:
    bundle = bundle_with(LOG, [*several((3, 5)), GOOD])
    assert parse_bundle(format_bundle(bundle)) == bundle
    assert format_bundle(parse_bundle(PARTS)) == PARTS
