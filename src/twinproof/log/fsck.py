"""Check a log against itself: everything is derived again from the raw entries and compared.

    entries -> leaf hashes -> tiles, roots at every kept checkpoint, the pin and the head
    entries <-> positions, both ways            checkpoints -> signatures, order

Where an entry and its tile disagree, the tile above (or the signed root) tells which of them changed,
and the check goes on with the hash that it vouches for: one damage gives one finding. Memory stays
bounded: one tile per level, one bit per entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, TypeAlias

from twinproof.errors import Corrupt, NotFound, TwinproofError, Untrusted
from twinproof.log.frontier import Frontier
from twinproof.log.pin import AnyPin
from twinproof.log.signing import open_timed
from twinproof.log.store import Head, Store
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.merkle import HASH_SIZE, hash_leaf
from twinproof.proof.note import Verifier
from twinproof.proof.tiles import WIDTH, Tile, tile_hash, tiles_between, width_in

Kind: TypeAlias = Literal["entry", "tile", "position", "head", "checkpoint", "pin", "conflict"]

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    kind: Kind
    where: str
    """Which one: `entry 5`, `tile/0/000`, `size 256`, a key in hex."""
    problem: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.where}): {self.problem}"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A root that the first `size` entries must have."""

    size: int
    root: bytes
    kind: Kind
    where: str


