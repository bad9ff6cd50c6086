"""scenario new, check, run, rerun: from a node's twins to a result that a stranger makes again from bundles alone."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.builders import ORIGIN, START
from tests.cli.rig import Cli
from tests.node.forecast_rig import FLEET, RECORDER, opened, rows_of, trained, twin
from tests.simulation.conftest import build_fmu  # noqa: F401 - a fixture
from twinproof.cli.demo_node import NodeProcess
from twinproof.node.blobs import Blobs
from twinproof.node.node import read_node
from twinproof.proof import cbor
from twinproof.simulation.results import parse_result
from twinproof.simulation.scenario import parse_scenario
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.description import Lifecycle
from twinproof.twin.prediction import parse_prediction
from twinproof.twin.statement import parse_statement

TANK = FLEET + "tank"
RUN = {0: 60, 1: 70, 2: 50, 3: 40}
"""Rows of each engine."""
AREA = 3.3
STEP = 0.5


def levels(area: float, steps: int) -> list[float]:
    """A tank whose outflow a pump brings back: what the two models of tests/simulation do when coupled."""
    level = flow = 0.0
    found = [level]
    for _ in range(steps):
        inflow, seen = flow, level
        level += STEP * (inflow - 0.2 * level) / area
        flow = max(0.75 * (2.0 - seen), 0.0)
        found.append(level)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four engines in service with forecasts, a fifth that is retired, a tank whose level is logged."""
    folder = tmp_path_factory.mktemp("what-if") / "node"
    with opened(folder) as rig:
        for number in (*RUN, 4):
            rig.describe(number)
        rig.promote()
        for number, rows in RUN.items():
            rig.read(number, *rows_of(number)[:rows])
        rig.read(4, *rows_of(4)[:30])
        assert rig.step()
        rig.describe(4, lifecycle=Lifecycle.RETIRED)
        truth = levels(AREA, 40)
        for at in (0, 20):
            payload = format_columns(START + at * STEP, [("level", "m", truth[at : at + 20])], step=STEP)
            rig.take(rig.script.say(RECORDER, TANK, COLUMNS, payload, at=int(rig.clock())))
        rig.settle()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "node"))


NEW: dict[str, tuple[object, ...]] = {
    "decision": ("--twin", twin(0), "--twin", twin(1), "--draws", 1000),
    "plan": ("--prefix", FLEET, "--slots", 4, "--cycles", 4, "--crew", 1, "--spares", 2),
    "depot": ("--prefix", FLEET, "--replications", 20, "--price", 0.02),
}


def drafted(cli: Cli, folder: Path, kind: str, path: Path) -> dict[str, Any]:
    cli("scenario", "new", kind, "-o", path, "--folder", folder, *NEW[kind])
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def bundles(cli: Cli, folder: Path, out: Path, *twins: str) -> list[object]:
    words: list[object] = ["--policy", folder / "policy.txt", "--operator", folder / "operator.json"]
    for number, each in enumerate(twins):
        path = out / f"{number}.twinproof"
        cli("prove", each, "-o", path, "--with-models", "--folder", folder)
        words += ["--bundle", path]
    return words


# --- drafts -----------------------------------------------------------------------------------


def test_a_draft_pins_the_newest_forecast_of_each_twin(cli: Cli, made: Path, tmp_path: Path) -> None:
    value = drafted(cli, made, "plan", tmp_path / "plan.json")
    with read_node(made) as node:
        head = node.reader.head()
        assert value["log"] == {"origin": ORIGIN, "size": head.size, "root": head.root.hex()}
        assert [each["name"] for each in value["settings"]["assets"]] == [twin(number) for number in RUN]
        for number, asset in enumerate(value["settings"]["assets"]):
            pinned = value["inputs"][asset["prediction"]]
            raw = node.reader.entry(pinned["index"])
            assert sha256(raw).hexdigest() == pinned["sha256"]
            statement = parse_statement(raw)
            assert statement.subject == twin(number)
            state = node.state(twin(number))
            assert state.live.ledger.prediction is not None
            assert state.live.ledger.prediction.entry == pinned["index"]
            assert asset["age"] == RUN[number] == state.readings["cycle"][0]
            assert parse_prediction(statement.payload).model == trained().digest
    assert value["inputs"]["model"] == {"sha256": trained().digest.hex()}
    assert value["settings"]["terms"]["price"] > 0
    assert value["notes"]


