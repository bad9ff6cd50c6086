"""CoseStatement against Python's parser: headers of which several pieces are wrong at once, each signed rightly."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.contracts.forms import KID, PIECES, build
from tests.contracts.kit import World
from tests.contracts.test_cose_statement import PARSED, SIGNED, python_verdict, verdicts
from twinproof.proof import cbor

LENGTHS = (0, 1, 2, 20, 23, 24, 190, 191, 192, 193, 230, 250, 251, 255, 256, 257, 511, 512, 513, 2047, 2048, 2049)
NUMBERS = (0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
CASES = 300


def head(major: int, value: int, width: int | None) -> bytes:
    """A head in the shortest form, or with an argument of `width` bytes, cut if it is too long."""
    if width is None:
        return bytes([cbor.encode(value)[0] | major << 5]) + cbor.encode(value)[1:]
    if width == 0:
        return bytes([major << 5 | value % 24])
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + (value % (1 << 8 * width)).to_bytes(width, "big")


class Pieces:
    """Random entries of a header, mostly nearly right."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self) -> bytes:
        size = self.random.choice(LENGTHS)
        said = self.random.choice(["u:" + "x" * size, "urn:x:" + "y" * size, ("é:/" * size)[:size]]).encode()
        if self.random.random() < 0.1:
            said = said[:-1] + b"\xff"
        off = self.random.choice([0] * 8 + [1, -1]) if said else 0
        return head(self.random.choice([3] * 9 + [2]), len(said) + off, self.width()) + said

    def number(self) -> bytes:
        return head(self.random.choice([0] * 9 + [1]), self.random.choice(NUMBERS), self.width())

    def width(self) -> int | None:
        return self.random.choice([None] * 8 + [0, 1, 2, 4, 8])

    def one(self, name: str) -> bytes:
        choice = self.random.choice
        makers: dict[str, Callable[[], bytes]] = {
            "alg": lambda: choice([b"\x01\x26", b"\x01\x38\x06", b"\x18\x01\x26", b"\x01\x06", b"\x01\x27\x01\x26"]),
            "content type": lambda: b"\x03" + self.text(),
            "kid": lambda: b"\x04" + choice([b"\x58\x20" + KID, b"\x59\x00\x20" + KID, b"\x78\x20" + KID]),
            "claims": lambda: b"\x0f" + choice([b"\xa3", b"\xa2", b"\xa4", b"\xb8\x03", b"\xbf"]),
            "iss": lambda: b"\x01" + self.text(),
            "sub": lambda: b"\x02" + self.text(),
            "iat": lambda: b"\x06" + self.number(),
            "seq": lambda: choice([cbor.encode(-70001)] * 5 + [b"\x3b" + (70000).to_bytes(8, "big")]) + self.number(),
            "prev": lambda: choice([b"", PIECES["prev"], PIECES["prev"][:5] + b"\x5f\x58\x20" + bytes(32) + b"\xff"]),
        }
        return makers[name]()

    def statement(self) -> bytes:
        names = self.random.sample(sorted(PIECES), self.random.choice([1, 1, 2, 2, 3]))
        changes = {name: self.one(name) for name in names}
        if "seq" in changes and self.random.random() < 0.7:
            changes["prev"] = b"" if changes["seq"].endswith(b"\x70\x00") else PIECES["prev"]
        return build(changes)


@pytest.mark.parametrize("seed", [1, 2])
def test_several_pieces_at_once(seed: int) -> None:
    """The contract takes nothing that Python refuses but for characters, and refuses nothing that Python takes."""
    pieces = Pieces(seed)
    raws = [pieces.statement() for _ in range(CASES)]
    both = 0
    for raw, found in zip(raws, verdicts(World().deploy("CoseStatementHarness"), raws), strict=True):
        wanted, field = python_verdict(raw)
        both += found == wanted == PARSED | SIGNED
        if found != wanted:
            assert wanted == 0, raw.hex()
            # "protected header" stands for bytes that are not UTF-8.
            assert field in ("content type", "iss", "sub", "protected header"), raw.hex()
    assert CASES // 20 < both < CASES // 2
