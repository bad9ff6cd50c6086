"""Snapshots of forecasting's states: with and without one, and wherever it was killed, the same is stated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.builders import MODEL
from tests.node.forecast_rig import Rig, opened, rows_of, twin
from tests.node.test_forecasting import SEAMS, SHORTEST, Killed, audited, seam, untils
from twinproof.node import forecast_snapshot, statements
from twinproof.node import forecasting as module
from twinproof.node.forecast_snapshot import NAME, Snapshot
from twinproof.prognosis.audit import Outcome
from twinproof.twin.description import Lifecycle
from twinproof.twin.predictor import Stage

TWINS = 4


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot whenever there may be one."""
    monkeypatch.setattr(module, "KEEP_EVERY", 0.0)


def views(folder: Path) -> Path:
    return folder / "views"


def begin(folder: Path, **settings: Any) -> None:
    """A node with some history, a snapshot of it, and what came after that."""
    with opened(folder, views=views(folder), **settings) as rig:
        for number in range(TWINS):
            rig.describe(number)
            rig.read(number, *rows_of(number)[: 8 + 7 * number])
        rig.promote()
        rig.overhaul(1)
        rig.read(1, *rows_of(1)[30:37])
        assert rig.step()
        for number in range(TWINS):
            rig.read(number, *rows_of(number)[40 : 43 + number])
        assert rig.step()
        assert (views(folder) / NAME).exists()
        # In the log, and not in the snapshot: a row, an overhaul, a description, a predictor of one twin's own.
        rig.read(0, rows_of(0)[50])
        rig.overhaul(2)
        rig.read(2, *rows_of(2)[50:57])


def go_on(rig: Rig) -> list[tuple[str, bytes]]:
    assert rig.step()
    for number in range(TWINS):
        rig.read(number, *rows_of(number)[60:63])
    rig.promote(twin(3), coverage=0.8)
    rig.describe(0, lifecycle=Lifecycle.RETIRED)
    rig.read(3, rows_of(3)[70])
    assert rig.step()
    for number in range(TWINS):
        assert set(audited(rig, number)) == {Outcome.OK}
    return [(statement.subject, statement.payload) for _, statement in rig.statements()]


def stated(folder: Path, **settings: Any) -> list[tuple[str, bytes]]:
    with opened(folder, views=views(folder), **settings) as rig:
        return go_on(rig)


@pytest.mark.parametrize("settings", [{}, {"every_rows": 3}, {"every_seconds": 5}], ids=["each", "third", "seconds"])
def test_with_and_without_a_snapshot_the_same_bits_are_stated(
    settings: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path / "with", **settings)
    shutil.copytree(tmp_path / "with", tmp_path / "without")
    (views(tmp_path / "without") / NAME).unlink()
    read: list[str] = []
    original = statements.logged_about

    def reading(reader: Any, subject: str) -> Any:
        if subject != MODEL:  # what a predictor is about may be a twin
            read.append(subject)
        return original(reader, subject)

    monkeypatch.setattr(module, "logged_about", reading)
    without = stated(tmp_path / "without", **settings)
    assert {twin(number) for number in range(TWINS)} == set(read)
    read.clear()
    said = stated(tmp_path / "with", **settings)
    assert said == without
    if not settings:
        # Its own predictor came afterwards; the other histories were not read again.
        assert set(read) == {twin(3)}


