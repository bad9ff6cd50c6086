"""train, predictor, prove --with-models, verify --replay: from histories to forecasts that anybody recomputes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.builders import MODEL, ORIGIN, Signer
from tests.cli.rig import Cli
from tests.node.folders import continue_log
from tests.node.forecast_rig import RECORDER, opened, payload, trained, twin
from tests.prognosis.fleets import wearing_fleet
from twinproof.node.blobs import Blobs
from twinproof.node.live import open_live
from twinproof.node.node import open_node
from twinproof.node.service_keys import FORECAST
from twinproof.proof import cbor
from twinproof.twin.columns import COLUMNS
from twinproof.twin.description import Lifecycle
from twinproof.twin.prediction import PREDICTION, format_prediction, format_rul, parse_prediction
from twinproof.twin.statement import parse_statement

ENGINE = "https://twin.example/engine/FD001-013"
TURBOFAN = "urn:twinproof:model:cmapss-turbofan"
TRAIN = ("--cycle", "cycle", "--quick", "--folds", 2)
SETTINGS = ("--setting", "altitude", "--setting", "mach", "--setting", "TRA")


def forecast_all(folder: Path, wanted: int) -> None:
    """Let the node run until so many more predictions are stated."""
    with open_live(folder) as live:
        task = live.forecasting
        assert task is not None
        for _ in range(60):
            if task.stated >= wanted:
                break
            live.feed.wait(live.feed.size, 1)
        assert (task.stated, task.problem) == (wanted, None)


# --- real engines -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engines(cli: Cli, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve engines that failed, a model of them in use, and a thirteenth whose every flight was forecast."""
    folder = tmp_path_factory.mktemp("engines") / "node"
    data, keys = shared / "data" / "cmapss", folder.parent / "keys"
    cli("init", folder, "--origin", ORIGIN, "--operator", "https://twin.example/operator")
    cli("import", "cmapss", data, "--folder", folder, "--units", 12, "--keys", keys)
    cli("train", TURBOFAN, "--folder", folder, *SETTINGS, *TRAIN, "--failed-at-end", "--promote")
    cli("predictor", "enable", "--folder", folder)
    told = cli.json("import", "cmapss", data, "--folder", folder, "--units", 13, "--keys", keys)
    # Each engine's newest flight before the promotion, and of the new one all flights but the first four.
    forecast_all(folder, 12 + told["delivered"] - 1 - 4)
    cli("prove", ENGINE, "-o", folder.parent / "e13.twinproof", "--with-models", "--folder", folder)
    cli("prove", ENGINE, "-o", folder.parent / "bare.twinproof", "--folder", folder)
    return folder


@pytest.fixture
def audit(engines: Path) -> tuple[object, ...]:
    return ("--policy", engines / "policy.txt", "--operator", engines / "operator.json", "--replay")


def test_every_prediction_of_a_real_engine_is_computed_again(
    cli: Cli, engines: Path, audit: tuple[object, ...]
) -> None:
    shown = cli("verify", engines.parent / "e13.twinproof", *audit).stdout
    told = cli.json("verify", engines.parent / "e13.twinproof", *audit)
    assert told["verified"] is True
    assert len(told["replay"]) > 100
    assert {found["outcome"] for found in told["replay"]} == {"ok"}
    number = len(told["replay"])
    assert f"replay the predictions  {number} of {number} predictions computed again, every bit the same" in shown
    assert "VERIFIED" in shown
    assert "replay" not in cli.json("verify", engines.parent / "e13.twinproof", *audit[:-1])


