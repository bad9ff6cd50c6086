"""Docs under test: every command line parses, the first screen's commands run, tables agree with the code."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from twinproof.cli import SECTIONS, main
from twinproof.node.config import Access, ChainSettings, Config, ForecastSettings, Limits, Listen, Messages
from twinproof.server.app import Endpoints

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


def command_lines(text: str) -> list[str]:
    """Lines that begin with `twinproof` in shell fences, and such lines in the help's examples."""
    lines = [line for language, block in FENCE.findall(text) if language == "sh" for line in block.splitlines()]
    return [line.strip() for line in lines if line.strip().startswith("twinproof ")]


DOCUMENTED = [(page.name, line) for page in PAGES for line in command_lines(page.read_text())]


def check(line: str) -> None:
    """Raise a usage error unless the options of a command line exist and what is required is there."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="<>|&")
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("<>|&"):
            break
        words.append(word)
    command: click.Command = main
    context = click.Context(main, info_name="twinproof")
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"no command {rest[0]}"
        context = click.Context(found, parent=context, info_name=rest.pop(0))
        command = found
    values, left, _ = command.make_parser(context).parse_args(args=list(rest))
    assert left == [], f"too many words: {left}"
    for parameter in command.params:
        value = values.get(parameter.name or "")
        if isinstance(value, str) and not isinstance(parameter.type, click.Path):
            parameter.type.convert(value, parameter, context)
        assert isinstance(value, str | tuple | list | bool) or not parameter.required, f"{parameter.name} is missing"


@pytest.mark.parametrize(("page", "line"), DOCUMENTED, ids=[f"{page}: {line}"[:70] for page, line in DOCUMENTED])
def test_a_documented_command_line_parses(page: str, line: str) -> None:
    check(line)


@pytest.mark.parametrize(
    "line", ["twinproof verify x", "twinproof fsck --frob x", "twinproof key new a b --iss urn:x:y"]
)
def test_the_check_can_fail(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        check(line)


def test_every_command_is_documented() -> None:
    lines = "\n".join(line for page, line in DOCUMENTED if page == "cli.md")
    for name in (name for section in SECTIONS.values() for name in section):
        assert f"twinproof {name}" in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [target for target, _ in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in links if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    folder = ROOT / "docs"
    listed = {target for target, _ in LINK.findall((folder / "README.md").read_text())}
    pages = {page.relative_to(folder).as_posix() for page in folder.rglob("*.md")} - {"README.md"}
    assert sorted(pages - listed) == []


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    for item in fields(Limits):
        assert f"| `limits.{item.name}` | {item.default} |" in text
    for section, settings in (
        ("access", Access()),
        ("log", Messages()),
        ("forecast", ForecastSettings()),
        ("chain", ChainSettings()),
    ):
        for item in fields(settings):
            default = getattr(settings, item.name)
            assert f"| `{section}.{item.name}` | {'' if default is None else default} |".replace("  ", " ") in text
    assert {item.name for item in fields(Config)} == {
        "origin",
        "listen",
        "limits",
        "access",
        "log",
        "forecast",
        "chain",
    }
    assert f"| `listen.host`, `listen.port` | {Listen().host}, {Listen().port} |" in text


def test_every_route_is_documented(template: Path) -> None:
    from twinproof.node.node import open_node

    with open_node(template) as node:
        routes = {
            (method, route.path.replace("{path:path}", "{path}"))
            for route in Endpoints(node, lambda: 0.0).routes()
            for method in route.methods or ()
            if method != "HEAD"
        }
    documented = re.findall(r"^\| `(GET|POST) ([^`?]+)", (ROOT / "docs" / "http.md").read_text(), re.MULTILINE)
    assert {(method, path.strip()) for method, path in documented} == routes


def test_makefile_targets_that_docs_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)}
    assert named
    assert named <= targets


def test_the_first_screens_commands_run(tmp_path: Path) -> None:
    """The README's quick start, as it stands, but for the port and the folder."""
    blocks = [block for language, block in FENCE.findall((ROOT / "README.md").read_text()) if language == "sh"]
    (script,) = [block for block in blocks if "twinproof init" in block]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = script.replace("serve ./node", f"serve ./node --port {port}").replace(":8600", f":{port}")
    program = tmp_path / "bin" / "twinproof"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m twinproof "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"set -e; trap 'kill $!; wait' EXIT\n{script}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "1480 1/min" in done.stdout
    assert "VERIFIED: 1 statement about https://twin.example/pump/7, in twin.example/log0" in done.stdout
