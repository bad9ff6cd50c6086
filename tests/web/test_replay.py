"""Predictions replayed in TypeScript: the same bits, and the same words about every lie, as the Python auditor's."""

from __future__ import annotations

import gzip
import json
import re
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any

import pytest

from tests.builders import START, Log
from tests.prognosis import test_audit as audits
from tests.prognosis import test_model as crooked
from tests.prognosis import test_trees as texts
from tests.prognosis.fleets import CAP, QUICK, wearing_fleet
from tests.prognosis.test_audit import FORECASTER, RECORDER, SECOND, Story
from tests.web.conftest import WEB
from tests.web.models import random_model, random_rows
from tests.web.verdicts import policy_text
from twinproof.errors import Malformed
from twinproof.prognosis.audit import Finding, Outcome
from twinproof.prognosis.model import Forest, parse_model
from twinproof.prognosis.record import Row, record
from twinproof.prognosis.replay import Replayer
from twinproof.prognosis.rows import RowReader, Wanted
from twinproof.prognosis.train import Trained, train
from twinproof.proof import cbor
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.evidence import format_bundle
from twinproof.twin.grants import Capability
from twinproof.twin.kinds import KINDS
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.units import SENML_UNITS
from twinproof.verify import verify_bundle

Play = Callable[..., list[Any]]
MAX_GZIP = 24 * 1024
"""Bytes of the replay as one module, compressed; it is loaded beside the verifier, whose parts it shares."""


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(wearing_fleet(), seed=3, name="wearing", cap=CAP, recipe=QUICK, fold_count=3)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(wearing_fleet(1, seed=8).units[0].rows())


