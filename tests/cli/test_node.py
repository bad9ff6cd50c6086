"""init, key, grant, revoke, grants, serve, fsck, log."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.rig import DEVICE, OPERATOR, ORIGIN, TWIN, Cli
from twinproof.cli.demo_node import NodeProcess
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import parse_note
from twinproof.proof.policy import parse_policy

Serve = Callable[[Path], NodeProcess]


# --- init and key -------------------------------------------------------------------------------


def test_init_makes_a_whole_node(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    made = cli.json("init", folder, "--origin", ORIGIN, "--operator", OPERATOR)
    assert made["origin"] == ORIGIN
    assert parse_policy(Path(made["policy"]).read_bytes()).origins == (ORIGIN,)
    assert json.loads(Path(made["operator_card"]).read_text())["iss"] == OPERATOR
    assert {path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()} == {0o600}
    assert cli.json("fsck", folder)["entries"] == 1


def test_init_never_touches_what_is_there(cli: Cli, node: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in node.rglob("*") if path.is_file()}
    assert cli.error("init", node, "--origin", ORIGIN, "--operator", OPERATOR, code=2)["code"] == "config"
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("origin", "operator"), [("with space", OPERATOR), ("a+b", OPERATOR), (ORIGIN, "no iri"), ("", OPERATOR)]
)
def test_init_refuses_names_that_a_log_cannot_have(cli: Cli, tmp_path: Path, origin: str, operator: str) -> None:
    cli("init", tmp_path / "node", "--origin", origin, "--operator", operator, code=2)
    assert not (tmp_path / "node").exists()


@pytest.mark.parametrize("algorithm", ["Ed25519", "ES256"])
def test_a_new_key_is_secret_and_its_card_is_not(cli: Cli, tmp_path: Path, algorithm: str) -> None:
    flags = ["--es256"] if algorithm == "ES256" else []
    made = cli.json("key", "new", tmp_path / "k.pem", "--iss", DEVICE, *flags)
    assert made["algorithm"] == algorithm
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    card = cli.json("key", "show", tmp_path / "k.json")
    assert card == {"iss": DEVICE, "kid": made["kid"], "algorithm": algorithm}
    assert cli.json("key", "show", tmp_path / "k.pem") == {"kid": made["kid"], "algorithm": algorithm}
    assert "PRIVATE" not in (tmp_path / "k.json").read_text()


def test_keys_are_never_overwritten(cli: Cli, tmp_path: Path) -> None:
    cli("key", "new", tmp_path / "k.pem", "--iss", DEVICE)
    before = (tmp_path / "k.pem").read_bytes()
    cli("key", "new", tmp_path / "k.pem", "--iss", DEVICE, code=2)
    (tmp_path / "k.json").unlink()
    cli("key", "new", tmp_path / "k.pem", "--iss", DEVICE, code=2)
    assert (tmp_path / "k.pem").read_bytes() == before


def test_key_show_refuses_what_is_no_key(cli: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert cli.error("key", "show", bad, code=2)["code"] == "malformed"
    open_key = tmp_path / "k.pem"
    cli("key", "new", open_key, "--iss", DEVICE)
    open_key.chmod(0o644)
    assert "chmod 600" in cli.error("key", "show", open_key, code=2)["message"]


# --- grants -------------------------------------------------------------------------------------


def test_grants_lists_all_with_their_state(cli: Cli, node: Path) -> None:
    root, device = cli.json("grants", "--folder", node)
    assert (root["iss"], root["index"], root["revoked_at"]) == (OPERATOR, 0, None)
    assert (device["iss"], device["can"], device["scope"]) == (DEVICE, ["describe", "record"], {"twin": TWIN})
    made = cli.json("revoke", device["grant"], "--reason", "lost", "--folder", node)
    assert made == {"revoked": device["grant"], "index": 5, "iss": DEVICE}
    assert cli.json("grants", "--folder", node)[1]["revoked_at"] == 5
    assert "revoked by entry 5" in cli("grants", "--folder", node).stdout


def test_a_revoked_device_is_refused_and_its_past_stays(cli: Cli, node: Path, tmp_path: Path) -> None:
    device = cli.json("grants", "--folder", node)[1]
    cli("revoke", device["grant"], "--folder", node)
    words = ("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "speed=1[1/min]")
    result = cli(*words, code=1)
    assert "revoked" in result.stderr
    cli("prove", TWIN, "-o", tmp_path / "pump.twinproof", "--folder", node)
    assert cli.json("verify", tmp_path / "pump.twinproof", "--policy", node / "policy.txt")["verified"] is True


def test_a_grant_holder_passes_on_no_more_than_it_has(cli: Cli, node: Path, tmp_path: Path) -> None:
    for name in ("mro", "mechanic"):
        cli("key", "new", tmp_path / f"{name}.pem", "--iss", f"https://{name}.example/")
    prefix = "https://twin.example/pump/"
    cli("grant", tmp_path / "mro.json", "--can", "administer,record", "--prefix", prefix, "--folder", node)
    words = ("grant", tmp_path / "mechanic.json", "--folder", node, "--key", tmp_path / "mro.pem")
    given = cli.json(*words, "--can", "record", "--twin", TWIN, "--until", "2030-01-01")
    assert given["via"] == cli.json("grants", "--folder", node)[2]["grant"]
    assert given["until_time"] == 1_893_456_000
    error = cli.error(*words, "--can", "attest", "--twin", TWIN, code=1)
    assert error["code"] == "amplified"
    error = cli.error(*words, "--can", "record", "--twin", "https://other.example/1", code=1)
    assert error["code"] == "amplified"


def test_grant_wants_exactly_one_scope_and_one_log(cli: Cli, node: Path) -> None:
    words = ("grant", node / "pump7.json", "--can", "record")
    assert "one of --twin, --prefix and --model" in cli(*words, "--folder", node, code=2).stderr
    cli(*words, "--folder", node, "--twin", TWIN, "--prefix", "https://a/", code=2)
    assert "--folder NODE or as --url" in cli(*words, "--twin", TWIN, code=2).stderr
    cli(*words, "--twin", TWIN, "--folder", node, "--url", "http://127.0.0.1:1", code=2)
    assert "'fly' is none of" in cli("grant", node / "pump7.json", "--can", "fly", "--folder", node, code=2).stderr
    error = cli.error(*words, "--prefix", "https://twin.example/pump", "--folder", node, code=2)
    assert "must end in" in error["message"]
    assert cli.json("log", "head", "--folder", node)["size"] == 5


@pytest.mark.parametrize("digest", ["", "ab", "AB" * 32, "0" * 64])
def test_revoke_needs_the_digest_of_a_grant(cli: Cli, node: Path, digest: str) -> None:
    cli("revoke", digest, "--folder", node, code=2)


def test_a_stranger_cannot_grant_or_revoke(cli: Cli, node: Path, tmp_path: Path) -> None:
    cli("key", "new", tmp_path / "stranger.pem", "--iss", "urn:example:stranger")
    stranger = ("--folder", node, "--key", tmp_path / "stranger.pem")
    words = ("grant", tmp_path / "stranger.json", "--can", "record", "--twin", TWIN)
    assert cli.error(*words, *stranger, code=1)["code"] == "unknown-signer"
    grant = cli.json("grants", "--folder", node)[1]["grant"]
    assert cli.error("revoke", grant, *stranger, code=1)["code"] == "not-authorised"


# --- serve --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_and_stops_with_zero(node: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "twinproof", "serve", str(node), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"{ORIGIN} listens on http://127.0.0.1:")
    second = process.stdout.readline()
    assert second.startswith("The console is at http://127.0.0.1:")
    assert second.endswith(f"/console/; to act in it: twinproof console {node}\n")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "Stopped.\n", "")


def test_a_served_folder_is_locked_for_writers_and_open_for_readers(cli: Cli, node: Path, serve: Serve) -> None:
    url = serve(node).url
    words = ("grant", node / "pump7.json", "--can", "attest", "--twin", TWIN)
    error = cli.error(*words, "--folder", node, code=3)
    assert error["code"] == "conflict"
    assert "--url" in error["message"]
    assert "already being served" in cli.error("serve", node, "--port", "0", code=3)["message"]
    made = cli.json(*words, "--url", url, "--key", node / "keys" / "operator.pem")
    assert cli.json("grants", "--url", url) == cli.json("grants", "--folder", node)
    assert cli.json("grants", "--url", url)[-1]["grant"] == made["grant"]


def test_reading_is_the_same_by_folder_and_by_address(cli: Cli, node: Path, serve: Serve, tmp_path: Path) -> None:
    url = serve(node).url
    for words in (
        ("log", "head"),
        ("log", "entry", 3),
        ("twin", "show", TWIN),
        ("twin", "show", TWIN, "--at", 2),
    ):
        assert cli.json(*words, "--url", url) == cli.json(*words, "--folder", node)
    assert cli("twin", "history", TWIN, "--url", url).stdout == cli("twin", "history", TWIN, "--folder", node).stdout
    cli("prove", TWIN, "-o", tmp_path / "remote.twinproof", "--url", url)
    assert cli.json("verify", tmp_path / "remote.twinproof", "--policy", node / "policy.txt")["verified"] is True
    cli("log", "receipt", 3, "-o", tmp_path / "r", "--url", url)
    assert cli.error("log", "entry", 999, "--url", url, code=2)["code"] == "not-found"


def test_an_address_where_no_node_is(cli: Cli, tmp_path: Path) -> None:
    for words in (("log", "head"), ("grants",), ("twin", "show", TWIN)):
        assert cli.error(*words, "--url", "http://127.0.0.1:1", code=3)["code"] == "unreachable"
    for url in ("127.0.0.1:8600", "ftp://host", "http://"):
        assert cli.error("log", "head", "--url", url, code=2)["code"] == "config"


def test_serve_refuses_what_is_no_node_or_a_rolled_back_one(cli: Cli, node: Path, tmp_path: Path) -> None:
    assert "twinproof init" in cli.error("serve", tmp_path, "--port", "0", code=2)["message"]
    roll_back(cli, node)
    assert cli.error("serve", node, "--port", "0", code=1)["code"] == "rolled-back"


# --- fsck and log -------------------------------------------------------------------------------


def alter(folder: Path, index: int) -> None:
    """Turn one bit of an entry in the database."""
    with closing(sqlite3.connect(folder / "log.db")) as database, database:
        (raw,) = database.execute("SELECT data FROM entry WHERE idx = ?", (index,)).fetchone()
        altered = raw[:-70] + bytes((raw[-70] ^ 1,)) + raw[-69:]
        database.execute("UPDATE entry SET data = ? WHERE idx = ?", (altered, index))


def roll_back(cli: Cli, folder: Path) -> None:
    """Two more statements, then the database of before."""
    old = {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("log.db")}
    words = ("record", "--key", folder / "pump7.pem", "--twin", TWIN, "--folder", folder)
    cli(*words, "speed=1[1/min]")
    cli(*words, "speed=2[1/min]")
    for path in folder.iterdir():
        if path.name.startswith("log.db"):
            path.unlink()
    for name, data in old.items():
        (folder / name).write_bytes(data)


def test_fsck_finds_a_sound_log_sound(cli: Cli, node: Path) -> None:
    assert cli.json("fsck", node) == {"folder": str(node), "entries": 5, "sound": True, "findings": []}


@pytest.mark.parametrize("index", [1, 3, 4])
def test_fsck_names_the_altered_entry(cli: Cli, node: Path, index: int) -> None:
    alter(node, index)
    found = cli.json("fsck", node, code=1)
    assert found["sound"] is False
    assert f"entry {index}" in {finding["where"] for finding in found["findings"]}
    assert f"entry {index}" in cli("fsck", node, code=1).stdout


def test_fsck_checks_what_bytes_and_tiles_cannot_tell(cli: Cli, node: Path) -> None:
    """An operator who signs a whole new tree over a forged statement is found by the statement's own signature."""
    from twinproof.log.pin import Pin
    from twinproof.log.sqlite import SqliteStore
    from twinproof.log.store import Entry
    from twinproof.log.writer import Writer
    from twinproof.node.node import read_node
    from twinproof.twin.stream import position_of

    with read_node(node) as opened:
        signers = opened.signers
        entries = opened.reader.entries(0, 5)
    forged = bytearray(entries[3])
    forged[-1] ^= 1
    entries[3] = bytes(forged)
    for name in ("log.db", "log.db-wal", "log.db-shm", "log.pin"):
        (node / name).unlink(missing_ok=True)
    store = SqliteStore(node / "log.db")
    Writer(store, Pin(node / "log.pin"), signers, ORIGIN, lambda: 1_800_000_000).append(
        [Entry(position_of(raw), raw) for raw in entries]
    )
    store.close()
    findings = cli.json("fsck", node, code=1)["findings"]
    assert [(finding["where"], finding["problem"].split(":")[0]) for finding in findings] == [
        ("entry 3", "bad-signature"),
        ("entry 4", "chain-broken"),
    ]


