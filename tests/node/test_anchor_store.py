"""The store of anchors, and which of them a bundle takes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, ORIGIN, START, TWIN
from tests.node.folders import OPERATOR_IRI, continue_log
from twinproof.errors import BadProof, Corrupt, Malformed, NotFound, StorageFailed
from twinproof.log.store import Entry
from twinproof.node import evidence as evidence_module
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.node import ANCHORS, WritingNode, init_node, open_node, read_node
from twinproof.proof.anchor import AnchorEvidence, check_anchor
from twinproof.proof.policy import parse_policy
from twinproof.testing import ManualClock
from twinproof.testing.anchors import AnchorBlock
from twinproof.twin.anchors import AnchorTrust
from twinproof.twin.evidence import parse_bundle
from twinproof.twin.grants import Capability
from twinproof.twin.stream import position_of
from twinproof.verify import History, verify_bundle


def made(size: int, time: int, chain_id: int = 1, root: bytes = bytes(32)) -> AnchorEvidence:
    block = AnchorBlock(time=time, chain_id=chain_id)
    block.anchor(size=size, root=root)
    return block.evidence(0)


@pytest.fixture
def store(tmp_path: Path) -> AnchorStore:
    return AnchorStore(tmp_path / "chain" / "anchors.db")


def test_a_store_without_a_file_is_empty(store: AnchorStore, tmp_path: Path) -> None:
    assert (store.all(), store.chains(), store.nearest(1, 1), store.steps(1, 99)) == ([], [], None, [])
    store.remove(made(1, START))
    assert list(tmp_path.iterdir()) == [], "reading makes nothing"


def test_what_is_added_is_there(store: AnchorStore, tmp_path: Path) -> None:
    first, second = made(5, START + 1), made(9, START + 2, chain_id=2)
    assert store.add(second).size == 9
    assert store.add(first).time == START + 1
    again = AnchorStore(tmp_path / "chain" / "anchors.db")
    assert again.all() == [first, second]
    assert again.chains() == [1, 2]
    assert again.add(first).size == 5
    assert again.all() == [first, second]
    store.remove(first)
    store.remove(first)
    assert again.all() == [second]


def test_nearest_is_the_earliest_block_that_holds_as_much(store: AnchorStore) -> None:
    anchors = {(size, time): made(size, START + time) for size, time in ((4, 10), (6, 30), (8, 20), (12, 40))}
    for evidence in anchors.values():
        store.add(evidence)
    store.add(made(2, START, chain_id=7))
    found = [store.nearest(size, 1) for size in range(1, 14)]
    assert found == [anchors[4, 10]] * 4 + [anchors[8, 20]] * 4 + [anchors[12, 40]] * 4 + [None]
    assert [size for size, _ in store.steps(1, 99)] == [4, 8, 12]
    assert [size for size, _ in store.steps(1, 11)] == [4, 8]
    assert [size for size, _ in store.steps(1, 7)] == [4, 6], "what is beyond the head is not there"
    assert [store.read(key) for _, key in store.steps(1, 11)] == [anchors[4, 10], anchors[8, 20]]
    with pytest.raises(NotFound):
        store.read(bytes(32))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (replace(made(5, START), chain_id=2), BadProof),
        (replace(made(5, START), position=1), BadProof),
        (replace(made(5, START), receipt=()), Malformed),
        (replace(made(5, START), chain_id=1 << 63), Malformed),
        (replace(made(5, START), header=bytes(1 << 16)), Malformed),
    ],
    ids=["chain", "position", "no nodes", "chain id", "too large"],
)
def test_what_does_not_hold_is_not_kept(store: AnchorStore, bad: AnchorEvidence, error: type[Exception]) -> None:
    with pytest.raises(error):
        store.add(bad)
    assert store.all() == []


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"not a database, " * 99)
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE entry (x)")
    other.close()
    (tmp_path / "folder").mkdir()
    for name, error in (("text", Corrupt), ("other", Corrupt), ("folder", StorageFailed)):
        strange = AnchorStore(tmp_path / name)
        with pytest.raises(error, match=name):
            strange.all()
        with pytest.raises(error, match=name):
            strange.add(made(5, START))
    (tmp_path / "empty").touch()
    assert AnchorStore(tmp_path / "empty").all() == []
    assert AnchorStore(tmp_path / "empty").add(made(5, START)).size == 5


def test_a_store_on_a_disk_that_cannot_be_written_is_read(store: AnchorStore, tmp_path: Path) -> None:
    store.add(made(5, START))
    path = tmp_path / "chain" / "anchors.db"
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert len(store.all()) == 1
    finally:
        path.parent.chmod(0o700)


# --- bundles ----------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path: Path) -> Iterator[WritingNode]:
    """A node with ten entries: genesis, a grant, eight readings."""
    init_node(tmp_path / "node", ORIGIN, OPERATOR_IRI, clock=ManualClock(START))
    with open_node(tmp_path / "node", clock=ManualClock(START + 60)) as node:
        script = continue_log(node)
        script.grant(DEVICE, {Capability.RECORD})
        for number in range(8):
            script.record(DEVICE, float(number), at=START + number)
        node.writer.append([Entry(position_of(raw), raw) for raw in script.raws[1:]])
        yield node


def anchor(node: WritingNode, size: int, time: int, chain_id: int = 1) -> AnchorBlock:
    block = AnchorBlock(time=time, chain_id=chain_id)
    block.fill(2)
    at = block.anchor(size=size, root=node.reader.root(size))
    node.anchors.add(block.evidence(at))
    return block


def verified(node: WritingNode, *blocks: AnchorBlock) -> History:
    policy = parse_policy((node.folder / "policy.txt").read_bytes())
    trust = AnchorTrust(frozenset(block.hash for block in blocks))
    return verify_bundle(node.evidence.bundle(TWIN, "tests"), policy, anchors=trust)


def test_a_bundle_takes_the_earliest_block_for_each_entry(node: WritingNode) -> None:
    made = ((1, 90), (2, 91), (4, 100), (5, 120), (6, 110), (10, 130))
    blocks = [anchor(node, size, START + time) for size, time in made]
    history = verified(node, *blocks)
    assert [found.head.size for found in history.anchors] == [1, 2, 4, 6, 10]
    bounds = [(entry.time.anchored or 0) - START for entry in history.entries]
    assert bounds == [100] * 2 + [110] * 2 + [130] * 4
    assert history.remarks == ()


def test_every_chain_gives_its_own(node: WritingNode) -> None:
    mine, theirs = anchor(node, 10, START + 50), anchor(node, 10, START + 99, chain_id=2)
    assert {entry.time.anchored for entry in verified(node, mine).entries} == {START + 50}
    assert {entry.time.anchored for entry in verified(node, theirs).entries} == {START + 99}


def test_a_bundle_without_anchors_is_as_before(node: WritingNode) -> None:
    assert parse_bundle(node.evidence.bundle(TWIN, "tests")).anchors == ()
    assert not (node.folder / ANCHORS).exists()
    anchor(node, 10, START)
    node.anchors.remove(node.anchors.all()[0])
    assert parse_bundle(node.evidence.bundle(TWIN, "tests")).anchors == ()


def test_a_reader_beside_the_node_sees_them(node: WritingNode) -> None:
    anchor(node, 10, START + 50)
    with read_node(node.folder) as reader:
        assert len(parse_bundle(reader.evidence.bundle(TWIN, "tests")).anchors) == 1


def test_anchors_beyond_the_head_wait(node: WritingNode) -> None:
    anchor(node, 10, START + 50)
    block = AnchorBlock(time=START + 40, chain_id=1)
    node.anchors.add(block.evidence(block.anchor(size=11, root=bytes(32))))
    assert [found.head.size for found in verified(node).anchors] == [10]


def test_an_anchor_of_a_fork_is_told(node: WritingNode) -> None:
    block = AnchorBlock(time=START, chain_id=1)
    node.anchors.add(block.evidence(block.anchor(size=7, root=bytes(32))))
    with pytest.raises(Corrupt, match=r"another root for 7 entries.* one of the two is a fork"):
        node.evidence.bundle(TWIN, "tests")


def test_anchors_are_thinned_and_the_last_stays(node: WritingNode, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [anchor(node, size, START + size) for size in range(1, 11)]
    monkeypatch.setattr(evidence_module, "MAX_ANCHORS", 4)
    history = verified(node, *blocks)
    assert [found.head.size for found in history.anchors] == [2, 5, 7, 10]
    assert all((entry.time.anchored or 0) > START + entry.index for entry in history.entries)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 20)), max_size=8, unique=True))
def test_steps_bound_as_well_as_all(pairs: list[tuple[int, int]]) -> None:
    with TemporaryDirectory() as folder:
        store = AnchorStore(Path(folder) / "anchors.db")
        for size, time in pairs:
            store.add(made(size, time))
        steps = store.steps(1, 9)
        for index in range(10):
            best = min((time for size, time in pairs if size > index), default=None)
            key = next((key for size, key in steps if size > index), None)
            assert best == (None if key is None else check_anchor(store.read(key)).time)
            nearest = store.nearest(index + 1, 1)
            assert best == (None if nearest is None else check_anchor(nearest).time)
