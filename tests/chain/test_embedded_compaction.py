"""Old states go; everything else stays, and what is kept is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chain.embedded_rig import ADDRESSES, STORE, Rig, signed, words
from twinproof.chain.embedded import EmbeddedChain, replay
from twinproof.chain.embedded import chain as chain_module
from twinproof.chain.embedded.pyevm import PyEvm
from twinproof.chain.embedded.state import reachable
from twinproof.errors import ChainError, StorageFailed

KEEP = 8
ENGINE = PyEvm()


def nodes(chain: EmbeddedChain) -> set[bytes]:
    return {row[0] for row in chain._store.database.read("SELECT hash FROM node")}


def reached(chain: EmbeddedChain, first: int) -> set[bytes]:
    found: set[bytes] = set()
    for number in range(first, chain.head().number + 1):
        reachable(chain._store.nodes, (chain.block(number) or chain.head()).state_root, found)
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Forty blocks: new slots, changed ones, cleared ones, new accounts."""
    rig = Rig(tmp_path / "chain.db", keep_states=KEEP, engine=ENGINE)
    store = rig.deploy(STORE)
    for number in range(40):
        rig.send(to=store, data=words(number % 17, number % 3))
    return rig


def test_only_old_states_go(rig: Rig) -> None:
    chain = rig.chain
    head = chain.head()
    first = head.number - KEEP + 1
    kept = {number: chain.balance(ADDRESSES[0], block=number) for number in range(first, head.number + 1)}
    receipts = [chain.receipts_of((chain.block(n) or head).hash) for n in range(head.number + 1)]
    logs = chain.logs(first=0, last=head.number)
    before = nodes(chain)
    assert chain.compact() == len(before) - len(nodes(chain)) > 0
    assert nodes(chain) == reached(chain, first)
    assert {number: chain.balance(ADDRESSES[0], block=number) for number in kept} == kept
    with pytest.raises(ChainError, match=f"pruned; the oldest kept is block {first}'s"):
        EmbeddedChain.open(chain._store.database.path, engine=ENGINE).balance(ADDRESSES[0], block=first - 1)
    assert [chain.receipts_of((chain.block(n) or head).hash) for n in range(head.number + 1)] == receipts
    assert chain.logs(first=0, last=head.number) == logs
    assert chain.compact() == 0
    rig.send(to=b"\x01" * 20)
    path = chain._store.database.path
    assert path
    assert replay(path, engine=ENGINE).blocks == head.number + 2


def test_keeping_more_again_brings_nothing_back(rig: Rig) -> None:
    path = rig.chain._store.database.path
    rig.chain.compact()
    first = rig.chain.head().number - KEEP + 1
    wider = EmbeddedChain.open(path, keep_states=30, engine=ENGINE)
    assert wider.compact() == 0
    assert wider.balance(ADDRESSES[0], block=first) > 0
    with pytest.raises(ChainError, match="pruned"):
        wider.balance(ADDRESSES[0], block=first - 1)


def test_a_block_beside_a_compaction_keeps_its_nodes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer makes a node again that is about to be swept: a slot gets the value that it had long ago."""
    chain = rig.chain
    store = chain._store.receipts_of((chain.block(1) or chain.head()).hash)[0].contract
    assert store
    other = Rig(chain._store.database.path, None, engine=ENGINE)
    other.clock.time = rig.clock.time
    asked: list[bool] = []
    read = chain._store.database.read

    def after_marking(sql: str, values: tuple[object, ...] = ()) -> list[object]:
        found = read(sql, values)
        if sql.startswith("SELECT hash FROM node") and not asked:
            asked.append(True)
            for number in range(17):
                other.send(to=store, data=words(number, (number + 2) % 3))
        return found

    monkeypatch.setattr(chain._store.database, "read", after_marking)
    assert chain.compact() > 0
    monkeypatch.undo()
    assert asked
    fresh = EmbeddedChain.open(chain._store.database.path, engine=ENGINE)
    assert reached(fresh, fresh.head().number - 16) <= nodes(fresh)
    assert [int.from_bytes(fresh.storage(store, n), "big") for n in range(17)] == [(n + 2) % 3 for n in range(17)]


def test_it_compacts_by_itself_and_a_full_disk_does_not_hurt(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "COMPACT_EVERY", 45)
    before = len(nodes(rig.chain))
    while rig.chain.head().number < 44:
        rig.send(to=b"\x01" * 20)
    assert len(nodes(rig.chain)) > before
    receipt = rig.send(to=b"\x01" * 20)
    assert (receipt.number, receipt.succeeded) == (45, True)
    assert len(nodes(rig.chain)) < before

    def full(*_: object) -> int:
        raise StorageFailed("full")

    monkeypatch.setattr(chain_module, "compact", full)
    while rig.chain.head().number < 90:
        rig.send(to=b"\x01" * 20)
    assert rig.chain.head().number == 90  # acknowledged all the same


def test_files_get_smaller(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "chain.db", keep_states=2, engine=ENGINE)
    store = rig.deploy(STORE)
    nonce = 1
    for _ in range(5):
        rig.chain.send_many([signed(0, nonce + n, to=store, data=words(nonce + n, 1)) for n in range(60)])
        nonce += 60
    for number in range(20):
        rig.chain.send_many([signed(0, nonce, to=store, data=words(number, 2))])
        nonce += 1
    path = rig.chain._store.database.path
    assert path
    rig.chain._store.database.shrink()
    before = path.stat().st_size
    assert rig.chain.compact() > 0
    assert path.stat().st_size < before
    assert rig.chain._store.database.read("PRAGMA freelist_count") == [(0,)]
