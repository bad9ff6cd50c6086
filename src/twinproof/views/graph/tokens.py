"""The tokens of a query, and refusals that name the place."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from twinproof.errors import Malformed, TooLarge

MAX_QUERY: Final = 10_000
"""Characters."""
MAX_TOKENS: Final = 1_000

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
      | (?P<integer>\d+)
      | (?P<name>[^\W\d]\w*)
      | `(?P<quoted>(?:[^`]|``)+)`
      | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<symbol>\.\.|<>|<=|>=|[()\[\]{},:.|*=<>$-])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPES: Final = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_PLAIN_INTEGER = re.compile(r"(?:0|[1-9][0-9]*)\Z")


class Token(NamedTuple):
    """A word of a query."""

    kind: str
    """name, quoted (a name in backquotes), string, integer, float, symbol or end."""
    text: str
    """As it stands there; of a string or a quoted name what it means."""
    at: int
    """Place of its first character, from 0."""


def refusal(query: str, at: int, reason: str) -> Malformed:
    """The error for something wrong at a place of the query."""
    line = query.count("\n", 0, at) + 1
    column = at - (query.rfind("\n", 0, at) + 1) + 1
    return Malformed("query", f"line {line}, column {column}: {reason}")


def tokens(query: str) -> list[Token]:
    """The tokens, the last of kind `end`; raises `Malformed` with the place, or `TooLarge`."""
    if len(query) > MAX_QUERY:
        raise TooLarge("query", f"longer than {MAX_QUERY} characters")
    found: list[Token] = []
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise _unreadable(query, at)
        kind = match.lastgroup or ""
        text = match[kind]
        if kind == "string":
            text = _unescape(query, text[1:-1], at + 1)
        elif kind == "quoted":
            text = text.replace("``", "`")
        elif kind == "integer" and (not _PLAIN_INTEGER.match(text) or len(text) > 19 or int(text) >= 1 << 63):
            raise refusal(query, at, f"{text[:30]} is not a decimal number below 2^63")
        elif kind == "float" and float(text) == float("inf"):
            raise refusal(query, at, f"{text[:30]} is beyond a double's range")
        if kind != "space":
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise refusal(query, at, "holds half of a surrogate pair")
            found.append(Token(kind, text, at))
            if len(found) > MAX_TOKENS:
                raise TooLarge("query", f"more than {MAX_TOKENS} words and signs; give long lists as $parameters")
        at = match.end()
    return [*found, Token("end", "", len(query))]


def _unreadable(query: str, at: int) -> Malformed:
    character = query[at]
    if character in "'\"":
        return refusal(query, at, "a string that does not end")
    if character == "`":
        return refusal(query, at, "a quoted name that is empty or does not end")
    if character in "+/%^":
        return refusal(query, at, f"{character!r}: there is no arithmetic in this language")
    return refusal(query, at, f"{character!r} has no meaning here")


def _unescape(query: str, text: str, start: int) -> str:
    def meaning(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        if code:
            number = int(code, 16)
            if number > 0x10FFFF:
                raise refusal(query, start + match.start(), f"{match[0]} is no character")
            return chr(number)
        if match[3] not in _ESCAPES:
            raise refusal(query, start + match.start(), f"unknown escape {match[0]}; a backslash is written twice")
        return _ESCAPES[match[3]]

    return _ESCAPE.sub(meaning, text)
