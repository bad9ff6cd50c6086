"""`twinproof console`: links that sign in, and the key for what people say there."""

from __future__ import annotations

import time
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.rig import Cli
from twinproof.node.config import FILE_NAME, Listen, format_config, load_config
from twinproof.node.service_keys import CONSOLE
from twinproof.node.tokens import EVERYTHING, OPERATE, TokenFile

CONSOLE_LINK = "http://127.0.0.1:8600/console/#/signin?token="


def listen_at(node: Path, host: str, port: int) -> None:
    changed = replace(load_config(node), listen=Listen(host, port))
    (node / FILE_NAME).write_text(format_config(changed))


def test_a_link_signs_in_to_read_and_act_for_twelve_hours(cli: Cli, node: Path) -> None:
    made = cli.json("console", node)
    assert made["url"].startswith(CONSOLE_LINK)
    token = TokenFile(node, time.time).check(made["url"].removeprefix(CONSOLE_LINK))
    assert token.id == made["id"]
    assert token.scopes == (EVERYTHING, OPERATE)
    assert token.expires == made["expires"] == token.created + 12 * 3600
    assert token.note == "console"
    shorter = cli.json("console", node, "--for", "2h")
    assert shorter["expires"] - TokenFile(node, time.time).list()[-1].created in range(7199, 7202)


def test_the_link_alone_is_on_stdout(cli: Cli, node: Path) -> None:
    listen_at(node, "127.0.0.1", 1)
    result = cli("console", node)
    assert result.stdout.startswith("http://127.0.0.1:1/console/#/signin?token=tp_")
    assert result.stdout.count("\n") == 1
    assert "whoever has it may read everything and act" in result.stderr
    assert f"Nothing listens there yet: twinproof serve {node}" in result.stderr


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("0.0.0.0", "http://127.0.0.1:8600"),  # noqa: S104
        ("::", "http://[::1]:8600"),
        ("::1", "http://[::1]:8600"),
        ("node.example", "http://node.example:8600"),
    ],
)
def test_where_the_link_leads(cli: Cli, node: Path, host: str, place: str) -> None:
    listen_at(node, host, 8600)
    assert cli.json("console", node)["url"].startswith(f"{place}/console/#/signin?token=")


def test_an_address_of_its_own(cli: Cli, node: Path) -> None:
    url = cli.json("console", node, "--url", "https://twin.example/")["url"]
    assert url.startswith("https://twin.example/console/#/signin?token=tp_")
    listen_at(node, "127.0.0.1", 0)
    assert "--url" in cli.error("console", node, code=2)["message"]
    assert len(TokenFile(node, time.time).list()) == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["{node}", "{node}"],
        ["enable"],
        ["disable", "{node}"],
        ["{node}/keys"],
        ["enable", "{node}/keys"],
        ["{node}", "--url", "twin.example"],
        ["{node}", "--url", "ftp://twin.example"],
        ["{node}", "--url", "http://["],
        ["{node}", "--for", "2 hours"],
    ],
    ids=range(10),
)
def test_what_is_refused_makes_no_token(cli: Cli, node: Path, words: list[str]) -> None:
    cli("console", *(word.replace("{node}", str(node)) for word in words), code=2)
    assert TokenFile(node, time.time).list() == []


def test_it_opens_a_browser(cli: Cli, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    result = cli("console", node, "--open")
    assert opened == [result.stdout.strip()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert "open the link yourself" in cli("console", node, "--open").stderr


def test_enabling_makes_a_key_with_a_grant_once(cli: Cli, node: Path) -> None:
    issuer = CONSOLE.issuer(load_config(node).origin)
    made = cli.json("console", "enable", node)
    assert made["iss"] == issuer
    (grant,) = [one for one in cli.json("grants", "--folder", node) if one["iss"] == issuer]
    assert grant["can"] == ["operate"]
    assert (node / "keys" / "console.pem").stat().st_mode & 0o777 == 0o600
    key = (node / "keys" / "console.pem").read_bytes()
    assert cli.json("console", "enable", node) == {"iss": issuer, "index": None}
    assert "already" in cli("console", "enable", node).stdout
    assert (node / "keys" / "console.pem").read_bytes() == key
