"""A query as one SELECT over the state view's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from twinproof.views.graph.binding import Binder
from twinproof.views.graph.expressions import value
from twinproof.views.graph.parser import parse
from twinproof.views.graph.scope import Scope
from twinproof.views.graph.syntax import AGGREGATES, Call, Expression, Query, Sort, Variable, format_expression
from twinproof.views.state.values import SqlValue

DEFAULT_LIMIT: Final = 1_000
"""Rows without LIMIT."""
MAX_LIMIT: Final = 10_000
MAX_COLUMNS: Final = 100
_MAX_SKIP: Final = (1 << 63) - 1
_NUMBERS: Final = "CASE WHEN typeof({0}) IN ('integer', 'real') THEN {0} END"


class Compiled(NamedTuple):
    """What to run."""

    sql: str
    """Gives up to one row more than `limit`."""
    values: dict[str, SqlValue]
    columns: list[str]
    nodes: list[int]
    """Columns that hold ids of twins."""
    limit: int
    uses_readings: bool
    """The SQL calls `twin_reading(state, name)`."""


def compile_query(
    text: str, at: int | None, parameters: Mapping[str, Any], models: Callable[[], list[str]]
) -> Compiled:
    """Parse and compile; `models()` lists the models that twins name. Raises `Malformed` or `TooLarge`."""
    query = parse(text)
    binder = Binder(text, at, parameters, models)
    scope = Scope(binder, query.patterns, query.where)
    select = _Select(binder, scope, query)
    limit = DEFAULT_LIMIT if query.limit is None else binder.number(query.limit, "LIMIT", MAX_LIMIT)
    skip = 0 if query.skip is None else binder.number(query.skip, "SKIP", _MAX_SKIP)
    binder.values |= {"limit": limit + 1, "skip": skip}
    sql = (
        f"SELECT {'DISTINCT ' if query.distinct else ''}{', '.join(select.columns)} {scope.body()} "
        f"{select.grouping()} {select.ordering()} LIMIT :limit OFFSET :skip"
    )
    binder.require_all_used()
    columns = [item.column for item in query.items]
    return Compiled(sql, binder.values, columns, select.nodes, limit, binder.uses_readings)


class _Select:
    """The columns, and what groups and sorts by them."""

    def __init__(self, binder: Binder, scope: Scope, query: Query) -> None:
        self.nodes: list[int] = []
        self._binder = binder
        self._scope = scope
        self._query = query
        self._names = [item.column for item in query.items]
        if len(query.items) > MAX_COLUMNS:
            raise binder.refuse(query.items[MAX_COLUMNS].expression.at, f"more than {MAX_COLUMNS} columns")
        for number, item in enumerate(query.items):
            if item.column in self._names[:number]:
                raise binder.refuse(item.expression.at, f"a second column {item.column[:40]}; name it with AS")
        self._aggregated = [_is_aggregate(item.expression) for item in query.items]
        self.columns = [self._column(number, item.expression) for number, item in enumerate(query.items)]

    def _column(self, number: int, expression: Expression) -> str:
        if isinstance(expression, Call) and _is_aggregate(expression):
            return self._aggregate(expression)
        if isinstance(expression, Variable) and (node := self._scope.node(expression.name)):
            self.nodes.append(number)
            return f"{node.twin}.id"
        return value(self._scope, expression).sql

    def _aggregate(self, call: Call) -> str:
        if not call.arguments:
            return "count(*)"
        (argument,) = call.arguments
        distinct = "DISTINCT " if call.distinct else ""
        if call.function == "count" and isinstance(argument, Variable):
            if node := self._scope.node(argument.name):
                return f"count({distinct}{node.twin}.id)"
            if self._scope.link(argument.name) and not distinct:
                return "count(*)"
        sql = value(self._scope, argument).sql
        match call.function:
            case "sum":
                return f"coalesce(sum({distinct}{_NUMBERS.format(sql)}), 0)"
            case "avg":
                return f"avg({distinct}{_NUMBERS.format(sql)})"
            case function:
                return f"{function}({distinct}{sql})"

    def grouping(self) -> str:
        """GROUP BY the columns that are not aggregates."""
        keys = [str(number) for number, aggregated in enumerate(self._aggregated, 1) if not aggregated]
        return f"GROUP BY {', '.join(keys)}" if keys and any(self._aggregated) else ""

    def ordering(self) -> str:
        """ORDER BY the keys, and by the nodes behind what is equal, so that pages fit together."""
        keys = [self._key(sort) for sort in self._query.order]
        if keys and not self._query.distinct and not any(self._aggregated):
            keys += self._scope.ids
        return f"ORDER BY {', '.join(keys)}" if keys else ""

    def _key(self, sort: Sort) -> str:
        # Null is the largest value, as in openCypher.
        way = "DESC NULLS FIRST" if sort.descending else "ASC NULLS LAST"
        expression = sort.expression
        number = self._number(expression)
        if number is None:
            if _is_aggregate(expression) or self._query.distinct or any(self._aggregated):
                said = format_expression(expression)[:40]
                reason = f"{said} is not returned; with DISTINCT or aggregates, only columns give an order"
                raise self._binder.refuse(expression.at, reason)
            return f"{value(self._scope, expression).sql} {way}"
        if number in self.nodes:
            raise self._binder.refuse(expression.at, "nodes have no order; name one of their properties, such as iri")
        return f"{number + 1} {way}"

    def _number(self, expression: Expression) -> int | None:
        """The column that a key names, by its alias or by saying the same."""
        if isinstance(expression, Variable):
            for number, item in enumerate(self._query.items):
                if item.alias == expression.name:
                    return number
        for number, item in enumerate(self._query.items):
            if item.expression == expression:
                return number
        return None


def _is_aggregate(expression: Expression) -> bool:
    return isinstance(expression, Call) and expression.function in AGGREGATES
