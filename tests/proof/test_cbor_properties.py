"""Deterministic CBOR against arbitrary values, arbitrary bytes and another implementation (cbor2)."""

from __future__ import annotations

from math import isnan
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.proof.cbor import Tagged

INTEGERS = st.integers(-(2**64), 2**64 - 1) | st.integers(-300, 300)
SCALARS = (
    INTEGERS
    | st.binary(max_size=40)
    | st.text(max_size=30)
    | st.booleans()
    | st.none()
    | st.floats(width=64)
    | st.floats(width=32)
    | st.floats(width=16)
)
KEYS = st.integers(-(2**64), 2**64 - 1) | st.integers(-40, 40) | st.text(max_size=5)
# Tags that cbor2 hands over as they are; it turns others into dates, numbers, sets ...
TAGS = st.sampled_from([16, 18, 61, 98, 1000, 2**32, 2**64 - 1])


def nest(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(children, max_size=5) | st.dictionaries(KEYS, children, max_size=5) | st.builds(Tagged, TAGS, children)
    )


VALUES = st.recursive(SCALARS, nest, max_leaves=20).filter(lambda value: depth(value) <= cbor.MAX_DEPTH)
MAPLESS = st.recursive(SCALARS, lambda c: st.lists(c, max_size=5) | st.builds(Tagged, TAGS, c), max_leaves=20).filter(
    lambda value: depth(value) <= cbor.MAX_DEPTH
)


def depth(value: Any) -> int:
    if isinstance(value, Tagged):
        return 1 + depth(value.value)
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def same(a: Any, b: Any) -> bool:
    """Equal in value, type and, for floats, in sign and in being NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (isnan(a) and isnan(b)) or (a == b and str(a) == str(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Tagged):
        return a.tag == b.tag and same(a.value, b.value)
    return bool(a == b)


def from_cbor2(value: Any) -> Any:
    if isinstance(value, cbor2.CBORTag):
        return Tagged(value.tag, from_cbor2(value.value))
    if isinstance(value, list):
        return [from_cbor2(item) for item in value]
    if isinstance(value, dict):
        return {key: from_cbor2(item) for key, item in value.items()}
    return value


def to_cbor2(value: Any) -> Any:
    if isinstance(value, Tagged):
        return cbor2.CBORTag(value.tag, to_cbor2(value.value))
    if isinstance(value, list):
        return [to_cbor2(item) for item in value]
    return value


@given(VALUES)
def test_every_value_comes_back(value: Any) -> None:
    encoded = cbor.encode(value)
    assert same(cbor.decode(encoded), value)
    assert cbor.encode(cbor.decode(encoded)) == encoded
    assert cbor.skip(encoded, 0) == len(encoded)


@given(VALUES)
def test_cbor2_reads_the_same_value(value: Any) -> None:
    assert same(from_cbor2(cbor2.loads(cbor.encode(value))), value)


@given(MAPLESS)
def test_cbor2_writes_the_same_bytes_without_maps(value: Any) -> None:
    # With maps the two differ by design: cbor2's canonical order is RFC 7049's, length first.
    assert cbor2.dumps(to_cbor2(value), canonical=True) == cbor.encode(value)


@given(st.dictionaries(st.integers(-24, 23) | st.text(max_size=1, alphabet="abcxyz"), INTEGERS, max_size=8))
def test_cbor2_writes_the_same_maps_where_both_orders_agree(value: dict[Any, Any]) -> None:
    # Keys of one kind whose encodings are equally long sort alike under RFC 7049 and RFC 8949.
    for kind in (int, str):
        some = {key: item for key, item in value.items() if type(key) is kind and key != ""}
        assert cbor2.dumps(some, canonical=True) == cbor.encode(some)


def test_where_cbor2_sorts_otherwise() -> None:
    value = {100: 1, -1: 2}
    assert cbor.encode(value) == bytes.fromhex("a21864012002")
    assert cbor2.dumps(value, canonical=True) == bytes.fromhex("a22002186401")
    with pytest.raises(Malformed, match="out of order"):
        cbor.decode(cbor2.dumps(value, canonical=True))


def check_any(data: bytes) -> None:
    """decode refuses, or what it accepts is the one encoding of the value; skip and decode_sequence agree."""
    try:
        value = cbor.decode(data)
    except Malformed:
        value = None
        accepted = False
    else:
        accepted = True
        assert cbor.encode(value) == data
        assert cbor.skip(data, 0) == len(data)
        assert cbor.decode_sequence(data, limit=1) == [data]
        assert same(from_cbor2(value), value)
    try:
        items = cbor.decode_sequence(data, limit=1000)
    except Malformed:
        assert not accepted
    else:
        assert b"".join(items) == data
        assert all(items)


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    check_any(data)


# Bytes that look like CBOR: heads of all kinds, often short, so that more of them get far.
HEADS = st.sampled_from([bytes((byte,)) for byte in range(256)]) | st.sampled_from(
    [b"\x18\x18", b"\x81", b"\x82", b"\xa1", b"\xa2\x01", b"\xd2", b"\x41a", b"\x61a", b"\xf9\x3c\x00", b"\xf6"]
)


@given(st.lists(HEADS, max_size=24).map(b"".join))
def test_bytes_like_cbor(data: bytes) -> None:
    check_any(data)


@given(VALUES, st.data())
def test_changed_encodings(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(cbor.encode(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    match data.draw(st.sampled_from(["flip", "drop", "insert", "cut"])):
        case "flip":
            encoded[at] ^= 1 << data.draw(st.integers(0, 7))
        case "drop":
            del encoded[at]
        case "insert":
            encoded.insert(at, data.draw(st.integers(0, 255)))
        case _:
            del encoded[at:]
    check_any(bytes(encoded))


@given(st.lists(VALUES, max_size=6))
def test_a_sequence_splits_where_its_items_end(values: list[Any]) -> None:
    items = [cbor.encode(value) for value in values]
    assert cbor.decode_sequence(b"".join(items), limit=6) == items
