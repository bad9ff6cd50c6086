"""Conditions on the values that a statement tells: what a subscription's `where` says.

    T24 > 645 and (mode = "cruise" or "oil pressure" <= 2.5e5)

A comparison is a name, one of `<  <=  >  >=  =  !=`, and a number, a text in double quotes, `true` or
`false`; `and` binds tighter than `or`. A name stands bare if it has the characters of a reading's name
(RFC 8428 §4.5.1), else in double quotes. A comparison holds if any value that the statement gives under
the name satisfies it; text and truth values compare by `=` and `!=` only, and values of different
types satisfy nothing.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, TypeAlias

from twinproof.errors import Malformed, TooLarge
from twinproof.twin.reading import MAX_NAME

MAX_CONDITION: Final = 2000
"""Characters."""
MAX_COMPARISONS: Final = 64
MAX_DEPTH: Final = 16
"""Parentheses inside each other."""

Values: TypeAlias = Mapping[str, Iterable[object]]
"""The values of a statement by name."""

_TOKEN = re.compile(
    r"""[ \t]*(?:
      (?P<word>[A-Za-z0-9+\-][A-Za-z0-9+\-:./_]*)
    | (?P<text>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*")
    | (?P<sign><=|>=|!=|<|>|=)
    | (?P<bracket>[()])
    )""",
    re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?(?:[eE][+\-]?[0-9]{1,3})?\Z")
_SIGNS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """name sign literal."""

    name: str
    sign: str
    literal: float | int | str | bool

    def holds(self, values: Values) -> bool:
        """Whether any value under the name satisfies the comparison."""
        test, literal = _SIGNS[self.sign], self.literal
        if type(literal) is float or type(literal) is int:
            # NaN is a missing sample, and would satisfy `!=`.
            return any(
                (type(value) is float or type(value) is int) and value == value and test(value, literal)
                for value in values.get(self.name, ())
            )
        return any(type(value) is type(literal) and test(value, literal) for value in values.get(self.name, ()))


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> bool:
        """Whether it does."""
        return all(part.holds(values) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]

    def holds(self, values: Values) -> bool:
        """Whether it does."""
        return any(part.holds(values) for part in self.parts)


Condition: TypeAlias = Comparison | AllOf | AnyOf


def parse_condition(text: str, field: str = "where") -> Condition:
    """Read a condition; raises `Malformed` or `TooLarge` for `field`, saying where it goes wrong."""
    if len(text) > MAX_CONDITION:
        raise TooLarge(field, f"longer than {MAX_CONDITION} characters")
    return _Parser(text, field).parse()


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str, field: str) -> None:
        self._field = field
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        """(group of `_TOKEN`, text, place)."""
        self._at = 0
        self._comparisons = 0
        place, end = 0, len(text.rstrip(" \t"))
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None:
                start = place + len(text[place:]) - len(text[place:].lstrip(" \t"))
                raise self._wrong(start, "a character that means nothing here")
            kind = match.lastgroup or ""
            self._tokens.append((kind, match[kind], match.start(kind)))
            place = match.end()

    def parse(self) -> Condition:
        found = self._any(0)
        kind, text, place = self._next()
        if kind:
            raise self._wrong(place, f"{text!r} where `and`, `or` or the end was expected")
        return found

    def _wrong(self, place: int, reason: str) -> Malformed:
        return Malformed(self._field, f"at character {place + 1}: {reason}")

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "the end", len(self._text))

    def _next(self) -> tuple[str, str, int]:
        token = self._peek()
        self._at += 1
        return token

    def _any(self, depth: int) -> Condition:
        return self._joined("or", AnyOf, lambda: self._joined("and", AllOf, lambda: self._term(depth)))

    def _joined(
        self, word: str, join: Callable[[tuple[Condition, ...]], Condition], part: Callable[[], Condition]
    ) -> Condition:
        parts = [part()]
        while self._peek()[:2] == ("word", word):
            self._next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _term(self, depth: int) -> Condition:
        kind, text, place = self._peek()
        if (kind, text) != ("bracket", "("):
            return self._comparison()
        if depth >= MAX_DEPTH:
            raise TooLarge(self._field, f"more than {MAX_DEPTH} parentheses inside each other")
        self._next()
        found = self._any(depth + 1)
        kind, text, place = self._next()
        if (kind, text) != ("bracket", ")"):
            raise self._wrong(place, f"{text!r} where `)` was expected")
        return found

    def _comparison(self) -> Comparison:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise TooLarge(self._field, f"more than {MAX_COMPARISONS} comparisons")
        name = self._name(*self._next())
        kind, sign, place = self._next()
        if kind != "sign":
            raise self._wrong(place, f"{sign!r} where one of {' '.join(_SIGNS)} was expected")
        kind, text, at = self._next()
        literal = self._literal(kind, text, at)
        if sign not in ("=", "!=") and isinstance(literal, str | bool):
            raise self._wrong(place, f"{sign} compares numbers only")
        return Comparison(name, sign, literal)

    def _name(self, kind: str, text: str, place: int) -> str:
        if kind == "word" and _NAME.match(text) and text not in ("and", "or"):
            name = text
        elif kind == "text":
            name = self._unquoted(text, place)
        else:
            raise self._wrong(place, f"{text!r} where a name was expected")
        if not 0 < len(name) <= MAX_NAME:
            raise self._wrong(place, f"a name has 1 to {MAX_NAME} characters")
        return name

    def _literal(self, kind: str, text: str, place: int) -> float | int | str | bool:
        if kind == "text":
            return self._unquoted(text, place)
        if kind == "word":
            if text in ("true", "false"):
                return text == "true"
            if _NUMBER.match(text):
                value: float | int = json.loads(text)
                if isfinite(value):
                    return value
                raise self._wrong(place, "a number that is too large")
        raise self._wrong(place, f"{text!r} where a number, a text in double quotes, true or false was expected")

    def _unquoted(self, text: str, place: int) -> str:
        value: str = json.loads(text)
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise self._wrong(place, "a lone surrogate")
        return value