def test_what_cannot_be_taken_in_is_told(cli: Cli, made: Path, tmp_path: Path) -> None:
    told = cli.json("scenario", "new", "depot", "-o", tmp_path / "d", "--folder", made, *NEW["depot"])
    assert [each["sub"] for each in told["left_out"]] == [TANK]
    assert (
        "left out  " + TANK
        in cli("scenario", "new", "depot", "-o", tmp_path / "d", "--force", "--folder", made, *NEW["depot"]).stdout
    )
    wrong = cli.error("scenario", "new", "decision", "-o", tmp_path / "e", "--folder", made, "--twin", TANK, code=2)
    assert "no prediction is about it" in wrong["message"]
    other = ("--twin", twin(0), "--model", "00" * 32)
    wrong = cli.error("scenario", "new", "decision", "-o", tmp_path / "e", "--folder", made, *other, code=2)
    assert "by another model" in wrong["message"]
    wrong = cli.error("scenario", "new", "plan", "-o", tmp_path / "e", "--folder", made, "--prefix", "urn:x", code=2)
    assert "in service" in wrong["message"]
    for words in ((), ("--twin", twin(0), "--model", "xyz")):
        assert cli.error("scenario", "new", "plan", "-o", tmp_path / "e", "--folder", made, *words, code=2)
    assert not (tmp_path / "e").exists()


# --- run and rerun ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NEW)
def test_a_stranger_makes_the_result_again_from_bundles_alone(
    cli: Cli, folder: Path, tmp_path: Path, kind: str
) -> None:
    file, result = tmp_path / "s.json", tmp_path / "s.result"
    drafted(cli, folder, kind, file)
    assert "the settings can be run" in cli("scenario", "check", file, "--folder", folder).stdout
    told = cli.json("scenario", "run", file, "-o", result, "--folder", folder)
    recorded = parse_result(result.read_bytes())
    assert told["digest"] == recorded.digest.hex() == sha256(result.read_bytes()).hexdigest()
    assert recorded.scenario == parse_scenario(file.read_bytes()).digest
    sources = bundles(cli, folder, tmp_path, *map(twin, RUN))
    shutil.rmtree(folder / "blobs")
    (folder / "log.db").unlink()
    checked = cli.json("scenario", "check", file, *sources)
    assert checked["checked"] is True
    assert "has the root that the scenario names" in checked["log"]
    again = cli.json("scenario", "rerun", result, file, *sources)
    assert (again["same"], again["bytes"], again["tools"]) == (True, True, {})
    assert "THE SAME" in cli("scenario", "rerun", result, file, *sources).stdout


def test_what_is_shown_is_the_result(cli: Cli, made: Path, tmp_path: Path) -> None:
    drafted(cli, made, "decision", tmp_path / "s.json")
    out = cli("scenario", "run", tmp_path / "s.json", "-o", tmp_path / "r", "--folder", made).stdout
    assets = parse_result((tmp_path / "r").read_bytes()).result["assets"]
    for each in assets:
        assert f"{each['name']}  in {each['date']} cycles" in out
        assert abs(each["simulated"]["cost"] - each["curve"]["cost"][each["date"] - 5]) < 5 * max(
            each["simulated"]["standard_error"], 1e-9
        )


def test_a_plan_without_crews_leaves_all_for_later(cli: Cli, made: Path, tmp_path: Path) -> None:
    value = drafted(cli, made, "plan", tmp_path / "s.json")
    value["settings"]["limits"][0]["amounts"] = [0, 0, 0, 0]
    (tmp_path / "s.json").write_text(json.dumps(value))
    told = cli.json("scenario", "run", tmp_path / "s.json", "-o", tmp_path / "r", "--folder", made)
    assert {each["slot"] for each in told["result"]["slots"]} == {None}


