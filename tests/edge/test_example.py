"""The example runs, and the snippet of docs/recorder.md too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.edge.device import KEY, readings_of
from twinproof.testing.edge import FakeLog, serve_log

_REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_example_records_this_machines_load(tmp_path: Path) -> None:
    key = tmp_path / "laptop.pem"
    key.write_bytes(KEY.to_pem())
    log = FakeLog({KEY.public.thumbprint: KEY.public}, clock=time.time)
    with serve_log(log) as url:
        subprocess.run(
            [
                *(sys.executable, _REPOSITORY / "examples" / "record.py", url, key),
                *("urn:dev:laptop", "urn:asset:laptop", "--every", "0", "--samples", "5"),
            ],
            check=True,
            timeout=60,
        )
    readings = [reading for statement in log.statements() for reading in readings_of(statement)]
    assert [reading.name for reading in readings] == ["load/1min", "load/5min"] * 5
    assert {reading.unit for reading in readings} == {"1"}


def test_the_snippet_of_the_documentation_runs(tmp_path: Path) -> None:
    text = (_REPOSITORY / "docs" / "recorder.md").read_text()
    [snippet] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "pump7.pem").write_bytes(KEY.to_pem())
    log = FakeLog({KEY.public.thumbprint: KEY.public}, clock=time.time)
    with serve_log(log) as url:
        code = snippet.replace("http://127.0.0.1:8600", url)
        assert code != snippet
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path, env=dict(os.environ))
    [statement] = log.statements()
    assert [reading.name for reading in readings_of(statement)] == ["speed", "inlet/T", "running"]
