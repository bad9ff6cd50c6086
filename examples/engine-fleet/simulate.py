"""Write simulated turbofans as a C-MAPSS training file: python simulate.py DIR ENGINES.

They run to failure, like NASA's. With a copy of NASA's data this is not needed.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from twinproof.exchange.cmapss.simulate import simulate_fleet

SEED = 2008


def main(directory: Path, engines: int) -> None:
    """Write `directory`/train_FD001.txt."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = simulate_fleet(random.Random(SEED), engines)  # noqa: S311 - a simulation, repeatable on purpose
    lines = [" ".join(map(str, (row.unit, row.cycle, *row.values))) for row in rows]
    (directory / "train_FD001.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