def test_a_stated_result_is_found_in_the_bundle(cli: Cli, folder: Path, tmp_path: Path) -> None:
    file, result = tmp_path / "s.json", tmp_path / "s.result"
    drafted(cli, folder, "decision", file)
    told = cli.json("scenario", "run", file, "-o", result, "--folder", folder, "--state", "--about", twin(0))
    (said,) = cli.json("twin", "show", twin(0), "--folder", folder)["attestations"]
    assert (said["value"], said["entry"]) == ("urn:twinproof:scenario-result", told["index"])
    blobs = Blobs(folder)
    assert blobs.get(bytes.fromhex(told["digest"])) == result.read_bytes()
    assert blobs.get(bytes.fromhex(told["file"])) == file.read_bytes()
    sources = bundles(cli, folder, tmp_path, twin(0), twin(1))
    again = cli.json("scenario", "rerun", result, file, *sources)
    assert again["stated"] == [{"index": told["index"], "iss": said_by(folder, told["index"])}]
    # The log has grown by the statement: nobody proves the old tree any more but a mark.
    assert again["same"] is True
    about_log = cli.json("scenario", "run", file, "-o", result, "--force", "--folder", folder, "--state")
    assert about_log["about"] == f"https://{ORIGIN}"
    with read_node(folder) as node:
        text = json.loads(str(cbor.decode(parse_statement(node.reader.entry(about_log["index"])).payload)["text"]))
    assert text["scenario"] == about_log["file"]
    # The log's own history tells a stranger where the result stands.
    cli("prove", f"https://{ORIGIN}", "-o", tmp_path / "log.twinproof", "--folder", folder)
    again = cli.json("scenario", "rerun", result, file, *sources, "--bundle", tmp_path / "log.twinproof")
    assert [each["index"] for each in again["stated"]] == [told["index"], about_log["index"]]


def test_a_result_is_stated_through_a_running_node(
    cli: Cli, folder: Path, tmp_path: Path, serve: Callable[[Path], NodeProcess]
) -> None:
    file = tmp_path / "s.json"
    drafted(cli, folder, "decision", file)
    url = serve(folder).url
    told = cli.json("scenario", "run", file, "-o", tmp_path / "r", "--folder", folder, "--state", "--url", url)
    attestations = cli.json("twin", "show", f"https://{ORIGIN}", "--url", url)["attestations"]
    assert [each["entry"] for each in attestations] == [told["index"]]
    wrong = cli.error("scenario", "run", file, "-o", tmp_path / "q", "--folder", folder, "--url", url, code=2)
    assert "--state" in wrong["message"]


def said_by(folder: Path, index: int) -> str:
    with read_node(folder) as node:
        return parse_statement(node.reader.entry(index)).issuer


# --- tampering --------------------------------------------------------------------------------


def swapped(value: dict[str, Any]) -> None:
    """The forecast of another engine, with its own digest."""
    value["inputs"]["forecast 1"] = value["inputs"]["forecast 2"]


def another_digest(value: dict[str, Any]) -> None:
    value["inputs"]["forecast 1"]["sha256"] = "00" * 32


def another_index(value: dict[str, Any]) -> None:
    value["inputs"]["forecast 1"]["index"] -= 1


def another_model(value: dict[str, Any]) -> None:
    value["inputs"]["model"]["sha256"] = "11" * 32


def beyond_the_log(value: dict[str, Any]) -> None:
    value["inputs"]["forecast 1"]["index"] = value["log"]["size"]


def another_root(value: dict[str, Any]) -> None:
    value["log"]["root"] = "22" * 32


def another_origin(value: dict[str, Any]) -> None:
    value["log"]["origin"] = "twin.example/log1"


def a_longer_log(value: dict[str, Any]) -> None:
    value["log"]["size"] += 10**6


TAMPERED: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (another_digest, "inputs.forecast 1: entry"),
    (another_index, "inputs.forecast 1: entry"),
    (another_model, "inputs.model: nothing with SHA-256 1111"),
    (beyond_the_log, "scenario.inputs.forecast 1.index: not below"),
    (another_root, "scenario.log.root"),
    (another_origin, "scenario.log.origin"),
]


@pytest.mark.parametrize(("tamper", "named"), TAMPERED, ids=[tamper.__name__ for tamper, _ in TAMPERED])
@pytest.mark.parametrize("source", ["folder", "bundles"])
def test_every_tampered_input_is_named(
    cli: Cli, made: Path, tmp_path: Path, tamper: Callable[[dict[str, Any]], None], named: str, source: str
) -> None:
    value = drafted(cli, made, "decision", tmp_path / "s.json")
    tamper(value)
    (tmp_path / "s.json").write_text(json.dumps(value))
    words: list[object] = ["--folder", made]
    if source == "bundles":
        words = bundles(cli, made, tmp_path, twin(0), twin(1))
    for command in (("check", tmp_path / "s.json"), ("run", tmp_path / "s.json", "-o", tmp_path / "r")):
        wrong = cli.error("scenario", *command, *words, code=2)
        assert named in wrong["message"]
    assert not (tmp_path / "r").exists()


