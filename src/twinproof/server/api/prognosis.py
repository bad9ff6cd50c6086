"""What-if, plans, predictions over time, and predicted against happened. docs/forecasts.md and planning.md explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from twinproof.errors import AccessDenied, Malformed, NotFound, TooLarge
from twinproof.node import whatif
from twinproof.node.hindsight import Models, courses
from twinproof.node.live import Live
from twinproof.node.outcomes import Kept, Outcomes, calibration, drift_of, read_score, thinned
from twinproof.node.scoring import SCORE, score_of
from twinproof.node.statements import logged
from twinproof.prognosis.card import parse_card
from twinproof.prognosis.decision import ASSUMED, Decision, Terms, decide
from twinproof.server import prognosis_shapes as shapes
from twinproof.server.access import Principal, Rule, principal_of
from twinproof.server.api.routing import PREFIX, Heavy, derived, make_router, problems
from twinproof.server.api.twins import ranges
from twinproof.server.forms import answer, plain
from twinproof.server.parameters import AtLeast, Index, Limit, Twin, wait_for
from twinproof.twin.attestation import ATTESTATION, parse_attestation
from twinproof.twin.description import Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.ledger import Forecast
from twinproof.twin.prediction import Prediction
from twinproof.twin.predictor import StandingPredictor
from twinproof.twin.state import TwinState
from twinproof.twin.statement import check_iri

RULES = {
    # Questions name twins in their bodies, where the handler looks at what the token covers.
    f"{PREFIX}/whatif": Rule.HOLDER,
    f"{PREFIX}/plan": Rule.HOLDER,
    f"{PREFIX}/predictions": Rule.TWIN,
    # A model tells of all twins that it learnt from, and of all that it spoke of.
    f"{PREFIX}/predictors": Rule.ALL,
    f"{PREFIX}/predictors/outcomes": Rule.ALL,
}
MAX_PLANNED: Final = 200
"""Twins of one plan."""
MAX_CURVE: Final = 200
"""Dates of a curve."""
MAX_WALKED: Final = 50_000
"""Entries about a twin, beyond which nobody reads them all to tell where its predictions stood."""
MAX_JUDGED: Final = 200
"""Ended twins that one answer compares."""
MAX_SERIES: Final = 20
MAX_SCORES: Final = 64
"""Attestations about an asset model that are looked at for scores."""

Digest = Annotated[
    str, Query(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64, description="SHA-256 of the model, in hex.")
]


def router(live: Live, heavy: Heavy) -> APIRouter:
    """The routes, on an open node."""
    made = make_router("prognosis")
    models = Models(live.node.blobs)
    outcomes = Outcomes(live.node.reader, models)

    @made.post("/whatif", responses=derived(shapes.WhatIfAnswer), summary="The best date to maintain a twin")
    async def what_if(request: Request, question: shapes.WhatIfQuestion, at_least: AtLeast = None) -> Response:
        """From the twin's newest prediction and its model's residuals, under these costs. Nothing is stated."""
        await wait_for(live.states, at_least, live.feed.size)
        principal = principal_of(request)
        return await heavy.run(lambda: _what_if(live, models, principal, question))

    missing: dict[int | str, dict[str, Any]] = {
        501: {**problems()[400], "description": "The solver is not installed; the answer names the extra"}
    }

    @made.post("/plan", responses={**derived(shapes.PlanAnswer), **missing}, summary="Which twin in which slot")
    async def plan(request: Request, question: shapes.PlanQuestion, at_least: AtLeast = None) -> Response:
        """The cheapest plan under limits of crews and spares, at most 200 twins. Nothing is stated."""
        await wait_for(live.states, at_least, live.feed.size)
        principal = principal_of(request)
        return await heavy.run(lambda: _plan(live, models, principal, question))

    @made.get("/predictions", responses=derived(shapes.PredictionList), summary="Predictions of a twin over time")
    async def predictions(
        sub: Twin,
        after: Annotated[Index | None, Query(description="`next` of the page before: entries after this one.")] = None,
        limit: Limit = 100,
        at_least: AtLeast = None,
    ) -> Response:
        """What was predicted, at which row, and once the twin is retired what happened."""
        await wait_for(live.states, at_least, live.feed.size)
        return await heavy.run(lambda: _predictions(live, models, sub, after, limit))

    @made.get("/predictors", responses=derived(shapes.PredictorList), summary="Trained models")
    async def predictors(limit: Limit = 100, at_least: AtLeast = None) -> Response:
        """Each with its stage, what it learnt from, its card and its newest signed score."""
        await wait_for(live.states, at_least, live.feed.size)
        return await heavy.run(lambda: _predictors(live, models, limit))

    @made.get("/predictors/outcomes", responses=derived(shapes.OutcomeAnswer), summary="Predicted against happened")
    async def outcome(
        model: Digest,
        failed_at_end: Annotated[
            bool, Query(description="Every record ends in failure, not only a retired twin's.")
        ] = (False),
        at_least: AtLeast = None,
    ) -> Response:
        """Coverage, bias, calibration and drift of one model, over the twins that have ended."""
        await wait_for(live.states, at_least, live.feed.size)
        return await heavy.run(lambda: _outcomes(live, outcomes, bytes.fromhex(model), failed_at_end))

    return made


# --- what if ----------------------------------------------------------------------------------


def _covered(principal: Principal, sub: str, field: str) -> str:
    check_iri(sub, field)
    if not principal.covers(sub):
        raise AccessDenied("the token does not cover this twin")
    return sub


def _newest(live: Live, sub: str, at: int | None = None) -> tuple[Forecast, int]:
    """A twin's newest prediction, and how many entries are about the twin up to there."""
    state = live.states.state(sub, at=at)
    found = state.live.ledger.prediction
    if found is None:
        raise NotFound(f"no prediction is about {sub}" + ("" if at is None else f" up to entry {at}"))
    return found, state.statements


