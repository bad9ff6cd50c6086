"""What a query means, by the plainest code there is: try every assignment of nodes and links to the pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from twinproof.views.graph.syntax import (
    AGGREGATES,
    And,
    Call,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Literal,
    Node,
    Not,
    Or,
    Parameter,
    Path,
    Property,
    Query,
    Relationship,
    Variable,
)
from twinproof.views.state.values import to_json

Link = tuple[str, str, str, int]
"""(from, name, to, since)."""


@dataclass
class Twin:
    """A node, as it was."""

    iri: str
    model: str | None = None
    lifecycle: str | None = None
    last_entry: int = -1
    statements: int = 0
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """All that was known at a moment."""

    twins: dict[str, Twin]
    links: list[Link]


@dataclass
class Row:
    """An assignment of variables."""

    nodes: dict[str, Twin]
    links: dict[str, Link]
    used: tuple[Link, ...] = ()


class Reference:
    """Answers queries over one graph."""

    def __init__(self, graph: Graph, parameters: Mapping[str, Any]) -> None:
        self._twins = graph.twins
        self._links = [link for link in graph.links if link[2] in graph.twins]
        self._parameters = parameters

    def rows(self, query: Query) -> list[tuple[Any, ...]]:
        """What the query returns, in no order, without SKIP and LIMIT."""
        found = [row for row in self._patterns(query.patterns, Row({}, {})) if self._holds(query.where, row)]
        columns = [item.expression for item in query.items]
        aggregated = [isinstance(column, Call) and column.function in AGGREGATES for column in columns]
        if any(aggregated):
            return self._grouped(columns, aggregated, found)
        rows = [tuple(self._cell(column, row) for column in columns) for row in found]
        return distinct(rows) if query.distinct else rows

    def _grouped(self, columns: list[Expression], aggregated: list[bool], found: list[Row]) -> list[tuple[Any, ...]]:
        def key(row: Row) -> tuple[Any, ...]:
            return tuple(self._cell(c, row) for c, a in zip(columns, aggregated, strict=True) if not a)

        groups = [(k, list(g)) for k, g in groupby(sorted(found, key=lambda row: repr(exact(key(row)))), key=key)]
        if all(aggregated) and not groups:
            groups = [((), [])]
        rows = []
        for keys, members in groups:
            rest = iter(keys)
            rows.append(
                tuple(
                    self._aggregate(c, members) if a else next(rest) for c, a in zip(columns, aggregated, strict=True)
                )
            )
        return rows

    def _aggregate(self, call: Expression, rows: list[Row]) -> Any:
        assert isinstance(call, Call)
        if not call.arguments:
            return len(rows)
        values = [self._cell(call.arguments[0], row) for row in rows]
        values = [value for value in values if value is not None]
        if call.distinct:
            values = [value for (value,) in distinct([(value,) for value in values])]
        if call.function == "count":
            return len(values)
        if call.function in ("min", "max"):
            pick = min if call.function == "min" else max
            return pick(values, key=order, default=None)
        numbers = [value for value in values if kind(value) == "number"]
        if call.function == "sum":
            return sum(numbers)
        return sum(numbers) / len(numbers) if numbers else None

    # --- patterns -------------------------------------------------------------------------------

    def _patterns(self, patterns: tuple[Path, ...], row: Row) -> Iterator[Row]:
        if not patterns:
            yield row
            return
        for start in self._node(patterns[0].nodes[0], row):
            for end in self._path(patterns[0], 0, start[0], start[1]):
                yield from self._patterns(patterns[1:], end)

    def _path(self, path: Path, place: int, here: Twin, row: Row) -> Iterator[Row]:
        if place == len(path.relationships):
            yield row
            return
        for there, reached in self._step(path.relationships[place], here, row):
            for twin, bound in self._node(path.nodes[place + 1], reached, there):
                yield from self._path(path, place + 1, twin, bound)

    def _node(self, node: Node, row: Row, only: Twin | None = None) -> Iterator[tuple[Twin, Row]]:
        for twin in [only] if only else list(self._twins.values()):
            known = row.nodes.get(node.variable) if node.variable else None
            if known is not None and known is not twin:
                continue
            if node.labels and not any(
                twin.model is not None
                and (label.name == twin.model if label.exact else short(twin.model) == label.name)
                for label in node.labels
            ):
                continue
            if all(equal(attribute(twin, n), self._constant(v)) for n, v in node.properties):
                nodes = {**row.nodes, node.variable: twin} if node.variable else row.nodes
                yield twin, Row(nodes, row.links, row.used)

    def _ways(self, relationship: Relationship, here: str) -> Iterator[tuple[Link, str]]:
        for link in self._links:
            if relationship.types and link[1] not in relationship.types:
                continue
            if relationship.direction in ("out", "both") and link[0] == here:
                yield link, link[2]
            elif relationship.direction in ("in", "both") and link[2] == here:
                yield link, link[0]

    def _step(self, relationship: Relationship, here: Twin, row: Row) -> Iterator[tuple[Twin, Row]]:
        if relationship.hops:
            reached, ends = {here.iri}, set()
            for length in range(relationship.hops[1] + 1):
                if length >= relationship.hops[0]:
                    ends |= reached
                reached = {to for at in reached for _, to in self._ways(relationship, at)}
            for end in ends:
                yield self._twins[end], row
            return
        for link, to in self._ways(relationship, here.iri):
            if link not in row.used:
                links = {**row.links, relationship.variable: link} if relationship.variable else row.links
                yield self._twins[to], Row(row.nodes, links, (*row.used, link))

    # --- expressions ----------------------------------------------------------------------------

    def _holds(self, where: Expression | None, row: Row) -> bool:
        return where is None or self._value(where, row) is True

    def _constant(self, term: Literal | Parameter) -> Any:
        return term.value if isinstance(term, Literal) else self._parameters[term.name]

    def _cell(self, expression: Expression, row: Row) -> Any:
        if isinstance(expression, Variable):
            if expression.name in row.links:
                return row.links[expression.name]
            twin = row.nodes[expression.name]
            return {
                "iri": twin.iri,
                "model": twin.model,
                "lifecycle": twin.lifecycle,
                "properties": {name: to_json(value) for name, value in twin.properties.items()},
            }
        return self._value(expression, row)

    def _value(self, expression: Expression, row: Row) -> Any:
        match expression:
            case Literal() | Parameter():
                return self._constant(expression)
            case Property(variable, name, reported):
                if variable in row.links:
                    return row.links[variable][3]
                twin = row.nodes[variable]
                return to_json(twin.properties.get(name)) if reported else attribute(twin, name)
            case Call("type", (Variable(name),)):
                return row.links[name][1]
            case Not(operand):
                held = self._truth(operand, row)
                return None if held is None else not held
            case And(operands):
                truths = [self._truth(operand, row) for operand in operands]
                return False if False in truths else None if None in truths else True
            case Or(operands):
                truths = [self._truth(operand, row) for operand in operands]
                return True if True in truths else None if None in truths else False
            case IsNull(operand, negated):
                return (self._value(operand, row) is None) != negated
            case In(left, items):
                value = self._value(left, row)
                listed = items if isinstance(items, tuple) else [Literal(v) for v in self._parameters[items.name]]
                truths = [equal(value, self._value(item, row)) for item in listed]
                return True if True in truths else None if None in truths else False
            case Exists(patterns, where):
                inner = self._patterns(patterns, Row(row.nodes, row.links))
                return any(self._holds(where, found) for found in inner)
            case Compare(operator, left, right):
                if isinstance(left, Variable) and isinstance(right, Variable):
                    return (row.nodes[left.name] is row.nodes[right.name]) == (operator == "=")
                return compare(operator, self._value(left, row), self._value(right, row))
            case _:
                raise AssertionError(expression)

    def _truth(self, expression: Expression, row: Row) -> bool | None:
        value = self._value(expression, row)
        return value if isinstance(value, bool) else None


def attribute(twin: Twin, name: str) -> Any:
    """A built-in attribute or a reported property."""
    built_in = {
        "iri": twin.iri,
        "model": twin.model,
        "lifecycle": twin.lifecycle,
        "lastEntry": twin.last_entry,
        "statements": twin.statements,
    }
    return built_in[name] if name in built_in else to_json(twin.properties.get(name))


def short(model: str) -> str:
    """dtmi:a:b;1 -> b."""
    return model.split(";")[0].split(":")[-1]


def kind(value: Any) -> str:
    """Values of two kinds are not equal and have no order."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "other"


