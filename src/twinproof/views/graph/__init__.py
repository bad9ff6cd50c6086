"""The twin graph: queries in a read-only subset of openCypher, for now or as of a past entry (docs/graph.md).

result = query(view, "MATCH (e)-[:partOf]->(l {name: $line}) RETURN e.serial", parameters={"line": "line 1"}, at=1200)
"""

from __future__ import annotations

from twinproof.views.graph.parser import parse
from twinproof.views.graph.run import Result, query
from twinproof.views.graph.syntax import format_query

__all__ = ["Result", "format_query", "parse", "query"]
