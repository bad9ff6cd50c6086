"""History bundles: how fast one is made from a node's log, and verified from the file alone."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.intake import FLEET, OPERATOR, ORIGIN, bare_rate, grant_all, make_chains
from twinproof.node.intake import Accepted
from twinproof.node.keyring import new_private_key
from twinproof.node.node import init_node, open_node
from twinproof.proof.policy import parse_policy
from twinproof.verify import verify_bundle

GROUP = 1000
RUNS = 3


def run(quick: bool) -> dict[str, Any]:
    """Entries per second, and the share of the bare signature checks that verifying reaches."""
    entries = 2_000 if quick else 10_000
    keys = [new_private_key() for _ in range(5)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "node"
        init_node(folder, ORIGIN, OPERATOR)
        grant_all(folder, keys)
        chains = make_chains(keys, "senml_1", 5 * entries)
        with open_node(folder) as node:
            for chain in chains:
                for at in range(0, len(chain), GROUP):
                    outcomes = node.intake.submit(chain[at : at + GROUP]).result()
                    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
            began = time.perf_counter()
            bundle = node.evidence.bundle(f"{FLEET}senml_1/0", "bench")
            making = time.perf_counter() - began
        policy = parse_policy((folder / "policy.txt").read_bytes())
        took = []
        for _ in range(RUNS):
            began = time.perf_counter()
            history = verify_bundle(bundle, policy)
            took.append(time.perf_counter() - began)
            assert len(history.entries) == entries
    rate = entries / median(took)
    return {
        "entries": entries,
        "log_entries": 5 * entries,
        "bundle_bytes": len(bundle),
        "made_entries_per_s": round(entries / making),
        "verified_entries_per_s": round(rate),
        "fraction_of_bare_checks": round(rate / bare_rate(chains, keys), 3),
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv)))