def equal(left: Any, right: Any) -> bool | None:
    """Three-valued."""
    if left is None or right is None:
        return None
    return bool(kind(left) == kind(right) and left == right)


def compare(operator: str, left: Any, right: Any) -> bool | None:
    """Three-valued."""
    if operator in ("=", "<>"):
        same = equal(left, right)
        return None if same is None else same == (operator == "=")
    if left is None or right is None or kind(left) != kind(right) or kind(left) == "other":
        return None
    if operator in ("STARTS WITH", "ENDS WITH", "CONTAINS"):
        if kind(left) != "text":
            return None
        return bool({"S": left.startswith(right), "E": left.endswith(right), "C": right in left}[operator[0]])
    return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])


def order(value: Any) -> tuple[int, Any]:
    """Numbers, text, booleans."""
    return ["number", "text", "boolean"].index(kind(value)), value


def exact(value: Any) -> Any:
    """A value that is equal only to itself, but for 1 and 1.0."""
    if isinstance(value, tuple | list):
        return tuple(exact(item) for item in value)
    if isinstance(value, dict):
        return tuple(sorted((key, exact(item)) for key, item in value.items()))
    return kind(value), float(value) if kind(value) == "number" else value


def distinct(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows without repeats."""
    return list({exact(row): row for row in rows}.values())
