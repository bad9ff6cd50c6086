"""Small files that survive a power cut: replaced whole, or not at all; and new ones that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

from twinproof.errors import ConfigError, StorageFailed


def replace_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Put `data` in the place of `path`, durable on return; `mode` is subject to the umask. Raises `OSError`.

    One writer at a time: what is new is prepared in `<name>.new` beside it.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)  # a crash may have left it, with another mode
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    # The commit point. A crash before it leaves the old file and perhaps a torn `.new`, which nobody reads.
    new.replace(path)
    sync_folder(path.parent)


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600, durable on return; keys are never overwritten.

    Raises `ConfigError` if the file exists or cannot be made, `StorageFailed` if it cannot be written:
    then it is not there.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists; a key is never overwritten") from None
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise StorageFailed(f"{path}: {problem.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; raises `OSError`."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
