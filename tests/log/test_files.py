"""Files that are replaced whole: what a crash at each system call leaves."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from twinproof.log.files import replace_file


@pytest.mark.parametrize("old", [None, b"the old content"])
@pytest.mark.parametrize("failing", ["open", "fsync", "replace"])
def test_a_failure_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path if failing == "replace" else os, failing, fail)
        with pytest.raises(OSError, match="No space"):
            replace_file(path, b"new")
    assert (path.read_bytes() if path.exists() else None) == old
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_leftover_lends_neither_bytes_nor_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    leftover = tmp_path / "file.new"
    leftover.write_bytes(b"longer than what comes")
    leftover.chmod(0o644)
    replace_file(path, b"x", mode=0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"x", 0o600)
