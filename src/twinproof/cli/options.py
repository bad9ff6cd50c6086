"""Parameters that several commands share: their types, and the options themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from twinproof.errors import Malformed
from twinproof.node.cards import SignerCard, parse_card
from twinproof.twin.statement import MAX_TIME, check_iri

F = TypeVar("F", bound=Callable[..., Any])

MAX_CARD: Final = 64 * 1024
"""Bytes of a signer card."""

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_SECONDS = re.compile(r"[1-9][0-9]{0,15}\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d)?(?:[Zz]|[+-]\d\d:\d\d))?\Z", re.ASCII)


class Iri(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """An IRI with a scheme."""

    name = "iri"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself."""
        try:
            return check_iri(value, "value")
        except Malformed as problem:
            self.fail(f"{value!r} is {problem.reason}", param, ctx)


class Digest(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A SHA-256 digest: 64 hexadecimal digits, lower case."""

    name = "digest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Its 32 bytes."""
        if isinstance(value, bytes):
            return value
        if not _DIGEST.match(value):
            self.fail(f"{value!r} is not a SHA-256 digest of 64 lower-case hexadecimal digits", param, ctx)
        return bytes.fromhex(value)


class Time(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A moment: `2026-01-31`, `2026-01-31T12:00:00Z`, or POSIX seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """POSIX seconds; a bare date begins at midnight UTC."""
        if isinstance(value, int):
            return value
        if _SECONDS.match(value) and int(value) < MAX_TIME:
            return int(value)
        try:
            if not _DATE.match(value):
                raise ValueError
            moment = datetime.fromisoformat(value)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither 2026-01-31, 2026-01-31T12:00:00Z nor POSIX seconds", param, ctx)


class Index(click.IntRange):
    """A log index: decimal digits only."""

    name = "index"

    def __init__(self) -> None:
        super().__init__(min=0, max=(1 << 63) - 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; Python's `1_000` or `+5` is refused."""
        if isinstance(value, str) and not (value.isascii() and value.isdigit()):
            self.fail(f"{value!r} is not a number of decimal digits", param, ctx)
        return super().convert(value, param, ctx)


IRI = Iri()
DIGEST = Digest()
TIME = Time()
INDEX = Index()
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def target_options(command: F) -> F:
    """`--folder NODE` or `--url URL`: where the log is."""
    command = click.option("--url", metavar="URL", help="A running node, such as http://127.0.0.1:8600.")(command)
    return click.option("--folder", type=FOLDER, metavar="NODE", help="A node's folder on this machine.")(command)


def require_one(folder: Path | None, url: str | None) -> None:
    """Raise a usage error unless exactly one of `--folder` and `--url` is given."""
    if (folder is None) == (url is None):
        raise click.UsageError("Give the log either as --folder NODE or as --url URL.")


def read_file(path: Path, limit: int, what: str) -> bytes:
    """A file of at most `limit` bytes; raises `Malformed` if it is larger or cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as problem:
        raise Malformed(what, f"{path}: {problem.strerror}") from None
    if len(data) > limit:
        raise Malformed(what, f"{path}: over {limit} bytes")
    return data


def read_card(path: Path) -> SignerCard:
    """A signer card; raises `Malformed`."""
    try:
        return parse_card(read_file(path, MAX_CARD, "signer card").decode())
    except UnicodeDecodeError:
        raise Malformed("signer card", f"{path}: not text") from None


def operator_kid(text: str) -> bytes:
    """The thumbprint that `--operator` names: 64 hexadecimal digits, or a signer card; raises a usage error."""
    if len(text) == 64 and all(digit in "0123456789abcdef" for digit in text):
        return bytes.fromhex(text)
    path = Path(text)
    if not path.is_file():
        raise click.UsageError(f"--operator {text}: neither a file nor a key thumbprint of 64 hexadecimal digits")
    return read_card(path).key.thumbprint


def write_new(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write a result file; raises a usage error if it exists and `force` is not set."""
    try:
        with path.open("wb" if force else "xb") as file:
            file.write(data)
    except FileExistsError:
        raise click.UsageError(f"{path} exists; give another name or --force") from None
