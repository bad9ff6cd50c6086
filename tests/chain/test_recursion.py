"""Importing what EVM libraries bring along must leave nested input an error, not the end of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

_READ = "import json, {module}\ntry:\n json.loads('[' * 200_000)\nexcept RecursionError:\n print('refused')"
_IN_A_THREAD = (
    "import threading\ndef read():\n{body}\nthread = threading.Thread(target=read)\nthread.start()\nthread.join()"
)


@pytest.mark.parametrize(
    "module",
    [
        "twinproof.chain.embedded.pyevm",
        "twinproof.chain.keystore",
        "twinproof.chain.abi",
        "twinproof.chain.rpc",
        "twinproof.chain.sender",
        "twinproof.chain.proofs",
    ],
)
def test_nested_json_is_refused(module: str) -> None:
    body = _READ.format(module=module)
    inner = "\n".join(" " + line for line in body.splitlines())
    for program in (body, _IN_A_THREAD.format(body=inner)):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
