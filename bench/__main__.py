"""Runs benchmarks: one JSON line each on standard output, and the same in bench/results/<name>.json."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sqlite3
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Every benchmark: the modules in this folder, not the packages."""
    found = (module.name for module in pkgutil.iter_modules([str(FOLDER)]) if not module.ispkg)
    return sorted(name for name in found if not name.startswith("_"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which ones; all without: {', '.join(names())}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs; writes no results")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    for name in arguments.names or names():
        print(f"== {name}", file=sys.stderr, flush=True)
        start = time.perf_counter()
        numbers = importlib.import_module(f"bench.{name}").run(arguments.quick)
        result = {
            "bench": name,
            "quick": arguments.quick,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "cores": os.cpu_count(),
            "seconds": round(time.perf_counter() - start, 1),
            **numbers,
        }
        print(json.dumps(result), flush=True)
        if not arguments.quick:
            folder = FOLDER / "results"
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
