"""record, twin, import."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.rig import DEVICE, TWIN, Cli
from twinproof.cli.demo_node import NodeProcess
from twinproof.exchange.cmapss.layout import FIELDS
from twinproof.exchange.cmapss.simulate import simulate_engine

Serve = Callable[[Path], NodeProcess]


def recording(node: Path, *more: object, where: tuple[object, ...] | None = None) -> tuple[object, ...]:
    place = ("--folder", node) if where is None else where
    return ("record", "--key", node / "pump7.pem", "--twin", TWIN, *place, *more)


# --- record -------------------------------------------------------------------------------------


def test_values_become_one_signed_statement(cli: Cli, node: Path) -> None:
    made = cli.json(*recording(node, "speed=1500[1/min]", "inlet.T=22.5[Cel]", "running=true"))
    assert made == {"delivered": 1, "entries": [5], "waiting_bytes": 0, "problems": []}
    readings = cli.json("twin", "show", TWIN, "--folder", node)["readings"]
    assert [(name, readings[name]["value"], readings[name]["unit"]) for name in ("speed", "inlet.T", "running")] == [
        ("speed", 1500, "1/min"),
        ("inlet.T", 22.5, "Cel"),
        ("running", True, None),
    ]


def test_csv_and_json_lines_from_stdin(cli: Cli, node: Path) -> None:
    cli(*recording(node), given="time,speed[1/min]\n2026-02-01T00:00:00Z,1\n2026-02-01T00:00:01Z,2\n")
    cli(*recording(node), given='{"time": 1769904002, "speed[1/min]": 3}\n')
    latest = cli.json("twin", "show", TWIN, "--folder", node)["readings"]["speed"]
    assert (latest["value"], latest["time"], latest["entry"]) == (3, 1769904002, 6)


def test_bad_samples_are_refused_and_named(cli: Cli, node: Path) -> None:
    assert "line 3" in cli.error(*recording(node), code=2, given="a\n1\n1,2\n")["message"]
    assert "name=value" in cli.error(*recording(node, "speed"), code=2)["message"]
    assert "UCUM" in cli.error(*recording(node, "speed=1[a b]"), code=2)["message"]
    assert cli.json("log", "head", "--folder", node)["size"] == 5


def test_without_a_card_the_issuer_must_be_said(cli: Cli, node: Path) -> None:
    (node / "pump7.json").unlink()
    assert "--iss" in cli(*recording(node, "speed=1"), code=2).stderr
    cli(*recording(node, "speed=1", "--iss", DEVICE))


def test_out_of_scope_is_refused_with_advice(cli: Cli, node: Path) -> None:
    words = ("record", "--key", node / "pump7.pem", "--twin", "https://twin.example/pump/8", "--folder", node)
    result = cli(*words, "speed=1", code=1)
    assert "out-of-scope" in result.stderr
    assert "operator grant" in result.stderr


def test_a_refused_stream_goes_on_after_the_grant_or_when_it_is_given_up(cli: Cli, node: Path) -> None:
    other = "https://twin.example/pump/8"
    words = ("record", "--key", node / "pump7.pem", "--twin", other, "--folder", node)
    assert "--retry" in cli(*words, "speed=1", code=1).stderr
    result = cli(*recording(node, "speed=1500"))
    assert "entry 5" in result.stdout
    assert "out-of-scope" in result.stderr
    assert "--retry" in cli(*words, "--retry", code=1, given="").stderr
    cli("grant", node / "pump7.json", "--can", "record", "--twin", other, "--folder", node)
    made = cli.json(*words, "--retry", given="")
    assert made == {"delivered": 1, "entries": [7], "waiting_bytes": 0, "problems": []}
    assert "refused nothing" in cli.error(*words, "--retry", code=2, given="")["message"]
    assert "not both" in cli.error(*words, "--retry", "--give-up", "x", code=2, given="")["message"]

    cli("model", "publish", model_file(node), "--folder", node)
    cli("tell", "describe", other, "--model", "dtmi:example:pump;1", "--folder", node)
    assert "invalid-value" in cli(*words, "speed=fast", code=1).stderr
    made = cli.json(*words, "speed=2", "--give-up", "a typing error")
    assert (made["delivered"], made["problems"]) == (2, [])
    state = cli.json("twin", "show", other, "--folder", node)
    assert [loss["value"] for loss in state["losses"]] == ["a typing error"]
    assert state["readings"]["speed"]["value"] == 2


def model_file(folder: Path) -> Path:
    model = {
        "@context": "dtmi:dtdl:context;3",
        "@id": "dtmi:example:pump;1",
        "@type": "Interface",
        "contents": [{"@type": "Telemetry", "name": "speed", "schema": "double"}],
    }
    path = folder / "pump.json"
    path.write_text(json.dumps(model))
    return path


def test_what_waits_about_another_twin_is_delivered_too(cli: Cli, node: Path, serve: Serve) -> None:
    other = "https://twin.example/pump/8"
    cli("grant", node / "pump7.json", "--can", "record", "--twin", other, "--folder", node)
    cli(*recording(node, "speed=1", where=("--url", "http://127.0.0.1:1", "--wait", 0)), code=3)
    words = ("record", "--key", node / "pump7.pem", "--twin", other, "--url", serve(node).url)
    assert "1 statement about other twins delivered" in cli(*words, given="").stdout


def test_what_an_unreachable_log_did_not_take_is_delivered_later(cli: Cli, node: Path, serve: Serve) -> None:
    away = ("--url", "http://127.0.0.1:1", "--wait", 0)
    result = cli(*recording(node, "speed=1[1/min]", where=away), code=3)
    assert "the samples are kept" in result.stderr
    cli(*recording(node, "speed=2[1/min]", where=away), code=3)
    url = serve(node).url
    made = cli.json(*recording(node, where=("--url", url)), given="")
    assert made["waiting_bytes"] == 0
    assert made["entries"][0] == 5
    speed = cli.json("twin", "show", TWIN, "--url", url)["readings"]["speed"]
    assert speed["value"] == 2
    assert cli(*recording(node, where=("--url", url)), given="").stdout == "nothing to deliver\n"


# --- twin ---------------------------------------------------------------------------------------


def test_the_state_at_a_past_entry(cli: Cli, node: Path) -> None:
    now = cli.json("twin", "show", TWIN, "--folder", node)
    then = cli.json("twin", "show", TWIN, "--at", 2, "--folder", node)
    assert (now["statements"], then["statements"], then["last_index"]) == (3, 1, 2)
    assert then["readings"]["speed"]["value"] == 1481
    assert now["readings"]["speed"]["value"] == 1485
    assert cli.error("twin", "show", TWIN, "--at", 1, "--folder", node, code=2)["code"] == "not-found"


def test_list_and_history(cli: Cli, node: Path) -> None:
    assert cli.json("twin", "list", "--folder", node) == [
        {"sub": "https://twin.example/log0", "statements": 2, "last_index": 1},
        {"sub": TWIN, "statements": 3, "last_index": 4},
    ]
    history = [
        json.loads(line) for line in cli("twin", "history", TWIN, "--folder", node, "--json").stdout.splitlines()
    ]
    assert [(line["index"], line["seq"], line["iss"]) for line in history] == [(i, i - 2, DEVICE) for i in (2, 3, 4)]
    assert "speed" in cli("twin", "history", TWIN, "--folder", node).stdout


@pytest.mark.parametrize("words", [("show",), ("history",)])
def test_an_unknown_twin(cli: Cli, node: Path, words: tuple[str, ...]) -> None:
    assert cli.error("twin", *words, "urn:example:none", "--folder", node, code=2)["code"] == "not-found"
    cli("twin", *words, "none", "--folder", node, code=2)


# --- import -------------------------------------------------------------------------------------


def write_data(folder: Path, units: int, *, packed: bool = False) -> int:
    """A file in the format of C-MAPSS from the simulator; the number of its rows."""
    folder.mkdir()
    rng = random.Random(1)
    lines = [
        " ".join(
            [str(row.unit), str(row.cycle), *(f"{v:.{f.decimals}f}" for f, v in zip(FIELDS, row.values, strict=True))]
        )
        for unit in range(1, units + 1)
        for row in list(simulate_engine(rng, unit))[:12]
    ]
    data = "".join(f"{line}  \n" for line in lines).encode()
    name = "train_FD001.txt" + (".gz" if packed else "")
    (folder / name).write_bytes(gzip.compress(data) if packed else data)
    return len(lines)


@pytest.mark.parametrize("packed", [False, True])
def test_import_makes_twins_once(cli: Cli, node: Path, tmp_path: Path, packed: bool) -> None:
    rows = write_data(tmp_path / "data", 3, packed=packed)
    words = ("import", "cmapss", tmp_path / "data", "--folder", node, "--keys", tmp_path / "keys")
    some = cli.json(*words, "--units", 2)
    assert (some["engines"], some["granted"], some["delivered"], some["already_there"]) == (2, 2, 26, 0)
    rest = cli.json(*words)
    assert (rest["engines"], rest["granted"], rest["delivered"], rest["already_there"]) == (3, 1, 13, 26)
    again = cli.json(*words)
    assert (again["granted"], again["delivered"], again["already_there"]) == (0, 0, rows + 3)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").glob("*.pem")} == {0o600}
    state = cli.json("twin", "show", "https://twin.example/engine/FD001-002", "--folder", node)
    assert state["properties"]["unit"]["value"] == 2
    assert state["readings"]["cycle"]["value"] == 12
    assert len(state["readings"]) == 1 + len(FIELDS)
    cli("prove", "https://twin.example/engine/FD001-003", "-o", tmp_path / "e.twinproof", "--folder", node)
    assert cli.json("verify", tmp_path / "e.twinproof", "--policy", node / "policy.txt")["verified"] is True


def test_import_goes_on_where_an_interruption_left_it(cli: Cli, node: Path, tmp_path: Path) -> None:
    """The log ends in the middle of an engine's history, as after a kill between two batches."""
    rows = write_data(tmp_path / "data", 1)
    whole = (tmp_path / "data" / "train_FD001.txt").read_bytes().splitlines(keepends=True)
    shutil.copytree(tmp_path / "data", tmp_path / "part")
    (tmp_path / "part" / "train_FD001.txt").write_bytes(b"".join(whole[:5]))
    words = ("--folder", node, "--keys", tmp_path / "keys")
    assert cli.json("import", "cmapss", tmp_path / "part", *words)["delivered"] == 6
    done = cli.json("import", "cmapss", tmp_path / "data", *words, "--rate", 1000)
    assert (done["delivered"], done["already_there"]) == (rows - 5, 6)
    history = cli("twin", "history", "https://twin.example/engine/FD001-001", "--folder", node, "--json").stdout
    assert [json.loads(line)["seq"] for line in history.splitlines()] == list(range(rows + 1))