def _what_if(live: Live, models: Models, principal: Principal, question: shapes.WhatIfQuestion) -> Response:
    reached = live.states.reached
    sub = _covered(principal, question.sub, "sub")
    forecast, entries = _newest(live, sub, question.at)
    known = whatif.known_of(models, sub, forecast)
    terms = Terms(question.planned, question.failure, question.lead, question.price)
    age = question.age
    if age is None:
        if entries > MAX_WALKED:
            raise Malformed("age", f"missing: over {MAX_WALKED} entries are about the twin, too many to read for it")
        age = whatif.age_at(live.node.reader, sub, forecast, models)
    decision = decide(known.remaining, terms, age)
    said = forecast.prediction
    body = {
        "sub": sub,
        "entry": forecast.entry,
        "unit": said.unit,
        "point": said.point,
        "lower": said.lower,
        "upper": said.upper,
        "coverage": said.coverage,
        "model": said.model.hex(),
        "age": age,
        "best": {
            "date": decision.date,
            "rate": plain(decision.rate),
            "risk": decision.risk,
            "due": decision.due,
            "open": decision.open,
        },
        "curve": list(_curve(decision)),
        "assumed": list(whatif.assumed(forecast)),
    }
    return answer(body, reached=max(reached, forecast.entry + 1))


def _curve(decision: Decision) -> Iterator[dict[str, Any]]:
    curve = decision.curve
    rows = list(zip(curve.dates.tolist(), curve.rate.tolist(), curve.risk.tolist(), strict=True))
    shown = thinned(rows, MAX_CURVE - 1)
    best = rows[decision.date - int(curve.dates[0])]
    for date, rate, risk in shown if best in shown else sorted([*shown, best]):
        yield {"date": date, "rate": plain(rate), "risk": risk}


def _plan(live: Live, models: Models, principal: Principal, question: shapes.PlanQuestion) -> Response:
    reached = live.states.reached
    known: list[whatif.Known] = []
    left_out: list[dict[str, str]] = []
    for sub in _twins(live, principal, question):
        try:
            forecast, _ = _newest(live, sub)
            known.append(whatif.known_of(models, sub, forecast))
        except (NotFound, Malformed) as problem:
            left_out.append({"sub": sub, "why": str(problem)})
    if not known:
        why = f": {left_out[0]['why']}" if left_out else ""
        raise NotFound(f"no twin asked for has a prediction to plan from{why}")
    terms = Terms(question.planned, question.failure, question.lead, question.price)
    wanted = whatif.Wanted(question.slots, question.cycles_per_slot, tuple(question.crew), tuple(question.spares))
    found = whatif.plan(known, terms, wanted)
    body = {
        "feasible": found.status != "infeasible",
        "unit": known[0].forecast.prediction.unit,
        "twins": [
            {
                "sub": each.known.subject,
                "entry": each.known.forecast.entry,
                "point": each.known.forecast.prediction.point,
                "model": each.known.forecast.prediction.model.hex(),
                "slot": each.slot,
                "date": each.date,
                "cost": plain(each.cost),
                "best": plain(each.best),
                "risk": each.risk,
            }
            for each in found.twins
        ],
        "cost": found.cost,
        "bound": found.bound,
        "certified": found.certified,
        "gap": found.gap,
        "status": found.status,
        "reproducible": found.reproducible,
        "shortages": [{"limit": limit, "excess": list(excess)} for limit, excess in found.shortages],
        "together": found.together,
        "without_slot": list(found.without_slot),
        "left_out": left_out,
        "assumed": list(ASSUMED),
    }
    return answer(body, reached=max([reached, *(each.forecast.entry + 1 for each in known)]))


