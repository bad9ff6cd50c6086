"""Twins: which there are, their states now and in the past, their histories, where their proofs are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from heapq import merge
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from twinproof.errors import NotFound
from twinproof.node.cases import cases_of
from twinproof.node.live import Live
from twinproof.server import shapes
from twinproof.server.access import Principal, Rule, principal_of
from twinproof.server.api.routing import PREFIX, derived, make_router
from twinproof.server.forms import answer, case_form, evidence_of, state_json
from twinproof.server.parameters import AtLeast, Index, Iri, Limit, Posix, Twin, wait_for
from twinproof.twin.grants import log_subject
from twinproof.twin.kinds import KINDS
from twinproof.views.state import TwinRow

RULES = {
    f"{PREFIX}/twins": Rule.HOLDER,
    f"{PREFIX}/state": Rule.TWIN,
    f"{PREFIX}/history": Rule.TWIN,
    f"{PREFIX}/evidence": Rule.TWIN,
    f"{PREFIX}/alarms": Rule.HOLDER,
}
MODEL_SCHEME = "dtmi:"
"""Models are published under their own identifiers, which are no twins."""

Prefix = Annotated[str, Query(max_length=512, description="Beginning of the twins' IRIs.")]
KIND_NAMES = sorted(kind.name for kind in KINDS.values())


def router(live: Live) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("twins")
    log = log_subject(live.node.config.origin)

    @made.get("/twins", responses=derived(shapes.TwinList), summary="List twins")
    async def twins(
        request: Request,
        prefix: Prefix = "",
        model: Annotated[Iri | None, Query(description="Only twins that name this model.")] = None,
        after: Annotated[str, Query(max_length=512, description="`next` of the page before.")] = "",
        limit: Limit = 100,
        at_least: AtLeast = None,
    ) -> Response:
        """The twins that the token covers, in the order of their IRIs."""
        await wait_for(live.states, at_least, live.feed.size)
        return await run_in_threadpool(_twins, live, principal_of(request), log, prefix, model, after, limit)

    @made.get("/state", responses=derived(shapes.State), summary="A twin's state")
    async def state(
        sub: Twin,
        at: Annotated[Index | None, Query(description="After this entry.")] = None,
        time: Annotated[
            Posix | None, Query(description="After the last statement that claims this time or an earlier one.")
        ] = None,
        at_least: AtLeast = None,
    ) -> Response:
        """The state now, after a log entry, or at a time by the signers' clocks; of both, at the earlier one."""
        await wait_for(live.states, at_least, live.feed.size)
        if at is None and time is None:
            # One look-up in an index, shorter than the way to another thread and back.
            return _state(live, sub, None, None)
        return await run_in_threadpool(_state, live, sub, at, time)

    @made.get("/history", responses=derived(shapes.History), summary="Entries about a twin")
    async def history(
        sub: Twin,
        after: Annotated[Index | None, Query(description="`next` of the page before: entries after this one.")] = None,
        kind: Annotated[str | None, Query(json_schema_extra={"enum": KIND_NAMES}, max_length=64)] = None,
        limit: Limit = 100,
        at_least: AtLeast = None,
    ) -> Response:
        """Which entries are about the twin, in log order."""
        await wait_for(live.states, at_least, live.feed.size)
        return await run_in_threadpool(_history, live, sub, after, kind, limit)

    @made.get("/evidence", responses=derived(shapes.TwinEvidence), summary="Where proofs about a twin are")
    async def evidence(sub: Twin, at_least: AtLeast = None) -> Response:
        """Links to the history bundle and to the proofs of the newest entry. They need no trust in this API."""
        await wait_for(live.states, at_least, live.feed.size)
        return await run_in_threadpool(_evidence, live, sub)

    @made.get("/alarms", responses=derived(shapes.AlarmList), summary="Standing alarms")
    async def alarms(request: Request, prefix: Prefix = "", limit: Limit = 100, at_least: AtLeast = None) -> Response:
        """Alarms that are not normal (ISA-18.2), of the twins that the token covers, newest first."""
        await wait_for(live.states, at_least, live.feed.size)
        return await run_in_threadpool(_alarms, live, principal_of(request), prefix, limit)

    return made


def _since(reached: int, entries: list[int]) -> int:
    """How far the view was: it may have gone on between looking at its number and reading rows of these entries.

    Nothing between the two concerns the rows read, or it would be in them.
    """
    return max([reached, *(entry + 1 for entry in entries)])


def _state(live: Live, sub: str, at: int | None, time: int | None) -> Response:
    reached = live.states.reached
    if at is not None and time is not None:
        before = live.states.state(sub, time=time).last_index
        at, time = min(at, before), None
    found = live.states.state(sub, at=at, time=time)
    return answer(state_json(found), reached=_since(reached, [found.last_index]))


