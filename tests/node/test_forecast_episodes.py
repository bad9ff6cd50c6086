"""Overhauls and units of measure, through a real node: what is read, what is stated, and that it replays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.node.forecast_rig import NAMES, RECORDER, Rig, opened, rows_of, trained, twin
from tests.node.test_forecasting import SHORTEST, audited, untils
from tests.prognosis.fleets import SIGNALS
from twinproof.errors import NotAuthorised
from twinproof.prognosis.audit import Audit, Outcome
from twinproof.prognosis.model import digest_model, format_model, parse_model
from twinproof.prognosis.record import Row
from twinproof.prognosis.replay import Replayer
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, Attestation, format_attestation
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import UNCLAIMED, Prediction
from twinproof.twin.statement import parse_statement


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path / "node") as made:
        made.describe(0)
        made.promote()
        yield made


def point_after(rows: list[Row]) -> float:
    replayer = Replayer(parse_model(trained().model))
    names = replayer.model.signals
    for row in rows:
        replayer.take(row._replace(signals=tuple(row.signals[SIGNALS.index(name)] for name in names)))
    return replayer.forecast().point


# --- episodes ---------------------------------------------------------------------------------


def test_after_an_overhaul_the_life_left_recovers(rig: Rig) -> None:
    worn, new = rows_of(0), rows_of(1)
    rig.read(0, *worn)
    rig.step()
    before = rig.predictions()[-1]
    begun, name = rig.overhaul(0)
    # The counter goes on: the asset is as old as it is.
    at = rig.read(0, *[row._replace(cycle=worn[-1].cycle + row.cycle + 3) for row in new[:20]])
    rig.step()
    said = rig.predictions()[-(20 - SHORTEST + 1) :]
    assert {prediction.episode for prediction in said} == {name}
    assert {(read.first, read.last >= read.first) for prediction in said for read in prediction.reads} == {
        (len(worn), True)
    }
    assert [prediction.until for prediction in said] == [index + 1 for index in at[SHORTEST - 1 :]]
    assert said[-1].point == point_after([row._replace(cycle=at + 1) for at, row in enumerate(new[:20])])
    assert before.point < 10 < 40 < said[-1].point
    assert not {"gap", "jump", "old"} & set(said[-1].remarks)
    assert set(audited(rig)) == {Outcome.OK}
    assert begun == at[0] - 1


def test_the_counter_may_begin_anew_after_an_overhaul(rig: Rig) -> None:
    rig.read(0, *rows_of(0)[:30])
    rig.overhaul(0)
    rig.read(0, *rows_of(1)[:12])
    rig.step()
    assert rig.predictions()[-1].point == point_after(rows_of(1)[:12])
    assert rig.forecasting.rows_left_out == 0
    assert set(audited(rig)) == {Outcome.OK}


def test_of_a_twin_it_is_one_twin_whose_history_begins_anew(rig: Rig) -> None:
    rig.describe(1)
    for number in (0, 1):
        rig.read(number, *rows_of(number)[:20])
    rig.step()
    rig.overhaul(0)
    for number in (0, 1):
        rig.read(number, *rows_of(number)[20:30])
    rig.step()
    assert [prediction.episode is None for prediction in rig.predictions(1)] == [True] * 26
    assert rig.predictions(1)[-1].point == point_after(rows_of(1)[:30])
    assert set(audited(rig, 0)) == set(audited(rig, 1)) == {Outcome.OK}


@pytest.mark.parametrize("again", [False, True], ids=["as it goes on", "as it starts"])
def test_what_was_not_predicted_before_an_overhaul_no_longer_is(again: bool, rig: Rig) -> None:
    rig.read(0, *rows_of(0)[:10])
    rig.step()
    known = untils(rig)
    rig.read(0, *rows_of(0)[10:15])
    _, first = rig.overhaul(0)
    rig.read(0, *rows_of(0)[15:18])
    _, second = rig.overhaul(0)
    at = rig.read(0, *rows_of(0)[18:26])
    if again:
        rig.forecasting = rig.new()
    rig.step()
    assert untils(rig) == known + [index + 1 for index in at[SHORTEST - 1 :]]
    assert [prediction.episode for prediction in rig.predictions()[len(known) :]] == [second] * 4
    assert first != second
    assert set(audited(rig)) == {Outcome.OK}


def test_several_overhauls_at_once_or_dated_back_are_as_one(rig: Rig) -> None:
    """The log's order decides, and no clock of a signer."""
    rig.read(0, *rows_of(0)[:12])
    rig.step()
    known = len(rig.predictions())
    rig.overhaul(0)
    rig.overhaul(0)
    by, said = rig.script.operator, format_attestation(Attestation(OVERHAUL))
    (last,) = rig.take(past := rig.script.say(by, twin(0), ATTESTATION, said, at=int(rig.clock()) - 10**6))
    at = rig.read(0, *rows_of(0)[12:20])
    rig.step()
    assert [prediction.episode for prediction in rig.predictions()[known:]] == [past.digest.hex()] * 4
    assert untils(rig)[known:] == [index + 1 for index in at[SHORTEST - 1 :]]
    assert last < at[0]
    assert set(audited(rig)) == {Outcome.OK}