def test_a_model_that_the_bundle_lacks_is_brought_along(
    cli: Cli, engines: Path, audit: tuple[object, ...], tmp_path: Path
) -> None:
    bare = engines.parent / "bare.twinproof"
    shown = cli("verify", bare, *audit).stdout
    assert "0 of" in shown
    assert "not replayable" in shown
    assert "--predictor FILE" in shown
    (standing,) = cli.json("predictor", "list", TURBOFAN, "--folder", engines)
    cli("predictor", "export", standing["model"][:12], "-o", tmp_path / "m", "--folder", engines)
    found = cli.json("verify", bare, *audit, "--predictor", tmp_path / "m")["replay"]
    assert {each["outcome"] for each in found} == {"ok"}
    model = bytearray((tmp_path / "m").read_bytes())
    model[len(model) // 2] ^= 1
    (tmp_path / "m").write_bytes(model)
    found = cli.json("verify", bare, *audit, "--predictor", tmp_path / "m")["replay"]
    assert {(each["outcome"], standing["model"] in each["why"]) for each in found} == {("not replayable", True)}


def test_one_bit_of_the_model_in_the_bundle_is_named(
    cli: Cli, engines: Path, audit: tuple[object, ...], tmp_path: Path
) -> None:
    bundle: Any = cbor.decode((engines.parent / "e13.twinproof").read_bytes())
    name, model = bundle["blobs"][0]
    bundle["blobs"][0] = [name, model[:-1] + bytes([model[-1] ^ 1])]
    (tmp_path / "x").write_bytes(cbor.encode(bundle))
    told = cli.json("verify", tmp_path / "x", *audit, code=1)
    assert told["failed"]["step"] == 1
    assert "bundle.blobs[0]" in told["failed"]["problems"][0]


def test_one_bit_of_a_reading_is_named(cli: Cli, engines: Path, audit: tuple[object, ...], tmp_path: Path) -> None:
    bundle: Any = cbor.decode((engines.parent / "e13.twinproof").read_bytes())
    at = next(n for n, (_, raw) in enumerate(bundle["entries"]) if parse_statement(raw).content_type == COLUMNS)
    index, raw = bundle["entries"][at]
    payload_at = raw.index(parse_statement(raw).payload) + 200
    bundle["entries"][at] = [index, raw[:payload_at] + bytes([raw[payload_at] ^ 1]) + raw[payload_at + 1 :]]
    (tmp_path / "x").write_bytes(cbor.encode(bundle))
    told = cli.json("verify", tmp_path / "x", *audit, code=1)
    assert told["failed"]["step"] == 4
    assert any(f"entry {index}:" in problem for problem in told["failed"]["problems"])


def test_one_bit_of_a_prediction_signed_by_the_predictors_own_key_is_named(
    cli: Cli, engines: Path, audit: tuple[object, ...], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(engines, tmp_path / "node"))
    with open_node(folder) as node:
        script = continue_log(node)
        key = FORECAST.key(folder, ORIGIN)
        said = [
            statement
            for statement in map(parse_statement, script.raws)
            if statement.content_type == PREDICTION and statement.subject == ENGINE
        ][-1]
        honest = parse_prediction(said.payload)
        rul = format_rul(honest.lower, honest.point, honest.upper, honest.coverage)
        bent = said.payload.replace(rul, rul[:15] + bytes([rul[15] ^ 1]) + rul[16:])
        lie = script.say(Signer(said.issuer, key), ENGINE, PREDICTION, bent)
        (outcome,) = node.intake.submit([lie.raw]).result(30)
    cli("prove", ENGINE, "-o", tmp_path / "x", "--with-models", "--folder", folder)
    cli("verify", tmp_path / "x", *audit[:-1])
    told = cli.json("verify", tmp_path / "x", *audit, code=1)
    assert told["failed"]["title"] == "replay the predictions"
    (problem,) = told["failed"]["problems"]
    assert problem.startswith(f"entry {getattr(outcome, 'index', None)}: rul: stated ")
    assert "NOT VERIFIED" in cli("verify", tmp_path / "x", *audit, code=1).stdout


def test_what_was_predicted_is_compared_with_what_happened(cli: Cli, engines: Path) -> None:
    (score,) = cli.json("predictor", "score", TURBOFAN, "--failed-at-end", "--folder", engines)
    # Of the twelve only the last flight was forecast, which foretells nothing.
    assert score["twins"] == 1
    assert score["predictions"] > 100
    assert 0 <= score["realised"] <= 1
    assert score["drift"] is None
    assert "claimed 90 %" in cli("predictor", "score", TURBOFAN, "--failed-at-end", "--folder", engines).stdout


# --- made engines -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve engines that wore out and were retired, and one in service."""
    folder = tmp_path_factory.mktemp("made") / "node"
    with opened(folder, blob=False, enabled=False) as rig:
        for number, unit in enumerate(wearing_fleet(13, seed=5).units):
            rig.describe(number)
            said = [rig.script.say(RECORDER, twin(number), COLUMNS, payload(row)) for row in unit.rows()]
            rig.take(*said)
            if number < 12:
                rig.describe(number, lifecycle=Lifecycle.RETIRED)
    return folder


@pytest.fixture
def wearing(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "wearing"))


