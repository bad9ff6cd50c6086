"""A writing process is killed (SIGKILL) again and again: whole blocks only, and nothing that it acknowledged is lost.

The engine is imported once, here; what is killed are forked children.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.chain.embedded_rig import ADDRESSES, CHAIN_ID, STORE, Rig, asm, signed, words
from twinproof.chain.embedded import EmbeddedChain, Genesis, replay
from twinproof.chain.embedded.pyevm import PyEvm
from twinproof.chain.hexadecimal import keccak
from twinproof.errors import NonceTaken

KILLS = 50
BEFORE_A_KILL = 12
"""Acknowledgements, at most."""
GENESIS = Genesis(CHAIN_ID, dict.fromkeys(ADDRESSES, 10**21))
COUNT = asm("0x01 PUSH0 SLOAD ADD DUP1 PUSH0 SSTORE PUSH0 MSTORE 0x20 PUSH0 LOG0")
"""Counts the calls, and says so."""


def fork(work: Callable[[int], None]) -> tuple[int, int]:
    """A child that runs `work` with the writing end of a pipe; its process id and the reading end."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, if an earlier test has left a thread
        child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        os.close(reading)
        work(writing)
        code = 0
    finally:
        os._exit(code)
    raise AssertionError("not reached")


def drain(reading: int) -> list[bytes]:
    """All whole hashes that were written."""
    data = b""
    while part := os.read(reading, 65_536):
        data += part
    os.close(reading)
    return [data[at : at + 32] for at in range(0, len(data) - 31, 32)]


def write_forever(path: Path, contract: bytes, sender: int) -> Callable[[int], None]:
    def work(writing: int) -> None:
        chain = EmbeddedChain.open(path, engine=PyEvm())
        nonce = chain.nonce(ADDRESSES[sender])
        while True:
            count = 1 + nonce % 3
            raws = [signed(sender, nonce + n, to=contract, gas=100_000) for n in range(count)]
            os.write(writing, b"".join(chain.send_many(raws)))
            nonce += count

    return work


@pytest.fixture
def counter(tmp_path: Path) -> tuple[Path, bytes]:
    """A chain in a file, and a contract on it that counts its calls."""
    path = tmp_path / "chain.db"
    rig = Rig(path, GENESIS)
    contract = rig.deploy(COUNT)
    rig.chain.close()
    return path, contract


def test_kill_9_loses_nothing_that_was_acknowledged(counter: tuple[Path, bytes]) -> None:
    path, contract = counter
    random = Random(3)
    acknowledged: list[bytes] = []
    for _ in range(KILLS):
        child, reading = fork(write_forever(path, contract, 0))
        first = b""
        while len(first) < 32 * random.randrange(1, BEFORE_A_KILL):
            part = os.read(reading, 32)
            assert part, "the child ended by itself"
            first += part
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        found = [first[at : at + 32] for at in range(0, len(first) - 31, 32)] + drain(reading)
        with EmbeddedChain.open(path, read_only=True) as chain:
            head = chain.head()
            # Every transaction was a call that counts: the state says how many there were, the blocks which.
            calls = int.from_bytes(chain.storage(contract, 0), "big")
            assert calls == chain.nonce(ADDRESSES[0]) - 1
            assert calls == len(chain.logs(first=0, last=head.number))
            for digest in found:
                receipt = chain.receipt(digest)
                assert receipt is not None
                assert receipt.succeeded
        acknowledged += found
    assert len(set(acknowledged)) == len(acknowledged) >= KILLS
    done = replay(path)
    assert done.transactions >= len(acknowledged) + 1
    with EmbeddedChain.open(path) as chain:
        assert (done.head, done.state_root) == (chain.head().hash, chain.head().state_root)
        assert done.blocks == chain.head().number + 1


