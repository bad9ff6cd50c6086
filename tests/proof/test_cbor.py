"""Deterministic CBOR: RFC 8949's examples, one refusal for each rule, the limits."""

from __future__ import annotations

from math import inf, isnan, nan
from typing import Any

import pytest

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.proof.cbor import Tagged

# RFC 8949 appendix A, all rows that this subset has.
EXAMPLES: list[tuple[str, Any]] = [
    ("00", 0),
    ("01", 1),
    ("0a", 10),
    ("17", 23),
    ("1818", 24),
    ("1819", 25),
    ("1864", 100),
    ("1903e8", 1000),
    ("1a000f4240", 1000000),
    ("1b000000e8d4a51000", 1000000000000),
    ("1bffffffffffffffff", 18446744073709551615),
    ("3bffffffffffffffff", -18446744073709551616),
    ("20", -1),
    ("29", -10),
    ("3863", -100),
    ("3903e7", -1000),
    ("f90000", 0.0),
    ("f93c00", 1.0),
    ("fb3ff199999999999a", 1.1),
    ("f93e00", 1.5),
    ("f97bff", 65504.0),
    ("fa47c35000", 100000.0),
    ("fa7f7fffff", 3.4028234663852886e38),
    ("fb7e37e43c8800759c", 1.0e300),
    ("f90001", 5.960464477539063e-8),
    ("f90400", 0.00006103515625),
    ("f9c400", -4.0),
    ("fbc010666666666666", -4.1),
    ("f97c00", inf),
    ("f9fc00", -inf),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("c11a514b67b0", Tagged(1, 1363896240)),
    ("c1fb41d452d9ec200000", Tagged(1, 1363896240.5)),
    ("d74401020304", Tagged(23, bytes.fromhex("01020304"))),
    ("d818456449455446", Tagged(24, b"dIETF")),
    ("c249010000000000000000", Tagged(2, bytes.fromhex("010000000000000000"))),
    ("40", b""),
    ("4401020304", bytes.fromhex("01020304")),
    ("60", ""),
    ("6161", "a"),
    ("6449455446", "IETF"),
    ("62225c", '"\\'),
    ("62c3bc", "ü"),
    ("63e6b0b4", "水"),
    ("64f0908591", "𐅑"),
    ("80", []),
    ("83010203", [1, 2, 3]),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("98190102030405060708090a0b0c0d0e0f101112131415161718181819", list(range(1, 26))),
    ("a0", {}),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("826161a161626163", ["a", {"b": "c"}]),
    ("a56161614161626142616361436164614461656145", {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"}),
]

SHORTEST = "not the shortest form"
RESERVED = "indefinite length or reserved form"
SIMPLE = "simple value or break that is not accepted"
FLOAT = "float is not in its shortest form"
NAN = "NaN is not the canonical one"
UTF8 = "text is not UTF-8"
ORDER = "map key is repeated or out of order"
KEY = "map key is neither integer nor text"
SHORT = "ends in the middle of an item"
DEEP = "nested too deep"

REFUSED: list[tuple[str, str]] = [
    # long forms of arguments, for every major type and every size
    ("1817", f"{SHORTEST} at byte 0"),
    ("1900ff", f"{SHORTEST} at byte 0"),
    ("1a0000ffff", f"{SHORTEST} at byte 0"),
    ("1b00000000ffffffff", f"{SHORTEST} at byte 0"),
    ("1b0000000000000000", f"{SHORTEST} at byte 0"),
    ("3800", f"{SHORTEST} at byte 0"),
    ("3900ff", f"{SHORTEST} at byte 0"),
    ("5800", f"{SHORTEST} at byte 0"),
    ("590001ff", f"{SHORTEST} at byte 0"),
    ("780161", f"{SHORTEST} at byte 0"),
    ("9800", f"{SHORTEST} at byte 0"),
    ("82001800", f"{SHORTEST} at byte 2"),
    ("b800", f"{SHORTEST} at byte 0"),
    ("d80100", f"{SHORTEST} at byte 0"),
    ("d9001200", f"{SHORTEST} at byte 0"),
    ("a1181700", f"{SHORTEST} at byte 1"),
    # indefinite lengths, breaks, reserved arguments
    ("5f4101ff", f"{RESERVED} at byte 0"),
    ("7f6161ff", f"{RESERVED} at byte 0"),
    ("9f01ff", f"{RESERVED} at byte 0"),
    ("bf0102ff", f"{RESERVED} at byte 0"),
    ("829f01ff00", f"{RESERVED} at byte 1"),
    ("1c", f"{RESERVED} at byte 0"),
    ("3d", f"{RESERVED} at byte 0"),
    ("5e", f"{RESERVED} at byte 0"),
    ("1f", f"{RESERVED} at byte 0"),
    ("df00", f"{RESERVED} at byte 0"),
    ("ff", f"{SIMPLE} at byte 0"),
    ("8100ff", "1 bytes after the item"),
    # simple values
    ("f7", f"{SIMPLE} at byte 0"),
    ("e0", f"{SIMPLE} at byte 0"),
    ("f3", f"{SIMPLE} at byte 0"),
    ("f814", f"{SIMPLE} at byte 0"),
    ("f8ff", f"{SIMPLE} at byte 0"),
    ("fc", f"{SIMPLE} at byte 0"),
    ("81fd", f"{SIMPLE} at byte 1"),
    ("fe", f"{SIMPLE} at byte 0"),
    # floats that a shorter form holds
    ("fa00000000", f"{FLOAT} at byte 0"),
    ("fa3f800000", f"{FLOAT} at byte 0"),
    ("fa80000000", f"{FLOAT} at byte 0"),
    ("fa7f800000", f"{FLOAT} at byte 0"),
    ("fa33800000", f"{FLOAT} at byte 0"),
    ("fb3ff0000000000000", f"{FLOAT} at byte 0"),
    ("fb47efffffe0000000", f"{FLOAT} at byte 0"),
    ("fb36a0000000000000", f"{FLOAT} at byte 0"),
    ("fb7ff0000000000000", f"{FLOAT} at byte 0"),
    ("8100fb", "1 bytes after the item"),
    ("82f93c00fa3f800000", f"{FLOAT} at byte 4"),
    # other NaNs: signalling, negative, with payload, wider
    ("f97e01", f"{NAN} at byte 0"),
    ("f97c01", f"{NAN} at byte 0"),
    ("f9fe00", f"{NAN} at byte 0"),
    ("fa7fc00000", f"{NAN} at byte 0"),
    ("fb7ff8000000000000", f"{NAN} at byte 0"),
    ("fb7ff8000000000001", f"{NAN} at byte 0"),
    # text
    ("61ff", f"{UTF8} at byte 0"),
    ("62c328", f"{UTF8} at byte 0"),
    ("62c080", f"{UTF8} at byte 0"),
    ("63eda080", f"{UTF8} at byte 0"),
    ("64f4908080", f"{UTF8} at byte 0"),
    ("a161ff00", f"{UTF8} at byte 1"),
    # maps
    ("a202000100", f"{ORDER} at byte 3"),
    ("a201000100", f"{ORDER} at byte 3"),
    ("a220000100", f"{ORDER} at byte 3"),
    ("a2616200616100", f"{ORDER} at byte 4"),
    ("a2616100616100", f"{ORDER} at byte 4"),
    ("a262616100616200", f"{ORDER} at byte 5"),
    ("a26161000100", f"{ORDER} at byte 4"),
    ("a1f500", f"{KEY} at byte 1"),
    ("a1f600", f"{KEY} at byte 1"),
    ("a1f93c0000", f"{KEY} at byte 1"),
    ("a1400000", f"{KEY} at byte 1"),
    ("a1800000", f"{KEY} at byte 1"),
    ("a1a00000", f"{KEY} at byte 1"),
    ("a1c10100", f"{KEY} at byte 1"),
    # the wrong number of bytes
    ("", SHORT),
    ("0000", "1 bytes after the item"),
    ("f6000000", "3 bytes after the item"),
    ("18", SHORT),
    ("1901", SHORT),
    ("1b00000000000000", SHORT),
    ("41", SHORT),
    ("4200", SHORT),
    ("6261", SHORT),
    ("81", SHORT),
    ("8200", SHORT),
    ("a1", SHORT),
    ("a10100a1", "1 bytes after the item"),
    ("a101", SHORT),
    ("c1", SHORT),
    ("f9", SHORT),
    ("f93c", SHORT),
    ("fa47c350", SHORT),
    ("fb3ff19999999999", SHORT),
    # lengths that nobody could send
    ("5bffffffffffffffff", SHORT),
    ("5a7fffffff00", SHORT),
    ("7bffffffffffffffff", SHORT),
    ("9bffffffffffffffff", SHORT),
    ("9affffffff00", SHORT),
    ("bbffffffffffffffff", SHORT),
    ("bb80000000000000000100", SHORT),
    ("ba7fffffff0100", SHORT),
    # depth
    ("81" * 17, f"{DEEP} at byte 16"),
    ("a100" * 17, f"{DEEP} at byte 32"),
    ("c1" * 17, f"{DEEP} at byte 16"),
    ("81" * 100000, f"{DEEP} at byte 16"),
    ("d9d9f7" * 40, f"{DEEP} at byte 48"),
]


@pytest.mark.parametrize(("encoded", "value"), EXAMPLES)
def test_examples_of_the_rfc(encoded: str, value: Any) -> None:
    data = bytes.fromhex(encoded)
    assert cbor.encode(value) == data
    decoded = cbor.decode(data)
    assert decoded == value
    assert type(decoded) is type(value)
    assert cbor.skip(data, 0) == len(data)


def test_the_table_of_refusals_is_whole() -> None:
    assert len({encoded for encoded, _ in REFUSED}) == len(REFUSED) == 105


@pytest.mark.parametrize(("encoded", "message"), REFUSED, ids=[encoded[:24] for encoded, _ in REFUSED])
def test_each_refusal_names_its_rule_and_byte(encoded: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(bytes.fromhex(encoded), what="thing")
    assert str(caught.value) == f"thing: {message}"
    assert caught.value.field == "thing"
    assert (type(caught.value) is TooLarge) == message.startswith(DEEP)


def test_nan_and_zeros() -> None:
    assert cbor.encode(nan) == bytes.fromhex("f97e00")
    assert isnan(cbor.decode(bytes.fromhex("f97e00")))
    assert cbor.encode(-0.0) == bytes.fromhex("f98000")
    assert str(cbor.decode(bytes.fromhex("f98000"))) == "-0.0"
    assert cbor.encode([0.0, 0, False]) == bytes.fromhex("83f9000000f4")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (65504.0, "f97bff"),  # the largest half
        (65505.0, "fa477fe100"),
        (65519.99, "fb40effdffae147ae1"),  # rounds to the largest half and is not it
        (65520.0, "fa477ff000"),  # overflows a half
        (2.0**-24, "f90001"),
        (2.0**-25, "fa33000000"),
        (2.0**-149, "fa00000001"),
        (2.0**-150, "fb3690000000000000"),
        (5e-324, "fb0000000000000001"),
        (16777217.0, "fb4170000010000000"),
        (3.4028235677973366e38, "fb47effffff0000000"),  # overflows a single
    ],
)
def test_the_shortest_float_is_chosen_at_each_border(value: float, encoded: str) -> None:
    assert cbor.encode(value).hex() == encoded
    assert cbor.decode(bytes.fromhex(encoded)) == value


def test_map_keys_are_sorted_bytewise() -> None:
    # RFC 8949 §4.2.1 lists this order; RFC 7049 put -1 before 100 (length first).
    value = {"aa": 5, "z": 4, -1: 3, 100: 2, 10: 1}
    assert list(cbor.decode(cbor.encode(value))) == [10, 100, -1, "z", "aa"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**64, "needs more than 64 bits"),
        (-(2**64) - 1, "needs more than 64 bits"),
        (Tagged(2**64, 0), "needs more than 64 bits"),
        (Tagged(-1, 0), "-1 is no tag number"),
        ({1.0: 0}, "a map key must be int or text, not float"),
        ({True: 0}, "a map key must be int or text, not bool"),
        ({b"a": 0}, "a map key must be int or text, not bytes"),
        ({None: 0}, "a map key must be int or text, not NoneType"),
        ("\ud800", "lone surrogate"),
        ({"\udfff": 0}, "lone surrogate"),
        ({1, 2}, "no CBOR for set"),
        (bytearray(b"a"), "no CBOR for bytearray"),
        (1j, "no CBOR for complex"),
        (object(), "no CBOR for object"),
    ],
)
def test_what_has_no_encoding(value: Any, message: str) -> None:
    with pytest.raises(cbor.EncodeError, match=message):
        cbor.encode(value)
    with pytest.raises(cbor.EncodeError, match=message):
        cbor.encode([{"a": value}])


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {1: x}, lambda x: Tagged(1, x), lambda x: (x,)])
def test_encoder_and_decoder_agree_on_depth(wrap: Any) -> None:
    value: Any = 0
    for _ in range(cbor.MAX_DEPTH):
        value = wrap(value)
    assert cbor.encode(cbor.decode(cbor.encode(value))) == cbor.encode(value)
    empty: Any = []
    for _ in range(cbor.MAX_DEPTH):
        empty = wrap(empty)
    for too_deep in (wrap(value), empty):
        with pytest.raises(cbor.EncodeError, match="nested deeper than 16"):
            cbor.encode(too_deep)


