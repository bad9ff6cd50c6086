"""What holds for the repository as a whole, whatever is in it."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "src" / "twinproof"

# Put together from parts, so that this file does not hold what it forbids.
REGISTRY_HOSTS = [
    f"{name}.{domain}"
    for name, domain in [
        ("pypi", "org"),
        ("files.pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("crates", "io"),
        ("proxy.golang", "org"),
        ("repo1.maven", "org"),
        ("repo.maven.apache", "org"),
        ("deb.debian", "org"),
    ]
]
MACHINE_PATH = re.compile(r"(?<![\w./}-])/(?:work|root|tmp|home/\w+|Users/\w+)/")
VAGUE = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return [path for name in listing.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


def test_no_tracked_file_names_a_registry_or_a_machine() -> None:
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.name}: {host}" for host in REGISTRY_HOSTS if host in text]
        found += [f"{path.name}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", sorted((REPOSITORY / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_every_requirement_is_pinned_and_hashed(path: Path) -> None:
    logical_lines = path.read_text().replace("\\\n", " ").splitlines()
    requirements = [line for line in logical_lines if line.strip() and not line.lstrip().startswith("#")]
    assert requirements
    assert [line for line in requirements if not re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_modules_are_small_and_named_for_what_they_hold() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert modules
    assert [str(path) for path in modules if len(path.read_text().splitlines()) > 600] == []
    parts = {part.removesuffix(".py") for path in modules for part in path.relative_to(PACKAGE).parts}
    assert parts & VAGUE == set()


def test_ci_script_can_be_run() -> None:
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)


def test_every_room_has_its_place_in_the_layers() -> None:
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contract = next(c for c in config["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
    placed = set(re.findall(r"\w+", " ".join(contract["layers"] + contract["exhaustive_ignores"])))
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {path.stem for path in PACKAGE.glob("*.py")}
    assert rooms - {"__init__"} <= placed
    assert contract["exhaustive"] is True
