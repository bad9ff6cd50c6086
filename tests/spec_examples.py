"""The examples of the pages in spec/, made from fixed keys: a log of three entries and what can be said about it.

`python -m tests.spec_examples` prints them as they stand in the pages.
"""

from __future__ import annotations

from textwrap import wrap

from tests.builders import TWIN, Log, Signer
from twinproof.proof import cbor, merkle
from twinproof.proof.anchor import anchor_value
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.testing.anchors import AnchorBlock
from twinproof.twin import grants
from twinproof.twin.chain_event import ChainEvent, event_args, format_chain_event
from twinproof.twin.evidence import format_bundle
from twinproof.twin.grants import Capability
from twinproof.twin.installation import Installation, format_installation
from twinproof.twin.policy import Policy, format_policy
from twinproof.twin.prediction import Prediction, Read, format_prediction
from twinproof.twin.predictor import Predictor, Stage, Trained, format_predictor
from twinproof.twin.state import TwinState
from twinproof.twin.statement import signing_input
from twinproof.twin.stream import position

OPERATOR = Signer("urn:example:operator", PrivateKey(EDDSA, b"\x01" * 32))
DEVICE = Signer("urn:example:device:1", PrivateKey(EDDSA, b"\x02" * 32))


def example_log() -> Log:
    """Genesis, a grant to the device, a reading of the device."""
    log = Log(operator=OPERATOR)
    log.grant(DEVICE, {Capability.RECORD}, via=log.statement(0))
    log.record(DEVICE, 600.5)
    return log


def example_revocation(log: Log) -> bytes:
    """The payload that would revoke the log's grant."""
    return grants.format_revocation(grants.Revocation(log.statement(1).digest, "sold"))


def example_prediction(log: Log) -> bytes:
    """The payload of a prediction from the log's one reading."""
    reads = (Read(DEVICE.issuer, 0, 0, log.statement(2).digest),)
    return format_prediction(Prediction(20.5, 31.0, 40.25, 0.9, "cycles", b"\x11" * 32, reads, until=3))


def example_predictor(log: Log) -> bytes:
    """The payload that makes the model of the prediction the active one, trained on the log of three entries."""
    trained = Trained(3, log.head().root, 30, 28, 5600)
    return format_predictor(Predictor(b"\x11" * 32, Stage.ACTIVE, "cycles", 0.9, trained, cycle="cycle"))


def example_event() -> ChainEvent:
    """A part token is minted for the twin."""
    args = event_args({"tokenId": 2**255 + 5, "manufacturer": b"\xaa" * 20, "partNumber": "P-100", "serial": "A1"})
    return ChainEvent(1, b"\xbb" * 20, "Minted", 9, b"\x22" * 32, 1_700_000_000, b"\x33" * 32, 4, args)


def example_anchor(log: Log) -> tuple[bytes, AnchorBlock]:
    """The head of two entries in a block of one transaction, as a bundle of the three carries it."""
    block = AnchorBlock(time=1_700_000_060)
    at = block.anchor(size=2, root=log.head(2).root)
    hashes = b"".join(merkle.prove_consistency(2, 3, log.nodes()))
    return cbor.encode([*anchor_value(block.evidence(at)), hashes]), block


def examples() -> dict[str, dict[str, bytes]]:
    """Page -> name -> bytes."""
    log = example_log()
    genesis, grant, reading = (log.statement(index) for index in range(3))
    state = TwinState(TWIN)
    state.apply(2, reading)
    anchor, block = example_anchor(log)
    return {
        "statement": {
            "cose-key": cbor.encode(DEVICE.key.public.cose_key),
            "kid": DEVICE.key.public.thumbprint,
            "protected": reading.protected,
            "payload": reading.payload,
            "to-be-signed": signing_input(reading),
            "statement": reading.raw,
            "digest": reading.digest,
            "state": state.to_cbor(),
        },
        "authority": {
            "genesis": genesis.payload,
            "grant": grant.payload,
            "revoke": example_revocation(log),
        },
        "log": {
            "position": position(reading),
            "leaf": merkle.hash_leaf(reading.raw),
            "root": log.head().root,
            "checkpoint": log.checkpoint(),
        },
        "prediction": {"prediction": example_prediction(log), "predictor": example_predictor(log)},
        "chain": {
            "installation": format_installation(Installation(b"\x44" * 32, b"\x55" * 32, serial="A1")),
            "policy": format_policy(Policy("low-life", "cycles", 30.0, 0.9, 1, b"\xbb" * 20, 7)),
            "chain-event": format_chain_event(example_event()),
        },
        "anchor": {
            "anchor": anchor,
            "block-hash": block.hash,
            "receipt": block.receipts[0],
            "transaction": block.transactions[0],
        },
        "evidence": {
            "bundle": format_bundle(log.bundle()),
            "nodes": b"".join(log.bundle(indices=[0, 2]).nodes),
            "receipt-proof": cbor.encode([3, 2, merkle.prove_inclusion(2, 3, log.nodes())]),
            "transparent": log.transparent(2),
            "tlog-proof": log.tlog_proof(2),
        },
    }


def as_hex(data: bytes) -> str:
    """Lines of at most 96 digits."""
    return "\n".join(wrap(data.hex(), 96))


if __name__ == "__main__":
    for page, named in examples().items():
        for name, data in named.items():
            print(f"{page}: {len(data)} bytes\n```hex {name}\n{as_hex(data)}\n```")
