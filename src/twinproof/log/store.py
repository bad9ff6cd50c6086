"""What a log needs from its storage: entries, positions, tiles, one head, a history of checkpoints.

A store keeps bytes and compares nothing but sizes and roots; hashing and signing are the writer's.

Duties of every implementation:

- **Durability.** When a write returns, what it wrote survives a power cut. When it raises
  `StorageFailed`, the write may or may not have happened: the caller finds out by reading `head()`.
  A write is never there in part.
- **Concurrency.** At most one process at a time holds a store open for writing (a backend with many
  clients may leave that to the compare-and-swap alone). Reads may come from any thread at any time,
  see only finished writes, and never wait for a writer.
- **Retry.** Every write may be repeated: `commit` refuses with `Conflict` when it has already
  happened, the others change nothing the second time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from twinproof.errors import Conflict

MAX_KEY: Final = 64
"""Bytes of an entry's position key."""
MAX_ENTRY: Final = 0xFFFF
"""Bytes of an entry; C2SP entry bundles give its length in 16 bits."""
MAX_CONFLICTS: Final = 10_000
"""Refused entries kept as evidence; later ones are refused without being kept."""
KEEP_EVERY: Final = 60
"""Seconds: of the older checkpoints the first of each such period is kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is appended."""

    key: bytes
    """The position that the entry takes, unique in the log: 1..64 bytes, opaque."""
    data: bytes
    """1..65,535 bytes."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest signed tree head."""

    size: int
    root: bytes
    """32 bytes."""
    checkpoint: bytes
    """The signed note over size and root, with whatever cosignatures it has gathered."""
    time: int
    """POSIX seconds when it was signed; never lower than that of the head before."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one commit writes, all of it or nothing."""

    entries: Sequence[Entry]
    """In log order, from the old head's size on."""
    tiles: Sequence[tuple[int, int, bytes]]
    """(level, n, hashes): every tile whose content changes; it replaces a narrower one."""
    head: Head


class KeptCheckpoint(NamedTuple):
    """A checkpoint of the history: a time mark for evidence."""

    size: int
    time: int
    """POSIX seconds."""
    note: bytes


@dataclass(frozen=True, slots=True)
class KeptConflict:
    """An entry that was refused because another one holds its position."""

    key: bytes
    index: int
    """Where the accepted entry is."""
    data: bytes
    """The refused entry."""
    time: int
    """POSIX seconds."""


class Store(Protocol):
    """One log's storage. Reads raise `StorageFailed` if the disk does and `Corrupt` for bytes that cannot be."""

    def head(self) -> Head | None:
        """The newest head; None before the first commit."""

    def commit(self, expected: Head | None, group: Group) -> None:
        """Write `group` at once if the head still has the size and root of `expected` (None: no head yet).

        The old head moves into the history if no checkpoint of its period is there and the log grows.
        Raises `Conflict`, with nothing written, if the head is another one or a key is taken, and
        `StorageFailed`, with nothing or everything written, if the disk refuses.
        """

    def entries(self, start: int, end: int) -> list[bytes]:
        """Entries `start` to `end` - 1, all of them; raises `NotFound` naming the first that is missing."""

    def tile(self, level: int, n: int) -> bytes:
        """A hash tile, as wide as stored (32 to 8,192 bytes); raises `NotFound`."""

    def find(self, key: bytes) -> int | None:
        """The index of the entry at position `key`."""

    def find_many(self, keys: Collection[bytes]) -> dict[bytes, int]:
        """The indices of those of `keys` that are taken, by key; one question however many keys."""

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[tuple[bytes, int]]:
        """Up to `limit` (key, index) whose key begins with `prefix` and is greater than `after`, in key order."""

    def last(self, prefix: bytes) -> tuple[bytes, int] | None:
        """The greatest key that begins with `prefix`, and its index."""

    def checkpoints(self, after: int = -1, limit: int | None = None) -> list[KeptCheckpoint]:
        """The history and, as its newest, the head, by size; only sizes over `after`, at most `limit`."""

    def checkpoint_at_or_after(self, size: int) -> KeptCheckpoint | None:
        """The smallest kept checkpoint of at least `size` entries."""

    def checkpoint_at_or_before(self, size: int) -> KeptCheckpoint | None:
        """The largest kept checkpoint of at most `size` entries."""

    def replace_checkpoint(self, size: int, note: bytes, time: int | None = None) -> None:
        """Put `note`, the same text with more signatures, in the place of the checkpoint of `size`.

        With `time` (its signing time) a checkpoint that has been thinned out is put back into the
        history: cosignatures arrive while the log moves on. Without it, raises `NotFound` for that.
        Raises `Conflict` if the stored text differs.
        """

    def keep_conflict(self, key: bytes, index: int, data: bytes, time: int) -> None:
        """Keep a refused entry as evidence: the first one of each key, and `MAX_CONFLICTS` in all."""

    def conflicts(self) -> list[KeptConflict]:
        """The refused entries, by key."""

    def close(self) -> None:
        """Release everything; every later call raises `StorageFailed`."""


# --- what implementations share ---------------------------------------------------------------


def note_text(note: bytes) -> bytes:
    """The signed part of a note's bytes."""
    return note.rpartition(b"\n\n")[0]


def require_same_text(size: int, old: bytes, new: bytes) -> None:
    """Raise `Conflict` unless both notes sign the same text: a replacement must not become a fork."""
    if note_text(old) != note_text(new):
        raise Conflict(f"the checkpoint of size {size} has another text than the note that should replace it")


def require_head(expected: Head | None, size: int | None, root: bytes | None) -> None:
    """The compare of the compare-and-swap, None for no head; notes are left out because cosignatures change them."""
    if (size, root) != ((expected.size, expected.root) if expected else (None, None)):
        wanted = f"{expected.size} entries" if expected else "none"
        here = "none" if size is None else f"{size} entries"
        raise Conflict(f"the log's head ({here}) is not the expected one ({wanted}): another writer was here")


def opens_period(time: int, previous: int | None, keep_every: int) -> bool:
    """Whether a checkpoint of `time` is the first of its period, the newest kept one being of `previous`."""
    return previous is None or keep_every <= 0 or time // keep_every > previous // keep_every


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key greater than every key with `prefix`; None if there is none."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,)) if head else None
