"""What a whole compilation shares: the moment asked about, and every value as a bound parameter of the SQL.

Text of a query or of its parameters never becomes part of the SQL: only words of this package do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from twinproof.errors import Malformed, TooLarge
from twinproof.views.graph.syntax import Literal, Parameter, Scalar
from twinproof.views.graph.tokens import refusal
from twinproof.views.state.values import SqlValue

MAX_VALUES: Final = 10_000
"""Values of a query and its parameters together."""


class Binder:
    """Names for tables, placeholders for values, refusals with their place."""

    def __init__(
        self, query: str, at: int | None, parameters: Mapping[str, Any], models: Callable[[], list[str]]
    ) -> None:
        self.past = at is not None
        self.values: dict[str, SqlValue] = {}
        self.uses_readings = False
        self._query = query
        self._parameters = parameters
        self._used: set[str] = set()
        self._models = models
        self._count = 0
        self._known: dict[tuple[type, SqlValue], str] = {}
        if at is not None:
            self.values["at"] = at

    def refuse(self, at: int, reason: str) -> Malformed:
        """The error for something wrong at a place of the query."""
        return refusal(self._query, at, reason)

    def alias(self, letter: str) -> str:
        """A new name for a table."""
        self._count += 1
        return f"{letter}{self._count}"

    def bind(self, value: SqlValue) -> str:
        """The placeholder of a value."""
        key = (type(value), value)
        if key not in self._known:
            if len(self._known) >= MAX_VALUES:
                raise TooLarge("query", f"more than {MAX_VALUES} values")
            self._known[key] = name = f"v{len(self._known)}"
            self.values[name] = value
        return f":{self._known[key]}"

    def held(self, alias: str) -> str:
        """The condition that a row with an interval held at the moment asked about."""
        if not self.past:
            return f"{alias}.until IS NULL"
        return f"{alias}.since <= :at AND ({alias}.until IS NULL OR {alias}.until > :at)"

    def scalar(self, term: Literal | Parameter) -> Scalar:
        """The value of a constant or of a parameter that is one."""
        if isinstance(term, Literal):
            return term.value
        value = self._parameter(term)
        if isinstance(value, list | tuple):
            raise self.refuse(term.at, f"parameter ${term.name[:40]} is a list; lists stand after IN")
        return self._checked(value, term)

    def scalars(self, term: Parameter) -> list[Scalar]:
        """The values of a parameter that is a list."""
        value = self._parameter(term)
        if not isinstance(value, list | tuple):
            raise self.refuse(term.at, f"parameter ${term.name[:40]} is not a list")
        return [self._checked(item, term) for item in value]

    def _parameter(self, term: Parameter) -> Any:
        if term.name not in self._parameters:
            raise self.refuse(term.at, f"parameter ${term.name[:40]} is not given")
        self._used.add(term.name)
        return self._parameters[term.name]

    def _checked(self, value: object, term: Parameter) -> Scalar:
        fits = (
            value is None
            or isinstance(value, bool)
            or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63)
            or (isinstance(value, float) and isfinite(value))
            or (isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value))
        )
        if not fits:
            reason = "holds what is no text, boolean, null, finite number or integer of 64 bits"
            raise self.refuse(term.at, f"parameter ${term.name[:40]} {reason}")
        return value  # type: ignore[return-value]  # one of these types, just seen

    def number(self, term: Literal | Parameter, what: str, most: int) -> int:
        """A count for SKIP or LIMIT."""
        value = self.scalar(term)
        if type(value) is not int or not 0 <= value <= most:
            raise self.refuse(term.at, f"{what} is not a whole number of 0..{most}")
        return value

    def require_all_used(self) -> None:
        """Raise `Malformed` for a parameter that the query does not have."""
        if unused := sorted(set(self._parameters) - self._used):
            raise Malformed("parameters", f"the query has no ${unused[0][:40]}")

    def models_called(self, name: str) -> list[str]:
        """The models in the view whose short name this is."""
        return [model for model in self._models() if short_name(model) == name]


def short_name(model: str) -> str:
    """The last part of a model's IRI, without a DTMI's version: `engine` of dtmi:example:engine;1."""
    path = model.partition(";")[0] if model.startswith("dtmi:") else model
    return path.rstrip("/#").replace("#", "/").replace(":", "/").rpartition("/")[2]
