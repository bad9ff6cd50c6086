"""A pin without a file."""

from __future__ import annotations


class MemoryPin:
    """The `AnyPin` Protocol over one attribute."""

    def __init__(self, note: bytes | None = None) -> None:
        self.note = note

    def read(self) -> bytes | None:
        return self.note

    def write(self, note: bytes) -> None:
        self.note = note
