"""Replaying a history's predictions: every kind of lie is named, and a good history costs its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nextafter
from typing import Any

import pytest

from tests.builders import ORIGIN, START, TWIN, Log, Signer, signer
from tests.prognosis.fleets import SETTINGS, SIGNALS
from twinproof.errors import Malformed
from twinproof.prognosis import audit as module
from twinproof.prognosis.audit import Audit, Finding, Outcome
from twinproof.prognosis.data import Unit
from twinproof.prognosis.model import parse_model
from twinproof.prognosis.record import Row
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.prognosis.stated import state_forecast
from twinproof.prognosis.train import Trained
from twinproof.proof.keys import ES256
from twinproof.twin.attestation import ATTESTATION, OVERHAUL, Attestation, format_attestation
from twinproof.twin.columns import COLUMNS, format_columns, parse_columns
from twinproof.twin.kinds import parse_payload
from twinproof.twin.prediction import PREDICTION, Prediction, Read, format_prediction
from twinproof.twin.predictor import Predictor, Stage
from twinproof.twin.predictor import Trained as Origin
from twinproof.twin.reading import Reading

RECORDER = signer("urn:example:recorder", 21)
SECOND = signer("urn:example:recorder:2", 22)
FORECASTER = signer(f"https://{ORIGIN}#forecast", 23, ES256)
NAMES = (*SETTINGS, *SIGNALS)
ROWS = 40


def payload(row: Row) -> bytes:
    named = [("cycle", float(row.cycle)), *zip(NAMES, (*row.settings, *row.signals), strict=True)]
    return format_columns(START + row.cycle, [(name, None, [value]) for name, value in named])


class Story:
    """A log of one twin's readings, with an honest prediction after each."""

    def __init__(self, trained: Trained, rows: Sequence[Row], *, by: Sequence[Signer] = (RECORDER,)) -> None:
        self.trained = trained
        self.log = Log()
        self.model = parse_model(trained.model)
        self.predictor = Predictor(
            trained.digest, Stage.ACTIVE, "{cycle}", 0.9, Origin(1, b"\0" * 32, 30, 30, 3000), "cycle"
        )
        self.replayer = Replayer(self.model)
        self.reader = RowReader(Wanted(self.model.settings, self.model.signals, "cycle"))
        self.reads: dict[str, Read] = {}
        self.episode: str | None = None
        for number, row in enumerate(rows):
            self.tell(row, by[number % len(by)])

    def tell(self, row: Row, by: Signer = RECORDER) -> None:
        self.record(row, by)
        said = self.prediction()
        if said is not None:
            self.predict(said)

    def record(self, row: Row, by: Signer = RECORDER) -> None:
        said = self.log.say(by, TWIN, COLUMNS, payload(row))
        for found in self.reader.take(parse_columns(said.payload, START)):
            self.replayer.take(found)
        first = self.reads[by.issuer].first if by.issuer in self.reads else said.seq
        self.reads[by.issuer] = Read(by.issuer, first, said.seq, said.digest)

    def prediction(self) -> Prediction | None:
        reads = [self.reads[issuer] for issuer in sorted(self.reads)]
        forecast = self.replayer.forecast()
        drivers = self.replayer.drivers(forecast)
        return state_forecast(forecast, self.predictor, reads, len(self.log), drivers=drivers, episode=self.episode)

    def predict(self, said: Prediction) -> int:
        self.log.say(FORECASTER, TWIN, PREDICTION, format_prediction(said))
        return len(self.log) - 1

    def findings(self, models: dict[bytes, bytes] | None = None) -> list[Finding]:
        audit = Audit({self.trained.digest: self.trained.model} if models is None else models)
        found = []
        for index in range(1, len(self.log)):
            statement = self.log.statement(index)
            finding = audit.take(index, statement, parse_payload(statement))
            if finding is not None:
                found.append(finding)
        return found

    def last(self) -> Finding:
        return self.findings()[-1]


@pytest.fixture
def rows(wearer: Unit) -> list[Row]:
    return list(wearer.rows())[:ROWS]


@pytest.fixture(scope="module")
def wearer() -> Unit:
    from tests.prognosis.fleets import wearing_fleet

    return wearing_fleet(1, seed=8).units[0]


@pytest.fixture
def story(trained: Trained, rows: list[Row]) -> Story:
    return Story(trained, rows)


@pytest.mark.parametrize("by", [(RECORDER,), (RECORDER, SECOND, SECOND)], ids=["one stream", "two streams"])
def test_an_honest_history_replays_bit_for_bit(by: tuple[Signer, ...], trained: Trained, rows: list[Row]) -> None:
    findings = Story(trained, rows, by=by).findings()
    assert len(findings) >= ROWS - 5
    assert {(found.outcome, found.why) for found in findings} == {(Outcome.OK, "")}


