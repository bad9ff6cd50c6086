"""The pin: a small file beside the database that remembers the last checkpoint this log has signed.

A database can be brought back from yesterday's backup; signing on top of it would fork the log. The
pin makes that visible: keep it where the database's backups do not reach (another disk is best).
Its content is the signed note itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from twinproof.errors import StorageFailed
from twinproof.proof.note import MAX_NOTE


class AnyPin(Protocol):
    """What the writer needs of a pin."""

    def read(self) -> bytes | None:
        """The note written last; None if there never was one. Raises `StorageFailed`."""

    def write(self, note: bytes) -> None:
        """Replace the note; durable on return. On `StorageFailed` the old or the new note is there, whole."""


class Pin:
    """A pin in the file `path`, mode 0600."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)

    def read(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_NOTE + 1)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise StorageFailed(f"{self._path}: {problem.strerror}") from problem

    def write(self, note: bytes) -> None:
        new = self._path.with_name(self._path.name + ".new")
        try:
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(file, "wb") as stream:  # noqa: PTH123 - a descriptor, for the mode
                os.fchmod(file, 0o600)  # a leftover of a crash may have another mode
                stream.write(note)
                stream.flush()
                os.fsync(file)
            # The commit point. A crash before it leaves the old pin and perhaps a torn `.new`, which nobody reads.
            new.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise StorageFailed(f"{self._path}: {problem.strerror}; the pin must be writable to sign") from problem
