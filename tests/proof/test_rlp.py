"""RLP against public vectors and another implementation: every value has one encoding."""

from __future__ import annotations

from typing import Any

import pytest
import rlp as foreign  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.evm_vectors import GENESIS_HEADER, MAINNET_HEADER, RLP_BAD, RLP_GOOD
from twinproof.errors import Malformed
from twinproof.proof import rlp

ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6), max_leaves=20)


@pytest.mark.parametrize("name", RLP_GOOD)
def test_public_vectors(name: str) -> None:
    value, text = RLP_GOOD[name]
    assert rlp.encode(value).hex() == text
    assert rlp.decode(bytes.fromhex(text), "x") == value


@pytest.mark.parametrize("name", RLP_BAD)
def test_public_vectors_of_what_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match=r"^thing: "):
        rlp.decode(bytes.fromhex(RLP_BAD[name]), "thing")


def test_headers_of_the_main_network_are_read_back() -> None:
    for header in (MAINNET_HEADER, GENESIS_HEADER):
        assert rlp.encode(rlp.decode(header, "header")) == header


def depth(value: Any) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(ITEMS)
def test_values_go_there_and_back(value: Any) -> None:
    data = rlp.encode(value)
    assert data == foreign.encode(value)
    if depth(value) <= rlp.MAX_DEPTH:
        assert rlp.decode(data, "x") == value
    else:
        with pytest.raises(Malformed, match="lists inside each other"):
            rlp.decode(data, "x")


@given(st.binary(max_size=80) | st.builds(lambda value, cut: rlp.encode(value)[:cut], ITEMS, st.integers(0, 90)))
def test_what_is_read_is_read_alike_elsewhere(data: bytes) -> None:
    """Both read it, or both refuse it: the other one is strict, too."""
    try:
        mine: Any = rlp.decode(data, "x")
    except Malformed:
        with pytest.raises(foreign.exceptions.DecodingError):
            foreign.decode(data)
        return
    assert rlp.encode(mine) == data
    assert mine == foreign.decode(data)


def test_nesting_ends() -> None:
    assert rlp.decode(b"\xc2\xc1\xc0", "x") == [[[]]]
    nested: Any = []
    for _ in range(rlp.MAX_DEPTH - 1):
        nested = [nested]
    assert rlp.decode(rlp.encode(nested), "x") == nested
    with pytest.raises(Malformed, match="more than 8 lists"):
        rlp.decode(rlp.encode([nested]), "x")
    bomb = b""
    for _ in range(5_000):
        bomb = rlp._length(0xC0, len(bomb)) + bomb
    with pytest.raises(Malformed, match="more than 8 lists"):
        rlp.decode(bomb, "x")


@given(st.integers(0, 1 << 64))
def test_numbers(number: int) -> None:
    item = rlp.decode(rlp.encode_int(number), "x")
    if number < 1 << 64:
        assert rlp.as_int(item, "x") == number
    else:
        with pytest.raises(Malformed):
            rlp.as_int(item, "x")


@pytest.mark.parametrize("item", [b"\0", b"\0\1", bytes(9), b"\1" * 9, [], [b"\1"]], ids=repr)
def test_what_is_no_number(item: Any) -> None:
    with pytest.raises(Malformed, match="thing"):
        rlp.as_int(item, "thing")


def test_shapes_are_required() -> None:
    assert rlp.as_list([b""], "x", 1, 1) == [b""]
    assert rlp.as_bytes(b"ab", "x", 2) == b"ab"
    wrong: Any
    for wrong in (b"", b"a", [], [b""] * 3):
        with pytest.raises(Malformed, match="thing"):
            rlp.as_list(wrong, "thing", 1, 2)
    for wrong in (b"a", b"abc", [], [b"a", b"b"]):
        with pytest.raises(Malformed, match="thing"):
            rlp.as_bytes(wrong, "thing", 2)