def test_import_over_http(cli: Cli, node: Path, tmp_path: Path, serve: Serve) -> None:
    write_data(tmp_path / "data", 1)
    words = ("import", "cmapss", tmp_path / "data", "--url", serve(node).url, "--keys", tmp_path / "keys")
    assert "--key operator.pem" in cli(*words, code=2).stderr
    assert cli.json(*words, "--key", node / "keys" / "operator.pem")["delivered"] == 13


def test_import_refuses_what_is_not_the_data(cli: Cli, node: Path, tmp_path: Path) -> None:
    words = ("import", "cmapss", tmp_path / "data", "--folder", node, "--keys", tmp_path / "keys")
    write_data(tmp_path / "data", 1)
    assert "train_FD003" in cli.error(*words, "--dataset", "FD003", code=2)["message"]
    with (tmp_path / "data" / "train_FD001.txt").open("a") as file:
        file.write("1 14 nonsense\n")
    assert "line 13" in cli.error(*words, code=2)["message"]
    assert cli.json("log", "head", "--folder", node)["size"] == 5
    assert not (tmp_path / "keys").exists()


def test_the_real_data(cli: Cli, node: Path, tmp_path: Path, shared: Path) -> None:
    words = ("import", "cmapss", shared / "data" / "cmapss", "--folder", node, "--keys", tmp_path / "keys")
    assert cli.json(*words, "--units", 2)["delivered"] == 192 + 287 + 2