def test_a_snapshot_is_gone_on_with_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "node")
    monkeypatch.setattr(module, "logged_about", lambda reader, subject: [] if subject == MODEL else 1 // 0)
    with opened(tmp_path / "node", views=views(tmp_path / "node")) as rig:
        assert rig.step()
        assert rig.forecasting.twins == TWINS
        rig.forecasting = rig.new()
        assert rig.step()
        assert set(audited(rig, 2)) == {Outcome.OK}


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "another magic": lambda data: b"T" + data[1:],
    "a bit of the text": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "a bit of a number": lambda data: data[:-500] + bytes([data[-500] ^ 1]) + data[-499:],
    "a bit of the digest": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_is_not_as_it_was_written_is_made_again(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(tmp_path / "node")
    shutil.copytree(tmp_path / "node", tmp_path / "other")
    (views(tmp_path / "other") / NAME).unlink()
    path = views(tmp_path / "node") / NAME
    path.write_bytes(WRONG[wrong](path.read_bytes()))
    monkeypatch.setattr(module.Forecasting, "_newest_said", None)
    assert stated(tmp_path / "node") == stated(tmp_path / "other")
    monkeypatch.undo()
    with opened(tmp_path / "node", views=views(tmp_path / "node")) as rig:
        found = Snapshot(views(tmp_path / "node"), (1, 0)).read(
            rig.live.node.reader, rig.forecasting._assignments.of, lambda standing: None
        )
        assert found is not None


OTHER: dict[str, tuple[str, Any]] = {
    "code": ("twinproof.node.forecast_snapshot.MADE_BY", (forecast_snapshot,)),
    "numpy": ("twinproof.node.forecast_snapshot.version", lambda name: "9"),
}


@pytest.mark.parametrize("what", OTHER)
def test_another_codes_states_are_not_gone_on_with(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "node")
    forecast_snapshot._code.cache_clear()
    monkeypatch.setattr(*OTHER[what])
    with opened(tmp_path / "node", views=views(tmp_path / "node")) as rig:
        assert Snapshot(views(tmp_path / "node"), (1, 0)).read(rig.live.node.reader, _nobody, _nothing) is None
    monkeypatch.undo()
    forecast_snapshot._code.cache_clear()
    with opened(tmp_path / "node", views=views(tmp_path / "node")) as rig:
        assert Snapshot(views(tmp_path / "node"), (1, 0)).read(rig.live.node.reader, _nobody, _nothing) is not None
        assert Snapshot(views(tmp_path / "node"), (2, 0)).read(rig.live.node.reader, _nobody, _nothing) is None


@pytest.mark.parametrize("text", ["[]", "[" * 10**5, '{"code": 1}', "run", "slot", "same slot", "streams"])
def test_a_file_that_was_made_up_is_as_if_it_were_not_there(text: str, tmp_path: Path) -> None:
    """Its digest is right: whoever may write to the folder can do that."""
    begin(tmp_path / "node")
    path = views(tmp_path / "node") / NAME
    data = path.read_bytes()[: -forecast_snapshot.DIGEST]
    start = len(forecast_snapshot.MAGIC) + forecast_snapshot.LENGTH
    end = start + int.from_bytes(data[len(forecast_snapshot.MAGIC) : start], "big")
    top = json.loads(data[start:end])
    if text == "same slot":
        top["twins"][0]["slot"] = top["twins"][1]["slot"]
        text = json.dumps(top)
    elif text in top["twins"][0]:
        top["twins"][0][text] = 10**6
        text = json.dumps(top)
    size = len(text).to_bytes(forecast_snapshot.LENGTH, "big")
    made = b"".join([forecast_snapshot.MAGIC, size, text.encode(), data[end:]])
    path.write_bytes(made + sha256(made).digest())
    assert stated(tmp_path / "node")


def _nobody(subject: str) -> None:
    return None


def _nothing(standing: object) -> None:
    return None


def test_another_logs_states_are_not_gone_on_with(tmp_path: Path) -> None:
    begin(tmp_path / "node")
    shutil.copytree(tmp_path / "node", tmp_path / "fork")
    with opened(tmp_path / "fork", views=views(tmp_path / "fork")) as rig:
        rig.read(0, rows_of(0)[58])
        rig.step()
    kept = views(tmp_path / "fork") / NAME
    shutil.copy(kept, views(tmp_path / "node") / NAME)
    with opened(tmp_path / "node", views=views(tmp_path / "node")) as rig:
        # Longer than this log; and as long as it, with another history.
        for _ in range(2):
            assert Snapshot(views(tmp_path / "node"), (1, 0)).read(rig.live.node.reader, _nobody, _nothing) is None
            for number in range(TWINS):
                rig.read(number, *rows_of(number)[59:64])
        assert rig.step()
        assert set(audited(rig)) == {Outcome.OK}


for _after in (False, True):
    seam("keeping", Snapshot, "write", after=_after)
    seam("replacing the file", forecast_snapshot, "replace_file", after=_after)
    seam("going on", module.Forecasting, "_resume", after=_after)
ALL = [name for name in SEAMS if "hearing that" not in name]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with opened(tmp_path / "node", views=views(tmp_path / "node")) as made:
        made.describe(0)
        made.promote()
        yield made


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("where", ALL)
def test_wherever_it_is_killed_each_row_is_predicted_once(
    where: str, nth: int, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(0)
    rig.describe(1)
    rig.read(1, *rows_of(1)[:5])
    at = rig.read(0, *rows[:7])
    rig.step()
    for start in (7, 9, 11):
        rig.forecasting = rig.new()
        at += rig.read(0, *rows[start : start + 2])
        with monkeypatch.context() as patched:
            SEAMS[where](patched, nth)
            try:
                rig.forecasting.step()
                rig.forecasting.keep()
            except Killed:
                rig.forecasting = rig.new()
        rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]
    assert len(untils(rig, 1)) == 1
    assert set(audited(rig)) == {Outcome.OK}


def test_a_full_disk_is_told_of_and_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(forecast_snapshot, "replace_file", full)
    rig.read(0, *rows_of(0)[:8])
    assert rig.step()
    assert len(rig.statements()) == 4
    assert "No space left" in caplog.text


def test_what_the_log_refused_is_tried_again_as_without_a_snapshot(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at = rig.read(0, *rows_of(0)[:7])
    with monkeypatch.context() as patched:
        patched.setattr(module, "format_prediction", lambda prediction: b"\xa0")
        rig.step()
        assert rig.forecasting.refused == 3
    rig.forecasting = rig.new()
    rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]


def test_a_defect_drops_the_snapshot(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.read(0, *rows_of(0)[:7])
    rig.step()
    rig.forecasting = rig.new()
    with monkeypatch.context() as patched:
        patched.setattr(module.Forecasting, "_newest_said", lambda self: 1 // 0)
        assert not rig.step()
    assert not (views(rig.live.node.folder) / NAME).exists()
    rig.read(0, rows_of(0)[7])
    assert rig.step()
    assert len(untils(rig)) == 4


def test_candidates_and_retired_models_leave_nothing_behind(rig: Rig) -> None:
    rig.read(0, *rows_of(0)[:7])
    rig.step()
    rig.promote(stage=Stage.RETIRED)
    rig.forecasting = rig.new()
    assert rig.step()
    assert rig.forecasting.twins == 0
    rig.promote()
    assert rig.step()
    assert rig.forecasting.twins == 1


# --- stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["_bind_one", "_flush", "_take", "_resume"])
def test_a_stop_is_obeyed_in_the_middle_of_a_long_start(where: str, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        rig.describe(number)
    for number in range(6):
        rig.read(number, *rows_of(number)[:20])
    if where in ("_take", "_resume"):
        rig.step()
        for number in range(6):
            rig.read(number, *rows_of(number)[20:22])
    task = rig.forecasting = rig.new()
    original = getattr(module.Forecasting, where)
    calls = 0

    def stopping(self: Any, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        task.stop()
        return original(self, *arguments)

    said = len(rig.statements())
    with monkeypatch.context() as patched:
        patched.setattr(module.Forecasting, where, stopping)
        assert task.step()
        task.keep()
    # What an entry says is read to the end of its page.
    assert calls == 1 or where == "_take"
    assert len(rig.statements()) == said
    assert rig.problems == []
    rig.forecasting = rig.new()
    assert rig.step()
    for number in range(6):
        assert len(untils(rig, number)) == (18 if where in ("_take", "_resume") else 16)
        assert set(audited(rig, number)) == {Outcome.OK}


def test_a_stop_is_obeyed_between_two_batches_for_the_log(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.node.stating.BATCH", 2)
    at = rig.read(0, *rows_of(0)[:12])
    original = rig.live.node.intake.submit

    def submit(raws: list[bytes]) -> Any:
        rig.forecasting.stop()
        return original(raws)

    with monkeypatch.context() as patched:
        patched.setattr(rig.live.node.intake, "submit", submit)
        assert rig.step()
    assert len(rig.statements()) == 2
    rig.forecasting = rig.new()
    assert rig.step()
    assert untils(rig) == [index + 1 for index in at[SHORTEST - 1 :]]