def test_a_log_that_is_too_short_is_named(cli: Cli, made: Path, tmp_path: Path) -> None:
    value = drafted(cli, made, "decision", tmp_path / "s.json")
    a_longer_log(value)
    (tmp_path / "s.json").write_text(json.dumps(value))
    wrong = cli.error("scenario", "check", tmp_path / "s.json", "--folder", made, code=2)
    assert "scenario.log.size" in wrong["message"]


def test_a_changed_result_is_refused(cli: Cli, made: Path, tmp_path: Path) -> None:
    file, result = tmp_path / "s.json", tmp_path / "s.result"
    drafted(cli, made, "decision", file)
    cli("scenario", "run", file, "-o", result, "--folder", made)
    honest: Any = cbor.decode(result.read_bytes())
    changes: list[tuple[str, Callable[[Any], None]]] = [
        ("result.assets.0.date", lambda value: value["result"]["assets"][0].update(date=6)),
        ("result.assets.1.risk", lambda value: value["result"]["assets"][1].update(risk=0.25)),
        ("result.terms.failure", lambda value: value["result"]["terms"].update(failure=9.0)),
        ("reproducible", lambda value: value.update(reproducible=False)),
        ("kind", lambda value: value.update(kind="plan")),
        ("result.more", lambda value: value["result"].update(more=1)),
    ]
    for named, change in changes:
        value: Any = cbor.decode(result.read_bytes())
        change(value)
        (tmp_path / "bent").write_bytes(cbor.encode(value))
        wrong = cli.error("scenario", "rerun", tmp_path / "bent", file, "--folder", made, code=1)
        assert wrong["code"] == "forecast-mismatch"
        assert wrong["message"].startswith(f"{named}:"), wrong["message"]
    # Another version of a tool is told, and no difference.
    honest["tools"]["numpy"] = "0.1"
    (tmp_path / "bent").write_bytes(cbor.encode(honest))
    told = cli.json("scenario", "rerun", tmp_path / "bent", file, "--folder", made)
    assert (told["same"], told["bytes"], list(told["tools"])) == (True, False, ["numpy"])


def test_a_result_of_another_scenario_is_refused(cli: Cli, made: Path, tmp_path: Path) -> None:
    file, result = tmp_path / "s.json", tmp_path / "s.result"
    value = drafted(cli, made, "decision", file)
    cli("scenario", "run", file, "-o", result, "--folder", made)
    swapped(value)
    file.write_text(json.dumps(value))
    wrong = cli.error("scenario", "rerun", result, file, "--folder", made, code=1)
    assert "the result is of the scenario" in wrong["message"]


def test_a_bundle_that_does_not_hold_proves_nothing(cli: Cli, made: Path, tmp_path: Path) -> None:
    drafted(cli, made, "decision", tmp_path / "s.json")
    words = bundles(cli, made, tmp_path, twin(0), twin(1))
    path = tmp_path / "0.twinproof"
    bundle: Any = cbor.decode(path.read_bytes())
    index, raw = bundle["entries"][-1]
    bundle["entries"][-1] = [index, raw[:-1] + bytes([raw[-1] ^ 1])]
    path.write_bytes(cbor.encode(bundle))
    assert cli.error("scenario", "check", tmp_path / "s.json", *words, code=1)["code"] == "verification-failed"
    wrong = cli.error("scenario", "check", tmp_path / "s.json", "--bundle", tmp_path / "1.twinproof", code=2)
    assert "--policy" in wrong["message"]
    policy = ("--policy", made / "policy.txt", "--bundle", tmp_path / "1.twinproof")
    wrong = cli.error("scenario", "check", tmp_path / "s.json", *policy, code=2)
    assert "inputs.forecast 1: entry" in wrong["message"]
    wrong = cli.error("scenario", "check", tmp_path / "s.json", *policy, "--operator", "00" * 32, code=2)
    assert "another one than you expect" in wrong["message"]
    assert "either" in cli.error("scenario", "check", tmp_path / "s.json", *policy, "--folder", made, code=2)["message"]