def _history(live: Live, sub: str, after: int | None, kind: str | None, limit: int) -> Response:
    reached = live.states.reached
    rows = live.states.history(sub, after=-1 if after is None else after, kind=kind, limit=limit + 1)
    if not rows and not live.states.history(sub, limit=1):
        raise NotFound(f"the log holds nothing about {sub}")
    page = rows[:limit]
    items = [{"entry": row.entry, "kind": row.kind, "iss": row.issuer, "time": row.time} for row in page]
    following = page[-1].entry if len(rows) > limit else None
    return answer({"items": items, "next": following}, reached=_since(reached, [row.entry for row in rows]))


def _evidence(live: Live, sub: str) -> Response:
    reached = live.states.reached
    newest = live.states.state(sub).last_index
    body = {
        "sub": sub,
        "bundle": f"/bundle?{urlencode({'sub': sub})}",
        "checkpoint": "/checkpoint",
        "keys": "/.well-known/scitt-keys",
        "newest": evidence_of(newest),
    }
    return answer(body, reached=_since(reached, [newest]))


# --- lists, cut to what a token covers ------------------------------------------------------------


def ranges(principal: Principal, prefix: str) -> list[tuple[str, bool]]:
    """(text, whether it is a whole IRI): the twins under `prefix` that the principal may read, without overlaps."""
    if principal.reads_all:
        return [(prefix, False)]
    twins = {scope.value for scope in principal.scopes if scope.kind == "twin"}
    beginnings = {scope.value for scope in principal.scopes if scope.kind == "prefix"}
    wanted = {prefix if prefix.startswith(own) else own for own in beginnings if own.startswith(prefix) or
              prefix.startswith(own)}  # fmt: skip
    apart = sorted(one for one in wanted if not any(one != other and one.startswith(other) for other in wanted))
    single = {twin for twin in twins if twin.startswith(prefix) and not twin.startswith(tuple(apart))}
    return [(one, False) for one in apart] + [(twin, True) for twin in sorted(single)]


def _listed(live: Live, log: str, model: str | None, limit: int, after: str, part: tuple[str, bool]) -> list[TwinRow]:
    """The first `limit` twins of one range."""
    text, whole = part
    found: list[TwinRow] = []
    while len(found) < limit:
        asked = limit if not whole else 1
        page = live.states.twins(prefix=text, model=model, after=after, limit=asked)
        if whole:
            return [row for row in page if row.subject == text]
        found += [row for row in page if row.subject != log and not row.subject.startswith(MODEL_SCHEME)]
        if len(page) < asked:
            break
        after = page[-1].subject
        if after.startswith(MODEL_SCHEME):
            # Models stand together in the order of IRIs: go on behind the last of them.
            after = MODEL_SCHEME + "\U0010ffff"
    return found[:limit]


def _twins(
    live: Live, principal: Principal, log: str, prefix: str, model: str | None, after: str, limit: int
) -> Response:
    reached = live.states.reached
    listed: Callable[[tuple[str, bool]], list[TwinRow]] = partial(_listed, live, log, model, limit + 1, after)
    rows = list(islice(merge(*map(listed, ranges(principal, prefix))), limit + 1))
    page = rows[:limit]
    items = [
        {
            "sub": row.subject,
            "model": row.model,
            "lifecycle": row.lifecycle,
            "statements": row.statements,
            "entry": row.entry,
        }
        for row in page
    ]
    following = page[-1].subject if len(rows) > limit else None
    return answer({"items": items, "next": following}, reached=_since(reached, [row.entry for row in page]))


def _alarms(live: Live, principal: Principal, prefix: str, limit: int) -> Response:
    reached = live.states.reached
    rows: list[Any] = []
    for text, whole in ranges(principal, prefix):
        rows += live.states.alarms(prefix=text, whole=whole, limit=limit)
    rows = sorted(rows, key=lambda row: (-row[4], row[1]))[:limit]
    cases = cases_of(live.states, [(row[0], row[1]) for row in rows])
    severities = cache(live.states.severities)
    items = []
    for sub, rule, name, severity, entry, time in rows:
        found = cases.get((sub, rule))
        model = None if severity else live.states.model(sub)
        items.append(
            {
                "sub": sub,
                "rule": rule,
                "state": name,
                "severity": severity or (severities(model).get(rule) if model else None),
                "entry": entry,
                "time": time,
                "case": case_form(found.case if found else None),
                "part_of": found and found.part_of,
            }
        )
    return answer({"items": items}, reached=_since(reached, [row[4] for row in rows]))
