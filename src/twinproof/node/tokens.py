"""Local bearer tokens for readers, and for who acts through the node: FOLDER/tokens.json, mode 0600.

    tp_<id>_<secret>      id: 16 hexadecimal digits; secret: 32 random bytes in base64url

The file holds SHA-256(salt || secret), not the secret. A slow password hash would add nothing: whoever
steals the file has to guess 256 random bits, and each read would pay for the slowness.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final

from twinproof.errors import ConfigError, Malformed, NotFound, StorageFailed, Unauthenticated
from twinproof.log.files import replace_file
from twinproof.twin.statement import check_iri

FILE: Final = "tokens.json"
MAX_NOTE: Final = 200
"""Characters."""
_TOKEN = re.compile(r"tp_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z")
_KINDS: Final = ("all", "operate", "prefix", "twin")
_WHOLE: Final = ("all", "operate")
"""Those that are said in one word."""


@dataclass(frozen=True, slots=True)
class ReadScope:
    """What a token opens: reading everything (`all`), twins whose IRI begins with a text (`prefix`), one twin (`twin`).

    `operate` opens no reading: its bearer may act through the node on twins that the other scopes cover.
    """

    kind: str
    value: str = ""

    def covers(self, subject: str) -> bool:
        """Whether the twin is inside."""
        match self.kind:
            case "all":
                return True
            case "operate":
                return False
            case "prefix":
                return subject.startswith(self.value)
            case _:
                return subject == self.value

    def __str__(self) -> str:
        return self.kind if self.kind in _WHOLE else f"{self.kind}:{self.value}"


EVERYTHING: Final = ReadScope("all")
OPERATE: Final = ReadScope("operate")


def parse_scope(text: str) -> ReadScope:
    """Read `all`, `operate`, `prefix:IRI…` or `twin:IRI`; raises `Malformed` for the field `scope`."""
    kind, colon, value = text.partition(":")
    if kind not in _KINDS or (kind in _WHOLE) == bool(colon):
        raise Malformed("scope", f"{text[:80]!r} is none of all, prefix:IRI, twin:IRI, operate")
    if kind == "twin":
        check_iri(value, "scope")
    if kind == "prefix" and not value:
        raise Malformed("scope", "an empty prefix is everything; say all")
    return ReadScope(kind, value)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the node knows it."""

    id: str
    salt: bytes
    hash: bytes
    scopes: tuple[ReadScope, ...]
    created: int
    """POSIX seconds, as are the others."""
    expires: int | None
    revoked: int | None = None
    note: str = ""

    def problem(self, now: float) -> str | None:
        """Why the token does not hold any more, or None."""
        if self.revoked is not None:
            return "the token is revoked"
        return "the token has expired" if self.expires is not None and now >= self.expires else None


class TokenFile:
    """The tokens of one node. Methods may be called from any thread; changes by other processes are seen."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.path = folder / FILE
        self._clock = clock
        self._seen: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    # --- checking ---

    def check(self, text: str) -> Token:
        """The token that `text` is; raises `Unauthenticated`, `ConfigError` if the file cannot be read."""
        found = _TOKEN.match(text)
        if not found:
            raise Unauthenticated("the token is not one of this node")
        token = self._current().get(found[1], _NOBODY)
        given = sha256(token.salt + urlsafe_b64decode(found[2] + "=")).digest()
        # Unknown ids take the same steps as known ones.
        if not compare_digest(given, token.hash) or token is _NOBODY:
            raise Unauthenticated("the token is not one of this node")
        problem = token.problem(self._clock())
        if problem:
            raise Unauthenticated(problem)
        return token

    def _current(self) -> dict[str, Token]:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise ConfigError(f"{self.path}: {problem.strerror}") from None
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._tokens = _read(self.path)
            self._seen = seen
        return self._tokens

    # --- changing ---

    def new(self, scopes: Sequence[ReadScope], *, lifetime: int | None = None, note: str = "") -> tuple[str, Token]:
        """Make a token that holds for `lifetime` seconds; its text, which is kept nowhere, and what is kept."""
        if not scopes:
            raise Malformed("scope", "a token without scope reads nothing")
        if len(note) > MAX_NOTE or not note.isprintable():
            raise Malformed("note", f"not printable, or longer than {MAX_NOTE} characters")
        secret, salt, now = secrets.token_bytes(32), secrets.token_bytes(16), int(self._clock())
        token = Token(
            id=secrets.token_hex(8),
            salt=salt,
            hash=sha256(salt + secret).digest(),
            scopes=tuple(scopes),
            created=now,
            expires=None if lifetime is None else now + lifetime,
            note=note,
        )
        with self._changing() as tokens:
            tokens[token.id] = token
        return f"tp_{token.id}_{urlsafe_b64encode(secret).rstrip(b'=').decode()}", token

    def revoke(self, id_: str) -> Token:
        """End a token now; it stays listed. Raises `NotFound`."""
        with self._changing() as tokens:
            known = tokens.get(id_)
            if known is None:
                raise NotFound(f"no token {id_} in {self.path}")
            if known.revoked is None:
                tokens[id_] = replace(known, revoked=int(self._clock()))
            return tokens[id_]

    def list(self) -> list[Token]:
        """All that were made, oldest first."""
        return sorted(self._current().values(), key=lambda token: (token.created, token.id))

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """One process at a time; the file is replaced whole."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                self._seen = None
                tokens = dict(self._current())
                yield tokens
                _write(self.path, tokens)
            finally:
                os.close(folder)
        except OSError as problem:
            raise StorageFailed(f"{self.path}: {problem.strerror}") from None


_NOBODY: Final = Token("", b"\0" * 16, b"\0" * 32, (), 0, None)


def _write(path: Path, tokens: dict[str, Token]) -> None:
    rows = [
        {
            "id": token.id,
            "salt": token.salt.hex(),
            "hash": token.hash.hex(),
            "scopes": [str(scope) for scope in token.scopes],
            "created": token.created,
            "expires": token.expires,
            "revoked": token.revoked,
            "note": token.note,
        }
        for token in tokens.values()
    ]
    replace_file(path, json.dumps({"tokens": rows}, indent=1, ensure_ascii=False).encode() + b"\n", mode=0o600)


def _read(path: Path) -> dict[str, Token]:
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} may be read by others; mend it with: chmod 600 {path}")
        rows = json.loads(path.read_text())["tokens"]
        return {row["id"]: _token(row) for row in rows}
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError, Malformed) as problem:
        raise ConfigError(f"{path} is damaged ({problem}); make new tokens after deleting it") from None


def _token(row: dict[str, Any]) -> Token:
    times = [row[name] for name in ("created", "expires", "revoked")]
    if type(times[0]) is not int or any(time is not None and type(time) is not int for time in times):
        raise ValueError("a time is no whole number")
    return Token(
        id=str(row["id"]),
        salt=bytes.fromhex(row["salt"]),
        hash=bytes.fromhex(row["hash"]),
        scopes=tuple(parse_scope(text) for text in row["scopes"]),
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
        note=str(row["note"]),
    )
