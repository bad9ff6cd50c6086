"""Random queries over random graphs at random moments: the same rows as an evaluator that tries everything."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.views.graph_reference import Graph, Reference, Twin, exact, order
from tests.views.telemetry_log import Journal, Said, senml
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.reading import Reading
from twinproof.views.graph import format_query, parse, query
from twinproof.views.graph.syntax import (
    And,
    Call,
    Compare,
    Exists,
    Expression,
    In,
    IsNull,
    Item,
    Label,
    Literal,
    Node,
    Not,
    Or,
    Parameter,
    Path,
    Property,
    Query,
    Relationship,
    Sort,
    Variable,
)
from twinproof.views.state import StateView

TWINS = tuple(f"urn:example:{name}" for name in "abcde")
PROPERTIES = ("p", "q", "model")
TYPES = ("feeds", "holds")
MODELS = ("dtmi:example:pump;1", "dtmi:example:pump;2", "dtmi:example:line;1")
PARAMETERS: dict[str, Any] = {"one": 1, "list": [1, "a", None, True]}
VALUES = st.sampled_from((0, 1, 1.0, 2.5, "1", "a", "ab", "b", "", True, False, "a\x00b", "\U0010ffff", TWINS[0]))
CONSTANTS: st.SearchStrategy[Any] = VALUES | st.none() | st.just(-1) | st.sampled_from(MODELS)
STORED = VALUES | st.none() | st.sampled_from(([1, "a"], {"k": 1}, b"x", 1 << 63))


# --- graphs -------------------------------------------------------------------------------------


@st.composite
def changes(draw: st.DrawFn) -> Said:
    twin = draw(st.sampled_from(TWINS))
    if draw(st.integers(0, 9)) == 0:
        return senml(twin, Reading("T24", 1.0, "K", 1_700_000_000.0))
    links = draw(st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(TWINS)), unique=True, max_size=5))
    cut = max(len(links) - 1, draw(st.integers(0, len(links))))
    names = draw(st.lists(st.sampled_from(PROPERTIES), unique=True, min_size=1))
    kept = draw(st.integers(1, len(names)))
    return Said(
        twin,
        DESCRIPTION,
        format_description(
            Description(
                model=draw(st.none() | st.sampled_from(MODELS)),
                lifecycle=draw(st.none() | st.sampled_from(Lifecycle)),
                set={name: draw(STORED) for name in names[:kept]},
                unset=tuple(sorted(names[kept:])),
                relate=tuple(sorted(links[:cut])),
                unrelate=tuple(sorted(links[cut:])),
            )
        ),
    )


def graph_at(journal: Journal, at: int) -> Graph:
    """A plain fold of the entries up to `at`."""
    twins: dict[str, Twin] = {}
    links: dict[tuple[str, str, str], int] = {}
    for item in journal.items[: at + 1]:
        iri = item.statement.subject
        twin = twins.setdefault(iri, Twin(iri))
        twin.last_entry = item.index
        twin.statements += 1
        if isinstance(item.payload, Description):
            change = item.payload
            twin.model = change.model or twin.model
            twin.lifecycle = change.lifecycle.value if change.lifecycle else twin.lifecycle
            for name in change.unset:
                twin.properties.pop(name, None)
            twin.properties |= change.set or {}
            for link in change.unrelate:
                links.pop((iri, *link), None)
            for link in change.relate:
                links.setdefault((iri, *link), item.index)
    return Graph(twins, [(*link, since) for link, since in links.items()])


# --- queries ------------------------------------------------------------------------------------

NODES = ("x", "y", "z")


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    labels = draw(
        st.just(())
        | st.lists(st.sampled_from([*(Label(m, True) for m in MODELS), Label("pump", False)]), max_size=2).map(tuple)
    )
    name = draw(st.sampled_from((*PROPERTIES, "iri", "statements")))
    term = draw(CONSTANTS.map(Literal) | st.just(Parameter("one")))
    properties = draw(st.sampled_from(((), (), (), ((name, term),))))
    return Node(draw(st.none() | st.sampled_from(NODES)), labels, properties)


@st.composite
def relationships(draw: st.DrawFn) -> Relationship:
    types = tuple(draw(st.lists(st.sampled_from(TYPES), max_size=2, unique=True)))
    least = draw(st.integers(0, 2))
    hops = draw(st.none() | st.just((least, least + draw(st.integers(1, 2)))))
    return Relationship(draw(st.sampled_from(("out", "in", "both"))), None, types, hops)


@st.composite
def paths(draw: st.DrawFn, most: int = 2) -> Path:
    steps = draw(st.lists(relationships(), max_size=most))
    return Path(tuple(draw(nodes()) for _ in range(len(steps) + 1)), tuple(steps))


@st.composite
def expressions(draw: st.DrawFn, names: tuple[str, ...], depth: int = 2) -> Expression:
    if depth and draw(st.booleans()):
        inner = expressions(names, depth - 1)
        match draw(st.integers(0, 3)):
            case 0:
                return Not(draw(inner))
            case 1:
                return And((draw(inner), draw(inner)))
            case 2:
                return Or((draw(inner), draw(inner)))
            case _:
                path = draw(paths(1))
                bound = tuple(node.variable for node in path.nodes if node.variable)
                return Exists((path,), draw(st.none() | expressions((*names, *bound), 0)) if names or bound else None)
    if not names:
        return Literal(draw(st.booleans()))
    operand = st.one_of(
        values(names),
        values(names),
        CONSTANTS.map(Literal),
        st.just(Parameter("one")),
    )
    match draw(st.integers(0, 9)):
        case 0:
            return IsNull(draw(values(names)), draw(st.booleans()))
        case 1:
            return In(draw(operand), draw(st.lists(operand, max_size=3).map(tuple) | st.just(Parameter("list"))))
        case 2:
            same = st.sampled_from(names).map(Variable)
            return Compare(draw(st.sampled_from(("=", "<>"))), draw(same), draw(same))
        case 3:
            return draw(st.sampled_from(names).map(lambda name: Property(name, "p")))
        case _:
            operators = ("=", "=", "<>", "<", "<=", ">", ">=", "STARTS WITH", "ENDS WITH", "CONTAINS")
            return Compare(draw(st.sampled_from(operators)), draw(operand), draw(operand))


def values(names: tuple[str, ...]) -> st.SearchStrategy[Expression]:
    attributes = st.sampled_from((*PROPERTIES, "p", "q", "iri", "lifecycle", "lastEntry", "statements"))
    return st.builds(Property, st.sampled_from(names), attributes) | st.builds(
        Property, st.sampled_from(names), st.sampled_from(PROPERTIES), st.just(True)
    )


@st.composite
def queries(draw: st.DrawFn) -> Query:
    patterns = draw(st.lists(paths(), min_size=1, max_size=2).map(tuple))
    if draw(st.booleans()):
        patterns = name_links(patterns)
    names = tuple(sorted({node.variable for path in patterns for node in path.nodes if node.variable}))
    links = [r.variable for path in patterns for r in path.relationships if r.variable]
    where = draw(st.none() | expressions(names))
    columns: list[Expression] = [Call("count", ())]
    if names:
        columns += [Variable(draw(st.sampled_from(names)))]
        columns += draw(st.lists(values(names) | expressions(names, 1), max_size=2))
        if draw(st.booleans()):
            columns += draw(st.lists(aggregates(names), max_size=2))
    if links:
        columns += [Call("type", (Variable(links[0]),)), Property(links[0], "since")]
    if draw(st.booleans()) and len(columns) > 1:
        columns = columns[1:]
    items = tuple(Item(column, f"c{number}") for number, column in enumerate(columns))
    return Query(patterns, where, items, draw(st.booleans()))


def aggregates(names: tuple[str, ...]) -> st.SearchStrategy[Call]:
    # min and max of lists have an order of SQLite's own.
    known = st.builds(Property, st.sampled_from(names), st.sampled_from(("iri", "lifecycle", "lastEntry")))
    return st.builds(
        Call,
        st.sampled_from(("count", "sum", "avg")),
        values(names).map(lambda value: (value,)),
        st.booleans(),
    ) | st.builds(Call, st.sampled_from(("min", "max")), known.map(lambda value: (value,)))


def name_links(patterns: tuple[Path, ...]) -> tuple[Path, ...]:
    number = 0
    named = []
    for path in patterns:
        steps = []
        for step in path.relationships:
            number += 1
            name = None if step.hops else f"r{number}"
            steps.append(Relationship(step.direction, name, step.types, step.hops))
        named.append(Path(path.nodes, tuple(steps)))
    return tuple(named)


def used_parameters(text: str) -> dict[str, Any]:
    return {name: value for name, value in PARAMETERS.items() if f"${name}" in text}


def comparable(rows: list[tuple[Any, ...]]) -> list[str]:
    return sorted(repr(exact(row)) for row in rows)


@settings(max_examples=150, deadline=None)
@given(st.lists(changes(), min_size=1, max_size=12), st.lists(queries(), min_size=6, max_size=6), st.data())
def test_the_same_rows_as_by_trying_everything(
    tmp_path_factory: pytest.TempPathFactory, said: list[Said], asked: list[Query], data: st.DataObject
) -> None:
    journal = Journal()
    journal.say(*said)
    view = StateView(tmp_path_factory.mktemp("graph") / "v.db", journal.feed)
    view.catch_up()
    last = len(said) - 1
    for one in asked:
        text = format_query(one)
        assert parse(text) == one
        at = data.draw(st.none() | st.integers(0, last))
        expected = Reference(graph_at(journal, last if at is None else at), PARAMETERS).rows(one)
        found = query(view, text + " LIMIT 10000", at=at, parameters=used_parameters(text), seconds=60)
        assert comparable(found.rows) == comparable(expected[:10_000] if found.more else expected), (text, at)
    view.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(changes(), min_size=1, max_size=12), st.data())
def test_order_skip_and_limit(tmp_path_factory: pytest.TempPathFactory, said: list[Said], data: st.DataObject) -> None:
    journal = Journal()
    journal.say(*said)
    view = StateView(tmp_path_factory.mktemp("graph") / "v.db", journal.feed)
    view.catch_up()
    node = Path((Node("x"),))
    keys = (Property("x", "p"), Property("x", "q"))
    descending = data.draw(st.booleans()), data.draw(st.booleans())
    order_by = tuple(Sort(key, down) for key, down in zip(keys, descending, strict=True))
    every = query(view, format_query(Query((node,), None, tuple(map(Item, keys)), order=order_by))).rows
    assert comparable(every) == comparable(
        Reference(graph_at(journal, len(said)), {}).rows(Query((node,), None, tuple(map(Item, keys))))
    )
    for before, after in pairwise(every):
        for one, other, down in zip(before, after, descending, strict=True):
            if exact(one) != exact(other):
                assert (rank(one) < rank(other)) != down, (before, after)
                break
    skip, limit = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 6))
    sizes = Literal(skip), Literal(limit)
    page = query(view, format_query(Query((node,), None, tuple(map(Item, keys)), False, order_by, *sizes)))
    assert comparable(page.rows) == comparable(every[skip : skip + limit])
    assert page.more == (len(every) > skip + limit)
    view.close()


def rank(value: Any) -> tuple[int, Any]:
    """Numbers, text, booleans, lists and maps, null."""
    if value is None:
        return 9, ""
    return (8, "") if isinstance(value, list | dict) else order(value)
