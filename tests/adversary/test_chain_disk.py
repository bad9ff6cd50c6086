"""An embedded chain on a disk that is full: what was acknowledged is there, and it goes on when there is room."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.chain.embedded_rig import ADDRESSES, CHAIN_ID, GENESIS, GWEI, KEYS
from twinproof.chain.accounts import Account
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.embedded.replay import replay
from twinproof.chain.signing import Unsigned

PAYEE = b"\x09" * 20

# No file of that process may grow beyond the limit; the second number is how often it tries again.
CHILD = """
import json, resource, signal, sys
from pathlib import Path
from twinproof.chain.embedded import EmbeddedChain
from twinproof.errors import StorageFailed
from tests.adversary.test_chain_disk import payment
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
sent, failed = 0, 0
with EmbeddedChain.open(Path(sys.argv[1])) as chain:
    while failed < 3:
        try:
            chain.send(payment(sent))
            sent += 1
        except StorageFailed:
            failed += 1
print(json.dumps(sent))
"""


def payment(nonce: int) -> bytes:
    """One wei, and data that takes room."""
    data = nonce.to_bytes(2, "big") * 1000
    return Account(KEYS[0]).sign_transaction(Unsigned(CHAIN_ID, nonce, 0, 9 * GWEI, 200_000, PAYEE, 1, data))


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    EmbeddedChain.open(path, genesis=GENESIS).close()
    command = [sys.executable, "-c", CHILD, str(path), "250000"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    sent = json.loads(done.stdout)
    assert 0 < sent < 100
    with EmbeddedChain.open(path) as chain:
        # One whose answer was lost may be there, too.
        there = chain.nonce(ADDRESSES[0])
        assert sent <= there <= sent + 1
        assert chain.balance(PAYEE) == there
        chain.send(payment(there))
        assert chain.balance(PAYEE) == there + 1
    assert replay(path).transactions == there + 1
