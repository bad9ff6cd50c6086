"""Patterns as tables and conditions: FROM a CROSS JOIN b … WHERE …, in an order that begins where least fits.

SQLite keeps the order of a CROSS JOIN, so that what a query costs depends on the query and on this
file, not on statistics. A start is an IRI, else a property's value, a property's range, a model,
else all twins; from there along the relationships.

Relationships of one length are distinct from each other within a MATCH, as in openCypher. One of
variable length holds once for each pair of nodes that a way of so many relationships joins (GQL: ANY WALK).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from twinproof.errors import TooLarge
from twinproof.views.graph.binding import Binder
from twinproof.views.graph.expressions import (
    ATTRIBUTES,
    NodeTables,
    prefix_end,
    truth,
    value,
)
from twinproof.views.graph.syntax import (
    And,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Label,
    Literal,
    Node,
    Parameter,
    Path,
    Property,
    Relationship,
)

MAX_TABLES: Final = 60
"""Of one pattern with what its conditions ask; SQLite joins at most 64."""

_IRI, _EQUAL, _PREFIX, _RANGE, _MODEL, _ALL = 6, 5, 4, 3, 2, 0
"""How few twins a start is expected to leave."""


@dataclass
class _Spot:
    """A node of the pattern, in however many places it stands."""

    twin: str
    status: str
    outer: bool
    places: list[Node] = field(default_factory=list)
    starts: list[tuple[int, str]] = field(default_factory=list)
    """(how few, property's name or "")."""

    @property
    def rank(self) -> int:
        """How few twins the best start leaves."""
        return max((rank for rank, _ in self.starts), default=_ALL)


@dataclass
class _Edge:
    """A relationship of the pattern."""

    relationship: Relationship
    left: str
    right: str
    alias: str


class Scope:
    """The patterns of a MATCH or of an EXISTS within `outer`; implements `expressions.Names`."""

    def __init__(
        self, binder: Binder, patterns: Sequence[Path], where: Expression | None, outer: Scope | None = None
    ) -> None:
        self.binder = binder
        self.tables: list[str] = []
        self.conditions: list[str] = []
        self._outer = outer
        self._spots: dict[str, _Spot] = {}
        self._edges: list[_Edge] = []
        self._links: dict[str, str] = {}
        self._joins: dict[tuple[str, str], str] = {}
        """(node, property) -> alias of `property`."""
        self._drivers: set[str] = set()
        self._prefixes: list[tuple[Property, str]] = []
        self._gather(patterns)
        conjuncts = [*self._inline(), *_conjuncts(where)]
        for conjunct in conjuncts:
            self._notice(conjunct)
        self._place()
        for spot in self._spots.values():
            self._constrain(spot)
        self.conditions += [*self._distinct(), *self._ranges()]
        # SQLite keeps this order where no index decides: what decodes states comes last.
        self.conditions += sorted(
            (truth(self, conjunct, exact=False) for conjunct in conjuncts), key=lambda sql: "twin_reading(" in sql
        )
        if len(self.tables) > MAX_TABLES:
            raise TooLarge("query", f"a pattern of more than {MAX_TABLES} nodes, relationships and properties")

    # --- Names ----------------------------------------------------------------------------------

    def node(self, name: str) -> NodeTables | None:
        """The tables of a node's variable."""
        spot = self._spots.get(name)
        if spot:
            return NodeTables(spot.twin, spot.status)
        return self._outer.node(name) if self._outer else None

    def link(self, name: str) -> str | None:
        """The alias of a relationship's variable."""
        return self._links.get(name) or (self._outer.link(name) if self._outer else None)

    def joined(self, variable: str, name: str) -> str | None:
        """The SQL of a property that is joined already."""
        alias = self._joins.get((variable, name))
        if alias is None:
            return self._outer.joined(variable, name) if self._outer else None
        # The plus keeps SQLite from an index over all twins where the twin is known.
        return f"{alias}.value" if alias in self._drivers else f"+{alias}.value"

    def exists(self, expression: Exists) -> str:
        """The condition that a pattern is there."""
        return f"EXISTS (SELECT 1 {Scope(self.binder, expression.patterns, expression.where, self).body()})"

    def body(self) -> str:
        """FROM and WHERE."""
        tables = f"FROM {' CROSS JOIN '.join(self.tables)} " if self.tables else ""
        return f"{tables}WHERE {' AND '.join(self.conditions)}" if self.conditions else tables

    @property
    def ids(self) -> list[str]:
        """The ids of all nodes."""
        return [f"{spot.twin}.id" for spot in self._spots.values()]

    # --- gathering ------------------------------------------------------------------------------

    def _gather(self, patterns: Sequence[Path]) -> None:
        for path in patterns:
            keys = [self._meet(node) for node in path.nodes]
            for number, relationship in enumerate(path.relationships):
                alias = self.binder.alias("l")
                self._edges.append(_Edge(relationship, keys[number], keys[number + 1], alias))
                if relationship.variable is not None:
                    if self.link(relationship.variable):
                        reason = f"{relationship.variable[:40]} names a second relationship"
                        raise self.binder.refuse(relationship.at, reason)
                    self._links[relationship.variable] = alias
        for edge in self._edges:
            name = edge.relationship.variable
            if name is not None and self.node(name):
                raise self.binder.refuse(edge.relationship.at, f"{name[:40]} names a node and a relationship")

    def _meet(self, node: Node) -> str:
        # Half of a surrogate pair stands in no variable, and an alias is new: the key is equal to no other.
        key = "\ud800" + self.binder.alias("a") if node.variable is None else node.variable
        if self._outer and self._outer.link(key):
            raise self.binder.refuse(node.at, f"{key[:40]} names a node and a relationship")
        if key not in self._spots:
            known = self._outer.node(key) if self._outer else None
            twin = known.twin if known else self.binder.alias("n")
            status = known.status if known else self.binder.alias("s") if self.binder.past else twin
            self._spots[key] = _Spot(twin, status, known is not None)
        self._spots[key].places.append(node)
        return key

    def _notice(self, conjunct: Expression) -> None:
        """Join the properties without which a condition cannot be true; some are a place to start from."""
        match conjunct:
            case Compare(operator, left, right):
                for side, other in ((left, right), (right, left)):
                    self._start(side, operator if side is left else "", other)
            case In(left, items):
                fixed = isinstance(items, Parameter) or all(isinstance(item, Literal | Parameter) for item in items)
                self._start(left, "=" if fixed else "", Literal(None))
            case IsNull(operand, True):
                self._start(operand, "", operand)
            case _:
                pass

    def _start(self, side: Expression, operator: str, other: Expression) -> None:
        if not isinstance(side, Property) or (spot := self._spots.get(side.variable)) is None:
            return
        ranks = {"=": _EQUAL, "STARTS WITH": _PREFIX, "<": _RANGE, ">": _RANGE, "<=": _RANGE, ">=": _RANGE}
        rank = ranks.get(operator, _ALL) if isinstance(other, Literal | Parameter) else _ALL
        if side.name in ATTRIBUTES and not side.reported:
            if side.name == "iri" and rank in (_EQUAL, _PREFIX):
                spot.starts.append((_IRI if rank == _EQUAL else _PREFIX, ""))
                self._prefix(rank, side, other)
            return
        self._join(side.variable, side.name)
        if rank:
            spot.starts.append((rank, side.name))
            self._prefix(rank, side, other)

    def _prefix(self, rank: int, side: Property, other: Expression) -> None:
        text = self.binder.scalar(other) if rank == _PREFIX and isinstance(other, Literal | Parameter) else None
        if isinstance(text, str) and text:
            self._prefixes.append((side, text))

    def _join(self, key: str, name: str) -> None:
        if (key, name) not in self._joins:
            alias = self._joins[key, name] = self.binder.alias("p")
            self.conditions += [
                f"{alias}.twin = {self._spots[key].twin}.id",
                f"{alias}.name = {self.binder.bind(name)}",
                self.binder.held(alias),
            ]

    def _inline(self) -> Iterator[Expression]:
        """Properties in the patterns, as comparisons."""
        for key, spot in self._spots.items():
            for place in spot.places:
                for name, term in place.properties:
                    yield Compare("=", Property(key, name, at=place.at), term, at=place.at)
                if place.labels:
                    spot.starts.append((_MODEL, ""))

    # --- placing --------------------------------------------------------------------------------

    def _place(self) -> None:
        """Order the tables: begin where least fits, follow relationships, begin anew when none is left."""
        placed = {key for key, spot in self._spots.items() if spot.outer}
        self.tables += [f"property {alias}" for (key, _), alias in self._joins.items() if key in placed]
        edges = list(self._edges)
        while edges or len(placed) < len(self._spots):
            near = [edge for edge in edges if edge.left in placed or edge.right in placed]
            if near:
                edge = max(near, key=lambda edge: self._urgency(edge, placed))
                edges.remove(edge)
                self._follow(edge, placed)
            else:
                key = max((key for key in self._spots if key not in placed), key=lambda key: self._spots[key].rank)
                self._begin(key)
                placed.add(key)

    def _urgency(self, edge: _Edge, placed: set[str]) -> tuple[bool, bool, int]:
        both = edge.left in placed and edge.right in placed
        far = edge.right if edge.left in placed else edge.left
        return both, edge.relationship.hops is None, self._spots[far].rank

    def _begin(self, key: str) -> None:
        spot = self._spots[key]
        rank, name = max(spot.starts, default=(_ALL, ""))
        driver = self._joins[key, name] if name else None
        if driver:
            self.tables.append(f"property {driver}")
            self._drivers.add(driver)
        if rank == _MODEL:
            self._drivers.add(spot.status)
        self._add(key, driver, status_first=rank == _MODEL)

    def _add(self, key: str, driver: str | None = None, *, status_first: bool = False) -> None:
        """The tables of a node; `driver` is in place already."""
        spot = self._spots[key]
        tables = [f"twin {spot.twin}"]
        if self.binder.past:
            tables.insert(0 if status_first else 1, f"status {spot.status}")
        joins = [alias for (owner, _), alias in self._joins.items() if owner == key and alias != driver]
        self.tables += tables + [f"property {alias}" for alias in joins]

    def _follow(self, edge: _Edge, placed: set[str]) -> None:
        forward = edge.left in placed and (
            edge.right not in placed or self._spots[edge.left].rank >= self._spots[edge.right].rank
        )
        near, far = (edge.left, edge.right) if forward else (edge.right, edge.left)
        relationship = edge.relationship
        here, there = self._spots[near].twin, self._spots[far].twin
        direction = (
            relationship.direction if forward else {"out": "in", "in": "out"}.get(relationship.direction, "both")
        )
        if relationship.hops:
            self.conditions.append(f"{there}.id IN ({self._walk(here, direction, relationship, relationship.hops)})")
        else:
            self.tables.append(f"link {edge.alias}")
            self.conditions += self._link(edge.alias, relationship.types)
            self.conditions += _step(edge.alias, direction, here, there)
        if far not in placed:
            self._add(far)
            placed.add(far)

    def _link(self, alias: str, types: tuple[str, ...]) -> list[str]:
        held = [self.binder.held(alias)]
        return [*held, f"{alias}.name IN ({', '.join(map(self.binder.bind, types))})"] if types else held

    def _walk(self, start: str, direction: str, relationship: Relationship, hops: tuple[int, int]) -> str:
        """Ids of the nodes at the ends of ways from `start`: breadth first, each node once for each length."""
        walk, link, twin = (self.binder.alias(letter) for letter in "wln")
        tables = f"{walk} CROSS JOIN link {link} CROSS JOIN twin {twin}"
        conditions = [*_step(link, direction, walk, twin), *self._link(link, relationship.types)]
        if self.binder.past:
            status = self.binder.alias("s")
            tables += f" CROSS JOIN status {status}"
            conditions += [f"{status}.twin = {twin}.id", self.binder.held(status)]
        least, most = map(self.binder.bind, hops)
        return (
            f"WITH RECURSIVE {walk} (id, sub, depth) AS (SELECT {start}.id, {start}.sub, 0 UNION "  # noqa: S608 - names only
            f"SELECT {twin}.id, {twin}.sub, {walk}.depth + 1 FROM {tables} "
            f"WHERE {walk}.depth < {most} AND {' AND '.join(conditions)}) "
            f"SELECT id FROM {walk} WHERE depth >= {least}"
        )

    # --- conditions -----------------------------------------------------------------------------

    def _constrain(self, spot: _Spot) -> None:
        """A node's models, and its being there at the moment asked about."""
        if self.binder.past and not spot.outer:
            self.conditions += [f"{spot.status}.twin = {spot.twin}.id", self.binder.held(spot.status)]
        column = f"{spot.status}.model" if spot.status in self._drivers else f"+{spot.status}.model"
        for place in spot.places:
            if place.labels:
                models = ", ".join(self.binder.bind(model) for label in place.labels for model in self._models(label))
                self.conditions.append(f"{column} IN ({models})")

    def _models(self, label: Label) -> list[str]:
        return [label.name] if label.exact else self.binder.models_called(label.name)

    def _ranges(self) -> Iterator[str]:
        """Prefixes as ranges too, for an index."""
        for term, prefix in self._prefixes:
            column = value(self, term).sql
            end = prefix_end(prefix)
            yield f"{column} >= {self.binder.bind(prefix)}" + (
                f" AND {column} < {self.binder.bind(end)}" if end else ""
            )

    def _distinct(self) -> Iterator[str]:
        single = [edge for edge in self._edges if edge.relationship.hops is None]
        for one, other in combinations(single, 2):
            types = set(one.relationship.types), set(other.relationship.types)
            if not all(types) or types[0] & types[1]:
                same = (f"{one.alias}.{column} = {other.alias}.{column}" for column in ("twin", "name", "target"))
                yield f"NOT ({' AND '.join(same)})"


def _step(link: str, direction: str, here: str, there: str) -> list[str]:
    """Conditions that a link leads from `here` to `there`; both have an id and a sub."""
    out = f"{link}.twin = {here}.id", f"{there}.sub = {link}.target"
    back = f"{link}.target = {here}.sub", f"{there}.id = {link}.twin"
    if direction == "both":
        return [f"({out[0]} OR {back[0]})", f"(({out[0]} AND {out[1]}) OR ({back[0]} AND {back[1]}))"]
    return list(out if direction == "out" else back)


def _conjuncts(where: Expression | None) -> Iterator[Expression]:
    if isinstance(where, And):
        for operand in where.operands:
            yield from _conjuncts(operand)
    elif where is not None:
        yield where
