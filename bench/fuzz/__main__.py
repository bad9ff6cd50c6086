"""Fuzz the parsers for a bounded time with atheris (libFuzzer).

    python -m bench.fuzz [--seconds 20] [--runs N] [--corpus DIR] [target ...]

Every target runs in a process of its own, for its share of the seconds. A finding is printed with
the bytes that made it, kept in the corpus folder as `crash-*`, and ends the run with status 1.
atheris is not among the project's dependencies: install it where you fuzz.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run_target(name: str, arguments: list[str]) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["twinproof"]):
        targets = importlib.import_module("bench.fuzz.targets")
        errors = importlib.import_module("twinproof.errors")
    target = targets.TARGETS[name][0]

    def one(data: bytes) -> None:
        try:
            target(data)
        except errors.TwinproofError:
            return

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description="Fuzz the parsers for a bounded time.")
    parser.add_argument("targets", nargs="*", metavar="target", help="default: all")
    parser.add_argument("--seconds", type=int, default=20, help="for all targets together (default 20)")
    parser.add_argument("--runs", type=int, default=-1, help="per target, if fewer than the seconds allow")
    parser.add_argument("--corpus", type=Path, help="keep inputs here between runs")
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_target(given.one[0], given.one[1:])
        return 0
    try:
        importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed: pip install atheris==3.0.0", file=sys.stderr)
        return 2
    targets = importlib.import_module("bench.fuzz.targets").TARGETS
    unknown = set(given.targets) - set(targets)
    if unknown:
        parser.error(f"unknown targets {', '.join(sorted(unknown))}; known are {', '.join(targets)}")
    names = given.targets or list(targets)
    with tempfile.TemporaryDirectory() as scratch:
        return fuzz_all(names, targets, given.corpus or Path(scratch), max(1, given.seconds // len(names)), given.runs)


def fuzz_all(names: list[str], targets: dict[str, Any], corpus: Path, seconds: int, runs: int) -> int:
    """Run the targets one after the other; 1 if one of them found something."""
    failed: list[str] = []
    for name in names:
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(targets[name][1]):
            (folder / f"seed-{number}").write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-runs={runs}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024"]
        command = [sys.executable, "-m", "bench.fuzz", "--one", name, *options]
        done = subprocess.run(
            [*command, f"-artifact_prefix={folder}/", "-print_final_stats=1", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        output = done.stdout + done.stderr
        executed = [line.split()[-1] for line in output.splitlines() if "number_of_executed_units" in line]
        print(
            f"{name:12} {executed[0] if executed else '?':>9} runs  {'ok' if done.returncode == 0 else 'FAILED'}",
            flush=True,
        )
        if done.returncode:
            failed.append(name)
            print(output[-4000:], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