def fsck(
    store: Store,
    *,
    verifiers: Sequence[Verifier],
    pin: AnyPin | None = None,
    key_of: Callable[[bytes], bytes] | None = None,
    check_entry: Callable[[int, bytes], str | None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Finding]:
    """Every defect of the log, as found; nothing for a sound one. The log may be in use meanwhile.

    `verifiers` hold the log's own keys. `key_of` gives the position key that an entry's bytes imply
    (an error of `errors` means that they imply none), `check_entry` what is wrong with an entry in its
    caller's eyes, `progress` is told entries done and in all. Raises `StorageFailed` if the disk does.
    """
    return _Check(store, verifiers, pin, key_of, check_entry, progress).run()


class _Check:
    def __init__(
        self,
        store: Store,
        verifiers: Sequence[Verifier],
        pin: AnyPin | None,
        key_of: Callable[[bytes], bytes] | None,
        check_entry: Callable[[int, bytes], str | None] | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._store = store
        self._verifiers = verifiers
        self._pin = pin
        self._key_of = key_of
        self._check_entry = check_entry
        self._progress = progress
        self._found: list[Finding] = []
        self._origin: str | None = None
        self._frontier = Frontier()
        self._size = 0
        self._root = b""
        self._last_time = 0

    def _report(self, kind: Kind, where: str, problem: str) -> None:
        self._found.append(Finding(kind, where, problem))

    def _drain(self) -> Iterator[Finding]:
        yield from self._found
        self._found.clear()

    def run(self) -> Iterator[Finding]:
        # The pin before the head: a writer at work moves the head first, so the pin is never ahead of it.
        pin_note = self._pin.read() if self._pin else None
        head = self._check_head()
        pinned = self._check_pin(pin_note, head)
        yield from self._drain()
        yield from self._check_tree(self._marks(head, pinned))
        self._check_rest()
        yield from self._drain()
        for section in (self._check_positions, self._check_conflicts):
            yield from section()

    # --- signed things --------------------------------------------------------------------------

    def _open(self, note: bytes, kind: Kind, where: str, time: int | None) -> Checkpoint | None:
        try:
            checkpoint, signed = open_timed(note, self._verifiers, self._origin, "its note")
        except (Corrupt, Untrusted) as problem:
            self._report(kind, where, str(problem))
            return None
        for key, signed_at in ((key, one) for key, times in signed.items() for one in times):
            if time is not None and signed_at != time and key.name == checkpoint.origin:
                self._report(kind, where, f"its time is {time}, but it was signed at {signed_at}")
        return checkpoint

    def _check_head(self) -> Head | None:
        try:
            head = self._store.head()
        except Corrupt as problem:
            self._report("head", "head", str(problem))
            return None
        if head is None:
            self._report("head", "head", "there is none: the log was never opened for writing, or the row is gone")
            return None
        where = f"size {head.size}"
        checkpoint = self._open(head.checkpoint, "head", where, head.time)
        self._size, self._root = head.size, head.root
        if checkpoint is not None:
            self._origin = checkpoint.origin
            if (checkpoint.size, checkpoint.root) != (head.size, head.root):
                self._report("head", where, f"its checkpoint is of size {checkpoint.size} or has another root")
                self._size, self._root = checkpoint.size, checkpoint.root
        return head

    def _check_pin(self, note: bytes | None, head: Head | None) -> _Mark | None:
        if self._pin is None:
            return None
        if note is None:
            self._report("pin", "pin", "there is none, so an older copy of the log would not be noticed")
            return None
        checkpoint = self._open(note, "pin", "pin", None)
        if checkpoint is None:
            return None
        where = f"size {checkpoint.size}"
        if checkpoint.size > self._size:
            self._report("pin", where, f"the log has {self._size} entries: it is an older copy of itself")
            return None
        return _Mark(checkpoint.size, checkpoint.root, "pin", where)

    def _marks(self, head: Head | None, pinned: _Mark | None) -> Iterator[_Mark]:
        """What roots to compare on the way, by size, the head's last."""
        for mark in chain(self._kept(head), [None]):
            if pinned and (mark is None or mark.size >= pinned.size):
                yield pinned
                pinned = None
            if mark:
                yield mark
        if head:
            self._check_order("head", f"size {self._size}", head.time)
            yield _Mark(self._size, self._root, "head", f"size {self._size}")

    def _kept(self, head: Head | None) -> Iterator[_Mark]:
        after = -1
        while True:
            try:
                page = self._store.checkpoints(after, _PAGE)
            except Corrupt as problem:
                self._report("checkpoint", f"after size {after}", str(problem))
                return
            for kept in page:
                after, where = kept.size, f"size {kept.size}"
                if head is None or kept.size >= min(self._size, head.size):
                    return  # the head itself, by what its row or its note says
                checkpoint = self._open(kept.note, "checkpoint", where, kept.time)
                self._check_order("checkpoint", where, kept.time)
                if checkpoint and checkpoint.size != kept.size:
                    self._report("checkpoint", where, f"its note is of size {checkpoint.size}")
                elif checkpoint:
                    yield _Mark(kept.size, checkpoint.root, "checkpoint", where)
            if len(page) < _PAGE:
                return

    def _check_order(self, kind: Kind, where: str, time: int) -> None:
        if time < self._last_time:
            self._report(kind, where, f"its time {time} is before {self._last_time}, that of the one before")
        self._last_time = time

    # --- the tree -------------------------------------------------------------------------------

    def _check_tree(self, marks: Iterator[_Mark]) -> Iterator[Finding]:
        mark = next(marks, None)
        for start in range(0, self._size, WIDTH):
            end = min(start + WIDTH, self._size)
            values = self._check_chunk(start, end)
            while values:
                while mark and mark.size == self._frontier.size:
                    self._check_mark(mark)
                    mark = next(marks, None)
                cut = mark.size - self._frontier.size if mark else len(values)
                for level, n, data in self._frontier.extend(values[:cut]):
                    self._check_tile(level, n, data)
                values = values[cut:]
            yield from self._drain()
            if self._progress:
                self._progress(end, self._size)
        while mark:
            self._check_mark(mark)
            mark = next(marks, None)
        for level, n, data in self._frontier.partial_tiles(0):
            self._check_tile(level, n, data)
        yield from self._drain()

    def _check_mark(self, mark: _Mark) -> None:
        if mark.root != self._frontier.root():
            self._report(mark.kind, mark.where, "the root it signs is not that of the entries")

    def _check_chunk(self, start: int, end: int) -> list[bytes]:
        """Check up to 256 entries; the leaf hashes to go on with."""
        entries = self._entries(start, end)
        derived = [None if entry is None else hash_leaf(entry) for entry in entries]
        believed = self._believe(start // WIDTH, derived)
        for index, entry, own, value in zip(range(start, end), entries, derived, believed, strict=True):
            if entry is not None and own == value:
                self._check_meaning(index, entry)
        return believed

    def _entries(self, start: int, end: int) -> list[bytes | None]:
        try:
            return [*self._store.entries(start, end)]
        except (NotFound, Corrupt):
            return [self._entry(index) for index in range(start, end)]

    def _entry(self, index: int) -> bytes | None:
        try:
            return self._store.entries(index, index + 1)[0]
        except (NotFound, Corrupt) as problem:
            self._report("entry", f"entry {index}", f"cannot be read: {problem}")
            return None

    def _check_meaning(self, index: int, entry: bytes) -> None:
        where = f"entry {index}"
        if self._check_entry and (problem := self._check_entry(index, entry)):
            self._report("entry", where, problem)
        if self._key_of:
            try:
                found = self._store.find(self._key_of(entry))
            except TwinproofError as refusal:
                self._report("position", where, f"its position cannot be told: {refusal}")
                return
            if found is None:
                self._report("position", where, "its position is missing: the same entry could be appended twice")
            elif found != index:
                self._report("position", where, f"its position names entry {found}")

    def _stored_tile(self, level: int, n: int, width: int) -> bytes | None:
        """A stored tile cut to `width`; None, reported, if it is missing or too narrow."""
        path = Tile(level, n, width).path
        try:
            data = self._store.tile(level, n)
        except (NotFound, Corrupt) as problem:
            self._report("tile", path, str(problem))
            return None
        if len(data) < width * HASH_SIZE or len(data) % HASH_SIZE:
            self._report("tile", path, f"has {len(data)} bytes, not {width * HASH_SIZE}")
            return None
        return data[: width * HASH_SIZE]

    def _believe(self, n: int, derived: list[bytes | None]) -> list[bytes]:
        """Compare leaf hashes with their tile, report which side is wrong, and give the right ones."""
        start, width = n * WIDTH, len(derived)
        data = self._stored_tile(0, n, width)
        if data is None:
            return [value or bytes(HASH_SIZE) for value in derived]
        stored = _hashes(data)
        own = [value or other for value, other in zip(derived, stored, strict=True)]
        wrong = [i for i in range(width) if own[i] != stored[i]]
        if not wrong:
            return own
        path = Tile(0, n, width).path
        if self._fits(n, own):
            self._report("tile", path, f"hash {_some(wrong)} is not that of its entry, which the tree above confirms")
            return own
        confirmed = self._fits(n, stored)
        for i in wrong:
            told = "which the tree above confirms" if confirmed else "and neither fits the tree above"
            self._report(
                "entry",
                f"entry {start + i}",
                f"its bytes hash to {own[i].hex()[:16]}..., its tile has {stored[i].hex()[:16]}..., {told}",
            )
        return stored if confirmed else own

    def _fits(self, n: int, hashes: list[bytes]) -> bool:
        """Whether these leaf hashes are what the tree above level-0 tile `n` was built on."""
        if len(hashes) == WIDTH:
            try:
                above = self._store.tile(1, n // WIDTH)
            except (NotFound, Corrupt):
                return False
            at = n % WIDTH * HASH_SIZE
            return above[at : at + HASH_SIZE] == tile_hash(b"".join(hashes), 8, 0)
        edge = self._frontier.copy()
        edge.extend(hashes)
        return edge.root() == self._root

    def _check_tile(self, level: int, n: int, derived: bytes) -> None:
        if not level:
            return
        width = len(derived) // HASH_SIZE
        stored = self._stored_tile(level, n, width)
        if stored is None or stored == derived:
            return
        pairs = zip(_hashes(stored), _hashes(derived), strict=True)
        wrong = [i for i, (value, own) in enumerate(pairs) if value != own]
        self._report("tile", Tile(level, n, width).path, f"hash {_some(wrong)} is not what the entries below it give")

    # --- what should not be there ---------------------------------------------------------------

    def _check_rest(self) -> None:
        """Look beyond the head, as it is by now: a writer may have moved on."""
        try:
            head = self._store.head()
        except Corrupt:
            return
        size = max(self._size, head.size if head else 0)
        try:
            self._store.entries(size, size + 1)
            self._report("entry", f"entry {size}", "is beyond the head")
        except (NotFound, Corrupt):
            pass
        levels = {tile.level: tile for tile in tiles_between(0, size)}
        for level in range(len(levels) + 1):
            n = levels[level].n if level in levels else 0
            for number in (n, n + 1):
                self._check_width(level, number, size)

    def _check_width(self, level: int, n: int, size: int) -> None:
        try:
            data = self._store.tile(level, n)
        except (NotFound, Corrupt):
            return
        width = width_in(level, n, size)
        if len(data) > width * HASH_SIZE:
            problem = f"has {len(data)} bytes, the tree of {size} gives it {width * HASH_SIZE}"
            self._report("tile", Tile(level, n, max(width, 1)).path, problem)

    def _check_positions(self) -> Iterator[Finding]:
        seen = bytearray(self._size // 8 + 1)
        after = b""
        while True:
            try:
                page = self._store.scan(b"", after, _PAGE)
            except Corrupt as problem:
                yield Finding("position", after.hex(), str(problem))
                return
            for key, index in page:
                if not 0 <= index < self._size:
                    # A writer may have gone on since the head was read; whether it has is asked per key.
                    if not self._exists(index):
                        yield Finding("position", key.hex(), f"names entry {index}, which is not there")
                elif seen[index >> 3] >> (index & 7) & 1:
                    yield Finding("position", key.hex(), f"names entry {index}, which has another position already")
                else:
                    seen[index >> 3] |= 1 << (index & 7)
            if len(page) < _PAGE:
                break
            after = page[-1][0]
        if not self._key_of:
            for index in range(self._size):
                if not seen[index >> 3] >> (index & 7) & 1:
                    yield Finding("position", f"entry {index}", "no position names it: it could be appended twice")

    def _exists(self, index: int) -> bool:
        head = self._store.head()
        return head is not None and 0 <= index < head.size

    def _check_conflicts(self) -> Iterator[Finding]:
        try:
            conflicts = self._store.conflicts()
        except Corrupt as problem:
            yield Finding("conflict", "all", str(problem))
            return
        for conflict in conflicts:
            found = self._conflict_problem(conflict.key, conflict.index, conflict.data)
            if found:
                yield Finding("conflict", conflict.key.hex(), found)

    def _conflict_problem(self, key: bytes, index: int, data: bytes) -> str | None:
        try:
            if self._store.find(key) != index:
                return f"entry {index} does not hold this position"
            accepted = self._store.entries(index, index + 1)[0]
        except (NotFound, Corrupt) as problem:
            return f"entry {index} or its position cannot be read: {problem}"
        if accepted == data:
            return f"the refused entry is the accepted one, entry {index}"
        try:
            if self._key_of and self._key_of(data) != key:
                return "the refused entry belongs to another position"
        except TwinproofError as refusal:
            return f"the refused entry's position cannot be told: {refusal}"
        return None


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]


def _some(numbers: Sequence[int]) -> str:
    """The first few of them."""
    return ", ".join(map(str, numbers[:5])) + (" and more" if len(numbers) > 5 else "")
