"""TOML tables read strictly into dataclasses: every key known, every value of its type, every error with its place.

    @dataclass(frozen=True, slots=True)
    class Listen:
        host: Annotated[str, text()]
        port: Annotated[int, number(1, 65535)] = 8600

    listen = read_table(Listen, {"host": "::1"}, Place(path, "listen"))

The reader in a field's annotation turns the decoded TOML value into the field's value and raises `ConfigError` through
its `Place`, which names file, table and key. A field without a default is required.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from twinproof.errors import ConfigError, Malformed

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_MAX_TEXT: Final = 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: for errors, and for paths, which are relative to the file's folder."""

    file: Path
    table: str = ""
    """As a person would look for it: `gateway`, `mqtt 1, map 2`."""

    def inside(self, name: str, number: int | None = None) -> Place:
        """The place of a table in this one; `number` counts from 1."""
        here = name if number is None else f"{name} {number}"
        return Place(self.file, f"{self.table}, {here}" if self.table else here)

    def error(self, key: str, reason: str) -> ConfigError:
        """The error about one key."""
        return ConfigError(f"{self.file}: {self.table + ': ' if self.table else ''}{key} {reason}")

    def path(self, text: str) -> Path:
        """A path as the file means it."""
        return self.file.parent / text


Reader = Callable[[Any, Place, str], T]
"""(decoded value, its place, its key) -> the field's value."""


@cache
def _readers(kind: type[Any]) -> dict[str, tuple[Reader[Any], bool]]:
    """Key -> (its reader, whether it is required)."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: (hints[field.name].__metadata__[0], field.default is dataclasses.MISSING)
        for field in dataclasses.fields(kind)
    }


def read_table(kind: type[T], value: object, place: Place) -> T:
    """An instance of the dataclass `kind`; raises `ConfigError`.

    If `kind` has a method `check(place)`, it is called with the finished instance.
    """
    if type(value) is not dict:
        raise ConfigError(f"{place.file}: {place.table} is not a table")
    known = _readers(kind)  # type: ignore[arg-type]  # a class is hashable
    for key in value:
        if key not in known:
            raise place.error(key, f"is no key of this table; known are {', '.join(known)}")
    found: dict[str, Any] = {}
    for key, (read, required) in known.items():
        if key in value:
            found[key] = read(value[key], place, key)
        elif required:
            raise place.error(key, "is missing")
    made = kind(**found)
    check = getattr(made, "check", None)
    if check is not None:
        check(place)
    return made


# --- readers --------------------------------------------------------------------------------


def text(limit: int = _MAX_TEXT) -> Reader[str]:
    """Text of 1 to `limit` characters without controls."""

    def read(value: Any, place: Place, key: str) -> str:
        if type(value) is not str:
            raise place.error(key, f"must be text, not {value!r:.60}")
        if not 0 < len(value) <= limit or not value.isprintable():
            raise place.error(key, f"must be 1 to {limit} printable characters")
        return value

    return read


def number(low: int, high: int) -> Reader[int]:
    """A whole number from `low` to `high`."""

    def read(value: Any, place: Place, key: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise place.error(key, f"must be a whole number from {low} to {high}, not {value!r:.60}")
        return value

    return read


def decimal(low: float, high: float) -> Reader[float]:
    """A finite number from `low` to `high`, with or without a decimal point."""

    def read(value: Any, place: Place, key: str) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise place.error(key, f"must be a number from {low:g} to {high:g}, not {value!r:.60}")
        return float(value)

    return read


def boolean(value: Any, place: Place, key: str) -> bool:
    """true or false."""
    if type(value) is not bool:
        raise place.error(key, f"must be true or false, not {value!r:.60}")
    return value


def choice(kind: type[E]) -> Reader[E]:
    """One of the values of a `StrEnum`."""

    def read(value: Any, place: Place, key: str) -> E:
        if type(value) is not str or value not in tuple(kind):
            raise place.error(key, f"must be one of {', '.join(kind)}, not {value!r:.60}")
        return kind(value)

    return read


def file_path(value: Any, place: Place, key: str) -> Path:
    """A path; a relative one begins in the folder of the TOML file."""
    return place.path(text()(value, place, key))


def parsed(parse: Callable[[str], T]) -> Reader[T]:
    """Text that `parse` understands; its `Malformed` becomes the error."""

    def read(value: Any, place: Place, key: str) -> T:
        try:
            return parse(text()(value, place, key))
        except Malformed as problem:
            raise place.error(key, f"{value!r:.80}: {problem.reason}") from None

    return read


def table(kind: type[T]) -> Reader[T]:
    """A table in the table."""

    def read(value: Any, place: Place, key: str) -> T:
        return read_table(kind, value, place.inside(key))

    return read


def tables(kind: type[T], *, least: int = 1) -> Reader[tuple[T, ...]]:
    """An array of tables (`[[…]]`, or inline tables), at least `least`."""

    def read(value: Any, place: Place, key: str) -> tuple[T, ...]:
        if type(value) is not list or len(value) < least:
            raise place.error(key, f"must be an array of at least {least} tables")
        return tuple(read_table(kind, item, place.inside(key, at)) for at, item in enumerate(value, 1))

    return read


def listed(read_item: Reader[T]) -> Reader[tuple[T, ...]]:
    """An array whose items are all read alike."""

    def read(value: Any, place: Place, key: str) -> tuple[T, ...]:
        if type(value) is not list:
            raise place.error(key, "must be an array")
        return tuple(read_item(item, place, f"{key}, item {at}") for at, item in enumerate(value, 1))

    return read


# --- secrets --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a password is kept: `{ env = "NAME" }` or `{ file = "path" }`. Never in the TOML file itself."""

    place: Place
    key: str
    env: str | None = None
    file: Path | None = None

    def read(self, environment: Mapping[str, str]) -> str:
        """The secret; a file's last line end is no part of it. Raises `ConfigError`."""
        if self.env is not None:
            value = environment.get(self.env, "")
            if not value:
                raise self.place.error(self.key, f"is to be in the environment variable {self.env}, which is not set")
            return value
        assert self.file is not None  # noqa: S101 - `secret` gives one of the two
        try:
            value = self.file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as problem:
            raise self.place.error(self.key, f"cannot be read from {self.file}: {problem}") from None
        if not value:
            raise self.place.error(self.key, f"is empty in {self.file}")
        return value


def secret(value: Any, place: Place, key: str) -> Secret:
    """Reader of a `Secret`."""
    if type(value) is not dict or len(value) != 1 or not value.keys() <= {"env", "file"}:
        raise place.error(key, 'must be { env = "NAME" } or { file = "path" }: secrets do not stand in this file')
    ((kind, where),) = value.items()
    if kind == "file":
        return Secret(place, key, file=file_path(where, place, key))
    name = text()(where, place, key)
    if not _VARIABLE.match(name):
        raise place.error(key, f"{name!r:.60} cannot be the name of an environment variable")
    return Secret(place, key, env=name)
