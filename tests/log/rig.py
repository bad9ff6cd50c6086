"""What the log's tests share: keys, entries that tell their own position, a log on any backend, and an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from tests.proof import reference
from twinproof.errors import Malformed
from twinproof.log.fsck import Finding, fsck
from twinproof.log.memory import MemoryStore
from twinproof.log.pin import AnyPin, Pin
from twinproof.log.reader import Reader
from twinproof.log.signing import open_signed
from twinproof.log.sqlite import SqliteStore
from twinproof.log.store import Entry, Group, Head, Store
from twinproof.log.writer import Appended, Writer
from twinproof.proof import merkle
from twinproof.proof.cosignature import verifier
from twinproof.proof.note import COSIGNATURE_ML_DSA_44, ED25519, SignerKey
from twinproof.testing import FaultyPin, FaultyStore, ManualClock, MemoryPin

ORIGIN = "log.example/plant7"
SIGNER = SignerKey(ORIGIN, ED25519, b"\x21" * 32)
PQ_SIGNER = SignerKey(ORIGIN, COSIGNATURE_ML_DSA_44, b"\x22" * 32)
STRANGER = SignerKey("other.example/log", ED25519, b"\x23" * 32)
VERIFIERS = [verifier(SIGNER.verifier)]
BACKENDS = ("memory", "sqlite")
KEY_SIZE = 24


def entry(number: int, stream: int = 0, payload: bytes = b"reading") -> Entry:
    """An entry whose bytes begin with its key, as a statement's stream and number imply its position."""
    key = bytes((stream,)) * 16 + number.to_bytes(8, "big")
    return Entry(key, key + payload)


def entries(start: int, end: int, stream: int = 0) -> list[Entry]:
    return [entry(number, stream) for number in range(start, end)]


def key_of(data: bytes) -> bytes:
    if len(data) < KEY_SIZE:
        raise Malformed("entry", "too short for a key")
    return data[:KEY_SIZE]


def indices(results: Iterable[object]) -> list[int]:
    """The indices of results that must all be accepted."""
    found = []
    for result in results:
        assert isinstance(result, Appended), result
        found.append(result.index)
    return found


def naive_root(stored: Sequence[bytes]) -> bytes:
    return reference.mth([merkle.hash_leaf(data) for data in stored])


class RecordingStore(FaultyStore):
    """Notes every checkpoint that became visible in the store, whatever its writer was told."""

    def __init__(self, inner: Store, signed: list[bytes]) -> None:
        super().__init__(inner)
        self._signed = signed

    def commit(self, expected: Head | None, group: Group) -> None:
        def act() -> None:
            self.inner.commit(expected, group)
            self._signed.append(group.head.checkpoint)

        self.run("commit", act)


class RecordingPin(FaultyPin):
    """Notes every checkpoint that was pinned."""

    def __init__(self, inner: AnyPin, signed: list[bytes]) -> None:
        super().__init__(inner)
        self._signed = signed

    def write(self, note: bytes) -> None:
        def act() -> None:
            self.inner.write(note)
            self._signed.append(note)

        self.run("write", act)


class Rig:
    """One log: `open()` opens it, or opens it again as after a restart."""

    def __init__(
        self, backend: str, folder: Path, *, signers: Sequence[SignerKey] = (SIGNER,), keep_every: int = 60
    ) -> None:
        self.folder = folder
        self.path = folder / "log.db"
        self.signers = signers
        self.keep_every = keep_every
        self.clock = ManualClock()
        self.signed: list[bytes] = []
        self._make = self._sqlite if backend == "sqlite" else self._memory
        self._memory_store: MemoryStore | None = None
        inner_pin: AnyPin = Pin(folder / "pin") if backend == "sqlite" else MemoryPin()
        self.pin = RecordingPin(inner_pin, self.signed)
        self.store = RecordingStore(self._make(), self.signed)

    def _sqlite(self) -> Store:
        return SqliteStore(self.path, keep_every=self.keep_every)

    def _memory(self) -> Store:
        self._memory_store = self._memory_store or MemoryStore(keep_every=self.keep_every)
        return self._memory_store

    def restart(self) -> None:
        """What a restart leaves: the store opened anew, with the faults that are still planned."""
        if self._make == self._sqlite:
            self.store.close()
        self.store.inner = self._make()

    def open(self) -> Writer:
        self.restart()
        return Writer(self.store, self.pin, self.signers, ORIGIN, self.clock)

    def close(self) -> None:
        self.store.close()

    def fsck(self, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
        return list(fsck(self.store, verifiers=VERIFIERS, pin=self.pin, key_of=key_of, progress=progress))

    def stored(self) -> list[bytes]:
        head = self.store.head()
        return self.store.entries(0, head.size) if head else []


def audit(rig: Rig, acknowledged: dict[int, Entry]) -> None:
    """A sound log in which every acknowledged entry is at its index, nothing is twice, and all signatures agree."""
    assert rig.fsck() == []
    stored = rig.stored()
    for index, wanted in acknowledged.items():
        assert stored[index] == wanted.data
        assert rig.store.find(wanted.key) == index
    assert len({key_of(data) for data in stored}) == len(stored)
    check_signed(rig, stored)


def check_signed(rig: Rig, stored: Sequence[bytes]) -> None:
    """No two of the checkpoints that anybody can ever have seen are inconsistent."""
    seen = {
        (c.size, c.root) for c in (open_signed(note, VERIFIERS, ORIGIN, "a seen checkpoint") for note in rig.signed)
    }
    ordered = sorted(seen)
    assert len({size for size, _ in ordered}) == len(ordered), "two roots were signed for one size"
    reader = Reader(rig.store)
    for (old, old_root), (new, new_root) in pairwise(ordered):
        merkle.check_consistency(old, new, old_root, new_root, reader.consistency(old, new))
    for size, root in ordered[-3:]:
        assert root == naive_root(stored[:size])
