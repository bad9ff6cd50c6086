"""Runs commands in this process, and a node to run them on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from twinproof.cli import main

ORIGIN = "twin.example/log0"
OPERATOR = "https://twin.example/operator"
DEVICE = "urn:dev:org:32473-pump:7"
TWIN = "https://twin.example/pump/7"


@dataclass(frozen=True)
class Cli:
    """Runs commands; every call names the exit code that it expects."""

    def __call__(self, *arguments: object, code: int = 0, given: str | None = None, env: Any = None) -> Result:
        result = CliRunner().invoke(main, [str(word) for word in arguments], input=given, env=env)
        assert result.exit_code == code, f"{arguments}: {result.exit_code}\n{result.output}\n{result.exception!r}"
        return result

    def json(self, *arguments: object, code: int = 0, given: str | None = None) -> Any:
        return json.loads(self(*arguments, "--json", code=code, given=given).stdout)

    def error(self, *arguments: object, code: int, given: str | None = None) -> dict[str, str]:
        """The error object on stderr; stdout holds nothing."""
        result = self(*arguments, "--json", code=code, given=given)
        assert result.stdout == ""
        found: dict[str, str] = json.loads(result.stderr)["error"]
        assert found.keys() == {"code", "message"}
        return found


def make_node(cli: Cli, folder: Path) -> Path:
    """A node with one device, one grant and three statements: entries 0 to 4."""
    cli("init", folder, "--origin", ORIGIN, "--operator", OPERATOR)
    cli("key", "new", folder / "pump7.pem", "--iss", DEVICE)
    cli("grant", folder / "pump7.json", "--can", "record,describe", "--twin", TWIN, "--folder", folder)
    rows = "time,speed[1/min],inlet.T[Cel]\n" + "".join(
        f"2026-01-01T00:00:{second:02d}Z,{1480 + second},{20 + second / 10}\n" for second in range(6)
    )
    cli("record", "--key", folder / "pump7.pem", "--twin", TWIN, "--folder", folder, "--batch", 4, given=rows)
    return folder
