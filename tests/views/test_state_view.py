"""The state view: the same fold however it came about, the past equal to a fold of the prefix, faults survived."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, START, Signer, signer
from tests.views.telemetry_log import Journal, Said, senml
from twinproof.errors import NotFound, StorageFailed
from twinproof.twin.alarm import ALARM, RULE, AlarmTransition, Rule, Severity, Test, Transition, format_rule
from twinproof.twin.alarm import format_transition as format_alarm
from twinproof.twin.chain_event import CHAIN_EVENT, ChainEvent, event_args, format_chain_event
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.operation import DESIRED, Desired, format_desired
from twinproof.twin.reading import Reading
from twinproof.twin.state import TwinState
from twinproof.views.feed import Feed
from twinproof.views.state import StateView
from twinproof.views.state import view as state_view

TWINS = ("https://fleet.example/engine/1", "https://fleet.example/engine/2", "urn:example:plant")
NAMES = ("serial", "valve", "mode")
MODELS = ("dtmi:example:engine;1", "dtmi:example:engine;2")


@st.composite
def statements(draw: st.DrawFn) -> Said:
    twin = draw(st.sampled_from(TWINS))
    match draw(st.integers(0, 5)):
        case 5:
            return draw(chain_events(twin))
        case 0:
            value, time = draw(st.floats(-1e3, 1e3)), draw(st.integers(0, 50))
            return senml(twin, Reading(draw(st.sampled_from(("T24", "Nf"))), value, None, 1_700_000_000.0 + time))
        case 1:
            return Said(
                twin, DESIRED, format_desired(Desired({draw(st.sampled_from(NAMES)): draw(st.integers(-9, 9))}))
            )
        case 2:
            rule = Rule(draw(st.sampled_from(("hot", "cold"))), "T24", Test.ABOVE, 1.0, Severity.HIGH)
            return Said(twin, RULE, format_rule(rule))
        case 3:
            transition = draw(st.sampled_from((Transition.RAISE, Transition.CLEAR)))
            return Said(twin, ALARM, format_alarm(AlarmTransition("hot", transition)))
        case _:
            return Said(twin, DESCRIPTION, format_description(draw(descriptions())))


FOLLOWER = signer("https://fleet.example/log0#chain", 61)
CONTRACT = b"\xaa" * 20
EVENTS: dict[str, dict[str, Any]] = {
    "Minted": {"manufacturer": CONTRACT},
    "HandedOver": {"to": b"\xbb" * 20, "from": CONTRACT},
    "StatusChanged": {"status": 2},
    "OrderPlaced": {"id": 7},
    "OrderShipped": {"tokenId": 2**255 + 1},
    "OrderFulfilled": {},
    "Proposed": {"id": 7},
}


@st.composite
def chain_events(draw: st.DrawFn, twin: str) -> Said:
    name = draw(st.sampled_from(sorted(EVENTS)))
    thing = {"orderId": (7 << 32) + 1} if name.startswith("Order") else {"tokenId": 2**255}
    args = event_args({**({} if name == "Proposed" else thing), **EVENTS[name]})
    place = draw(st.integers(0, 9))
    event = ChainEvent(
        5, CONTRACT, name, place, b"\1" * 32, START, b"\2" * 32, 0, args, retracted=draw(st.integers(0, 3)) == 0
    )
    return Said(twin, CHAIN_EVENT, format_chain_event(event), draw(st.sampled_from((FOLLOWER, FOLLOWER, DEVICE))))


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    cut = draw(st.integers(1, len(names)))
    values: dict[str, Any] = {name: draw(st.integers(-5, 5) | st.text(max_size=3)) for name in names[:cut]}
    links = draw(st.lists(st.tuples(st.sampled_from(("feeds", "holds")), st.sampled_from(TWINS)), unique=True))
    half = len(links) // 2
    return Description(
        model=draw(st.none() | st.sampled_from(MODELS)),
        lifecycle=draw(st.none() | st.sampled_from(Lifecycle)),
        set=values,
        unset=tuple(sorted(names[cut:])),
        relate=tuple(sorted(links[:half])),
        unrelate=tuple(sorted(links[half:])),
    )


def prefix_fold(journal: Journal, subject: str, at: int) -> TwinState | None:
    state = TwinState(subject)
    for item in journal.items[: at + 1]:
        if item.statement.subject == subject:
            state.apply(item.index, item.statement, item.payload)
    return state if state.statements else None


def content(view: StateView) -> list[tuple[Any, ...]]:
    return list(view.digest_rows())


@settings(max_examples=60)
@given(st.lists(statements(), min_size=1, max_size=40), st.data())
def test_live_restarted_and_rebuilt_are_equal(
    tmp_path_factory: pytest.TempPathFactory, said: list[Said], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("views")
    journal = Journal(ring=data.draw(st.sampled_from((1, 4, 1000))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_view, "SNAPSHOT_EVERY", data.draw(st.sampled_from((1, 3, 256))))
        patch.setattr(state_view, "STATES_KEPT", data.draw(st.sampled_from((1, 100))))
        live = StateView(folder / "live.db", journal.feed)
        restarted = StateView(folder / "restarted.db", journal.feed)
        for one in said:
            journal.say(one)
            live.catch_up()
            if data.draw(st.integers(0, 4)) == 0:
                restarted.catch_up(data.draw(st.integers(1, 5)))
                restarted.close()
                restarted = StateView(folder / "restarted.db", journal.feed)
        restarted.catch_up()
        assert live.reached == restarted.reached == len(journal.items)
        at_once = StateView(folder / "once.db", Feed(journal.reader))
        at_once.rebuild()
        assert content(live) == content(restarted) == content(at_once)
        for subject in TWINS:
            for at in range(len(journal.items)):
                expected = prefix_fold(journal, subject, at)
                if expected is None:
                    with pytest.raises(NotFound):
                        live.state(subject, at=at)
                else:
                    assert live.state(subject, at=at).to_cbor() == expected.to_cbor()
        check_intervals(live, journal)
        for view in (live, restarted, at_once):
            view.close()


def check_intervals(view: StateView, journal: Journal) -> None:
    """Links and properties that held after each entry are those of the states then."""
    links = view.query("SELECT t.sub, l.name, l.target, l.since, l.until FROM link l JOIN twin t ON t.id = l.twin", ())
    properties = view.query("SELECT t.sub, p.name, p.since, p.until FROM property p JOIN twin t ON t.id = p.twin", ())
    for at in range(len(journal.items)):
        states = [state for subject in TWINS if (state := prefix_fold(journal, subject, at))]
        held = {
            (sub, name, to) for sub, name, to, since, until in links if since <= at and (until is None or at < until)
        }
        assert held == {(state.subject, *key) for state in states for key in state.relationships}
        known = {(sub, name) for sub, name, since, until in properties if since <= at and (until is None or at < until)}
        assert known == {(state.subject, name) for state in states for name in state.properties}


@pytest.fixture
def journal() -> Journal:
    made = Journal()
    for step in range(3):
        made.say(Said(TWINS[0], DESCRIPTION, format_description(Description(set={"valve": step}, model=MODELS[0]))))
        made.say(senml(TWINS[1], Reading("T24", float(step), "K", 1_700_000_000.0 + step)))
    return made


def test_lists_and_history(journal: Journal, tmp_path: Path) -> None:
    view = StateView(tmp_path / "v.db", journal.feed)
    view.catch_up()
    assert [row.subject for row in view.twins()] == list(TWINS[:2])
    assert [row.subject for row in view.twins(model=MODELS[0])] == [TWINS[0]]
    assert [row.subject for row in view.twins(after=TWINS[0])] == [TWINS[1]]
    assert [row.subject for row in view.twins(prefix="urn:")] == []
    rows = view.history(TWINS[0])
    assert [row.kind for row in rows] == ["description"] * 3
    assert view.history(TWINS[0], after=rows[0].entry, limit=1) == [rows[1]]
    assert view.history(TWINS[0], kind="readings") == []
    view.close()


def test_the_past_by_time(journal: Journal, tmp_path: Path) -> None:
    view = StateView(tmp_path / "v.db", journal.feed)
    view.catch_up()
    time = journal.items[-1].statement.issued_at
    assert view.state(TWINS[0], time=time).properties["valve"].value == 2
    with pytest.raises(NotFound, match="or earlier"):
        view.state(TWINS[0], time=1)
    with pytest.raises(NotFound, match="not there yet"):
        view.state(TWINS[0], at=1000)
    with pytest.raises(NotFound, match="nothing about"):
        view.state("urn:example:unknown")
    view.close()


@pytest.mark.parametrize("damage", ["deleted", "garbage", "another log", "older format"])
def test_a_lost_or_foreign_file_is_made_anew(journal: Journal, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "v.db"
    view = StateView(path, journal.feed)
    view.catch_up()
    expected = content(view)
    view.close()
    if damage == "another log":
        other = Journal()
        for step in range(9):
            other.say(senml(TWINS[2], Reading("x", float(step), None, 1_700_000_000.0)))
        path.unlink()
        foreign = StateView(path, other.feed)
        foreign.catch_up()
        foreign.close()
    elif damage == "older format":
        raw = sqlite3.connect(path)
        raw.execute("PRAGMA user_version = 99")
        raw.close()
    else:
        for file in tmp_path.iterdir():
            file.unlink()
        if damage == "garbage":
            path.write_bytes(b"not a database" * 500)
    again = StateView(path, journal.feed)
    again.catch_up()
    assert content(again) == expected
    again.close()


def test_a_failed_fold_leaves_the_view_where_it_was(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = StateView(tmp_path / "v.db", journal.feed)
    view.catch_up(2)
    before = content(view)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(view, "_write_states", fail)
        with pytest.raises(StorageFailed, match="disk is full"):
            view.catch_up()
    assert view.reached == 2
    assert content(view) == before
    view.catch_up()
    fresh = StateView(tmp_path / "fresh.db", journal.feed)
    fresh.catch_up()
    assert content(view) == content(fresh)
    view.close()
    fresh.close()


def test_parts_orders_and_proposals_are_rows_as_contracts_told(tmp_path: Path) -> None:
    journal = Journal()
    view = StateView(tmp_path / "states.db", journal.feed)

    def tell(name: str, place: int, *, by: Signer = FOLLOWER, retracted: bool = False, **args: object) -> None:
        event = ChainEvent(
            5, CONTRACT, name, place, b"\1" * 32, START, b"\2" * 32, 0, event_args(args), retracted=retracted
        )
        journal.say(Said(TWINS[0], CHAIN_EVENT, format_chain_event(event), by))
        view.catch_up()

    def rows(table: str, columns: str) -> list[tuple[Any, ...]]:
        return view.query(f"SELECT {columns} FROM {table}", ())  # noqa: S608 - words of this test

    token, order = 2**255, (7 << 32) + 1
    tell("Proposed", 1, id=7)
    tell("Proposed", 1, by=DEVICE, id=8)
    tell("Minted", 2, tokenId=token, manufacturer=CONTRACT)
    tell("OrderPlaced", 3, orderId=order, id=7)
    assert rows("proposal", "chain, contract, agreement, entry") == [(5, CONTRACT, (7).to_bytes(32, "big"), 0)]
    assert rows("part", "token, owner, status, parent, entry") == [
        (token.to_bytes(32, "big"), CONTRACT, "InService", None, 2)
    ]
    assert rows("purchase", "number, agreement, state, token, entry") == [
        (order.to_bytes(32, "big"), (7).to_bytes(32, "big"), "placed", None, 3)
    ]
    for name, place in (("OrderPlaced", 3), ("Minted", 2), ("Proposed", 1)):
        tell(name, place, retracted=True, id=7, orderId=order, tokenId=token)
    assert [rows(table, "count(*)") for table in ("proposal", "part", "purchase")] == [[(0,)]] * 3
    view.close()
