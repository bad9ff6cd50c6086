"""Heads of a log, anchored by the real contract on any chain."""

from __future__ import annotations

from collections.abc import Callable

from tests.builders import Log
from tests.chain.embedded_rig import ADDRESSES
from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.model import Chain, Receipt
from twinproof.chain.model import Log as Event
from twinproof.proof.anchor import ANCHORED
from twinproof.proof.merkle import prove_consistency

GAS = 5_000_000
NO_HEAD = (0, 0, bytes(32))


def events(chain: Chain) -> list[Event]:
    return chain.logs(first=0, last=chain.head().number, topics=[ANCHORED])


def anchor_sizes(send: Callable[[bytes | None, bytes], Receipt], log: Log, *sizes: int) -> Contract:
    """Deploy, register and anchor these heads; `send` makes a transaction (to, data) and waits for it."""
    artifact = Artifact.load("CheckpointAnchor")
    address = send(None, artifact.deployment()).contract
    assert address is not None
    contract = Contract(artifact, address)
    registered = send(address, contract.encode("register", log.origin, ADDRESSES[0]))
    log_id = registered.logs[0].topics[1]
    old: tuple[int, int, bytes] = NO_HEAD
    for size in sizes:
        proof = prove_consistency(old[0], size, log.nodes()) if old[0] else []
        root = log.head(size).root
        done = send(address, contract.encode("anchor", log_id, old, size, root, proof))
        assert done.succeeded
        old = (size, contract.event(done.logs[0])[1]["time"], root)
    return contract
