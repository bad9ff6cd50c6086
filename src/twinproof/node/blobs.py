"""Blobs: bytes that statements name by their SHA-256, beside the log, such as trained models.

FOLDER/blobs/ab/abcdef…   the file's name is its digest in hexadecimal digits, parted by the first two

A blob never changes, so writing one twice is no conflict and reading needs no lock. It is whole or not there: written
under another name, made durable, then renamed. A crash in between leaves a file `….part`, which the next `put` of the
same blob replaces and nothing reads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from twinproof.errors import Corrupt, NotFound, StorageFailed, TooLarge
from twinproof.log.files import sync_folder
from twinproof.twin.evidence import MAX_BLOB

FOLDER: Final = "blobs"


class Blobs:
    """The blobs of one node; methods may be called from any thread and process."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the node's."""
        self._folder = folder / FOLDER

    def _path(self, name: bytes) -> Path:
        text = name.hex()
        return self._folder / text[:2] / text

    def put(self, data: bytes) -> bytes:
        """Keep `data`, durable on return; its digest. Raises `TooLarge`, `StorageFailed`."""
        if len(data) > MAX_BLOB:
            raise TooLarge("blob", f"{len(data)} bytes, the limit is {MAX_BLOB}")
        name = sha256(data).digest()
        path = self._path(name)
        # Each writer has a file of its own: two may put the same blob.
        part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            if path.exists() and path.read_bytes() == data:
                return name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            for folder in (path.parent, self._folder, self._folder.parent):
                sync_folder(folder)
        except OSError as problem:
            part.unlink(missing_ok=True)
            raise StorageFailed(f"{path}: {problem.strerror}") from None
        return name

    def get(self, name: bytes) -> bytes:
        """The blob with this digest. Raises `NotFound`, `Corrupt` for other bytes than that, `StorageFailed`."""
        path = self._path(name)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BLOB + 1)
        except FileNotFoundError:
            raise NotFound(f"no blob {name.hex()} here") from None
        except OSError as problem:
            raise StorageFailed(f"{path}: {problem.strerror}") from None
        if sha256(data).digest() != name:
            raise Corrupt(f"{path} does not hold what its name says; put the blob there again")
        return data

    def has(self, name: bytes) -> bool:
        """Whether there is such a blob; its bytes are not looked at."""
        return self._path(name).is_file()

    def names(self) -> Iterator[bytes]:
        """Digests of what is kept, ascending."""
        for path in sorted(self._folder.glob("[0-9a-f][0-9a-f]/*")):
            if len(path.name) == 64 and not set(path.name) - set("0123456789abcdef"):
                yield bytes.fromhex(path.name)