def test_max_depth_is_the_callers() -> None:
    assert cbor.decode(b"\x81\x81\x00", max_depth=2) == [[0]]
    with pytest.raises(TooLarge, match="nested too deep at byte 1"):
        cbor.decode(b"\x81\x81\x00", max_depth=1)
    assert cbor.decode(b"\x00", max_depth=0) == 0


# --- sequences ------------------------------------------------------------------------------


def test_a_sequence_is_split_into_its_items() -> None:
    items = [bytes.fromhex(encoded) for encoded, _ in EXAMPLES]
    assert cbor.decode_sequence(b"".join(items), limit=len(items)) == items
    assert cbor.decode_sequence(b"", limit=0) == []
    assert cbor.decode_sequence(b"\x81" * 5000 + b"\x00", limit=1) == [b"\x81" * 5000 + b"\x00"]


def test_a_sequence_has_a_limit() -> None:
    assert len(cbor.decode_sequence(bytes(3), limit=3)) == 3
    with pytest.raises(TooLarge, match="seq: more than 3 items"):
        cbor.decode_sequence(bytes(4), what="seq", limit=3)


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ("001817", f"item 1: {SHORTEST} at byte 1"),
        ("00009f01ff", f"item 2: {RESERVED} at byte 2"),
        ("ff", f"item 0: {SIMPLE} at byte 0"),
        ("00f7", f"item 1: {SIMPLE} at byte 1"),
        ("f814", f"item 0: {SIMPLE} at byte 0"),
        ("004200", "item 1 ends in the middle"),
        ("8200", "item 0 ends in the middle"),
        ("a101", "item 0 ends in the middle"),
        ("f9", "item 0 ends in the middle"),
        ("18", "item 0 ends in the middle"),
        ("9bffffffffffffffff", "item 0 ends in the middle"),
        ("bbffffffffffffffff", "item 0 ends in the middle"),
        ("5bffffffffffffffff", "item 0 ends in the middle"),
    ],
)
def test_a_damaged_sequence_is_refused(encoded: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode_sequence(bytes.fromhex(encoded), what="seq", limit=9)
    assert str(caught.value) == f"seq: {message}"