def test_wrong_usage(cli: Cli, made: Path, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    drafted(cli, made, "decision", file)
    (tmp_path / "policy.txt").write_text("")
    wrong = cli.error("scenario", "run", file, "-o", tmp_path / "r", "--state", code=2)
    assert "--folder" in wrong["message"]
    wrong = cli.error("scenario", "run", file, "-o", tmp_path / "r", "--policy", tmp_path / "policy.txt", code=2)
    assert "--bundle" in wrong["message"]
    wrong = cli.error("scenario", "run", file, "-o", file, "--folder", made, code=2)
    assert "exists" in wrong["message"]
    file.write_text("{")
    assert cli.error("scenario", "check", file, code=2)["code"] == "malformed"


def test_a_missing_package_is_named(cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted(cli, made, "plan", tmp_path / "s.json")
    monkeypatch.setitem(sys.modules, "highspy", None)
    wrong = cli.error("scenario", "run", tmp_path / "s.json", "-o", tmp_path / "r", "--folder", made, code=2)
    assert wrong["code"] == "not-installed"
    assert "twinproof[sim]" in wrong["message"]


# --- co-simulation ----------------------------------------------------------------------------


def test_two_coupled_models_are_fitted_to_the_log_and_run_again(
    cli: Cli,
    folder: Path,
    tmp_path: Path,
    build_fmu: Callable[..., bytes],  # noqa: F811
) -> None:
    file, result = tmp_path / "t.json", tmp_path / "t.result"
    for name in ("tank", "pump"):
        (tmp_path / f"{name}.fmu").write_bytes(build_fmu(name))
    words = (
        "--fmu", f"tank={tmp_path / 'tank.fmu'}", "--fmu", f"pump={tmp_path / 'pump.fmu'}",
        "--connect", "pump.flow=tank.inflow", "--connect", "tank.level=pump.level",
        "--start", "tank.drain=0.2", "--start", "pump.gain=0.75", "--record", "tank.level", "--step", STEP,
        "--calibrate", "tank.area=0.5:10", "--observed", "tank.level", "--twin", TANK, "--signal", "level",
    )  # fmt: skip
    cli("scenario", "new", "cosimulation", "-o", file, "--folder", folder, *words)
    wrong = cli.error("scenario", "run", file, "-o", result, "--folder", folder, code=2)
    assert "native code" in wrong["message"]
    told = cli.json("scenario", "run", file, "-o", result, "--folder", folder, "--native")
    assert told["result"]["calibrated"]["value"] == pytest.approx(AREA, abs=1e-6)
    assert told["result"]["recorded"][0]["values"] == pytest.approx(levels(AREA, 39), abs=1e-6)
    sources = bundles(cli, folder, tmp_path, TANK)
    wrong = cli.error("scenario", "rerun", result, file, *sources, "--native", code=2)
    assert "bring it with --file" in wrong["message"]
    for name in ("tank", "pump"):
        sources += ["--file", tmp_path / f"{name}.fmu"]
    again = cli.json("scenario", "rerun", result, file, *sources, "--native")
    assert (again["same"], again["bytes"]) == (True, True)
    shown = cli("scenario", "run", file, "-o", result, "--force", "--folder", folder, "--native").stdout
    assert "calibrated to 3.3" in shown


BAD_COSIMULATION: dict[str, tuple[object, ...]] = {
    "no place": ("--record", "tank"),
    "no number": ("--start", "tank.area=1_0"),
    "no range": ("--calibrate", "tank.area=1"),
    "half a fit": ("--calibrate", "tank.area=1:2"),
    "a fit without": ("--twin", TANK),
    "no length": (),
}


@pytest.mark.parametrize("name", BAD_COSIMULATION)
def test_a_cosimulation_that_says_nothing_is_refused(cli: Cli, made: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "x.fmu").write_bytes(b"x")
    words = ("--fmu", f"tank={tmp_path / 'x.fmu'}", "--record", "tank.level", "--step", 1, *BAD_COSIMULATION[name])
    cli.error("scenario", "new", "cosimulation", "-o", tmp_path / "s", "--folder", made, *words, code=2)
    assert not (tmp_path / "s").exists()
