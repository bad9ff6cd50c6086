"""`twinproof token`, `twinproof rebuild`, and `twinproof serve` with its settings of access and messages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.cli.rig import DEVICE, TWIN, Cli
from twinproof.node.live import VIEWS, open_live
from twinproof.node.messages import JsonLines


def test_tokens_are_made_listed_and_revoked(cli: Cli, node: Path) -> None:
    made = cli.json(
        "token", "new", node, "--scope", f"twin:{TWIN}", "--scope", "prefix:urn:x:", "--for", "2h", "--note", "x"
    )
    assert made["token"].startswith(f"tp_{made['id']}_")
    assert made["scopes"] == [f"twin:{TWIN}", "prefix:urn:x:"]
    assert made["expires"] - made["created"] == 7200
    result = cli("token", "new", node, "--scope", "all")
    other = result.stdout.strip()
    assert "not shown again" in result.stderr
    listed = {one["id"]: one for one in cli.json("token", "list", node)}
    assert listed.keys() == {made["id"], other[3:19]}
    assert "token" not in listed[made["id"]]
    assert "holds until" in cli("token", "list", node).stdout
    assert cli.json("token", "revoke", node, made["id"])["revoked"] >= made["created"]
    assert f"{made['id']}  the token is revoked" in cli("token", "list", node).stdout
    assert cli("token", "revoke", node, other[3:19]).stdout == f"{other[3:19]} is revoked\n"


@pytest.mark.parametrize(
    "words",
    [
        ["new", "{node}"],
        ["new", "{node}", "--scope", "everything"],
        ["new", "{node}", "--scope", "twin:no iri"],
        ["new", "{node}", "--scope", "all", "--for", "2 hours"],
        ["new", "{node}", "--scope", "all", "--for", "0d"],
        ["new", "{node}", "--scope", "all", "--note", "two\nlines"],
        ["new", "{node}/keys", "--scope", "all"],
        ["revoke", "{node}", "x"],
        ["revoke", "{node}", "00" * 8],
    ],
)
def test_what_is_refused(cli: Cli, node: Path, words: list[str]) -> None:
    cli("token", *(word.replace("{node}", str(node)) for word in words), code=2)
    assert cli.json("token", "list", node) == []


def test_rebuild_makes_the_same_views(cli: Cli, node: Path) -> None:
    with open_live(node) as live:
        assert live.states.wait(live.feed.size, 30)
        assert live.telemetry.wait(live.feed.size - 1, 30)
        before = list(live.states.digest_rows()), live.telemetry.digest()
    (node / VIEWS / "telemetry.duckdb").write_bytes(b"damaged")
    (node / VIEWS / "telemetry.duckdb.tmp").mkdir()
    done = cli.json("rebuild", node)
    assert done["views"] == {"states": 5, "telemetry": 5}
    assert "states: 5 entries" in cli("rebuild", node).stdout
    with open_live(node) as live:
        assert (live.states.reached, live.telemetry.reached) == (5, 5)
        assert (list(live.states.digest_rows()), live.telemetry.digest()) == before
        cli.error("rebuild", node, code=3)


class Served:
    """`twinproof serve` with options; what it said when it began."""

    def __init__(self, node: Path, *options: str) -> None:
        command = [sys.executable, "-m", "twinproof", "serve", str(node), "--port", "0", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.address = self.said["listening"].removeprefix("http://")

    def get(self, path: str, token: str = "") -> tuple[int, bytes]:
        connection = HTTPConnection(self.address, timeout=30)
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return errors


def test_a_served_node_with_tokens(cli: Cli, node: Path) -> None:
    path = node / "twinproof.toml"
    text = path.read_text().replace("[access]\n", "[access]\nopen = false\n")
    path.write_text(text.replace('format = "text"', 'format = "json"').replace('level = "warning"', 'level = "info"'))
    token = cli.json("token", "new", node, "--scope", f"twin:{TWIN}")["token"]
    served = Served(node, "--access-log")
    try:
        assert served.said["readers"] == "readers need a token"
        assert served.get(f"/api/v1/state?sub={TWIN}")[0] == 401
        status, body = served.get(f"/api/v1/state?sub={TWIN}&at_least=4", token)
        assert (status, json.loads(body)["sub"]) == (200, TWIN)
        assert served.get(f"/api/v1/state?sub={DEVICE}", token)[0] == 403
        cli("token", "revoke", node, token[3:19])
        assert served.get(f"/api/v1/state?sub={TWIN}", token)[0] == 401
    finally:
        errors = served.stop()
    lines = [json.loads(line) for line in errors.splitlines()]
    assert all(line.keys() == {"time", "level", "logger", "message"} for line in lines)
    assert any("readers need a token" in line["message"] for line in lines)
    assert any("GET /api/v1/state" in line["message"] for line in lines)
    assert token not in errors
    denied = [json.loads(line)["status"] for line in (node / "access.log").read_text().splitlines()]
    assert denied == [401, 403, 401]


def test_the_kernel_alone(node: Path) -> None:
    served = Served(node, "--no-views")
    try:
        assert served.get("/health")[0] == 200
        assert served.get("/tile/0/000.p/5")[0] == 200
        assert served.get("/api/v1/twins")[0] == 404
        assert not (node / VIEWS).exists()
    finally:
        assert served.stop() == ""


def test_messages_are_one_line_each() -> None:
    import logging

    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "a %s\nb", ("\u2028",), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "\u2028" not in line
    said = json.loads(line)
    assert said["message"] == "a \u2028\nb"
    assert said["exception"].endswith("ValueError: two\nlines")
