"""kill -9 of a node under load, again and again; then an older copy of its database. The one slow test here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.builders import DEVICE, GATEWAY, INSPECTOR, Log, Signer
from tests.server.process import Client, NodeProcess, StartFailed, make_folder, serve
from twinproof.log.fsck import fsck
from twinproof.log.pin import Pin
from twinproof.node.examine import Examiner
from twinproof.node.node import DATABASE, PIN, POLICY, Node, read_node
from twinproof.proof import merkle
from twinproof.proof.policy import Policy, parse_policy
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.stream import position_of

KILLS = 50
FLEET = "https://fleet.example/engine/"
DEVICES = {DEVICE: f"{FLEET}1", GATEWAY: f"{FLEET}2", INSPECTOR: f"{FLEET}3"}


class Device:
    """Numbers, chains and keeps what it says until the log has acknowledged it, as an outbox does."""

    def __init__(self, signer: Signer, subject: str) -> None:
        self.signer = signer
        self.subject = subject
        self.script = Log(empty=True)
        self.waiting: list[bytes] = []
        self.acknowledged: dict[bytes, int] = {}
        self.notes: set[bytes] = set()
        """Every checkpoint that it was shown."""
        self.failures: list[object] = []

    def send(self, address: tuple[str, int], stop: Event) -> None:
        """Send until the node is gone."""
        client = Client(address)
        size = 3 + len(self.acknowledged) % 9
        query = "?receipts=1" if size % 2 else ""
        try:
            while not stop.is_set():
                while len(self.waiting) < size:
                    number = len(self.script)
                    self.waiting.append(self.script.record(self.signer, number / 7, subject=self.subject).raw)
                answer = client.batch(self.waiting, query)
                if answer.status != 200:
                    self.failures.append(answer)
                    return
                for raw, result in zip(self.waiting, answer.value["results"], strict=True):
                    if result["status"] not in (200, 201):
                        self.failures.append(result)
                        return
                    self.acknowledged[raw] = result["index"]
                self.waiting.clear()
                self.notes.add(answer.value["checkpoint"])
        except (OSError, HTTPException):
            pass  # killed; what is waiting is sent again next time
        finally:
            client.close()


def watch(address: tuple[str, int], notes: set[bytes], stop: Event) -> None:
    """Somebody who only looks at checkpoints, also at ones that no device was told."""
    client = Client(address)
    try:
        while not stop.is_set():
            notes.add(client.get("/checkpoint").body)
    except (OSError, HTTPException):
        pass
    finally:
        client.close()


def one_round(folder: Path, devices: list[Device], seen: set[bytes], after: int) -> None:
    """Start the node, load it, and kill it once `after` more statements are acknowledged."""
    node = NodeProcess(folder)
    stop = Event()
    target = sum(len(device.acknowledged) for device in devices) + after
    threads = [Thread(target=device.send, args=(node.address, stop)) for device in devices]
    threads.append(Thread(target=watch, args=(node.address, seen, stop)))
    for thread in threads:
        thread.start()
    while sum(len(device.acknowledged) for device in devices) < target:
        threads[after % len(devices)].join(0.001)
        assert any(thread.is_alive() for thread in threads), [device.failures for device in devices]
    node.kill()
    stop.set()
    for thread in threads:
        thread.join(60)
    assert [device.failures for device in devices] == [[]] * len(devices)


def check_entries(folder: Path, devices: Iterable[Device], before: list[bytes]) -> list[bytes]:
    """Everything acknowledged is there with its index, nothing is there twice, nothing old has changed."""
    with read_node(folder) as node:
        size = node.reader.head().size
        entries = node.reader.entries(0, size)
    assert entries[: len(before)] == before
    assert len(set(entries)) == size
    for device in devices:
        for raw, index in device.acknowledged.items():
            assert entries[index] == raw
    return entries


def findings(node: Node, *, deep: bool) -> list[str]:
    found = fsck(
        node.store,
        verifiers=node.verifiers,
        pin=Pin(node.folder / PIN),
        key_of=position_of if deep else None,
        check_entry=Examiner().examine if deep else None,
    )
    return [str(finding) for finding in found]


def check_consistency(node: Node, policy: Policy, notes: Iterable[bytes]) -> int:
    """Every checkpoint that anybody saw is a prefix of the log as it is; how many sizes there were."""
    roots: dict[int, bytes] = {}
    for note in notes:
        checkpoint = policy.check(note).checkpoint
        assert roots.setdefault(checkpoint.size, checkpoint.root) == checkpoint.root
    sizes = sorted(roots)
    assert sizes[-1] <= node.reader.head().size
    for old, new in zip(sizes, [*sizes[1:], node.reader.head().size], strict=True):
        root = roots.get(new, node.reader.head().root)
        merkle.check_consistency(old, new, roots[old], root, node.reader.consistency(old, new))
    return len(sizes)


def copy_database(source: Path, target: Path) -> None:
    for name in (DATABASE, f"{DATABASE}-wal"):
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copy2(source / name, target / name)
    (target / f"{DATABASE}-shm").unlink(missing_ok=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make_folder(tmp_path / "node", rate=0)
    running = serve(made)
    for signer, subject in DEVICES.items():
        running.script.grant(signer, {Capability.RECORD}, Scope("twin", subject))
    running.grow()
    running.client.close()
    assert running.node.stop() == 0
    return made


def test_fifty_kills_and_an_older_copy(folder: Path, tmp_path: Path) -> None:
    policy = parse_policy((folder / POLICY).read_bytes())
    devices = [Device(signer, subject) for signer, subject in DEVICES.items()]
    seen: set[bytes] = set()
    entries: list[bytes] = []
    older = tmp_path / "older"
    older.mkdir()
    for number in range(KILLS):
        one_round(folder, devices, seen, after=1 + number * 37 % 100)
        entries = check_entries(folder, devices, entries)
        if number % 10 == 9:
            with read_node(folder) as node:
                assert findings(node, deep=False) == []
        if number == KILLS // 2:
            copy_database(folder, older)
    # The node opens, so that the pin is that of the newest head; then everything is looked at.
    running = serve(folder)
    seen.add(running.client.get("/checkpoint").body)
    for device in devices:
        if device.waiting:
            indices = running.client.take(*device.waiting)
            device.acknowledged.update(zip(device.waiting, indices, strict=True))
            device.waiting.clear()
        assert running.client.take(*device.script.raws) == list(device.acknowledged.values())
    running.client.close()
    running.node.kill()
    entries = check_entries(folder, devices, entries)
    assert len(entries) == 1 + len(devices) + sum(len(device.script) for device in devices)
    bundles = []
    with read_node(folder) as node:
        assert findings(node, deep=True) == []
        assert check_consistency(node, policy, seen.union(*(device.notes for device in devices))) > KILLS
        for number, subject in enumerate(DEVICES.values()):
            bundles.append(tmp_path / f"{number}.twinproof")
            bundles[-1].write_bytes(node.evidence.bundle(subject, "tests"))
        newest = node.reader.head()

    # Yesterday's database under today's pin: refused, and the way back works.
    copy_database(older, folder)
    with pytest.raises(StartFailed) as caught:
        NodeProcess(folder)
    assert caught.value.exit_code != 0
    for part in ("older copy", f"checkpoint of {len(entries)}", "Nothing was signed", "re-append the missing entries"):
        assert part in caught.value.text
    assert "Traceback" not in caught.value.text
    with read_node(folder) as node:
        assert node.reader.head().size < len(entries)
    command = [sys.executable, "-m", "twinproof", "log", "restore", str(folder), *map(str, bundles)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    again = serve(folder)
    try:
        assert again.head().size == len(entries)
        assert again.head().root == newest.root
        for device in devices:
            assert again.client.take(*device.script.raws) == list(device.acknowledged.values())
        with read_node(folder) as node:
            assert node.reader.entries(0, len(entries)) == entries
            assert findings(node, deep=True) == []
    finally:
        again.client.close()
        assert again.node.stop() == 0
