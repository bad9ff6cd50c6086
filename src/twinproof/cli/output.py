"""What every command does the same way: text or JSON, marks and colour, progress, times, errors, exit codes.

Results go to stdout; progress and errors go to stderr. Colour and progress appear on a terminal only, and the
environment variable NO_COLOR (https://no-color.org) turns colour off.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Final

import click

from twinproof.errors import (
    ChainUnreachable,
    ConfigError,
    Conflict,
    InternalError,
    Malformed,
    NotFound,
    Overloaded,
    StorageFailed,
    TwinproofError,
    Unreachable,
)
from twinproof.proof.cbor import Tagged
from twinproof.proof.note import encode_base64

PROGRESS_EVERY: Final = 0.1
"""Seconds between two drawings of a progress bar."""


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    REFUSED = 1
    """Refused, not verified, or findings."""
    USAGE = 2
    """Wrong usage, or input that cannot be read."""
    UNAVAILABLE = 3
    """Out of reach, overloaded, or the disk failed: worth another try."""


_EXIT_CODES: Final[tuple[tuple[type[TwinproofError], ExitCode], ...]] = (
    (Malformed, ExitCode.USAGE),
    (ConfigError, ExitCode.USAGE),
    (NotFound, ExitCode.USAGE),
    (Unreachable, ExitCode.UNAVAILABLE),
    (ChainUnreachable, ExitCode.UNAVAILABLE),
    (Overloaded, ExitCode.UNAVAILABLE),
    (StorageFailed, ExitCode.UNAVAILABLE),
    (Conflict, ExitCode.UNAVAILABLE),
    (InternalError, ExitCode.UNAVAILABLE),
)


def exit_code(error: TwinproofError) -> ExitCode:
    """The exit code of an error; what is not listed is a refusal."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), ExitCode.REFUSED)


def report_error(code: str, message: str, *, as_json: bool) -> None:
    """One line on stderr (`error: …`), or one JSON object."""
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False), err=True)
    else:
        click.echo(click.style("error: ", fg="red", bold=True) + message, err=True, color=_color())


def _color() -> bool | None:
    """For output outside of a running command, where click knows no context: None lets the terminal decide."""
    return False if os.environ.get("NO_COLOR") else None


# --- results ----------------------------------------------------------------------------------


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_json_line(value: object) -> None:
    """One line of a stream of JSON documents on stdout."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def plain(value: Any) -> Any:
    """CBOR values as JSON can say them: bytes as `{"base64": …}`, other keys as text, unsafe numbers as text."""
    match value:
        case bytes():
            return {"base64": encode_base64(value)}
        case Tagged():
            return {"tag": value.tag, "value": plain(value.value)}
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case _:
            return value


def mark(passed: bool) -> str:
    """A tick or a cross, in plain letters where the terminal cannot show them."""
    sign, word = ("✓", "ok  ") if passed else ("✗", "FAIL")
    try:
        sign.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        sign = word
    return click.style(sign, fg="green" if passed else "red", bold=True)


def heading(text: str) -> None:
    """A title above a block of lines."""
    click.echo("\n" + click.style(text, bold=True))


def utc(seconds: float) -> str:
    """POSIX seconds as an RFC 3339 time, `2023-11-14T22:13:20Z`; the number itself if no calendar has it."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
    text = moment.isoformat(timespec="milliseconds" if seconds % 1 else "seconds")
    return text.replace("+00:00", "Z")


def count(number: int, noun: str) -> str:
    """`1 entry`, `2,345 entries`."""
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun}"


# --- progress ---------------------------------------------------------------------------------


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yields `report(done, total)`; draws a bar with its rate on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    # The rate counts from the first report on: what was there before is not this run's work.
    began: tuple[float, int] | None = None
    drawn = 0.0

    def report(done: int, total: int) -> None:
        nonlocal began, drawn
        now = time.monotonic()
        began = began or (now, done)
        if now - drawn < PROGRESS_EVERY and done < total:
            return
        drawn = now
        filled = 24 * done // total if total else 24
        rate = f"{(done - began[1]) / (now - began[0]):,.0f}/s" if now > began[0] else ""
        click.echo(f"\r{label}  [{'#' * filled:<24}]  {done:,}/{total:,}  {rate}\x1b[K", nl=False, err=True, color=True)

    try:
        yield report
    finally:
        if drawn:
            click.echo("\r\x1b[K", nl=False, err=True, color=True)