def test_predictions_that_read_on_are_replayed_in_one_pass(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    original = Replayer.take

    def counting(self: Replayer, row: Row) -> None:
        nonlocal taken
        taken += 1
        original(self, row)

    monkeypatch.setattr(Replayer, "take", counting)
    story.findings()
    assert taken == ROWS


def next_bit(value: float) -> float:
    return nextafter(value, 1e300)


def bent(drivers: Mapping[str, float]) -> dict[str, float]:
    first = next(iter(drivers))
    return {**drivers, first: nextafter(drivers[first], 1e9)}


LIES: dict[str, Any] = {
    "point": lambda said: replace(said, point=next_bit(said.point)),
    "lower": lambda said: replace(said, lower=nextafter(said.lower, 1.0) if said.lower else 5e-324),
    "upper": lambda said: replace(said, upper=next_bit(said.upper)),
    "coverage": lambda said: replace(said, coverage=0.8),
    "unit": lambda said: replace(said, unit="h"),
    "remarks": lambda said: replace(said, remarks=("held",)),
    "no remarks": lambda said: replace(said, remarks=()),
    "one row less": lambda said: replace(said, reads=(replace(said.reads[0], first=1),)),
    "another digest": lambda said: replace(said, reads=(replace(said.reads[0], digest=b"\1" * 32),)),
    "read before it was there": lambda said: replace(said, until=2),
    "a driver by a bit": lambda said: replace(said, drivers=bent(said.drivers)),
    "a driver less": lambda said: replace(said, drivers=dict(list(said.drivers.items())[1:])),
    "a driver more": lambda said: replace(said, drivers={**said.drivers, "hum": 1.0}),
    "a driver's sign": lambda said: replace(said, drivers={name: -x for name, x in said.drivers.items()}),
    "coverage of no interval": lambda said: replace(said, coverage=0.12345),
}
NAMED = {
    "unit": "unit: ", "remarks": "remarks: ", "no remarks": "remarks: ", "another digest": "reads: ",
    "read before it was there": "until: ", "a driver by a bit": "drivers: ", "a driver less": "drivers: ",
    "a driver more": "drivers: hum: stated 3ff0000000000000, replayed none", "a driver's sign": "drivers: ",
    "coverage of no interval": "coverage",
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_of_the_predictors_own_key_is_named(lie: str, trained: Trained, wearer: Unit) -> None:
    every = list(wearer.rows())
    # A moment in whose interval no bound is the cap or 0, so that every lie is one.
    story = Story(trained, every[:ROWS])
    for row in every[ROWS:-1]:
        said = story.prediction()
        if said is not None and said.upper < story.model.cap:
            break
        story.record(row)
        said = story.prediction()
    assert said is not None
    if lie == "no remarks":
        story.record(every[-1]._replace(cycle=story.reader.newest + 3))
        said = story.prediction()
        assert said is not None
        assert said.remarks
    index = story.predict(LIES[lie](said))
    found = story.last()
    assert (found.index, found.outcome) == (index, Outcome.DIFFERS)
    assert found.why.startswith(NAMED.get(lie, "rul: ")) or NAMED.get(lie, "rul") in found.why
    # what is said after it is judged by itself
    story.predict(said)
    assert story.last().outcome is Outcome.OK


def test_who_states_no_drivers_is_replayed_as_before(story: Story, wearer: Unit) -> None:
    for row in list(wearer.rows())[ROWS:]:
        story.tell(row)
    said = story.prediction()
    assert said is not None
    assert said.drivers
    story.predict(replace(said, drivers={}))
    assert story.last().outcome is Outcome.OK


def test_a_prediction_where_the_readings_allow_none_differs(trained: Trained, rows: list[Row]) -> None:
    story = Story(trained, rows[:3])
    assert story.findings() == []
    reads = tuple(story.reads.values())
    story.predict(Prediction(1.0, 2.0, 3.0, 0.9, "{cycle}", trained.digest, reads, cycle="cycle"))
    assert story.last().outcome is Outcome.DIFFERS
    assert "too-short" in story.last().why


def test_a_reading_that_was_changed_and_signed_again_is_found(trained: Trained, rows: list[Row]) -> None:
    honest = Story(trained, rows)
    said = honest.prediction()
    assert said is not None
    bent = [*rows[:-1], rows[-1]._replace(signals=tuple(x + 3.0 for x in rows[-1].signals))]
    story = Story(trained, rows[:-1])
    story.record(bent[-1])
    # The device's key signed another value: the digest tells.
    story.predict(said)
    assert story.last().why.startswith("reads: statement 39 of urn:example:recorder is another one")
    # The predictor's key states the old numbers of it: the replay tells.
    story.predict(replace(said, reads=tuple(story.reads.values()), until=len(story.log)))
    assert story.last().outcome is Outcome.DIFFERS
    assert story.last().why.startswith(("rul: stated", "remarks: "))


def test_without_the_model_nothing_is_said_to_be_right_or_wrong(story: Story) -> None:
    findings = story.findings({})
    assert {found.outcome for found in findings} == {Outcome.NOT_REPLAYABLE}
    assert story.trained.digest.hex() in findings[0].why


def test_a_model_under_another_name_is_refused(trained: Trained) -> None:
    flipped = bytearray(trained.model)
    flipped[len(flipped) // 2] ^= 1
    with pytest.raises(Malformed, match=trained.digest.hex()):
        Audit({trained.digest: bytes(flipped)})


def test_a_blob_that_is_no_model_cannot_be_replayed(story: Story) -> None:
    from hashlib import sha256

    other = b"a photograph"
    said = story.prediction()
    assert said is not None
    story.predict(replace(said, model=sha256(other).digest()))
    (found,) = [each for each in story.findings({sha256(other).digest(): other}) if "is none that" in each.why]
    assert found.outcome is Outcome.NOT_REPLAYABLE


def test_statements_that_are_not_here_cannot_be_replayed(story: Story) -> None:
    said = story.prediction()
    assert said is not None
    (read,) = said.reads
    story.predict(replace(said, reads=(replace(read, last=read.last + 1, digest=b"\1" * 32),)))
    assert story.last().outcome is Outcome.NOT_REPLAYABLE
    assert "of urn:example:recorder's statements 0 to 40 before it, 40 are here" in story.last().why
    story.predict(replace(said, reads=(replace(read, issuer="urn:nobody"),)))
    assert story.last().outcome is Outcome.NOT_REPLAYABLE


def test_going_back_and_two_devices_between_are_replayed_anew(trained: Trained, rows: list[Row]) -> None:
    story = Story(trained, rows[:20])
    early = story.prediction()
    for row in rows[20:30]:
        story.tell(row)
    assert early is not None
    story.predict(early)
    assert story.last().outcome is Outcome.OK
    story.tell(rows[30])
    assert story.last().outcome is Outcome.OK


def test_a_history_of_many_beginnings_keeps_few_passes(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PASSES", 2)
    said = story.prediction()
    assert said is not None
    (read,) = said.reads
    for first in range(5):
        story.predict(replace(said, reads=(replace(read, first=first),)))
    audit = Audit({story.trained.digest: story.trained.model})
    for index in range(1, len(story.log)):
        statement = story.log.statement(index)
        audit.take(index, statement, parse_payload(statement))
    assert len(audit._passes) == 2


# --- episodes ---------------------------------------------------------------------------------


def overhaul(story: Story) -> str:
    """State one, and go on as after it."""
    said = story.log.say(SECOND, TWIN, ATTESTATION, format_attestation(Attestation(OVERHAUL)))
    story.replayer = Replayer(story.model)
    story.reader = RowReader(story.reader.wanted, renewed=True)
    story.reads = {}
    return said.digest.hex()


def after_an_overhaul(trained: Trained, rows: Sequence[Row]) -> tuple[Story, Prediction]:
    """A history with an overhaul in the middle, and what is to be said at its end."""
    story = Story(trained, rows[:20])
    story.episode = overhaul(story)
    for row in rows[20:39]:
        story.tell(row)
    story.record(rows[39])
    said = story.prediction()
    assert said is not None
    return story, said


def test_an_overhaul_begins_a_history_of_its_own(trained: Trained, rows: list[Row]) -> None:
    story, said = after_an_overhaul(trained, rows)
    story.predict(said)
    assert {found.why for found in story.findings()} == {""}
    assert (said.episode, said.reads[0].first) == (story.episode, 20)
    # The same as of an asset whose first row had the cycle 1.
    fresh = Replayer(story.model)
    for row in rows[20:40]:
        (found,) = RowReader(story.reader.wanted).take(parse_columns(payload(row), START))
        fresh.take(found._replace(cycle=row.cycle - 20))
    assert story.replayer.digest == fresh.digest
    assert said.point == fresh.forecast().point


EPISODE_LIES: dict[str, Any] = {
    "as if there had been none": lambda said, before: replace(said, episode=None),
    "another name": lambda said, before: replace(said, episode="ab" * 32),
    "rows from before it": lambda said, before: replace(said, reads=(replace(said.reads[0], first=19),)),
    "an older history": lambda said, before: replace(before, until=said.until),
}


@pytest.mark.parametrize("lie", EPISODE_LIES)
def test_a_lie_about_the_episode_is_named(lie: str, trained: Trained, rows: list[Row]) -> None:
    story, said = after_an_overhaul(trained, rows)
    before = Story(trained, rows[:20]).prediction()
    story.predict(EPISODE_LIES[lie](said, before))
    assert story.last().outcome is Outcome.DIFFERS
    assert story.last().why.startswith("episode: ")
    story.predict(said)
    assert story.last().outcome is Outcome.OK


def test_what_was_foreseen_before_an_overhaul_may_be_stated_after_it(trained: Trained, rows: list[Row]) -> None:
    story = Story(trained, rows[:20])
    late = story.prediction()
    assert late is not None
    overhaul(story)
    story.predict(late)
    assert story.last().outcome is Outcome.OK
    story.predict(replace(late, until=None))
    assert story.last().why.startswith("episode: stated none, but entry")


# --- rows -------------------------------------------------------------------------------------

WANTED = Wanted(("load",), ("hot", "tight"), "cycle")


def columns(*named: tuple[str, list[float]]) -> object:
    return parse_columns(format_columns(START, [(name, None, values) for name, values in named]), START)


def test_rows_have_the_models_order_and_nan_for_what_is_missing() -> None:
    (row,) = RowReader(WANTED).take(columns(("tight", [2.0]), ("cycle", [7.0]), ("other", [1.0])))
    assert repr(row) == "Row(cycle=7, settings=(nan,), signals=(nan, 2.0))"


@pytest.mark.parametrize(
    ("cycles", "taken"),
    [
        ([1.0, 2.0, 3.0], [1, 2, 3]),
        ([5.0, 5.0, 4.0], [5]),
        ([0.0, 1.0], [0, 1]),
        ([1.5, 2.0], [2]),
        ([-1.0, 1.0], [1]),
        ([2.0**53 - 1, 2.0**53], [2**53 - 1]),
    ],
    ids=["growing", "falling", "from 0", "not whole", "negative", "too large"],
)
def test_cycles_are_whole_and_grow(cycles: list[float], taken: list[int]) -> None:
    reader = RowReader(WANTED)
    rows = [row for cycle in cycles for row in reader.take(columns(("cycle", [cycle]), ("hot", [1.0])))]
    assert [row.cycle for row in rows] == taken
    assert reader.left_out == len(cycles) - len(taken)


def test_rows_without_a_counting_reading_are_counted_from_1() -> None:
    reader = RowReader(replace(WANTED, cycle=None))
    assert [row.cycle for _ in range(3) for row in reader.take(columns(("hot", [1.0])))] == [1, 2, 3]


def test_what_has_no_signal_or_no_cycle_is_no_row() -> None:
    reader = RowReader(WANTED)
    assert reader.take(columns(("cycle", [1.0]), ("load", [1.0]))) == []
    assert reader.take(columns(("hot", [1.0]))) == []
    assert reader.take(object()) == []
    assert reader.left_out == 0


UNITS = replace(WANTED, units=("kN", "K", None))


def in_units(**units: str | None) -> object:
    named = [("cycle", "{cycle}"), *units.items()]
    return parse_columns(format_columns(START, [(name, unit, [3.0]) for name, unit in named]), START)


def test_a_number_in_another_unit_is_there_and_says_nothing() -> None:
    reader = RowReader(UNITS)
    (row,) = reader.take(in_units(load="kN", hot="Cel", tight=None))
    assert repr(row) == "Row(cycle=3, settings=(3.0,), signals=(nan, 3.0))"
    assert reader.strange == {"hot"}
    reader = RowReader(UNITS)
    (row,) = reader.take(in_units(load=None, hot="K", tight="mm"))
    assert repr(row) == "Row(cycle=3, settings=(nan,), signals=(3.0, nan))"
    assert reader.strange == {"load", "tight"}
    # A row all the same: a fleet whose units change is not silent.
    assert repr(RowReader(UNITS).take(in_units(hot="Cel"))) == "[Row(cycle=3, settings=(nan,), signals=(nan, nan))]"


def test_units_of_several_rows_and_of_senml_are_looked_at_too() -> None:
    packed = [Reading("cycle", 1, None, 5.0), Reading("hot", 300, "K", 5.0), Reading("tight", 2.5, "mm", 5.0)]
    assert repr(RowReader(UNITS).take(packed)) == "[Row(cycle=1, settings=(nan,), signals=(300.0, nan))]"
    rows = [("cycle", None, [1.0, 2.0]), ("hot", "Cel", [1.0, 2.0]), ("load", "kN", [7.0, 8.0])]
    found = RowReader(UNITS).take(parse_columns(format_columns(START, rows, step=1), START))
    assert [row.settings for row in found] == [(7.0,), (8.0,)]
    assert [repr(row.signals) for row in found] == ["(nan, nan)"] * 2


def test_a_model_without_units_takes_any() -> None:
    (row,) = RowReader(WANTED).take(in_units(hot="Cel", tight="mm"))
    assert row.signals == (3.0, 3.0)
