"""The offline auditor is small: proof, twin and verify need two packages, and nothing of ours beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import tokenize
from pathlib import Path

from tests.builders import START
from tests.spec_examples import example_log
from tests.verify.anchorkit import anchor, block_at, with_anchors

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "twinproof"
MAX_CODE_LINES = 5200
"""An evening's reading: half of it is payloads of kinds that a reader can take one at a time, a tenth anchors."""

CHILD = """
import sys

OURS = {"twinproof", "twinproof.errors", "twinproof.verify"}
FOREIGN = {"cryptography", "nacl", "cffi", "_cffi_backend", "pycparser"}
LOADED = set(sys.modules)


class Wall:
    def find_spec(self, name, path=None, target=None):
        room = name.split(".")[0]
        if room == "twinproof":
            if name in OURS or name.startswith(("twinproof.proof", "twinproof.twin")):
                return None
        elif room in FOREIGN or room in sys.stdlib_module_names:
            return None
        raise ImportError(f"the auditor must not import {name}")


sys.meta_path.insert(0, Wall())

import importlib
import json
import pkgutil

import twinproof.proof
import twinproof.twin

for package in (twinproof.proof, twinproof.twin):
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
from twinproof.proof.policy import parse_policy
from twinproof.twin.anchors import AnchorTrust
from twinproof.verify import verify_bundle

policy, bundle, block = (bytes.fromhex(line) for line in sys.stdin.read().split())
history = verify_bundle(bundle, parse_policy(policy), anchors=AnchorTrust(frozenset([block])))
times = [entry.time.anchored for entry in history.entries]
print(json.dumps({"times": times, "modules": sorted(set(sys.modules) - LOADED)}))
"""


def test_a_bundle_is_verified_with_everything_else_blocked() -> None:
    log = example_log()
    policy = f"log {log.keys[0].verifier}\nquorum none\n".encode()
    block = block_at(log, len(log), START + 60)
    bundle = with_anchors(log, [anchor(log, block.evidence(0), len(log))])
    ended = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=f"{policy.hex()}\n{bundle.hex()}\n{block.hash.hex()}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["times"] == [START + 60]
    loaded = set(answer["modules"])
    assert {"twinproof.verify", "cryptography", "nacl"} <= loaded
    rooms = {name.split(".")[1] for name in loaded if name.startswith("twinproof.")}
    assert rooms == {"errors", "proof", "twin", "verify"}
    unwanted = {"asyncio", "sqlite3", "socket", "ssl", "http", "starlette", "click", "urllib3", "numpy", "duckdb"}
    assert loaded & unwanted == set()


def test_the_wall_of_this_test_holds() -> None:
    for name in ("twinproof.log", "twinproof.edge", "twinproof.chain", "click", "cbor2", "rlp", "hypothesis"):
        child = CHILD.replace("policy, bundle, block", f"import {name}\npolicy, bundle, block", 1)
        ended = subprocess.run([sys.executable, "-c", child], input="", capture_output=True, text=True, check=False)
        assert ended.returncode != 0
        assert f"must not import {name}" in ended.stderr


def code_lines(path: Path) -> int:
    """Lines that hold code: not blank, no comment, no docstring."""
    lines: set[int] = set()
    with path.open("rb") as file:
        at_start = True
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING):
                at_start = True
            elif token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER):
                if not (at_start and token.type == tokenize.STRING):
                    lines.update(range(token.start[0], token.end[0] + 1))
                at_start = False
    return len(lines)


def test_the_auditor_is_an_evenings_reading() -> None:
    files = [*(PACKAGE / "proof").glob("*.py"), *(PACKAGE / "twin").glob("*.py"), PACKAGE / "verify.py"]
    assert sum(map(code_lines, files)) <= MAX_CODE_LINES
