"""The example of a whole fleet runs as it stands, from simulated engines to the auditor's last line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.rig import Cli

_EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "engine-fleet"


def test_the_fleet_orders_its_own_part(cli: Cli, tmp_path: Path) -> None:
    binaries = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [_EXAMPLE / "run.sh", tmp_path / "fleet"],
        check=False, timeout=900, capture_output=True, text=True, env={**os.environ, "PATH": binaries},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "every bit the same" in done.stdout
    assert "\nVERIFIED: " in done.stdout
    node = tmp_path / "fleet" / "node"
    shown = cli.json("agreement", "show", "1-1", "--folder", node)
    assert shown["state"] == "fulfilled"
    assert cli.json("agreement", "show", "1", "--folder", node)["free"] == str(5 * 10**17)


def test_the_readme_names_the_commands_that_the_script_gives() -> None:
    readme, script = ((_EXAMPLE / name).read_text() for name in ("README.md", "run.sh"))
    named = [
        words
        for row in re.findall(r"^\| [1-7] \| (.*?) \|", readme, re.MULTILINE)
        for words in re.findall("`(.*?)`", row)
    ]
    assert len(named) > 20
    missing = [words for words in named if f"twinproof {words.partition(' --')[0]}" not in script]
    assert missing == []
