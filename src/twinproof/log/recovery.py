"""Ways out of `RolledBack`: bring the missing entries back, or set a lost pin again.

Neither signs anything: both need the log's verifier keys only, and leave the store and the pin in a
state that `Writer` opens, or as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twinproof.errors import Corrupt, Equivocation, Malformed, NotFound, RolledBack
from twinproof.log.frontier import Frontier
from twinproof.log.pin import AnyPin
from twinproof.log.signing import open_signed, open_timed
from twinproof.log.store import Entry, Group, Head, Store
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.merkle import hash_leaf, root
from twinproof.proof.note import Verifier
from twinproof.proof.tiles import node_reader

_RESTORE = (
    "Put the newer copy of the database back, or re-append the missing entries in their order from the devices' "
    "outboxes or a mirror (twinproof.log.recovery.restore) until the pinned root is reached, then start again"
)
_REPIN = (
    "Give it the newest checkpoint of this log that a witness, an anchor or a customer holds "
    "(twinproof.log.recovery.repin), then start again"
)


def root_at(size: int, read: Callable[[int, int], bytes]) -> bytes:
    """The root of the first `size` entries from stored tiles; raises `Corrupt` if one is missing."""
    try:
        return root(size, node_reader(read))
    except (NotFound, Malformed) as problem:
        raise Corrupt(f"{problem}, but a tree of {size} needs it; run twinproof fsck") from problem


def stored_frontier(store: Store, head: Head) -> Frontier:
    """The edge of the stored tree; raises `Corrupt` unless the tiles there give the head's root."""
    try:
        frontier = Frontier.from_tiles(head.size, store.tile)
    except (NotFound, Malformed) as problem:
        raise Corrupt(f"a tile at the edge of the tree: {problem}; run twinproof fsck") from problem
    if frontier.root() != head.root:
        raise Corrupt("the tiles do not give the signed root; run twinproof fsck")
    return frontier


def check_pin(head: Head, pinned: Checkpoint | None, read: Callable[[int, int], bytes]) -> None:
    """Raise `RolledBack` unless the stored tree of `head` extends the one that was signed last."""
    if pinned is None:
        if head.size:
            raise RolledBack(
                f"the log has {head.size} entries but no pin, so nothing says that this is not an older copy. "
                f"Nothing was signed. {_REPIN}"
            )
        return
    if pinned.size > head.size:
        raise RolledBack(
            f"the database holds {head.size} entries, but this log has signed a checkpoint of {pinned.size}: "
            f"it is an older copy, and signing on it would fork the log. Nothing was signed. {_RESTORE}"
        )
    if (head.root if pinned.size == head.size else root_at(pinned.size, read)) != pinned.root:
        raise RolledBack(
            f"the first {pinned.size} entries of the database are not those of the checkpoint that this log has "
            f"signed: it is a fork. Nothing was signed. {_RESTORE}"
        )


def restore(
    store: Store, pin: AnyPin, verifiers: Sequence[Verifier], origin: str, entries: Iterable[Entry], time: int
) -> int:
    """Re-append missing entries, in log order, up to the pinned checkpoint; how many were missing.

    Entries that the store already holds may be among them. Roots do not cover keys: each entry must
    come with the key that it had. All are held in memory and become durable in one commit, under the
    pinned note: nothing new is signed. `time` (POSIX seconds) becomes the head's time if no signature
    of the note tells one.

    Raises `RolledBack`, with nothing changed, if size and root of the pin are not reached exactly, and
    `Equivocation` for an entry that contradicts a stored one.
    """
    note = pin.read()
    if note is None:
        raise RolledBack(f"there is no pin that says how far to restore. {_REPIN}")
    pinned, times = open_timed(note, verifiers, origin, "the pin")
    head = store.head()
    if head and (head.size, head.root) == (pinned.size, pinned.root):
        return 0
    frontier = stored_frontier(store, head) if head else Frontier()
    start = frontier.size
    missing: list[Entry] = []
    seen: dict[bytes, bytes] = {}
    for entry in entries:
        index = store.find(entry.key)
        known = seen.get(entry.key) if index is None else store.entries(index, index + 1)[0]
        if known is None:
            seen[entry.key] = entry.data
            missing.append(entry)
        elif known != entry.data:
            raise Equivocation("an entry to restore contradicts a stored one", start if index is None else index)
    tiles = frontier.extend([hash_leaf(entry.data) for entry in missing])
    if (frontier.size, frontier.root()) != (pinned.size, pinned.root):
        raise RolledBack(
            f"with the {len(missing)} entries given, the database would hold {frontier.size}; the pinned checkpoint "
            f"needs {pinned.size} with its root. Nothing was changed: entries are missing, too many or out of order"
        )
    signed = [signed_at for of_key in times.values() for signed_at in of_key]
    restored = Head(pinned.size, pinned.root, note, max([*(signed or [time]), head.time if head else 0]))
    store.commit(head, Group(missing, tiles + frontier.partial_tiles(start), restored))
    return len(missing)


def repin(store: Store, pin: AnyPin, verifiers: Sequence[Verifier], origin: str, note: bytes) -> int:
    """Set a lost or damaged pin from the newest checkpoint known outside; how many entries are missing.

    0 means that `Writer` can open the log; otherwise `restore` has to bring that many back first.
    Raises `RolledBack`, with nothing changed, if the database contradicts the checkpoint or an intact
    pin is newer, and what `open_signed` raises if it is not this log's.
    """
    checkpoint = open_signed(note, verifiers, origin, "the checkpoint given")
    old = pin.read()
    if old is not None:
        try:
            pinned = open_signed(old, verifiers, origin, "the pin")
        except Corrupt:
            pinned = None
        if pinned and (pinned.size > checkpoint.size or (pinned.size == checkpoint.size and pinned != checkpoint)):
            raise RolledBack(f"the pin is intact and newer (size {pinned.size}): it must not be set back. {_RESTORE}")
    head = store.head()
    size = head.size if head else 0
    if checkpoint.size <= size and root_at(checkpoint.size, store.tile) != checkpoint.root:
        raise RolledBack(
            f"the first {checkpoint.size} entries of the database are not those of the checkpoint given: "
            "one of them is a fork. Nothing was changed; keep both as evidence"
        )
    pin.write(note)
    return max(0, checkpoint.size - size)