def _twins(live: Live, principal: Principal, question: shapes.PlanQuestion) -> list[str]:
    """Those named, or those in service under the prefix that the token covers."""
    if question.subs is not None:
        named = [_covered(principal, sub, "subs") for sub in question.subs]
        return sorted({sub for sub in named if sub.startswith(question.prefix)})
    found: list[str] = []
    sql = (
        "SELECT sub FROM twin t WHERE sub >= ? AND sub < ? AND lifecycle IS NOT ? AND EXISTS "
        "(SELECT 1 FROM history h WHERE h.twin = t.id AND h.kind = 'prediction') ORDER BY sub LIMIT ?"
    )
    for text, whole in ranges(principal, question.prefix):
        end = text + ("\0" if whole else "\U0010ffff")
        rows = live.states.query(sql, (text, end, Lifecycle.RETIRED.value, MAX_PLANNED + 1))
        found += [sub for (sub,) in rows]
        if len(found) > MAX_PLANNED:
            raise TooLarge("prefix", f"over {MAX_PLANNED} twins with predictions: give a longer prefix, or subs")
    return found


# --- over time ----------------------------------------------------------------------------------


def _predictions(live: Live, models: Models, sub: str, after: int | None, limit: int) -> Response:
    reached = live.states.reached
    state = live.states.state(sub)
    begin = -1 if after is None else after
    rows = live.states.history(sub, after=begin, kind="prediction", limit=limit + 1)
    ended = state.lifecycle is not None and state.lifecycle.value == Lifecycle.RETIRED.value
    stood: dict[int, tuple[int | None, int | None]] = {}
    if rows and state.statements <= MAX_WALKED:
        for course in courses(live.node.reader, sub, models):
            for spoken in course.said:
                known = spoken.x is not None and ended and course.newest
                stood[spoken.entry] = spoken.x, course.last - (spoken.x or 0) if known else None
    items = []
    for row in rows[:limit]:
        said = parse_payload(logged(live.node.reader, row.entry))
        if isinstance(said, Prediction):
            x, happened = stood.get(row.entry, (None, None))
            items.append({
                "entry": row.entry, "time": row.time, "iss": row.issuer, "lower": said.lower, "point": said.point,
                "upper": said.upper, "coverage": said.coverage, "unit": said.unit, "model": said.model.hex(),
                "episode": said.episode, "drivers": dict(said.drivers), "remarks": list(said.remarks),
                "widened": said.widened, "until": said.until, "x": x, "happened": happened,
            })  # fmt: skip
    following = rows[limit - 1].entry if len(rows) > limit else None
    newest = max([reached, *(row.entry + 1 for row in rows)])
    return answer({"items": items, "next": following, "ended": ended}, reached=newest)


def _held(live: Live) -> Iterator[tuple[str, TwinState]]:
    """States that hold predictors, by what they are about."""
    rows = live.states.query(
        "SELECT DISTINCT t.sub FROM history h JOIN twin t ON t.id = h.twin WHERE h.kind = 'predictor' ORDER BY t.sub",
        (),
    )
    for (about,) in rows:
        yield about, live.states.state(about)


def _predictors(live: Live, models: Models, limit: int) -> Response:
    reached = live.states.reached
    items: list[dict[str, Any]] = []
    for about, state in _held(live):
        if len(items) > limit:
            break
        scores = _scores(live, state)
        for name, standing in sorted(state.live.predictors.items(), key=lambda item: -item[1].entry):
            items.append(_predictor(models, about, standing, scores.get(name.hex())))
    newest = max([reached, *(item["entry"] + 1 for item in items)])
    return answer({"items": items[:limit], "more": len(items) > limit}, reached=newest)


