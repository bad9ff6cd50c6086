"""The one writer of a log: groups of entries become durable, then a signed checkpoint, then indices.

hashes, tiles, root, signatures     in memory, from the tree's growing edge
store.commit                        <- commit point
pin.write                           <- the checkpoint counts as signed and may be shown
return                              <- the caller may acknowledge
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, TypeAlias

from twinproof.errors import Conflict, Corrupt, Equivocation, Malformed, NotFound, RolledBack, TooLarge
from twinproof.log.frontier import Frontier
from twinproof.log.pin import AnyPin
from twinproof.log.recovery import check_pin, root_at, stored_frontier
from twinproof.log.signing import open_signed, sign_head
from twinproof.log.store import MAX_ENTRY, MAX_KEY, Entry, Group, Head, KeptConflict, Store
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.cosignature import verifier
from twinproof.proof.merkle import EMPTY_ROOT, hash_leaf
from twinproof.proof.note import MAX_SIGNATURES, Note, SignerKey, format_note, parse_note

MAX_GROUP: Final = 8192
"""Entries in one append."""
MAX_GROUP_BYTES: Final = 64 << 20
"""Bytes of all entries in one append: they are held in memory and in one transaction."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The entry is durable at `index`; `new` is False if it was there before this append."""

    index: int
    new: bool


Result: TypeAlias = Appended | Equivocation


