"""The pin: a small file beside the database that remembers the last checkpoint this log has signed.

A database can be brought back from yesterday's backup; signing on top of it would fork the log. The
pin makes that visible: keep it where the database's backups do not reach (another disk is best).
Its content is the signed note itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from twinproof.errors import StorageFailed
from twinproof.log.files import replace_file
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
        try:
            replace_file(self._path, note, mode=0o600)
        except OSError as problem:
            raise StorageFailed(f"{self._path}: {problem.strerror}; the pin must be writable to sign") from problem
