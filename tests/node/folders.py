"""Nodes in folders, and the script of what a node's log should hold."""

from __future__ import annotations

from tests.builders import Log, Signer
from twinproof.node.node import WritingNode
from twinproof.proof.keys import PrivateKey
from twinproof.twin.statement import parse_statement
from twinproof.twin.stream import StreamHead

OPERATOR_IRI = "https://twin.example/operator"


def continue_log(node: WritingNode) -> Log:
    """A script that begins with what the node's log holds, and can speak for the operator."""
    entries = node.reader.entries(0, node.reader.head().size)
    return script_of(entries, node.config.origin, node.operator_key())


def script_of(entries: list[bytes], origin: str, operator: PrivateKey) -> Log:
    """As `continue_log`, from the entries of a log of `origin`."""
    script = Log(operator=Signer(OPERATOR_IRI, operator), origin=origin, empty=True)
    for raw in entries:
        read = parse_statement(raw)
        script.heads[read.issuer, read.subject] = StreamHead(read.seq, read.digest)
        script.append(raw)
    return script
