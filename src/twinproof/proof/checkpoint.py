"""C2SP tlog-checkpoint: the text of a signed tree head.

    twin.example/log0                               origin
    3                                               tree size, decimal
    OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=    root, base64
    (optional extension lines)

We write no extension lines: ML-DSA-44 signatures would not cover them. A log never signs two
checkpoints that no consistency proof connects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from twinproof.proof.note import decode_base64, encode_base64

MAX_ORIGIN: Final = 255
"""Bytes of UTF-8; the ML-DSA-44 message holds the length in one byte."""

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


def parse_decimal(text: str, field: str) -> int:
    """An unsigned decimal below 2^63 without sign, space or leading zero; raises `Malformed`."""
    if not _DECIMAL.fullmatch(text) or int(text) >= MAX_SIZE:
        raise Malformed(field, "not a decimal number below 2^63 without leading zeros")
    return int(text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: `origin` names the log, `size` counts its entries, `root` commits to them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note's text as a checkpoint; raises `Malformed` naming the line."""
    if not text.endswith("\n"):
        raise Malformed("checkpoint", "does not end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise Malformed("checkpoint", "needs three or more non-empty lines")
    if len(lines[0].encode()) > MAX_ORIGIN:
        raise Malformed("checkpoint origin", f"longer than {MAX_ORIGIN} bytes")
    size = parse_decimal(lines[1], "checkpoint size")
    root = decode_base64(lines[2], "checkpoint root")
    if len(root) != HASH_SIZE:
        raise Malformed("checkpoint root", f"has {len(root)} bytes, not {HASH_SIZE}")
    if size == 0 and root != EMPTY_ROOT:
        raise Malformed("checkpoint root", "size 0 must have the root of the empty tree")
    return Checkpoint(lines[0], size, root, tuple(lines[3:]))
