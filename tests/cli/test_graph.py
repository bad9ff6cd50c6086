"""graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.rig import TWIN, Cli
from twinproof.cli.demo_node import NodeProcess
from twinproof.cli.graph import MAX_WIDTH, table

QUERY = "MATCH (p) RETURN p, p.statements AS n ORDER BY p.iri"


def test_a_table_with_its_moment(cli: Cli, node: Path) -> None:
    result = cli("graph", node, QUERY)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["p", "n"],
        ["https://twin.example/log0", "2"],
        [TWIN, "3"],
    ]
    assert result.stderr == "2 rows; as of entry 4\n"
    assert cli("graph", node, QUERY, "--at", 1).stderr == "1 row; as of entry 1\n"
    assert "there are more" in cli("graph", node, QUERY + " LIMIT 1").stderr


def test_json(cli: Cli, node: Path) -> None:
    made = cli.json("graph", node, "MATCH (p) WHERE reading(p, 'speed') > 1 RETURN p, reading(p, 'speed') AS speed")
    pump: dict[str, object] = {"iri": TWIN, "model": None, "lifecycle": None, "properties": {}}
    assert made == {"columns": ["p", "speed"], "rows": [[pump, 1485]], "reached": 5, "more": False}


def test_refusals(cli: Cli, node: Path) -> None:
    error = cli.error("graph", node, "MATCH (p) RETURN q", code=2)
    assert error == {"code": "malformed", "message": "query: line 1, column 18: no variable q in the pattern"}
    assert cli.error("graph", node, QUERY, "--at", 5, code=2)["code"] == "not-found"


def test_beside_a_running_node(cli: Cli, node: Path, serve: Callable[[Path], NodeProcess]) -> None:
    cli("graph", node, QUERY)
    serve(node)
    assert len(cli.json("graph", node, QUERY)["rows"]) == 2


def test_cells_are_short() -> None:
    assert table(["a"], [["x\ny " + "z" * 100]])[1] == "x y " + "z" * (MAX_WIDTH - 5) + "…"
    assert table(["a", "b"], [[None, [1, "ü"]]]) == ["a     b", 'null  [1, "ü"]']
