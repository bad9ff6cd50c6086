"""The node's own messages on standard error: plain lines, or one JSON object a line.

{"time": "2026-01-31T12:00:00.000Z", "level": "error", "logger": "twinproof.node.intake", "message": "…"}
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from twinproof.node.config import Messages


class JsonLines(logging.Formatter):
    """What went wrong is in `exception`, its lines in one text."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def set_up_messages(settings: Messages) -> None:
    """Send the log records of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.format == "json" else logging.Formatter("%(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Others' libraries talk a lot below warnings.
    root.setLevel(logging.WARNING)
    logging.getLogger("twinproof").setLevel(settings.level.upper())
