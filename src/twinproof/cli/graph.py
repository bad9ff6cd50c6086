"""`twinproof graph`: questions to the graph of twins and their relationships."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import FOLDER, INDEX, json_option
from twinproof.cli.output import count, print_json

MAX_WIDTH: Final = 60
"""Characters of a cell in a table."""


@click.command()
@click.argument("node", type=FOLDER)
@click.argument("query")
@click.option("--at", type=INDEX, metavar="INDEX", help="As it was after this entry of the log.")
@json_option
def graph(node: Path, query: str, at: int | None, as_json: bool) -> None:
    """Ask the twins in the folder NODE and their relationships, now or as of a past entry.

    The language is a read-only part of openCypher: MATCH … WHERE … RETURN …; see docs/graph.md.

    \b
    Examples:
      twinproof graph ./node "MATCH (e)-[:partOf]->(l {name: 'line 1'}) WHERE e.hours > 100 RETURN e.iri, e.hours"
      twinproof graph ./node "MATCH (e:engine) RETURN e.lifecycle, count(*)" --at 1200
    """
    from twinproof.node.states import read_states
    from twinproof.views import graph as twin_graph

    with read_states(node) as (states, size):
        result = twin_graph.query(states, query, at=at)
    if as_json:
        print_json({"columns": result.columns, "rows": result.rows, "reached": result.reached, "more": result.more})
        return
    for line in table(result.columns, result.rows):
        click.echo(line)
    notes = [count(len(result.rows), "row"), f"as of entry {result.reached - 1 if at is None else at}"]
    if result.more:
        notes.append("there are more: give SKIP and LIMIT")
    if result.reached < size:
        notes.append(f"the view lags {count(size - result.reached, 'entry')} behind")
    click.echo("; ".join(notes), err=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a table; a node is shown by its IRI."""
    lines = [[short(column) for column in columns], *([short(cell(value)) for value in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, dict) and value.keys() == {"iri", "model", "lifecycle", "properties"}:
        return str(value["iri"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def short(text: str) -> str:
    """One line of bounded length."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_WIDTH else text[: MAX_WIDTH - 1] + "…"