def test_who_may_not_attest_begins_no_episode(rig: Rig) -> None:
    said = format_attestation(Attestation(OVERHAUL))
    mine = rig.script.say(RECORDER, twin(0), ATTESTATION, said, at=int(rig.clock()))
    (outcome,) = rig.live.node.intake.submit([mine.raw]).result(30)
    assert isinstance(outcome, NotAuthorised)


def test_a_promotion_after_an_overhaul_predicts_the_newest_row_of_the_episode_or_none(tmp_path: Path) -> None:
    with opened(tmp_path / "node") as rig:
        for number in (0, 1):
            rig.describe(number)
            rig.read(number, *rows_of(number)[:20])
            rig.overhaul(number)
        at = rig.read(1, *rows_of(1)[20:28])
        rig.promote()
        rig.step()
        assert rig.predictions(0) == []
        assert untils(rig, 1) == [at[-1] + 1]
        assert set(audited(rig, 1)) == {Outcome.OK}


def test_another_attestation_begins_nothing(rig: Rig) -> None:
    from twinproof.twin.attestation import ATTESTATION, Attestation, format_attestation

    rig.read(0, *rows_of(0)[:10])
    said = format_attestation(Attestation("urn:twinproof:overhauls"))
    rig.take(rig.script.say(rig.script.operator, twin(0), ATTESTATION, said))
    rig.read(0, *rows_of(0)[10:12])
    rig.step()
    assert [prediction.episode for prediction in rig.predictions()] == [None] * 8


# --- units ------------------------------------------------------------------------------------

CODES = {"load": "kN", "hot": "K"}


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[tuple[Rig, bytes]]:
    """A model that knows the units of what it reads."""
    plain = parse_model(trained().model)
    model = format_model(replace(plain, units=tuple(CODES.get(name) for name in (*plain.settings, *plain.signals))))
    with opened(tmp_path / "node") as rig:
        rig.blobs.put(model)
        rig.describe(0)
        rig.promote(model=digest_model(model))
        yield rig, model


def replayed(rig: Rig, model: bytes) -> set[Outcome]:
    audit = Audit({digest_model(model): model})
    parsed = [(index, parse_statement(raw)) for index, raw in rig.live.node.entries_about(twin(0))]
    findings = [audit.take(index, statement, parse_payload(statement)) for index, statement in parsed]
    return {finding.outcome for finding in findings if finding is not None}


def test_a_sensor_whose_unit_changes_is_held_then_widens(
    strict: tuple[Rig, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    rig, model = strict
    rows = rows_of(0)
    rig.read(0, *rows[:25], units=CODES)
    celsius = [row._replace(signals=(row.signals[0] - 273.15, *row.signals[1:])) for row in rows[25:33]]
    rig.read(0, *celsius, units={**CODES, "hot": "Cel"})
    rig.step()
    said: list[Prediction] = rig.predictions()[-9:]
    assert "held" not in said[0].remarks
    assert [set(each.remarks) - {"horizon"} for each in said[1:]] == [{"held"}] * 5 + [{"held", "lost"}] * 3
    assert [each.coverage for each in said[6:]] == [UNCLAIMED] * 3
    (warned,) = [record.message for record in caplog.records if "units" in record.message]
    assert twin(0) in warned
    assert warned.endswith(": hot")
    assert replayed(rig, model) == {Outcome.OK}


def test_a_fleet_whose_units_all_change_is_not_predicted(strict: tuple[Rig, bytes]) -> None:
    rig, model = strict
    rows = rows_of(0)
    rig.read(0, *rows[:10], units=CODES)
    rig.read(0, *rows[10:20], units=dict.fromkeys(NAMES[1:], "mm") | {"load": "kN"})
    rig.step()
    assert len(rig.statements()) == 6 + 5
    assert rig.forecasting.withheld["blind"] == 5
    assert replayed(rig, model) == {Outcome.OK}


def test_a_setting_in_another_unit_is_no_known_regime(strict: tuple[Rig, bytes]) -> None:
    rig, model = strict
    rows = rows_of(0)
    rig.read(0, *rows[:10], units=CODES)
    rig.read(0, *rows[10:18], units={**CODES, "load": "[lbf_av]"})
    rig.step()
    assert all("unknown-regime" in each.remarks for each in rig.predictions()[6:])
    assert rig.forecasting.withheld["regime-lost"] == 3
    assert replayed(rig, model) == {Outcome.OK}
