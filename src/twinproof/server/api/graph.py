"""The twin graph: queries in a read-only subset of openCypher, for now or as of a past entry (docs/graph.md)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from twinproof.node.live import Live
from twinproof.server import shapes
from twinproof.server.access import Rule
from twinproof.server.api.routing import PREFIX, Heavy, derived, make_router
from twinproof.server.forms import answer
from twinproof.server.parameters import AtLeast, wait_for
from twinproof.views import graph

# A query names twins inside its text, where no rule can see them.
RULES = {f"{PREFIX}/graph": Rule.ALL}


def router(live: Live, heavy: Heavy) -> APIRouter:
    """The route, on an open node."""
    made = make_router("graph", "/graph")

    @made.post("", responses=derived(shapes.GraphAnswer), summary="One query over twins and relationships")
    async def ask(question: shapes.GraphQuestion, at_least: AtLeast = None) -> Response:
        """Read-only, bounded in time and rows; values come in `parameters`, never in the text."""
        await wait_for(live.states, at_least, live.feed.size)
        return await heavy.run(lambda: _answer(live, question))

    return made


def _answer(live: Live, question: shapes.GraphQuestion) -> Response:
    found = graph.query(live.states, question.query, at=question.at, parameters=question.parameters)
    body = {"columns": found.columns, "rows": [list(row) for row in found.rows], "more": found.more}
    return answer(body, reached=found.reached)
