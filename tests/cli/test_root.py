"""The command as a whole: help, errors, exit codes, what is imported."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.cli.rig import Cli
from twinproof import errors
from twinproof.cli import SECTIONS, main
from twinproof.cli.output import ExitCode, count, exit_code, plain, progress, utc
from twinproof.errors import TwinproofError


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


EVERY = dict(commands(main))


def test_the_commands_are_there() -> None:
    names = {" ".join(words) for words in EVERY}
    assert {
        "init", "serve", "fsck", "demo", "prove", "verify", "record", "grant", "revoke", "grants", "key new",
        "key show", "log head", "log entry", "log list", "log receipt", "log repin", "log restore", "twin list",
        "twin show", "twin history", "import cmapss",
    } <= names  # fmt: skip


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_shows_an_example_that_names_the_command(words: tuple[str, ...], cli: Cli) -> None:
    text = cli(*words, "--help").stdout
    example = text.partition("Example")[2]
    assert f"twinproof {' '.join(words)}" in example
    assert f"Usage: twinproof {' '.join(words)}" in text


@pytest.mark.parametrize("words", [words for words, c in EVERY.items() if not isinstance(c, click.Group)], ids=" ".join)
def test_every_command_speaks_json_and_explains_its_options(words: tuple[str, ...]) -> None:
    options = [parameter for parameter in EVERY[words].params if isinstance(parameter, click.Option)]
    assert "--json" in {name for option in options for name in option.opts}
    assert [option.name for option in options if not option.help and option.name != "dataset"] == []


def test_help_lists_every_command_under_its_heading(cli: Cli) -> None:
    text = cli("--help").stdout
    for title, section in SECTIONS.items():
        assert title in text
        for name in section:
            assert f"\n  {name} " in text


def test_wrong_usage_is_two(cli: Cli) -> None:
    result = cli("verfy", code=2)
    assert result.stderr.startswith("error: No such command")
    assert "--help" in result.stderr
    assert cli.error("key", "new", "--frob", code=2)["code"] == "usage"


def test_no_arguments_show_the_help(cli: Cli) -> None:
    assert "Usage" in "".join(cli(code=2).output)


def test_every_error_has_an_exit_code() -> None:
    def kinds(kind: type[TwinproofError]) -> Iterator[type[TwinproofError]]:
        for below in kind.__subclasses__():
            if below.__module__ == errors.__name__:
                yield below
                yield from kinds(below)

    found = {kind.code: exit_code(kind.__new__(kind)) for kind in kinds(TwinproofError)}
    assert {code for code, shown in found.items() if shown == ExitCode.USAGE} == {
        "malformed", "too-large", "config", "not-installed", "not-found",
    }  # fmt: skip
    assert {code for code, shown in found.items() if shown == ExitCode.UNAVAILABLE} == {
        "unreachable", "chain-unreachable", "overloaded", "rate-limited", "storage-failed", "conflict", "internal",
    }  # fmt: skip
    assert {"bad-signature", "revoked", "rolled-back", "corrupt", "verification-failed"} <= {
        code for code, shown in found.items() if shown == ExitCode.REFUSED
    }


def test_python_dash_m_runs_it() -> None:
    done = subprocess.run([sys.executable, "-m", "twinproof", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("twinproof, version ")


def run_python(code: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=env, timeout=60
    )


BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"starlette", "uvicorn", "httptools", "uvloop", "sqlite3", "anyio"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
from twinproof.cli import main
try:
    main(sys.argv[1:])
finally:
    seen = [name for name in sys.modules if name.startswith("twinproof.")]
    rooms = {name.split(".")[1] for name in seen}
    print(sorted(rooms & {"log", "server", "edge", "views", "exchange"}), file=sys.stderr)
"""


def test_verify_needs_the_base_install_only(cli: Cli, node: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "pump.twinproof"
    cli("prove", "https://twin.example/pump/7", "-o", bundle, "--folder", node)
    done = run_python(BLOCKED, "verify", str(bundle), "--policy", str(node / "policy.txt"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"] is True
    assert done.stderr.strip() == "[]"


def test_serve_without_its_extra_says_what_to_install(node: Path) -> None:
    code = BLOCKED.replace('"sqlite3", ', "")
    done = run_python(code, "serve", str(node), "--port", "0")
    assert done.returncode == 2
    assert "pip install 'twinproof[node]'" in done.stderr


def test_colour_only_on_a_terminal_and_not_with_no_color(cli: Cli, node: Path) -> None:
    assert "\x1b" not in cli("fsck", node).output
    coloured = CliRunner().invoke(main, ["fsck", str(node)], color=True)
    assert "\x1b[" in coloured.output
    plain_again = CliRunner().invoke(main, ["fsck", str(node)], color=True, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain_again.output


@pytest.mark.parametrize("words", [("log", "list", "--json"), ("--help",)])
def test_a_reader_that_goes_away_gets_no_complaint(node: Path, words: tuple[str, ...]) -> None:
    there, gone = os.pipe()
    os.close(there)
    options = ("--folder", str(node)) if words[0] == "log" else ()
    command = [sys.executable, "-m", "twinproof", *words, *options]
    done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    os.close(gone)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", [(), ("twin",), ("log",)])
def test_a_group_without_a_command_shows_its_help_and_no_error(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words, code=2)
    assert result.stderr.startswith("Usage: twinproof")
    assert "Try '" not in result.stderr


def test_json_can_say_what_cbor_can() -> None:
    assert plain({1: b"\x00", "t": (1, float("nan"))}) == {"1": {"base64": "AA=="}, "t": [1, "nan"]}


def test_words_for_numbers_and_times() -> None:
    assert [count(1, "entry"), count(2345, "entry"), count(0, "finding")] == ["1 entry", "2,345 entries", "0 findings"]
    assert utc(1_700_000_000) == "2023-11-14T22:13:20Z"
    assert utc(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
    assert utc(1 << 52) == str(1 << 52)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_on_a_terminal_and_wiped_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("Checking") as report:
        report(500, 1000)
        report(1000, 1000)
    drawn = terminal.getvalue()
    assert "Checking  [############            ]  500/1,000" in drawn
    assert "1,000/1,000" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_progress_is_silent_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Checking") as report:
        report(1, 1)
    assert capsys.readouterr() == ("", "")
