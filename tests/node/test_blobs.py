"""The blob store: named by content, whole or not there."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from twinproof.errors import Corrupt, NotFound, StorageFailed, TooLarge
from twinproof.node import blobs as module
from twinproof.node.blobs import Blobs


def test_what_is_put_is_got_by_its_digest(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert list(blobs.names()) == []
    names = [blobs.put(data) for data in (b"", b"a model", bytes(100_000))]
    assert names[1] == sha256(b"a model").digest()
    assert [len(blobs.get(name)) for name in names] == [0, 7, 100_000]
    assert list(Blobs(tmp_path).names()) == sorted(names)
    assert blobs.put(b"a model") == names[1]
    assert blobs.has(names[1])
    assert not blobs.has(b"\1" * 32)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="0101"):
        Blobs(tmp_path).get(b"\1" * 32)


def test_a_damaged_blob_is_never_given_out_and_can_be_mended(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"a model")
    path = tmp_path / "blobs" / name.hex()[:2] / name.hex()
    path.write_bytes(b"a modem")
    with pytest.raises(Corrupt, match=name.hex()):
        blobs.get(name)
    assert blobs.put(b"a model") == name
    assert blobs.get(name) == b"a model"


def test_too_large_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BLOB", 10)
    with pytest.raises(TooLarge):
        Blobs(tmp_path).put(b"x" * 11)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_nothing_that_is_read(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        owner: object = os if step == "fsync" else Path
        patched.setattr(owner, step, fail)
        with pytest.raises(StorageFailed, match="No space"):
            Blobs(tmp_path).put(b"a model")
    assert list(Blobs(tmp_path).names()) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert Blobs(tmp_path).put(b"a model")


def test_a_part_that_a_crash_left_is_no_blob(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = sha256(b"a model").digest()
    folder = tmp_path / "blobs" / name.hex()[:2]
    folder.mkdir(parents=True)
    (folder / f"{name.hex()}.1-1.part").write_bytes(b"a mo")
    assert list(blobs.names()) == []
    with pytest.raises(NotFound):
        blobs.get(name)