def learn(cli: Cli, folder: Path, *more: object, code: int = 0) -> Any:
    words = ("train", MODEL, "--folder", folder, "--setting", "load", *TRAIN, *more)
    return cli.json(*words) if code == 0 else cli.error(*words, code=code)


def test_training_promoting_retiring(cli: Cli, wearing: Path) -> None:
    first = learn(cli, wearing, "--promote", "--text", "the first")
    assert (first["stage"], first["twins"], first["failed"]) == ("active", 13, 12)
    assert first["unused"] == ["still"]
    assert first["rmse"] > 0
    again = learn(cli, wearing, "--seed", 1)
    assert again["stage"] == "candidate"
    listed = cli.json("predictor", "list", MODEL, "--folder", wearing)
    assert [(each["model"], each["stage"]) for each in listed] == [
        (again["model"], "candidate"), (first["model"], "active"),
    ]  # fmt: skip
    assert listed[1]["trained"]["rows"] == first["rows"]
    cli("predictor", "promote", MODEL, again["model"][:10], "--text", "newer", "--folder", wearing)
    listed = cli.json("predictor", "list", MODEL, "--folder", wearing)
    assert {each["model"]: each["stage"] for each in listed} == {first["model"]: "retired", again["model"]: "active"}
    cli("predictor", "retire", MODEL, again["model"], "--folder", wearing)
    shown = cli("predictor", "list", MODEL, "--folder", wearing).stdout
    assert shown.count("retired") == 2
    assert "13 twins (12 to failure)" in shown


def test_the_same_seed_gives_the_same_model(cli: Cli, wearing: Path) -> None:
    assert learn(cli, wearing)["model"] == learn(cli, wearing)["model"]


def test_the_card_is_shown(cli: Cli, wearing: Path) -> None:
    made = learn(cli, wearing)
    assert "# Model card" in cli("predictor", "show", made["model"][:8], "--folder", wearing).stdout
    told = cli.json("predictor", "show", made["model"], "--folder", wearing)
    assert (told["units"], told["rmse"]) == (13, made["rmse"])
    assert bytes.fromhex(made["card"]) in set(Blobs(wearing).names())


def test_a_model_goes_to_another_node_by_file(cli: Cli, wearing: Path, node: Path, tmp_path: Path) -> None:
    made = learn(cli, wearing)
    cli("predictor", "export", made["model"][:8], "-o", tmp_path / "m", "--folder", wearing)
    assert (
        "exists"
        in cli.error("predictor", "export", made["model"][:8], "-o", tmp_path / "m", "--folder", wearing, code=2)[
            "message"
        ]
    )
    told = cli.json("predictor", "import", tmp_path / "m", "--folder", node)
    assert told["model"] == made["model"]
    assert Blobs(node).get(bytes.fromhex(made["model"])) == (tmp_path / "m").read_bytes()


