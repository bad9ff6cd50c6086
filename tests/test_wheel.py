"""The wheel of `make dist`: it holds what was built of the console, which the repository does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
WEB = "twinproof/server/web"
BUILT = ("index.html", "verify.html", "assets/index-BIMkAyvM.js")


def wheel_of(folder: Path, out: Path) -> set[str]:
    """Names of the files in the wheel that is built in a folder; needs no network."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    with ZipFile(path) as wheel:
        return set(wheel.namelist())


def test_a_wheel_holds_the_console_that_was_built_and_can_do_without(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    leave = shutil.ignore_patterns("__pycache__", "web")
    shutil.copytree(ROOT / "src", folder / "src", ignore=leave)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)

    bare = wheel_of(folder, tmp_path / "bare")
    assert "twinproof/server/console.py" in bare
    assert not any(name.startswith(WEB) for name in bare)

    for name in BUILT:
        path = folder / "src" / WEB / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("built")
    assert wheel_of(folder, tmp_path / "whole") - bare == {f"{WEB}/{name}" for name in BUILT}
