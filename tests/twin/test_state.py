"""The fold of a twin's state: each kind's effect, lateness, canonical bytes."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import DEVICE, GATEWAY, OTHER_TWIN, START, TWIN, Log
from twinproof.proof import cbor
from twinproof.twin import columns
from twinproof.twin.columns import COLUMNS
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.kinds import parse_payload
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.state import Latest, Told, TwinState


def fold(log: Log, start: int = 0, end: int | None = None, state: TwinState | None = None) -> TwinState:
    state = state or TwinState(TWIN)
    for index in range(start, len(log) if end is None else end):
        state.apply(index, log.statement(index))
    return state


def test_nothing_is_known_at_first() -> None:
    state = TwinState(TWIN)
    assert cbor.decode(state.to_cbor()) == {
        "sub": TWIN,
        "model": None,
        "lifecycle": None,
        "properties": {},
        "relationships": [],
        "readings": {},
        "attestations": [],
        "losses": [],
        "statements": 0,
        "last_index": -1,
    }
    assert not state.retired


def test_descriptions_change_what_they_name_and_nothing_else() -> None:
    log = Log(empty=True)
    part = ("partOf", "urn:a")
    log.describe(
        DEVICE, Description(model="urn:m", lifecycle=Lifecycle.PLANNED, set={"a": 1, "b": [2]}, relate=(part,))
    )
    log.describe(DEVICE, Description(lifecycle=Lifecycle.RETIRED, set={"a": 3}, unset=("b", "c")), at=START + 1)
    log.describe(DEVICE, Description(relate=(("partOf", "urn:b"),), unrelate=(part, ("partOf", "urn:c"))), at=START + 2)
    state = fold(log)
    assert state.model == Told("urn:m", 0, START)
    assert state.lifecycle == Told("retired", 1, START + 1)
    assert state.properties == {"a": Told(3, 1, START + 1)}
    assert state.relationships == {("partOf", "urn:b"): Told(None, 2, START + 2)}
    assert state.retired
    assert not fold(log, end=1).retired


def test_a_property_that_is_unset_and_set_again_is_there() -> None:
    log = Log(empty=True)
    for change in (Description(set={"a": 1}), Description(unset=("a",)), Description(set={"a": None})):
        log.describe(DEVICE, change)
    assert fold(log, end=2).properties == {}
    assert fold(log).properties == {"a": Told(None, 2, START)}


def test_a_late_reading_does_not_replace_a_newer_one() -> None:
    log = Log(empty=True)
    for value, time in ((1.0, 10), (2.0, 5), (3.0, 10), (4.0, 9)):
        log.record(DEVICE, value, at=START + time)
    assert [fold(log, end=end).readings["T24"].entry for end in range(1, 5)] == [0, 0, 2, 2]
    assert fold(log).readings == {"T24": Latest(3.0, "K", float(START + 10), 2)}


def test_within_a_pack_the_latest_time_counts_and_of_equal_ones_the_last() -> None:
    log = Log(empty=True)
    pack = [Reading("T", float(value), "K", float(START + time)) for value, time in ((1, 3), (2, 9), (3, 9), (4, 1))]
    log.say(DEVICE, TWIN, SENML, format_senml(pack))
    assert fold(log).readings["T"] == Latest(3.0, "K", float(START + 9), 0)


def test_columns_give_their_last_sample_that_is_there() -> None:
    log = Log(empty=True)
    nan = float("nan")
    payload = columns.format_columns(
        START, [("T", "K", [1.5, 2.5, nan]), ("n", None, [1, 2, 3]), ("x", "m", [nan] * 3)], step=2
    )
    log.say(DEVICE, TWIN, COLUMNS, payload)
    assert fold(log).readings == {
        "T": Latest(2.5, "K", START + 2.0, 0),
        "n": Latest(3, None, START + 4.0, 0),
    }


def test_every_reading_of_columns_counts_as_its_readings_would() -> None:
    offsets = [0.0, 1.0, 1.0, 5.0]
    payload = columns.format_columns(
        START, [("T", "K", [1.0, 2.0, 3.0, 4.0]), ("n", None, [9, 8, 7, 6])], offsets=offsets
    )
    log = Log(empty=True)
    statement = log.say(DEVICE, TWIN, COLUMNS, payload)
    rows = TwinState(TWIN)
    rows.apply(0, statement, list(columns.parse_columns(payload, START).readings()))
    assert fold(log).to_cbor() == rows.to_cbor()


def test_attestations_and_losses_are_kept_in_order() -> None:
    log = Log(empty=True)
    log.attest(GATEWAY, "urn:b")
    log.resume(DEVICE, "disk full")
    log.attest(GATEWAY, "urn:a", at=START + 1)
    state = fold(log)
    assert state.attestations == [Told("urn:b", 0, START), Told("urn:a", 2, START + 1)]
    assert state.losses == [Told("disk full", 1, START)]
    assert (state.statements, state.last_index) == (3, 2)


def test_only_the_next_statement_of_this_twin_is_taken() -> None:
    log = Log(empty=True)
    log.record(DEVICE, 1.0)
    log.record(DEVICE, 1.0, subject=OTHER_TWIN)
    state = fold(log, end=1)
    before = state.to_cbor()
    for index, statement in ((0, log.statement(0)), (1, log.statement(1))):
        with pytest.raises(ValueError, match="does not follow"):
            state.apply(index, statement)
    assert state.to_cbor() == before


def test_every_field_is_in_the_canonical_bytes() -> None:
    """Whoever adds a field adds it there: two states that differ must differ in bytes."""
    members = {"subject": "sub"}
    shown = cbor.decode(TwinState(TWIN).to_cbor())
    assert {members.get(field.name, field.name) for field in fields(TwinState)} - {"live"} == shown.keys()


# --- properties -----------------------------------------------------------------------------

CHANGES = st.one_of(
    st.builds(lambda name, value: Description(set={name: value}), st.sampled_from("abc"), st.integers(0, 3)),
    st.builds(lambda name: Description(unset=(name,)), st.sampled_from("abc")),
    st.builds(lambda name: Description(relate=((name, "urn:x"),)), st.sampled_from("abc")),
    st.builds(lambda name: Description(unrelate=((name, "urn:x"),)), st.sampled_from("abc")),
    st.builds(Description, model=st.sampled_from(["urn:m", "urn:n"])),
)
ACTIONS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 3), st.floats(-9, 9)) | CHANGES, max_size=12)


def told(actions: list[Description | tuple[str, int, float]]) -> Log:
    log = Log(empty=True)
    for action in actions:
        if isinstance(action, Description):
            log.describe(GATEWAY, action)
        else:
            log.record(DEVICE, action[2], name=action[0], at=START + action[1])
    return log


@settings(max_examples=40)
@given(ACTIONS, st.integers(0, 12))
def test_a_fold_goes_on_from_any_prefix(actions: list[Description | tuple[str, int, float]], cut: int) -> None:
    log = told(actions)
    cut = min(cut, len(log))
    whole = fold(log)
    assert fold(log, start=cut, state=fold(log, end=cut)) == whole
    assert fold(told(actions)).to_cbor() == whole.to_cbor()
    given_ = TwinState(TWIN)
    for index in range(len(log)):
        given_.apply(index, log.statement(index), parse_payload(log.statement(index)))
    assert given_ == whole


@settings(max_examples=40)
@given(ACTIONS)
def test_the_latest_reading_is_the_one_that_the_page_names(actions: list[Description | tuple[str, int, float]]) -> None:
    state = fold(told(actions))
    readings = [(action[0], action[1], index) for index, action in enumerate(actions) if isinstance(action, tuple)]
    for name in "abc":
        named = [(time, index) for told_name, time, index in readings if told_name == name]
        assert (state.readings[name].entry if named else None) == (max(named)[1] if named else None)


def test_canonical_bytes_do_not_depend_on_the_order_of_names() -> None:
    first, second = Log(empty=True), Log(empty=True)
    first.describe(DEVICE, Description(set={"b": 1, "a": 2, "ä": 3, "aa": 4}, relate=(("r", "urn:b"), ("r", "urn:a"))))
    second.describe(DEVICE, Description(set={"ä": 3, "aa": 4, "a": 2, "b": 1}, relate=(("r", "urn:a"), ("r", "urn:b"))))
    assert first.raws == second.raws
    one, other = TwinState(TWIN), TwinState(TWIN)
    one.relationships = {("r", "urn:b"): Told(None, 0, 1), ("a", "urn:z"): Told(None, 1, 1)}
    other.relationships = {("a", "urn:z"): Told(None, 1, 1), ("r", "urn:b"): Told(None, 0, 1)}
    one.properties = {"b": Told(1, 0, 1), "a": Told(2, 0, 1)}
    other.properties = {"a": Told(2, 0, 1), "b": Told(1, 0, 1)}
    assert one.to_cbor() == other.to_cbor()
