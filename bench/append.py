"""The log without statements: appending against plain SQLite, a million entries, proofs.

Entries have 300 bytes and come in groups of 256, over 64 streams. Both sides of every comparison run
by turns in the same process on the same disk, and medians are compared. "Plain" is one table with
the same bytes, WAL and synchronous=FULL, one transaction per group.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from statistics import median

from twinproof.log.pin import Pin
from twinproof.log.reader import Reader
from twinproof.log.sqlite import SqliteStore
from twinproof.log.store import Entry
from twinproof.log.writer import Writer
from twinproof.proof.merkle import check_inclusion, hash_leaf
from twinproof.proof.note import COSIGNATURE_ML_DSA_44, ED25519, SignerKey

ORIGIN = "log.example/bench"
ED25519_ONLY = [SignerKey(ORIGIN, ED25519, b"\x01" * 32)]
BOTH = [*ED25519_ONLY, SignerKey(ORIGIN, COSIGNATURE_ML_DSA_44, b"\x02" * 32)]
SIZE = 300
GROUP = 256
STREAMS = [sha256(b"stream %d" % i).digest() for i in range(64)]
BODY = random.Random(1).randbytes(SIZE)


def entry(index: int) -> Entry:
    """Entry `index`: the next of one of 64 streams, 300 bytes of its own."""
    sequence, stream = divmod(index, len(STREAMS))
    own = sha256(index.to_bytes(8, "big")).digest()
    return Entry(STREAMS[stream] + sequence.to_bytes(8, "big"), own + BODY[32:])


def groups(start: int, count: int) -> list[list[Entry]]:
    """`count` full groups from entry `start` on, made before the clock runs."""
    return [[entry(i) for i in range(at, at + GROUP)] for at in range(start, start + count * GROUP, GROUP)]


class Rates:
    """Entries per second of several windows, by the clock and by this process's CPU time.

    The clock includes waiting for the disk, which others may be using; the CPU time does not.
    """

    def __init__(self) -> None:
        self._wall: list[float] = []
        self._cpu: list[float] = []

    def measure(self, work: Sequence[Sequence[Entry]], do: Callable[[Sequence[Entry]], object]) -> None:
        """One window."""
        wall, cpu = time.perf_counter(), time.process_time()
        for group in work:
            do(group)
        self._wall.append(len(work) * GROUP / (time.perf_counter() - wall))
        self._cpu.append(len(work) * GROUP / (time.process_time() - cpu))

    @property
    def wall(self) -> float:
        """The median by the clock."""
        return median(self._wall)

    @property
    def cpu(self) -> float:
        """The median by CPU time."""
        return median(self._cpu)


def open_log(folder: Path, signers: Sequence[SignerKey] = BOTH) -> tuple[SqliteStore, Writer]:
    """The log in `folder`."""
    store = SqliteStore(folder / "log.db")
    return store, Writer(store, Pin(folder / "pin"), signers, ORIGIN, time.time)


class Plain:
    """The yardstick."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "plain.db", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE entry (idx INTEGER PRIMARY KEY, data BLOB NOT NULL)")

    def append(self, group: Sequence[Entry]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO entry (data) VALUES (?)", [(one.data,) for one in group])
        self._database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()


def against_plain(rounds: int, count: int) -> dict[str, object]:
    """Median rates of fresh files, by turns and each time in another order."""
    rates = {"plain": Rates(), "ed25519": Rates(), "ed25519_and_ml_dsa_44": Rates()}
    work = groups(0, count)
    for number in range(rounds):
        print(f"   against plain SQLite: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        order = list(rates)
        for what in order[number % 3 :] + order[: number % 3]:
            with tempfile.TemporaryDirectory() as name:
                if what == "plain":
                    plain = Plain(Path(name))
                    rates[what].measure(work, plain.append)
                    plain.close()
                else:
                    store, writer = open_log(Path(name), ED25519_ONLY if what == "ed25519" else BOTH)
                    rates[what].measure(work, writer.append)
                    store.close()
    numbers: dict[str, object] = {}
    for what, found in rates.items():
        numbers[f"entries_per_second_{what}"] = round(found.wall)
        numbers[f"entries_per_cpu_second_{what}"] = round(found.cpu)
        if what != "plain":
            numbers[f"share_of_plain_{what}"] = round(found.wall / rates["plain"].wall, 3)
    return numbers


def build(folder: Path, size: int) -> None:
    """A log of at least `size` entries in full groups."""
    store, writer = open_log(folder, ED25519_ONLY)
    indices = iter(range(0, size, GROUP))
    while part := list(islice(indices, 400)):
        for group in groups(part[0], len(part)):
            writer.append(group)
        print(f"   building: {writer.size:,} of {size:,} entries", file=sys.stderr, flush=True)
    store.close()


OPEN = """
import json, sys, time
from pathlib import Path
from bench.append import open_log

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6

# the imports are done: what follows is the log's own
before = resident()
start = time.perf_counter()
store, writer = open_log(Path(sys.argv[1]))
seconds = time.perf_counter() - start
print(json.dumps({"ms": seconds * 1e3, "mb": resident() - before, "total_mb": resident(), "size": writer.size}))
"""


def opening(folder: Path, rounds: int) -> dict[str, object]:
    """Time and memory to open the log for writing, each time in a new process."""
    found = []
    for _ in range(rounds):
        child = subprocess.run([sys.executable, "-c", OPEN, str(folder)], check=True, capture_output=True, text=True)
        found.append(json.loads(child.stdout))
    return {
        "open_ms": round(median(one["ms"] for one in found), 1),
        "open_resident_mb": round(median(one["mb"] for one in found), 1),
        "process_resident_mb": round(median(one["total_mb"] for one in found), 1),
    }


def growth(folder: Path, size: int, rounds: int, count: int) -> dict[str, object]:
    """Append rates from 1,000 entries on (fresh logs) and from `size` on, by turns; reopened each time."""
    small, large = Rates(), Rates()
    for number in range(rounds):
        print(f"   small and large: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as name:
            store, writer = open_log(Path(name))
            writer.append([entry(i) for i in range(1000)])
            small.measure(groups(1000, count), writer.append)
            store.close()
        store, writer = open_log(folder)
        large.measure(groups(writer.size, count), writer.append)
        store.close()
    return {
        "entries_per_second_at_1000": round(small.wall),
        f"entries_per_second_at_{size}": round(large.wall),
        "entries_per_cpu_second_at_1000": round(small.cpu),
        f"entries_per_cpu_second_at_{size}": round(large.cpu),
        "large_slower_by_percent": round(100 * (1 - large.wall / small.wall), 1),
        "large_slower_by_percent_of_cpu": round(100 * (1 - large.cpu / small.cpu), 1),
    }


def proofs(folder: Path, count: int) -> dict[str, object]:
    """Inclusion proofs made and checked, against the whole tree."""
    store, writer = open_log(folder)
    head = writer.published
    pick = random.Random(2)
    anywhere = [pick.randrange(head.size) for _ in range(count)]
    recent = [pick.randrange(max(0, head.size - 50_000), head.size) for _ in range(count)]
    numbers: dict[str, object] = {}
    made: list[list[bytes]] = []
    reader = Reader(store, lambda: writer.published)
    for what, indices in (("anywhere", anywhere), ("recent_50000", recent), ("recent_50000_again", recent)):
        start = time.perf_counter()
        made = [reader.inclusion(index, head.size) for index in indices]
        numbers[f"proofs_per_second_{what}"] = round(count / (time.perf_counter() - start))
    leaves = [hash_leaf(data) for index in recent for data in store.entries(index, index + 1)]
    start = time.perf_counter()
    for index, leaf, proof in zip(recent, leaves, made, strict=True):
        check_inclusion(leaf, index, head.size, proof, head.root)
    numbers["proof_checks_per_second"] = round(count / (time.perf_counter() - start))
    numbers["proof_hashes"] = len(made[0])
    store.close()
    return numbers


def run(quick: bool) -> dict[str, object]:
    """All of it; `quick` with a fiftieth of the entries."""
    size = 20_000 if quick else 1_000_000
    numbers = against_plain(*(3, 20) if quick else (9, 200))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, size)
        numbers["log_entries"] = size
        numbers |= opening(folder, 3 if quick else 7)
        numbers["log_bytes_per_entry"] = round((folder / "log.db").stat().st_size / size)
        numbers |= growth(folder, size, *(3, 10) if quick else (15, 128))
        numbers |= proofs(folder, 500 if quick else 20_000)
    return numbers