@pytest.fixture(scope="module")
def play(node: str, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Give cases to web/verifier/test/replay.mjs and get its answers; a defect fails the test."""
    folder = tmp_path_factory.mktemp("replay")
    module = folder / "replay.mjs"
    build(node, module, "verifier/test/replay.ts")

    def call(cases: Sequence[dict[str, Any]]) -> list[Any]:
        file = folder / "cases.json"
        file.write_text(json.dumps({"cases": cases}))
        runner = WEB / "verifier" / "test" / "replay.mjs"
        done = subprocess.run([node, str(runner), str(module), str(file)], check=True, capture_output=True, text=True)
        answers: list[Any] = json.loads(done.stdout)
        assert len(answers) == len(cases)
        assert [a["defect"] for a in answers if type(a) is dict and "defect" in a] == []
        return answers

    return call


def build(node: str, path: Path, entry: str) -> None:
    subprocess.run([node, str(WEB / "build.mjs"), str(path), entry], check=True, capture_output=True)


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[bytes], str]:
    """Puts bytes where Node.js finds them."""

    def write(data: bytes) -> str:
        path = tmp_path / sha256(data).hexdigest()
        path.write_bytes(data)
        return str(path)

    return write


# --- whole histories --------------------------------------------------------------------------


def told(findings: Sequence[Finding]) -> dict[str, Any]:
    """Python's findings, as replay.mjs tells its own; of what differs, without the two values."""
    return {
        "replayed": sum(found.outcome is Outcome.OK for found in findings),
        "differing": [
            [str(found.index), found.model.hex(), found.why.partition(": ")[0], found.why]
            for found in findings
            if found.outcome is Outcome.DIFFERS
        ],
        "unreplayable": [
            [str(found.index), found.model.hex(), found.why]
            for found in findings
            if found.outcome is Outcome.NOT_REPLAYABLE
        ],
    }


def without_values(answer: dict[str, Any]) -> dict[str, Any]:
    differing = [[entry, model, field, why] for entry, model, field, _, _, why in answer["differing"]]
    return {"replayed": answer["replayed"], "differing": differing, "unreplayable": answer["unreplayable"]}


def question(story: Story, keep: Callable[[bytes], str], models: Mapping[bytes, bytes] | None = None) -> dict[str, Any]:
    given = {story.trained.digest: story.trained.model} if models is None else models
    entries = [[str(index), story.log.raws[index].hex()] for index in range(1, len(story.log))]
    return {
        "ask": "history", "entries": entries, "models": {name.hex(): keep(data) for name, data in given.items()},
    }  # fmt: skip


def lying(trained: Trained, rows: list[Row]) -> dict[str, Story]:
    """A story per lie of tests/prognosis/test_audit.py, each told after an honest life."""
    stories = {}
    for lie, change in audits.LIES.items():
        story = Story(trained, rows[:60])
        story.record(rows[60])
        said = story.prediction()
        for row in rows[61:-1]:
            if said is not None and said.upper < story.model.cap and said.drivers:
                break
            story.record(row)
            said = story.prediction()
        if lie == "no remarks":
            story.record(rows[-1]._replace(cycle=story.reader.newest + 3))
            said = story.prediction()
        assert said is not None
        story.predict(change(said))
        story.predict(said)
        stories[lie] = story
    return stories


def episodes(trained: Trained, rows: list[Row]) -> dict[str, Story]:
    """An overhaul in the middle, told honestly and not."""
    stories = {}
    before = Story(trained, rows[:20]).prediction()
    for lie, change in {"honest": lambda said, _: said, **audits.EPISODE_LIES}.items():
        story, newest = audits.after_an_overhaul(trained, rows)
        story.predict(change(newest, before))
        story.predict(newest)
        stories[lie] = story
    late = Story(trained, rows[:20])
    said = late.prediction()
    assert said is not None
    audits.overhaul(late)
    late.predict(said)
    late.predict(replace(said, until=None))
    stories["stated after it"] = late
    return stories


def others(trained: Trained, rows: list[Row]) -> dict[str, Story]:
    """Two devices, going back, many beginnings, what is missing, readings that allow nothing or little."""
    stories = {"two streams": Story(trained, rows[:40], by=(RECORDER, SECOND, SECOND))}
    story = stories["many"] = Story(trained, rows[:20])
    early = story.prediction()
    assert early is not None
    (read,) = early.reads
    for row in rows[20:30]:
        story.tell(row)
    story.predict(early)
    story.tell(rows[30])
    for first in range(1, 70):
        story.predict(replace(early, reads=(replace(read, first=first % 19),)))
    story.predict(replace(early, reads=(replace(read, last=read.last + 99, digest=b"\1" * 32),)))
    story.predict(replace(early, reads=(replace(read, issuer="urn:nobody"),)))
    story.predict(replace(early, model=sha256(b"a photograph").digest()))
    story.predict(replace(early, model=b"\2" * 32))
    newest = next(at for at, raw in enumerate(story.log.raws) if sha256(raw).digest() == read.digest)
    story.predict(replace(early, until=newest))
    story.predict(replace(early, until=newest + 1))
    story.predict(replace(early, coverage=1.0))
    story.predict(replace(early, coverage=0.00005))
    story.predict(replace(early, coverage=0.001, widened=0.8))
    few = stories["too short"] = Story(trained, rows[:3])
    few.predict(replace(early, reads=tuple(few.reads.values()), until=None))
    jumped = stories["widened"] = Story(trained, rows[:30])
    for row in rows[30:40]:
        jumped.tell(row._replace(cycle=row.cycle + 500))
    said = jumped.prediction()
    assert said is not None
    assert said.widened == 0.9
    jumped.predict(replace(said, widened=None))
    jumped.predict(replace(said, widened=0.8))
    return stories


def test_every_history_is_judged_alike(play: Play, trained: Trained, rows: list[Row], keep: Any) -> None:
    stories = {
        **{f"lie: {name}": story for name, story in lying(trained, rows).items()},
        **{f"episode: {name}": story for name, story in episodes(trained, rows).items()},
        **others(trained, rows),
    }
    photograph = {sha256(b"a photograph").digest(): b"a photograph"}
    models = {trained.digest: trained.model, **photograph}
    answers = play([question(story, keep, models) for story in stories.values()])
    seen: dict[str, int] = {}
    for (name, story), answer in zip(stories.items(), answers, strict=True):
        expected = told(story.findings(models))
        ours = without_values(answer)
        # What is wrong with bytes that are no CBOR, each reader says in its own words.
        for each in (expected, ours):
            each["unreplayable"] = [
                [*rest, re.sub(r"(replayed: model).*", r"\1", why)] for *rest, why in each["unreplayable"]
            ]
        assert ours == expected, name
        total = answer["replayed"] + len(answer["differing"]) + len(answer["unreplayable"])
        assert answer["progress"] == ([total, total] if total else [])
        for _, _, field, stated, replayed, why in answer["differing"]:
            seen[field] = seen.get(field, 0) + 1
            if field == "drivers" or (field in ("unit", "remarks", "rul") and "allow no" not in why):
                assert stated in why
                assert replayed in why
    assert {"rul", "unit", "remarks", "drivers", "reads", "until", "episode", "coverage"} <= seen.keys()


def test_without_the_model_or_rows_nothing_is_said(play: Play, trained: Trained, rows: list[Row], keep: Any) -> None:
    story = Story(trained, rows[:40])
    asked = question(story, keep)
    missing, little, enough, wrong = play(
        [
            question(story, keep, {}),
            {**asked, "mostRows": 39},
            {**asked, "mostRows": 40},
            {**asked, "models": {trained.digest.hex(): keep(trained.model[:-1] + b"\x01")}},
        ]
    )
    assert without_values(missing) == told(story.findings({}))
    assert [why for *_, why in little["unreplayable"]] == ["there are more rows than this replay was allowed to read"]
    assert (little["replayed"] + 1, enough["unreplayable"]) == (enough["replayed"], [])
    assert wrong["refused"] == f"model: the bytes are not those of {trained.digest.hex()}"


def test_a_verified_bundle(play: Play, trained: Trained, rows: list[Row]) -> None:
    log = Log()
    log.grant(RECORDER, {Capability.RECORD})
    log.grant(FORECASTER, {Capability.PREDICT})
    story = Story(trained, [])
    story.log = log
    for row in rows[:40]:
        story.tell(row)
    said = story.prediction()
    assert said is not None
    # One bit, signed by the predictor's own key: the bundle verifies, the replay does not.
    bent = story.predict(replace(said, point=audits.next_bit(said.point)))
    data = format_bundle(replace(log.bundle(), blobs={trained.digest: trained.model}))
    verify_bundle(data, log.policy())
    (answer,) = play([{"ask": "bundle", "data": data.hex(), "policy": policy_text(log.policy()).hex()}])
    assert without_values(answer) == told(story.findings())
    ((entry, model, field, stated, replayed, _),) = answer["differing"]
    assert (entry, model, field) == (str(bent), trained.digest.hex(), "rul")
    assert int(stated, 16) - int(replayed, 16) == 1 << 128
    assert answer["replayed"] > 30


# --- bits -------------------------------------------------------------------------------------


def packed(values: Sequence[float]) -> str:
    return "".join(struct.pack(">d", x).hex() if x == x else "7ff8000000000000" for x in values)


def expected_rows(data: bytes, rows: Sequence[Row], coverage: int) -> list[Any]:
    """What replay.mjs answers to `rows`."""
    replayer, found = Replayer(parse_model(data)), []
    for row in rows:
        replayer.take(row)
        forecast = replayer.forecast(coverage)
        numbers = packed([x + 0.0 for x in struct.unpack(">4d", record(b"", b"", forecast).numbers)])
        drivers = {name: packed([x]) for name, x in replayer.drivers(forecast).items()}
        found.append([numbers, sorted(forecast.quality.names), packed(replayer.features), drivers])
    return found


def rows_question(path: str, rows: Sequence[Row], coverage: int) -> dict[str, Any]:
    told = [[row.cycle, packed((*row.settings, *row.signals))] for row in rows]
    return {"ask": "rows", "modelFile": path, "rows": told, "coverage": coverage}


def test_random_models_of_random_rows_give_the_same_bits(play: Play, keep: Any) -> None:
    models = [random_model(seed) for seed in range(120)]
    histories = [random_rows(data, seed) for seed, data in enumerate(models)]
    coverages = [(900, 800, 990)[seed % 3] for seed in range(len(models))]
    asked = [
        rows_question(keep(each), *rest)
        for each, rest in zip(models, zip(histories, coverages, strict=True), strict=True)
    ]
    remarks: set[str] = set()
    forests = drivers = 0
    for seed, answer in enumerate(play(asked)):
        expected = expected_rows(models[seed], histories[seed], coverages[seed])
        assert [[bits, sorted(words), *rest] for bits, words, *rest in answer] == expected, seed
        remarks |= {word for _, words, *_ in expected for word in words}
        drivers += sum(bool(found) for *_, found in expected)
        forests += any(isinstance(member, Forest) for member in parse_model(models[seed]).members)
    assert len(remarks) == 13
    assert forests > 30
    assert drivers > 1000


def test_a_trained_model_gives_the_same_bits(play: Play, trained: Trained, keep: Any) -> None:
    model = parse_model(trained.model)
    fleet = wearing_fleet(6, seed=9).columns(model.settings, model.signals)
    path = keep(trained.model)
    histories = [list(unit.rows()) for unit in fleet.units]
    answers = play([rows_question(path, rows, 900) for rows in histories])
    for rows, answer in zip(histories, answers, strict=True):
        found = [[bits, sorted(words), *rest] for bits, words, *rest in answer]
        assert found == expected_rows(trained.model, rows, 900)


def test_a_coverage_without_an_interval_is_refused_in_the_same_words(play: Play, keep: Any) -> None:
    data = random_model(1)
    asked = [0, 333, 901, 1000, -900]
    answers = play([rows_question(keep(data), random_rows(data, 1, 1), coverage) for coverage in asked])
    for coverage, answer in zip(asked, answers, strict=True):
        with pytest.raises(Malformed) as refusal:
            Replayer(parse_model(data)).forecast(coverage)
        assert answer["refused"] == str(refusal.value)


# --- documents --------------------------------------------------------------------------------


OTHER_KINDS: tuple[Any, ...] = (None, 0, -1, 1.5, "x", b"x", [], {}, [[]], {"x": 1})


def refusal_of(data: bytes) -> Malformed | None:
    try:
        parse_model(data)
    except Malformed as problem:
        return problem
    return None


def crooked_documents(trained: Trained) -> dict[str, bytes]:
    found = {}
    for name, (change, _) in crooked.CHANGES.items():
        top = cbor.decode(trained.model)
        change(top)
        found[name] = cbor.encode(top)
    good = cbor.decode(trained.model)
    for name, (pattern, replacement) in texts.EDITS.items():
        top = cbor.decode(trained.model)
        source = top["members"][0]["trees"].decode()
        top["members"][0]["trees"] = re.sub(pattern, replacement, source, count=1).encode()
        found[f"trees: {name}"] = cbor.encode(top)
    width = len(good["settings"]) + len(good["signals"])
    for name, units in {
        "good": [None, *["K"] * (width - 1)], "a unit less": ["K"] * (width - 1), "no text": [1] * width,
        "empty": [""] * width, "no units": None,
    }.items():  # fmt: skip
        found[f"units: {name}"] = cbor.encode({**good, "units": units})
    for key in good:
        for at, value in enumerate(OTHER_KINDS):
            found[f"{key}: {at}"] = cbor.encode({**good, key: value})
    for at in range(0, len(trained.model), 4003):
        found[f"bit {at}"] = trained.model[:at] + bytes([trained.model[at] ^ 1]) + trained.model[at + 1 :]
    return found


def test_documents_are_refused_in_the_same_words(play: Play, trained: Trained, keep: Any) -> None:
    documents = crooked_documents(trained)
    answers = play([{"ask": "model", "dataFile": keep(data)} for data in documents.values()])
    taken = 0
    for (name, data), answer in zip(documents.items(), answers, strict=True):
        problem = refusal_of(data)
        if problem is None:
            taken += 1
            assert answer is True, name
            continue
        # Where CBOR itself is broken the two name other bytes; an unknown key is shown as Python writes it.
        if re.search(" at byte |has the unknown key|bytes after the item", problem.reason):
            assert answer["refused"].partition(":")[0] == problem.field, name
        else:
            assert answer["refused"] == str(problem), name
    assert 0 < taken < len(documents) / 4


# --- rows -------------------------------------------------------------------------------------

WANTED = Wanted(("load",), ("hot", "tight"), "cycle", ("kN", "K", None))


def columns(*named: tuple[str, str | None, list[float]], **settings: Any) -> tuple[str, bytes]:
    return COLUMNS, format_columns(START, list(named), **settings)


def pack(*readings: Reading) -> tuple[str, bytes]:
    return SENML, format_senml(list(readings))


def row_tables() -> dict[str, list[tuple[str, bytes]]]:
    cycles = [[1.0, 2.0], [5.0, 5.0, 4.0, 6.0], [0.0, -0.0, 1.0], [1.5, 2.0], [-1.0, 1.0], [2.0**53 - 1, 1e300]]
    tables = {
        f"cycles {at}": [columns(("cycle", None, [cycle]), ("hot", "K", [1.0])) for cycle in found]
        for at, found in enumerate(cycles)
    }
    hot: list[tuple[str, str | None, list[float]]] = [
        ("cycle", None, [1, 2, 3]),
        ("hot", "K", [2**64 - 1, 7, 2**53 + 1]),
        ("tight", None, [nan, 0.1, -0.0]),
    ]
    tables["whole numbers"] = [columns(*hot, step=1)]
    tables["one time, twice"] = [columns(*hot, offsets=[0.0, 0.0, 4.0])]
    tables["another unit"] = [
        columns(("cycle", "h", [1.0]), ("load", "kN", [3.0]), ("hot", "Cel", [3.0]), ("tight", "mm", [3.0])),
        columns(("cycle", None, [2.0]), ("load", None, [3.0]), ("hot", "Cel", [3.0])),
        columns(("cycle", None, [3.0]), ("load", "kN", [3.0])),
        columns(("hot", "K", [3.0])),
        columns(("cycle", None, [nan]), ("hot", "K", [3.0])),
    ]
    tables["SenML"] = [
        pack(
            Reading("cycle", 9, None, START + 5.0), Reading("hot", 300, "K", START + 5.0),
            Reading("cycle", 3.0, None, START + 2.5), Reading("hot", True, "K", START + 2.5),
            Reading("tight", 2.5, None, START + 2.5), Reading("hot", None, "K", START + 2.5, 4.0),
            Reading("hot", 301.5, "Cel", START + 5.0), Reading("tight", 0.5, "mm", START + 5.0),
        ),
    ]  # fmt: skip
    return tables


def read_question(wanted: Wanted, payloads: Sequence[tuple[str, bytes]], renewed: bool) -> dict[str, Any]:
    names = {"settings": wanted.settings, "signals": wanted.signals}
    units = {} if wanted.units is None else {"units": wanted.units}
    told = [[kind, data.hex(), str(START)] for kind, data in payloads]
    return {"ask": "read", "wanted": {**names, **units}, "cycle": wanted.cycle, "renewed": renewed, "payloads": told}


def expected_reading(wanted: Wanted, payloads: Sequence[tuple[str, bytes]], renewed: bool) -> list[Any]:
    reader = RowReader(wanted, renewed=renewed)
    return [
        [
            [row.cycle, [packed([x]) for x in row.settings], [packed([x]) for x in row.signals]]
            for row in reader.take(KINDS[kind].parse(data, START))
        ]
        for kind, data in payloads
    ]


def test_rows_are_read_alike(play: Play) -> None:
    asked = [
        (replace(WANTED, units=units, cycle=cycle), payloads, renewed)
        for payloads in row_tables().values()
        for units in (WANTED.units, None)
        for cycle in ("cycle", None)
        for renewed in (False, True)
    ]
    expected = [expected_reading(*each) for each in asked]
    assert sum(len(rows) for each in expected for rows in each) > 100
    for each, answer, wanted in zip(asked, play([read_question(*each) for each in asked]), expected, strict=True):
        assert answer == wanted, each


def test_every_senml_symbol_has_its_ucum_code(play: Play) -> None:
    asked = [
        (Wanted((), ("hot",), None, (code,)), [pack(Reading("hot", 1.5, code, float(START)))], False)
        for code in SENML_UNITS.values()
    ]
    for (wanted, *_), (((_, _, (bits,)),),) in zip(asked, play([read_question(*each) for each in asked]), strict=True):
        assert bits == packed([1.5]), wanted.units
    page = (WEB.parent / "spec" / "readings.md").read_text()
    block = re.search(r"```ucum\n(.*?)```", page, re.DOTALL)
    assert block
    words = block[1].split()
    assert dict(zip(words[::2], words[1::2], strict=True)) == {k: v for k, v in SENML_UNITS.items() if k != v}


# --- what is built ----------------------------------------------------------------------------


def test_one_small_module_of_its_own(node: str, tmp_path: Path) -> None:
    path = tmp_path / "replay.js"
    build(node, path, "verifier/src/replay.ts")
    assert len(gzip.compress(path.read_bytes(), 9)) < MAX_GZIP
    index = (WEB / "verifier" / "src" / "index.ts").read_text()
    assert "replay" not in index


def test_arithmetic_is_of_what_every_machine_rounds_alike() -> None:
    """Of Math only what is exact, or rounded by IEEE 754; no power but of two, as a constant."""
    for path in [WEB / "verifier/src/replay.ts", *(WEB / "verifier/src/replay").glob("*.ts")]:
        text = path.read_text()
        used = set(re.findall(r"Math\.(\w+)", text))
        assert used <= {"abs", "floor", "max", "min", "round", "sqrt"}, path
        assert set(re.findall(r"(\w+ \*\* \w+)", text)) <= {"2 ** 53", "2 ** 31"}, path
        assert not re.search(r"\.reduce\(.*\btotal\b|fround|Float32", text), path