def _predictor(models: Models, about: str, standing: StandingPredictor, score: dict[str, Any] | None) -> dict[str, Any]:
    said = standing.predictor
    model = models.get(said.model)
    card = None
    if model is not None:
        try:
            card = plain(asdict(parse_card(model.card)))
        except Malformed:
            card = None
    return {
        "about": about, "model": said.model.hex(), "stage": said.stage.value, "unit": said.unit,
        "coverage": said.coverage, "cycle": said.cycle, "text": said.text, "entry": standing.entry,
        "trained": {**asdict(said.trained), "root": said.trained.root.hex()},
        "here": model is not None, "card": card, "score": score,
    }  # fmt: skip


def _scores(live: Live, state: TwinState) -> dict[str, dict[str, Any]]:
    """The newest signed score of each model, by its digest in hex."""
    found: dict[str, dict[str, Any]] = {}
    for told in [told for told in reversed(state.attestations) if told.value == SCORE][:MAX_SCORES]:
        statement = logged(live.node.reader, told.entry)
        if statement.content_type != ATTESTATION:
            continue
        read = read_score(parse_attestation(statement.payload).text)
        if read is not None and read[0] not in found:
            found[read[0]] = {"entry": told.entry, "iss": statement.issuer, "time": told.time, **read[1]}
    return found


# --- predicted against happened -------------------------------------------------------------------


def _outcomes(live: Live, outcomes: Outcomes, model: bytes, failed_at_end: bool) -> Response:
    reached = live.states.reached
    held = [(about, state.live.predictors[model]) for about, state in _held(live) if model in state.live.predictors]
    if not held:
        raise NotFound(f"no predictor {model.hex()} is stated in the log")
    abouts = [about for about, _ in held]
    ended, running = _ended_and_running(live, abouts, failed_at_end)
    judged = [pair for pair in ended[:MAX_JUDGED] if live.states.state(pair[0]).statements <= MAX_WALKED]
    kept = [one for sub, newest in judged for one in outcomes.of(sub, newest) if one.model == model]
    kept.sort(key=lambda one: one.case.ended)
    newest = [forecast.prediction for sub in running if (forecast := _forecast(live, sub)) is not None]
    drift = drift_of([one.case for one in kept], [said for said in newest if said.model == model])
    body = {
        "model": model.hex(),
        "about": abouts,
        "unit": held[0][1].predictor.unit,
        "score": _score(model, kept) if kept else None,
        "calibration": [{"level": level, "realised": realised} for level, realised in calibration(kept)],
        "drift": asdict(drift),
        "series": [
            {"sub": one.case.subject, "ended": one.case.ended, "points": [point._asdict() for point in one.points]}
            for one in reversed(kept[-MAX_SERIES:])
        ],
        "left_out": len(ended) - len(judged),
    }
    return answer(body, reached=max(reached, 1))


def _score(model: bytes, kept: list[Kept]) -> dict[str, Any]:
    found = asdict(score_of(model, kept[0].unit, kept[0].coverage, [one.case for one in kept]))
    return {name: value for name, value in found.items() if name not in ("model", "unit")}


def _forecast(live: Live, sub: str) -> Forecast | None:
    return live.states.state(sub).live.ledger.prediction


def _ended_and_running(live: Live, abouts: list[str], failed_at_end: bool) -> tuple[list[tuple[str, int]], list[str]]:
    """Twins with predictions: (sub, newest entry) of those that have ended, those that went last first; the others."""
    ended: list[tuple[str, int]] = []
    running: list[tuple[int, str]] = []
    sql = (
        "SELECT sub, entry, lifecycle FROM twin t WHERE (model = ? OR sub = ?) AND EXISTS "
        "(SELECT 1 FROM history h WHERE h.twin = t.id AND h.kind = 'prediction')"
    )
    for about in abouts:
        for sub, entry, lifecycle in live.states.query(sql, (about, about)):
            if lifecycle == Lifecycle.RETIRED.value or failed_at_end:
                ended.append((sub, entry))
            if lifecycle != Lifecycle.RETIRED.value:
                running.append((-entry, sub))
    ended = sorted(set(ended), key=lambda pair: (-pair[1], pair[0]))
    return ended, [sub for _, sub in sorted(set(running))[:MAX_JUDGED]]
