"""FOLDER/access.log: one JSON line for each call that was denied, put aside at a size, never the token itself.

    {"time": "2026-01-31T12:00:00.000Z", "client": "192.0.2.7", "method": "GET", "route": "/api/v1/state",
     "twin": "https://fleet.example/engine/1", "status": 403, "code": "access-denied", "reason": "…", "token": "…"}

`token` is the id of a token of this node, or the subject of an issuer's; null if none was shown or it does
not hold. The newest file is access.log, the one before access.log.1.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FILE: Final = "access.log"
MAX_TEXT: Final = 512
"""Characters of what a caller sent."""
_LOG = logging.getLogger(__name__)


class DenialLog:
    """Appends from any thread; a disk that refuses is reported, and nobody gets in for it."""

    def __init__(self, folder: Path, *, max_bytes: int, keep: int) -> None:
        self.path = folder / FILE
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = threading.Lock()

    def write(self, time: float, **said: str | int | None) -> None:
        """Add a line."""
        moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        cut = {name: value[:MAX_TEXT] if isinstance(value, str) else value for name, value in said.items()}
        line = json.dumps({"time": moment, **cut}) + "\n"
        try:
            with self._lock:
                self._make_room(len(line))
                with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
                    file.write(line)
        except OSError as problem:
            _LOG.error("%s: %s; not on record: %s", self.path, problem.strerror, line.rstrip())

    def _make_room(self, size: int) -> None:
        try:
            if self.path.stat().st_size + size <= self._max_bytes:
                return
        except FileNotFoundError:
            return
        if not self._keep:
            self.path.unlink()
            return
        for number in range(self._keep - 1, 0, -1):
            older = self._aside(number)
            if older.exists():
                older.replace(self._aside(number + 1))
        self.path.replace(self._aside(1))

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{FILE}.{number}")
