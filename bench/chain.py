"""The embedded chain: transactions per second, opening, and what a year of hourly anchors takes on disk.

A transaction is like an anchor: 740 bytes of calldata, one new storage slot, one that is overwritten, and an event
with two topics. The file has WAL and synchronous=FULL, so that every block waits for the disk.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from twinproof.chain.accounts import Account
from twinproof.chain.embedded import EmbeddedChain, Genesis, replay
from twinproof.chain.signing import Unsigned

CHAIN_ID = 31337
YEAR = 8_760
"""Anchors, one an hour."""
ACCOUNT = Account(b"\x07" * 32)
RUNTIME = bytes.fromhex("604035602035556060355f55604060605f376020355f3560aa60405fa300")
"""storage[word 1] = word 2, storage[0] = word 3, and an event with the words 0 and 1 as topics, 3 and 4 as data."""
INIT = bytes.fromhex(f"60{len(RUNTIME):02x}600a5f3960{len(RUNTIME):02x}5ff3") + RUNTIME
WORDS = 23
PICK = random.Random(1)


def genesis() -> Genesis:
    """One rich account."""
    return Genesis(CHAIN_ID, {ACCOUNT.address: 10**24})


def signed(nonce: int, to: bytes | None, data: bytes, gas: int) -> bytes:
    """A transaction."""
    fee = 2_000_000_000
    return ACCOUNT.sign_transaction(Unsigned(CHAIN_ID, nonce, 0, fee, gas, to, 0, data))


def open_with_contract(path: Path | None) -> tuple[EmbeddedChain, bytes]:
    """A new chain, and the contract on it."""
    chain = EmbeddedChain.open(path, genesis=genesis())
    receipt = chain.receipt(chain.send(signed(0, None, INIT, 200_000)))
    assert receipt is not None
    assert receipt.contract is not None
    (trial,) = anchors(1, 1, receipt.contract)
    tried = chain.receipt(chain.send(trial))
    assert tried is not None
    assert len(tried.logs) == 1
    return chain, receipt.contract


def anchors(start: int, count: int, contract: bytes) -> list[bytes]:
    """Signed before the clock runs."""
    body = [PICK.randbytes(32 * (WORDS - 1)) for _ in range(count)]
    return [signed(start + n, contract, bytes(4) + b"\x01" * 28 + words, 100_000) for n, words in enumerate(body)]


def rates(count: int) -> dict[str, object]:
    """One transaction a block and 50, in a file; and in memory."""
    numbers: dict[str, object] = {}
    for name, batch, in_file in (("single", 1, True), ("batched_50", 50, True), ("memory_single", 1, False)):
        with tempfile.TemporaryDirectory() as folder:
            chain, contract = open_with_contract(Path(folder) / "chain.db" if in_file else None)
            raws = anchors(2, count, contract)
            taken: list[float] = []
            for at in range(0, count, batch):
                start = time.perf_counter()
                chain.send_many(raws[at : at + batch])
                taken.append(time.perf_counter() - start)
            numbers[f"transactions_per_second_{name}"] = round(count / sum(taken), 1)
            numbers[f"ms_per_block_{name}"] = round(median(taken) * 1e3, 2)
            chain.close()
    return numbers


OPEN = """
import json, sys, time
from pathlib import Path
start = time.perf_counter()
from twinproof.chain.embedded import EmbeddedChain
imported = time.perf_counter()
chain = EmbeddedChain.open(Path(sys.argv[1]))
head = chain.head()
chain.nonce(bytes(20))
opened = time.perf_counter()
chain.call(bytes(19) + bytes([2]), b"abc")
print(json.dumps({"import": imported - start, "open": opened - imported, "engine": time.perf_counter() - opened}))
"""


def opening(path: Path, rounds: int) -> dict[str, object]:
    """Each time in a new process."""
    found = []
    for _ in range(rounds):
        child = subprocess.run([sys.executable, "-c", OPEN, str(path)], check=True, capture_output=True, text=True)
        found.append(json.loads(child.stdout))
    return {
        "restart_ms": round(median(one["open"] for one in found) * 1e3, 1),
        "import_ms": round(median(one["import"] for one in found) * 1e3),
        "first_call_ms_with_engine": round(median(one["engine"] for one in found) * 1e3),
    }


def year(count: int, rounds: int) -> dict[str, object]:
    """Sizes after `count` anchors, with and without old states; a year's by the growth of the second half."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.db"
        chain, contract = open_with_contract(path)
        raws = anchors(2, count, contract)
        sizes: list[int] = []
        grown: list[int] = []
        for half in (raws[: count // 2], raws[count // 2 :]):
            before = sum(sizes[-1:])
            for raw in half:
                chain.send(raw)
            chain._store.database.shrink()
            grown.append((path.stat().st_size - before) // len(half))
            start = time.perf_counter()
            chain.compact()
            compacting = time.perf_counter() - start
            sizes.append(path.stat().st_size)
        chain.close()
        each = (sizes[1] - sizes[0]) / (count - count // 2)
        numbers = opening(path, rounds)
        start = time.perf_counter()
        replay(path)
        replaying = time.perf_counter() - start
    return {
        **numbers,
        "blocks": count,
        "bytes_per_block_with_all_states": grown[1],
        "bytes_per_block_compacted": round(each),
        "file_mb_compacted": round(sizes[1] / 1e6, 2),
        "file_mb_a_year_of_hourly_anchors": round((sizes[1] + each * (YEAR - count)) / 1e6, 1),
        "compacting_ms": round(compacting * 1e3),
        "blocks_replayed_per_second": round(count / replaying),
    }


def run(quick: bool) -> dict[str, object]:
    """All of it."""
    return rates(100 if quick else 1_000) | year(*(100, 2) if quick else (1_000, 5))
