"""A writing process is killed (SIGKILL) again and again; what it had acknowledged is always there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.log.rig import Rig, audit, entries
from tests.log.test_sqlite import PYTHONPATH
from twinproof.log.store import Entry

KILLS = 10
GROUP = 7

CHILD = """
import sys
from pathlib import Path
from tests.log.rig import Rig, entries, indices

writer = (rig := Rig("sqlite", Path(sys.argv[1]))).open()
while True:
    start = writer.size
    found = indices(writer.append(entries(start, start + int(sys.argv[2]))))
    sys.stdout.write(f"{found[0]} {found[-1]}\\n")
    sys.stdout.flush()
"""


def run_until_killed(folder: Path, acknowledgements: int) -> dict[int, Entry]:
    """Start the child, read some acknowledgements, kill it at once; all that it managed to write count."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(GROUP)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )
    assert child.stdout
    lines = [child.stdout.readline() for _ in range(acknowledgements)]
    child.kill()
    lines += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    child.stdout.close()
    assert child.wait() == -9, "the child ended by itself"
    acknowledged: dict[int, Entry] = {}
    for line in lines:
        first, last = (int(word) for word in line.split())
        acknowledged |= dict(zip(range(first, last + 1), entries(first, last + 1), strict=True))
    return acknowledged


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    random = Random(11)
    acknowledged: dict[int, Entry] = {}
    for _ in range(KILLS):
        acknowledged |= run_until_killed(tmp_path, random.randrange(1, 25))
        rig = Rig("sqlite", tmp_path)
        rig.open()
        audit(rig, acknowledged)
        rig.close()
    assert len(acknowledged) >= KILLS * GROUP
