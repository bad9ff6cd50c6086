"""Whatever is sent: the same again when replayed, restarted or compacted; and no bytes are a defect."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import rlp as foreign_rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from tests.chain.embedded_rig import (
    ADDRESSES,
    BURN,
    CHAIN_ID,
    DIE,
    FAIL,
    P256,
    REFUSE,
    SHA_LOOP,
    STORE,
    Rig,
    deploying,
    signed,
    words,
)
from twinproof.chain import rlp
from twinproof.chain.embedded import replay
from twinproof.chain.encoding import EMPTY_TRIE, ordered_root
from twinproof.chain.transactions import parse_transaction, read_transaction
from twinproof.errors import ChainError, Malformed, TwinproofError

CODES = (STORE, REFUSE, SHA_LOOP, BURN, FAIL, P256, DIE)
STEP = st.tuples(
    st.integers(0, 2),  # sender
    st.integers(0, len(CODES) + 1),  # which contract; beyond: a transfer, a creation
    st.integers(0, 3),  # first word
    st.integers(0, 2),  # second word
    st.sampled_from([45_000, 60_000, 90_000]),
)


class Player:
    """Contracts at the same addresses on every chain, then steps."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.contracts = [rig.deploy(code) for code in CODES]
        self.nonces = [rig.chain.nonce(address) for address in ADDRESSES]

    def raw(self, step: tuple[int, int, int, int, int]) -> bytes:
        sender, which, first, second, gas = step
        nonce = self.nonces[sender]
        self.nonces[sender] += 1
        if which < len(CODES):
            return signed(sender, nonce, to=self.contracts[which], data=words(first, second), gas=gas)
        if which == len(CODES):
            return signed(sender, nonce, to=bytes(19) + bytes((0x50 + first,)), value=second, gas=gas)
        return signed(sender, nonce, data=deploying(STORE + bytes(second)), gas=gas + 60_000)

    def state(self) -> object:
        """What does not depend on fees."""
        chain = self.rig.chain
        slots = [self.rig.slots(contract, range(4)) for contract in self.contracts]
        transfers = [chain.balance(bytes(19) + bytes((0x50 + n,))) for n in range(4)]
        return slots, transfers, [chain.nonce(address) for address in ADDRESSES]


@given(steps=st.lists(STEP, min_size=1, max_size=10), cut=st.integers(0, 10))
@settings(max_examples=12)
def test_restarted_compacted_and_replayed_it_is_the_same_chain(
    steps: list[tuple[int, int, int, int, int]], cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory, file = Player(Rig()), Player(Rig(Path(folder) / "chain.db", keep_states=1))
        engine = file.rig.chain._engine
        for number, step in enumerate(steps):
            if number == cut:
                file.rig.chain.compact()
                file.rig.chain.close()
                file.rig = Rig(Path(folder) / "chain.db", None, engine=engine)
            assert memory.rig.chain.send(memory.raw(step)) == file.rig.chain.send(file.raw(step))
            assert memory.rig.chain.head() == file.rig.chain.head()
        head = file.rig.chain.head()
        assert file.state() == memory.state()
        file.rig.chain.close()
        done = replay(Path(folder) / "chain.db", engine=engine)
        assert (done.head, done.state_root) == (head.hash, head.state_root)


@given(steps=st.lists(STEP, min_size=2, max_size=10))
@settings(max_examples=12)
def test_one_block_or_many(steps: list[tuple[int, int, int, int, int]]) -> None:
    one, many = Player(Rig()), Player(Rig())
    hashes = one.rig.chain.send_many([one.raw(step) for step in steps])
    assert hashes == [many.rig.chain.send(many.raw(step)) for step in steps]
    assert one.state() == many.state()
    for digest in hashes:
        first, second = one.rig.receipt(digest), many.rig.receipt(digest)
        assert (first.succeeded, first.gas_used, first.contract) == (second.succeeded, second.gas_used, second.contract)
        assert [log.data for log in first.logs] == [log.data for log in second.logs]
    assert sum(one.rig.receipt(digest).gas_used for digest in hashes) == one.rig.chain.head().gas_used


GOOD = [
    signed(0, 0, to=ADDRESSES[1], value=1),
    signed(0, 0, to=ADDRESSES[1], value=1, gasPrice=10**10),
    signed(0, 0, to=ADDRESSES[1], gasPrice=10**10, type="0x1", accessList=[(ADDRESSES[2], [words(1)])]),
    signed(0, 0, data=deploying(STORE), gas=500_000, accessList=[(ADDRESSES[2], [])]),
]


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig()


@given(raw=st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"\x02\xf8" + tail))
@settings(max_examples=300)
def test_no_bytes_are_a_defect(rig: Rig, raw: bytes) -> None:
    with pytest.raises(TwinproofError) as caught:
        rig.chain.send(raw)
    assert isinstance(caught.value, (ChainError, Malformed)) or caught.value.code == "bad-signature"


