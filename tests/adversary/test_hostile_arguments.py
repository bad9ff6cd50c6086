"""Every command on files and words that are none of what it asks for: a short refusal, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.rig import TWIN, Cli, make_node
from twinproof.cli import main

FILES: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(100),
    "noise": bytes(range(256)) * 20,
    "text": "é\ud7ff,".encode() * 50,
    "brackets": b"[" * 100_000,
    "object": b'{"iss": 1}',
    "map": b"\xa0",
    "tag": b"\xd2\x84",
    "endless array": b"\xa1\x67entries\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    "proof": b"c2sp.org/tlog-proof@v1\n",
    "pem": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
}
ADDRESSES = [
    "",
    "http://",
    "http://[::1",
    "http://127.0.0.1:x",
    "http://127.0.0.1:99999",
    "ftp://x",
    "file:///etc/hosts",
]
WORDS = ["", "-1", "1e3", "9" * 5000, "\udcff", "a:\udcff", "urn:x:\u202e", "x", "a b"]


@pytest.fixture(scope="module")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="module")
def node(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_node(cli, tmp_path_factory.mktemp("hostile") / "node")


@pytest.fixture(scope="module")
def before(node: Path) -> Iterator[None]:
    """Nothing that is refused leaves anything in the log."""
    held = Cli().json("log", "head", "--folder", node)
    yield
    assert Cli().json("log", "head", "--folder", node) == held


def refused(cli: Cli, *arguments: object) -> None:
    result = cli(*arguments, "--json", code=2)
    assert result.stdout == ""
    error: dict[str, Any] = json.loads(result.stderr)["error"]
    assert error["message"]
    assert len(result.stderr) < 20_000


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("name", [*FILES, "folder", "missing", "loop"])
def test_files(cli: Cli, node: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if name == "folder":
        file.mkdir()
    elif name == "loop":
        file.symlink_to(file)
    elif name in FILES:
        file.write_bytes(FILES[name])
        file.chmod(0o600)
    policy = node / "policy.txt"
    (tmp_path / "some.cose").write_bytes(b"\xd2\x84")
    (tmp_path / "some.tlog-proof").write_bytes(b"c2sp.org/tlog-proof@v1\n")
    if name not in ("map", "tag", "endless array", "proof"):
        refused(cli, "verify", file, "--policy", policy)
    else:
        assert json.loads(cli("verify", file, "--policy", policy, "--json", code=1 if name != "proof" else 2).output)
    refused(cli, "verify", tmp_path / "some.cose", "--policy", file)
    refused(cli, "verify", tmp_path / "some.cose", "--policy", policy, "--signer", file)
    refused(cli, "key", "show", file)
    refused(cli, "grant", file, "--can", "record", "--twin", "a:b", "--folder", node)
    refused(cli, "grant", node / "pump7.json", "--can", "record", "--twin", "a:b", "--folder", node, "--key", file)
    refused(cli, "record", "--key", file, "--twin", TWIN, "--folder", node, "a=1")
    for command in ("repin", "restore"):
        arguments = ["log", command, str(node), str(file), "--json"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code in (1, 2)
        assert json.loads(result.stderr)["error"]["message"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses(cli: Cli, node: Path, tmp_path: Path, address: str) -> None:
    refused(cli, "log", "head", "--url", address)
    refused(cli, "grants", "--url", address)
    refused(cli, "prove", TWIN, "-o", tmp_path / "out", "--url", address)
    refused(cli, "record", "--key", node / "pump7.pem", "--twin", TWIN, "--url", address, "a=1")


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize("word", WORDS)
def test_words(cli: Cli, node: Path, tmp_path: Path, word: str) -> None:
    card, folder = node / "pump7.json", ("--folder", node)
    refused(cli, "grant", card, "--can", "record", "--twin", word, *folder)
    refused(cli, "grant", card, "--can", word, "--twin", "a:b", *folder)
    refused(cli, "grant", card, "--can", "record", "--twin", "a:b", "--until", word, *folder)
    refused(cli, "revoke", word, *folder)
    refused(cli, "key", "new", tmp_path / "new.pem", "--iss", word)
    refused(cli, "init", tmp_path / "new", "--origin", "a.example/b", "--operator", word)
    refused(cli, "log", "entry", word, *folder)
    if word:  # the empty prefix is every twin
        refused(cli, "grant", card, "--can", "record", "--prefix", word, *folder)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.pem").exists()