def test_two_processes_write_at_once(counter: tuple[Path, bytes]) -> None:
    path, contract = counter
    each = 25

    def write(sender: int) -> Callable[[int], None]:
        def work(writing: int) -> None:
            chain = EmbeddedChain.open(path, engine=PyEvm())
            start = chain.nonce(ADDRESSES[sender])
            for nonce in range(start, start + each):
                os.write(writing, chain.send(signed(sender, nonce, to=contract, gas=100_000)))
            chain.close()

        return work

    children = [fork(write(sender)) for sender in (1, 2)]
    found = [drain(reading) for _, reading in children]
    assert [os.waitpid(child, 0)[1] for child, _ in children] == [0, 0]
    assert [len(hashes) for hashes in found] == [each, each]
    with EmbeddedChain.open(path) as chain:
        assert int.from_bytes(chain.storage(contract, 0), "big") == 2 * each
        assert chain.head().number == 1 + 2 * each
        assert [chain.nonce(ADDRESSES[n]) for n in (1, 2)] == [each, each]
    assert replay(path).transactions == 2 * each + 1


def test_two_processes_race_for_the_same_nonces(counter: tuple[Path, bytes]) -> None:
    path, contract = counter
    each = 15

    def write(mark: int) -> Callable[[int], None]:
        def work(writing: int) -> None:
            chain = EmbeddedChain.open(path, engine=PyEvm())
            done = 0
            while done < each:
                raw = signed(3, chain.nonce(ADDRESSES[3]), to=contract, data=words(mark, done), gas=100_000)
                try:
                    os.write(writing, chain.send(raw))
                    done += 1
                except NonceTaken:
                    pass  # the other one was first, and this one has changed nothing
            chain.close()

        return work

    children = [fork(write(mark)) for mark in (1, 2)]
    found = [drain(reading) for _, reading in children]
    assert [os.waitpid(child, 0)[1] for child, _ in children] == [0, 0]
    with EmbeddedChain.open(path) as chain:
        assert chain.nonce(ADDRESSES[3]) == 2 * each == len(set(found[0] + found[1]))
        assert int.from_bytes(chain.storage(contract, 0), "big") == 2 * each


@pytest.mark.parametrize("kills", [12])
def test_a_killed_compaction_leaves_a_whole_state(counter: tuple[Path, bytes], kills: int) -> None:
    path, contract = counter
    with EmbeddedChain.open(path) as chain:
        for nonce in range(0, 200, 2):
            chain.send_many([signed(1, nonce + n, to=contract, gas=100_000) for n in range(2)])
        head = chain.head()

    def work(writing: int) -> None:
        from twinproof.chain.embedded import compaction

        compaction.SWEEP = 7  # type: ignore[misc]
        chain = EmbeddedChain.open(path, keep_states=3)
        os.write(writing, keccak(b"ready"))
        chain.compact()

    random = Random(9)
    for _ in range(kills):
        child, reading = fork(work)
        os.read(reading, 32)
        for _ in range(random.randrange(20_000)):
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
    assert replay(path).state_root == head.state_root
    with EmbeddedChain.open(path, keep_states=3) as chain:
        chain.compact()
        assert chain.head() == head
        for number in range(head.number - 2, head.number + 1):
            assert chain.balance(ADDRESSES[0], block=number) > 0
        chain.send(signed(1, 200, to=contract, gas=100_000))
    replay(path)


def test_a_store_contract_survives_too(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    rig = Rig(path, GENESIS)
    address = rig.deploy(STORE)
    rig.chain.close()

    def work(writing: int) -> None:
        chain = EmbeddedChain.open(path, engine=PyEvm())
        os.write(writing, chain.send(signed(0, 1, to=address, data=words(3, 4))))
        os.kill(os.getpid(), signal.SIGKILL)

    child, reading = fork(work)
    (digest,) = drain(reading)
    os.waitpid(child, 0)
    with EmbeddedChain.open(path, read_only=True) as chain:
        assert chain.storage(address, 3) == words(4)
        receipt = chain.receipt(digest)
        assert receipt is not None
        assert [log.data for log in receipt.logs] == [words(4)]