def test_log_head_is_the_signed_checkpoint(cli: Cli, node: Path) -> None:
    text = cli("log", "head", "--folder", node).stdout
    assert parse_checkpoint(parse_note(text.encode()).text).size == 5
    parse_policy((node / "policy.txt").read_bytes()).check(text.encode())


def test_log_list_and_entry(cli: Cli, node: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in cli("log", "list", "--folder", node, "--json").stdout.splitlines()]
    assert [(line["index"], line["kind"]) for line in lines] == [
        (0, "genesis"), (1, "grant"), (2, "readings"), (3, "readings"), (4, "readings"),
    ]  # fmt: skip
    some = cli("log", "list", "--from", 1, "--limit", 2, "--folder", node).stdout.splitlines()
    assert [line.split()[0] for line in some] == ["1", "2"]
    entry = cli.json("log", "entry", 1, "--folder", node, "-o", tmp_path / "e1")
    assert (entry["kind"], entry["iss"], entry["seq"]) == ("grant", OPERATOR, 1)
    assert (tmp_path / "e1").stat().st_size > 100
    for index in ("5", "-1", "+1", "1_0", "x"):
        cli("log", "entry", "--folder", node, "--", index, code=2)
    cli("log", "list", "--from", 99, "--folder", node, code=2)


def test_a_rolled_back_log_is_brought_back_from_bundles(cli: Cli, node: Path, tmp_path: Path) -> None:
    old = shutil.copytree(node, tmp_path / "old")
    words = ("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node)
    cli(*words, "speed=1[1/min]")
    cli("prove", TWIN, "-o", tmp_path / "pump.twinproof", "--folder", node)
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        (node / name).unlink(missing_ok=True)
        if (old / name).exists():
            shutil.copy(old / name, node / name)
    assert cli.error(*words, "speed=2[1/min]", code=1)["code"] == "rolled-back"
    assert cli.json("log", "restore", node, tmp_path / "pump.twinproof") == {"restored": 1}
    assert cli.json("fsck", node)["entries"] == 6
    cli(*words, "speed=2[1/min]")


def test_a_lost_pin_is_set_from_a_checkpoint(cli: Cli, node: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text(cli("log", "head", "--folder", node).stdout)
    (node / "log.pin").unlink()
    words = ("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "speed=1[1/min]")
    assert cli.error(*words, code=1)["code"] == "rolled-back"
    (tmp_path / "nonsense").write_text("nonsense")
    cli("log", "repin", node, tmp_path / "nonsense", code=1)
    assert cli.json("log", "repin", node, tmp_path / "checkpoint") == {"missing": 0}
    cli(*words)


def test_a_folder_that_cannot_be_written(cli: Cli, node: Path) -> None:
    if os.geteuid() == 0:
        (node / "log.db.lock").unlink(missing_ok=True)
        (node / "log.db.lock").mkdir()
    else:
        node.chmod(0o500)
    words = ("record", "--key", node / "pump7.pem", "--twin", TWIN, "--folder", node, "speed=1[1/min]")
    assert cli.error(*words, "--outbox", node.parent / "outbox", code=3)["code"] == "storage-failed"
    node.chmod(0o700)