@given(which=st.sampled_from(range(len(GOOD))), at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=400)
def test_no_changed_transaction_is_a_defect(rig: Rig, which: int, at: int, byte: int, cut: bool) -> None:
    raw = GOOD[which]
    at %= len(raw)
    changed = raw[:at] if cut else raw[:at] + bytes((byte,)) + raw[at + 1 :]
    token = rig.chain.snapshot()
    if changed == raw:
        assert rig.chain.send(changed) == keccak(raw)
        rig.chain.restore(token)
        return
    # Another signature is another sender's, who has no money.
    with pytest.raises(TwinproofError) as caught:
        rig.chain.send(changed)
    assert isinstance(caught.value, (ChainError, Malformed)) or caught.value.code == "bad-signature"
    assert rig.chain.snapshot() == token


_FIELD = st.binary(max_size=40) | st.lists(st.binary(max_size=33), max_size=3) | st.just(b"") | st.just(b"\x01")


@given(kind=st.sampled_from([b"", b"\x01", b"\x02"]), fields=st.lists(_FIELD, min_size=8, max_size=13))
@settings(max_examples=300)
def test_no_fields_are_a_defect(rig: Rig, kind: bytes, fields: list[object]) -> None:
    with pytest.raises(TwinproofError):
        rig.chain.send(kind + foreign_rlp.encode(fields))


@pytest.mark.parametrize("which", range(len(GOOD)))
def test_transactions_are_read_as_others_write_them(which: int) -> None:
    raw = GOOD[which]
    found = parse_transaction(raw)
    assert (found.sender, found.hash, found.chain_id, found.nonce) == (ADDRESSES[0], keccak(raw), CHAIN_ID, 0)
    assert read_transaction(raw, ADDRESSES[0]) == found


_ITEM = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=5), max_leaves=8)


@given(item=_ITEM)
def test_rlp_is_the_other_librarys(item: rlp.Item) -> None:
    encoded = rlp.encode(item)
    assert encoded == foreign_rlp.encode(item)
    assert rlp.decode(encoded) == item
    if isinstance(item, list):
        assert rlp.list_size(sum(len(rlp.encode(member)) for member in item)) == len(encoded)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 255, 256, 65_535, 65_536])
def test_the_size_of_a_list_is_known_before_it_is_made(size: int) -> None:
    assert rlp.list_size(size) == len(rlp.encode([b"\1"] * size))


def test_lists_in_lists_have_an_end() -> None:
    with pytest.raises(Malformed, match=r"^transaction: .*lists inside each other"):
        parse_transaction(b"\x02" + rlp.encode([[[[[[[[[b""]]]]]]]]]))


@given(data=st.binary(max_size=80))
def test_rlp_has_one_encoding(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except Malformed:
        return
    assert rlp.encode(item) == data


@given(
    values=st.lists(st.binary(min_size=1, max_size=60), max_size=20) | st.integers(100, 300).map(lambda n: [b"x"] * n)
)
@settings(max_examples=40)
def test_the_ordered_root_is_the_other_librarys(values: list[bytes]) -> None:
    tree = HexaryTrie({})
    for number, value in enumerate(values):
        tree[foreign_rlp.encode(number)] = value
    assert ordered_root(values) == (tree.root_hash if values else EMPTY_TRIE)
