"""Lines of the fleet: what health means, who signed, and that they are the states' however they came about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, START, signer
from tests.views.telemetry_log import Journal, Said, senml
from tests.views.test_state_view import TWINS, statements
from twinproof.edge import marking
from twinproof.twin.alarm import Rule, Severity, Test
from twinproof.twin.attestation import RESUME, Resume, format_resume
from twinproof.twin.description import DESCRIPTION, Description, format_description
from twinproof.twin.ledger import Forecast, Order
from twinproof.twin.live import StandingAlarm, StandingRule
from twinproof.twin.prediction import Prediction
from twinproof.twin.reading import Reading
from twinproof.twin.state import Latest, Told, TwinState
from twinproof.views.state import StateView
from twinproof.views.state.fleet import GATEWAY, SIGNERS, line_of, rated

CARRIER = signer("urn:example:gateway:7#gateway", 62)
TWIN = TWINS[0]


def test_the_mark_of_a_gateway_is_the_edges() -> None:
    assert GATEWAY == marking.GATEWAY


# --- health ---------------------------------------------------------------------------------------


def state_of(
    readings: bool = True,
    alarms: tuple[tuple[str, StandingAlarm], ...] = (),
    widened: float | None = None,
    forecast: bool = False,
    orders: tuple[str, ...] = (),
) -> TwinState:
    """A state with alarms of rules named by their severities."""
    state = TwinState(TWIN)
    if readings:
        state.readings["T24"] = Latest(1.0, "K", 5.5, 0)
    for severity, alarm in alarms:
        if severity != "gone":
            rule = Rule(severity, "T24", Test.ABOVE, 1.0, Severity(severity))
            state.live.rules[severity] = StandingRule(rule, 0)
        state.live.alarms[severity] = alarm
    if forecast:
        made = Prediction(1.0, 2.0, 3.0, 0.9, "{cycle}", b"\1" * 32, (), widened=widened)
        state.live.ledger.prediction = Forecast(made, "urn:example:p", 3, 4)
    for number, name in enumerate(orders):
        key = (1, b"\2" * 20, number.to_bytes(32, "big"))
        state.live.ledger.orders[key] = Order(bytes(32), name, 1, None, (1, 1), 2)
    return state


def alarm(active: bool = True, acknowledged: bool = False, shelved: int | None = None) -> StandingAlarm:
    return StandingAlarm(active, acknowledged, shelved, None, 1, 2)


@pytest.mark.parametrize(
    ("state", "health", "alarms"),
    [
        (state_of(), "good", (0, 0, None)),
        (state_of(readings=False), "unknown", (0, 0, None)),
        (state_of(alarms=(("low", alarm()),)), "watch", (1, 1, "low")),
        (state_of(alarms=(("low", alarm()), ("medium", alarm(acknowledged=True)))), "watch", (2, 1, "medium")),
        (state_of(alarms=(("high", alarm()), ("medium", alarm()))), "act", (2, 2, "high")),
        (state_of(alarms=(("high", alarm()), ("critical", alarm()))), "act", (2, 2, "critical")),
        (state_of(alarms=(("high", alarm(active=False)),)), "act", (1, 1, "high")),
        (state_of(alarms=(("high", alarm(acknowledged=True)),), readings=False), "act", (1, 0, "high")),
        (state_of(alarms=(("high", alarm(shelved=9)), ("low", alarm()))), "watch", (1, 1, "low")),
        (state_of(alarms=(("high", alarm(shelved=9)),)), "good", (0, 0, None)),
        (state_of(alarms=(("gone", alarm()),)), "watch", (1, 1, None)),
        (state_of(forecast=True), "good", (0, 0, None)),
        (state_of(forecast=True, widened=0.4), "watch", (0, 0, None)),
        (state_of(orders=("placed",)), "act", (0, 0, None)),
        (state_of(orders=("fulfilled", "cancelled", "resolved")), "good", (0, 0, None)),
        (state_of(orders=("fulfilled", "disputed")), "act", (0, 0, None)),
    ],
    ids=range(16),
)
def test_health_and_alarms(state: TwinState, health: str, alarms: tuple[int, int, str | None]) -> None:
    line = json.loads(line_of(state, 7))
    assert line["health"] == health
    assert line["alarms"].pop("unrated", []) == (["gone"] if "gone" in state.live.alarms else [])
    assert line["alarms"] == dict(zip(("standing", "unacknowledged", "worst"), alarms, strict=True))
    assert line["time"] == 7


@pytest.mark.parametrize(
    ("known", "health", "worst"),
    [({"gone": "critical"}, "act", "critical"), ({"gone": "low"}, "watch", "low"), ({}, "watch", None)],
    ids=range(3),
)
def test_a_models_rules_rate_alarms_of_its_twins(known: dict[str, str], health: str, worst: str | None) -> None:
    state = state_of(alarms=(("gone", alarm()),))
    state.model = Told("dtmi:example:pump;1", 0, 1)
    models = {"dtmi:example:pump;1": known}
    row = json.loads(rated(line_of(state, 7), models.__getitem__))
    assert (row["health"], row["alarms"]) == (health, {"standing": 1, "unacknowledged": 1, "worst": worst})
    plain = line_of(state_of(alarms=(("high", alarm()),)), 7)
    assert rated(plain, models.__getitem__) is plain


def test_forecast_and_orders() -> None:
    line = json.loads(line_of(state_of(forecast=True, widened=0.4, orders=("placed", "received", "fulfilled")), 7))
    assert line["orders"] == 2
    assert line["forecast"] == {
        "lower": 1.0, "point": 2.0, "upper": 3.0, "coverage": 0.9, "unit": "{cycle}", "widened": 0.4, "time": 4,
        "entry": 3,
    }  # fmt: skip
    assert line["newest"] == 5.5


@pytest.mark.parametrize(
    ("value", "name"),
    [("Pump 7", "Pump 7"), ("", None), (7, None), (True, None), ("x" * 300, "x" * 200), ('"é\\', '"é\\')],
    ids=range(6),
)
def test_names(tmp_path: Path, value: Any, name: str | None) -> None:
    journal = Journal()
    journal.say(Said(TWIN, DESCRIPTION, format_description(Description(set={"name": value}))))
    (row,) = folded(tmp_path, journal).fleet([("", False)])[1]
    assert json.loads(row.line)["name"] == name


# --- folding --------------------------------------------------------------------------------------


def folded(folder: Path, journal: Journal) -> StateView:
    view = StateView(folder / "views.db", journal.feed)
    view.catch_up()
    return view


def test_who_signed_gathers_over_all_that_was_said(tmp_path: Path) -> None:
    journal = Journal()
    view = StateView(tmp_path / "views.db", journal.feed)
    for sub, by in ((TWINS[0], DEVICE), (TWINS[1], CARRIER), (TWINS[2], DEVICE), (TWINS[2], CARRIER)):
        journal.say(senml(sub, Reading("T24", 1.0, None, float(START)))._replace(by=by))
        view.catch_up()
    journal.say(Said("urn:example:z", DESCRIPTION, format_description(Description(set={"a": 1})), CARRIER))
    journal.say(Said(TWINS[0], RESUME, format_resume(Resume("lost")), DEVICE))
    view.catch_up()
    _, rows = view.fleet([("", False)])
    assert [row.signed for row in rows] == ["device", "gateway", "both", None]
    assert json.loads(rows[0].line)["gaps"] == 1
    assert set(SIGNERS) == {row.signed for row in rows}


@settings(max_examples=60)
@given(st.lists(statements(), min_size=1, max_size=30), st.data())
def test_lines_are_those_of_the_states(
    tmp_path_factory: pytest.TempPathFactory, said: list[Said], data: st.DataObject
) -> None:
    """Lines and what `since` chooses, against the states and a walk through the log."""
    journal = Journal()
    view = StateView(tmp_path_factory.mktemp("fleet") / "views.db", journal.feed)
    for one in said:
        journal.say(one)
        if data.draw(st.booleans()):
            view.catch_up()
    view.catch_up()
    times = {item.statement.subject: item.statement.issued_at for item in journal.items}
    newest = {item.statement.subject: item.index for item in journal.items}
    since = data.draw(st.integers(0, len(said) + 1))
    prefix = data.draw(st.sampled_from(["", "https://fleet.example/", TWINS[0], "urn:", "zzz"]))
    reached, rows = view.fleet([(prefix, False)], since=since)
    assert reached == len(said)
    expected = sorted(twin for twin in newest if twin.startswith(prefix) and newest[twin] >= since)
    assert [row.subject for row in rows] == expected
    for row in rows:
        assert row.line == line_of(view.state(row.subject), times[row.subject])
        assert row.entry == newest[row.subject]
    without = view.fleet([("", False)], without=[(TWINS[0], True), ("urn:", False)])[1]
    assert [row.subject for row in without] == sorted({TWINS[1]} & set(newest))
    single = view.fleet([(TWINS[1], True)], after=data.draw(st.sampled_from(["", *TWINS])), limit=1)[1]
    assert {row.subject for row in single} <= {TWINS[1]}