class Writer:
    """Appends to one log. Methods may be called from any thread; they take turns.

    Opening creates an empty log with a signed checkpoint of size 0, or checks the stored head: its
    signature by one of `signers`, its root from the tiles, and that it extends the pinned checkpoint.
    Raises `RolledBack` (see `recovery`), `Untrusted` for another log's store or pin, `Corrupt`,
    `StorageFailed`. `origin` is the log's name in checkpoints; `clock` gives POSIX seconds.
    """

    def __init__(
        self, store: Store, pin: AnyPin, signers: Sequence[SignerKey], origin: str, clock: Callable[[], float]
    ) -> None:
        if not signers:
            raise ValueError("a log needs at least one signer")
        self._store = store
        self._pin = pin
        self._signers = tuple(signers)
        self._verifiers = [verifier(signer.verifier) for signer in signers]
        self._origin = origin
        self._clock = clock
        self._lock = Lock()
        self._head = self._published = Head(0, EMPTY_ROOT, b"", 0)
        self._frontier = Frontier()
        self._settled = False
        self._settle()

    @property
    def published(self) -> Head:
        """The newest head that may be shown: durable, pinned, with the cosignatures that it has by now."""
        return self._published

    @property
    def size(self) -> int:
        """The index that the next new entry gets. After a failed append this reads the store, and may raise."""
        with self._lock:
            self._settle()
            return self._head.size

    # --- opening, and finding out after a failure -----------------------------------------------

    def _settle(self) -> None:
        """Unless the last write ended well, trust nothing in memory: re-read the head, check it and pin it."""
        if self._settled:
            return
        pinned = self._read_pin()
        head = self._store.head()
        if head is None:
            if pinned is not None:
                check_pin(Head(0, EMPTY_ROOT, b"", 0), pinned, self._store.tile)
            head = sign_head(self._signers, self._origin, 0, EMPTY_ROOT, self._now(0))
            # A crash after this leaves an empty log without a pin, which the next opening accepts.
            self._store.commit(None, Group((), (), head))
            self._frontier = Frontier()
        else:
            self._frontier = self._check_head(head)
            check_pin(head, pinned, self._store.tile)
        self._head = head
        self._publish()

    def _read_pin(self) -> Checkpoint | None:
        note = self._pin.read()
        if note is None:
            return None
        try:
            return open_signed(note, self._verifiers, self._origin, "the pin")
        except Corrupt as problem:
            raise RolledBack(
                f"{problem}. Nothing was signed. Set it again with twinproof.log.recovery.repin and the newest "
                "checkpoint of this log that a witness, an anchor or a customer holds"
            ) from problem

    def _check_head(self, head: Head) -> Frontier:
        checkpoint = open_signed(head.checkpoint, self._verifiers, self._origin, "the stored checkpoint")
        if (checkpoint.size, checkpoint.root) != (head.size, head.root):
            raise Corrupt("the stored head is not the one of its checkpoint; run twinproof fsck")
        return stored_frontier(self._store, head)

    def _publish(self) -> None:
        # A crash before this leaves a durable, signed head that nobody has seen; the next opening finds that it
        # extends the pin. From here on the checkpoint may leave the machine.
        self._pin.write(self._head.checkpoint)
        self._published = self._head
        self._settled = True

    def _now(self, previous: int) -> int:
        # Cosignature times are positive, and a clock set back must not make time run backwards in the log.
        return max(int(self._clock()), previous, 1)

    # --- appending ----------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[Result]:
        """Make `entries` durable, in their order; per entry its index, or the `Equivocation` that it is.

        The same entry at the same position gets the same index, however often it is sent; another one
        at a taken position is refused, and kept as evidence. A group of repeats alone signs nothing.

        Raises `Malformed` or `TooLarge` with nothing done. After `StorageFailed` or `Conflict` nothing
        is acknowledged: append the same group again, and it finds out what had become durable.
        """
        _check_group(entries)
        with self._lock:
            self._settle()
            start = self._head.size
            results: list[Result] = []
            taken = self._taken([entry.key for entry in entries])
            fresh: list[Entry] = []
            refused: list[KeptConflict] = []
            for entry in entries:
                index, data = taken.get(entry.key, (-1, b""))
                if index < 0:
                    index = start + len(fresh)
                    taken[entry.key] = index, entry.data
                    fresh.append(entry)
                    results.append(Appended(index, True))
                elif data == entry.data:
                    results.append(Appended(index, False))
                else:
                    results.append(Equivocation(f"another entry holds this position, at index {index}", index))
                    refused.append(KeptConflict(entry.key, index, entry.data, self._now(self._head.time)))
            if fresh:
                self._commit(fresh)
            # After the commit, so that evidence never points at an index that is not there.
            for conflict in refused:
                self._store.keep_conflict(conflict.key, conflict.index, conflict.data, conflict.time)
            return results

    def _taken(self, keys: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """Index and bytes of the entries that are stored at these positions."""
        taken: dict[bytes, tuple[int, bytes]] = {}
        for key, index in self._store.find_many(keys).items():
            if index >= self._head.size:
                self._settled = False
                raise Conflict(f"entry {index} is there, but the head has {self._head.size}: another writer was here")
            try:
                taken[key] = index, self._store.entries(index, index + 1)[0]
            except NotFound as problem:
                raise Corrupt(f"a position names entry {index}, which is missing; run twinproof fsck") from problem
        return taken

    def _commit(self, entries: Sequence[Entry]) -> None:
        old, frontier = self._head, self._frontier.copy()
        tiles = frontier.extend([hash_leaf(entry.data) for entry in entries]) + frontier.partial_tiles(old.size)
        head = sign_head(self._signers, self._origin, frontier.size, frontier.root(), self._now(old.time))
        self._settled = False
        # The commit point. A crash before it leaves the old head and a signature that nobody has; one after it
        # leaves the new head, not yet pinned or acknowledged. An error leaves either: `_settle` finds out.
        self._store.commit(old, Group(entries, tiles, head))
        self._head, self._frontier = head, frontier
        self._publish()

    # --- cosignatures ---------------------------------------------------------------------------

    def add_signatures(self, note: bytes, time: int | None = None) -> None:
        """Add the signature lines of `note`, a checkpoint of this log, to those that are stored with it.

        Witnesses answer each on its own: lines of further keys are added, a key that signed already keeps
        its first, earliest line. The caller has checked the witnesses' signatures. `time` (POSIX seconds
        when the log signed) brings back a checkpoint that the history has thinned out meanwhile.

        Raises `Untrusted` or `Corrupt` unless this log signed `note`, `Conflict` for another tree's root,
        `NotFound` for a size that is not kept or not reached, `TooLarge` for too many lines.
        """
        checkpoint = open_signed(note, self._verifiers, self._origin, "the checkpoint given")
        with self._lock:
            self._settle()
            size = checkpoint.size
            if size > self._head.size:
                raise NotFound(f"no checkpoint of size {size}: the log has {self._head.size} entries")
            if root_at(size, self._store.tile) != checkpoint.root:
                raise Conflict(f"the checkpoint given has another root than this log at size {size}")
            stored = self._store.checkpoint_at_or_before(size)
            merged = _merge(stored.note, note) if stored and stored.size == size else note
            self._settled = False
            self._store.replace_checkpoint(size, merged, time)
            self._settled = True
            if size == self._head.size:
                self._head = self._published = replace(self._head, checkpoint=merged)


def _merge(stored: bytes, given: bytes) -> bytes:
    """The stored note with the lines of further keys; a text that differs is left to the store to refuse."""
    base, more = parse_note(stored), parse_note(given)
    if base.text != more.text:
        return given
    lines = {(line.name, line.key_id): line for line in (*more.signatures, *base.signatures)}
    order = dict.fromkeys((line.name, line.key_id) for line in (*base.signatures, *more.signatures))
    if len(order) > MAX_SIGNATURES:
        raise TooLarge("note", f"{len(order)} signatures, the limit is {MAX_SIGNATURES}")
    return format_note(Note(base.text, tuple(lines[key] for key in order)))


def _check_group(entries: Sequence[Entry]) -> None:
    if len(entries) > MAX_GROUP:
        raise TooLarge("group", f"{len(entries)} entries, the limit is {MAX_GROUP}")
    total = 0
    for number, entry in enumerate(entries):
        if not 0 < len(entry.key) <= MAX_KEY:
            raise Malformed(f"key of entry {number} of the group", f"{len(entry.key)} bytes, not 1 to {MAX_KEY}")
        if not entry.data:
            raise Malformed(f"entry {number} of the group", "is empty")
        if len(entry.data) > MAX_ENTRY:
            raise TooLarge(f"entry {number} of the group", f"{len(entry.data)} bytes, the limit is {MAX_ENTRY}")
        total += len(entry.data)
    if total > MAX_GROUP_BYTES:
        raise TooLarge("group", f"{total} bytes, the limit is {MAX_GROUP_BYTES}")