@pytest.mark.parametrize("bent", [b"", b"\xa0", b"not a model"], ids=["empty", "empty map", "text"])
def test_what_is_no_model_is_not_brought(bent: bytes, cli: Cli, node: Path, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(bent)
    assert cli.error("predictor", "import", tmp_path / "m", "--folder", node, code=2)["code"] == "malformed"
    assert list(Blobs(node).names()) == []


def test_training_needs_failures_readings_and_a_model(cli: Cli, wearing: Path) -> None:
    assert "no twin of urn:x has readings" in cli.error("train", "urn:x", "--folder", wearing, code=2)["message"]
    wrong = learn(cli, wearing, "--signal", "hot", "--cycle", "nothing", code=2)
    assert "fleet" in wrong["message"] or "rows" in wrong["message"]
    with opened(wearing, blob=False) as rig:
        for number in range(3):
            rig.describe(number, lifecycle=Lifecycle.IN_SERVICE)
    assert "at least 10 are needed" in learn(cli, wearing, code=2)["message"]
    assert learn(cli, wearing, "--failed-at-end")["failed"] == 13


@pytest.mark.parametrize("command", ["promote", "retire"])
def test_an_unknown_predictor_is_not_found(command: str, cli: Cli, wearing: Path) -> None:
    learn(cli, wearing)
    wrong = cli.error("predictor", command, MODEL, "00000000", "--folder", wearing, code=2)
    assert "no predictor 00000000" in wrong["message"]
    assert "hexadecimal" in cli.error("predictor", command, MODEL, "xyz", "--folder", wearing, code=2)["message"]


def test_the_node_forecasts_with_what_was_trained_and_the_score_is_stated(cli: Cli, wearing: Path) -> None:
    learn(cli, wearing, "--promote")
    assert "by the grant at entry" in cli("predictor", "enable", "--folder", wearing).stdout
    assert "already" in cli("predictor", "enable", "--folder", wearing).stdout
    wearer = wearing_fleet(14, seed=6).units[13]
    with opened(wearing, blob=False) as rig:
        rig.describe(20)
        rig.take(*[rig.script.say(RECORDER, twin(20), COLUMNS, payload(row)) for row in wearer.rows()])
        rig.settle()
        assert rig.forecasting.step()
        assert len(rig.predictions(20)) == len(wearer) - 4
        assert len(rig.predictions(12)) == 1
        assert rig.predictions(3) == []
        rig.describe(20, lifecycle=Lifecycle.RETIRED)
    (told,) = cli.json("predictor", "score", MODEL, "--state", "--folder", wearing)
    assert (told["twins"], told["predictions"]) == (1, len(wearer) - 5)
    stated = json.loads(json.dumps(cli.json("twin", "show", MODEL, "--folder", wearing)))
    assert stated["attestations"][0]["value"] == "urn:twinproof:predictor-score"
    assert stated["attestations"][0]["entry"] == told["index"]


def test_there_is_no_score_before_an_end(cli: Cli, wearing: Path) -> None:
    assert "has reached its end" in cli.error("predictor", "score", MODEL, "--folder", wearing, code=2)["message"]


def test_replay_and_models_are_for_bundles(cli: Cli, wearing: Path, tmp_path: Path) -> None:
    cli("prove", "--entry", 3, "-o", tmp_path / "e", "--folder", wearing)
    policy = ("--policy", wearing / "policy.txt")
    assert "history bundle" in cli.error("verify", tmp_path / "e.cose", *policy, "--replay", code=2)["message"]
    wrong = cli.error("verify", tmp_path / "e.cose", *policy, "--predictor", tmp_path / "e.cose", code=2)
    assert "--replay" in wrong["message"]
    wrong = cli.error("prove", "--entry", 3, "--with-models", "-o", tmp_path / "f", "--folder", wearing, code=2)
    assert "--with-models" in wrong["message"]


def test_a_prediction_shows_in_one_line(cli: Cli) -> None:
    from twinproof.cli.state import summary

    assert trained().digest
    said = parse_prediction(format_prediction(parse_prediction(_example())))
    assert "left" in summary(said)


def _example() -> bytes:
    from tests.spec_examples import example_log, example_prediction

    return example_prediction(example_log())
