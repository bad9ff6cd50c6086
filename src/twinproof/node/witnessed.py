"""Who cosigned this log's kept checkpoints: the witnesses that its policy names, and others whose lines are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinproof.errors import BadSignature, Malformed, TwinproofError
from twinproof.log.reader import Reader
from twinproof.node.node import POLICY, Node
from twinproof.proof.cosignature import verifier
from twinproof.proof.note import Note, Signature, VerifierKey, parse_note
from twinproof.proof.policy import parse_policy

LOOKED_AT: Final = 512
"""Kept checkpoints, the newest first."""

Name = tuple[str, bytes]
"""A key's name and id, as signature lines have them."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness."""

    name: str
    key_id: bytes
    key: VerifierKey | None
    """As the node's policy gives it; None for one that it does not name."""
    size: int | None = None
    """Entries of the newest checkpoint that it cosigned."""
    time: int | None = None
    """When, by the witness's clock, POSIX seconds; None where no signature was checked."""
    problem: str | None = None
    """Why its newest line does not hold."""


def witnesses_of(node: Node) -> list[Witness]:
    """Those of the policy in its order, then the others by name. Raises `StorageFailed`.

    A line of a key that the policy names was checked; what other lines say nobody here can check, so no time is given.
    """
    named = _named(node.folder / POLICY)
    found = {name: Witness(*name, key) for name, key in named.items()}
    own = {(signer.verifier.name, signer.verifier.key_id) for signer in node.signers}
    for size, note in _newest(node.reader):
        for line in note.signatures:
            name = (line.name, line.key_id)
            if name not in own and found.get(name, Witness(*name, None)).size is None:
                found[name] = _seen(named.get(name), size, note, line)
    strangers = sorted(found.keys() - named.keys())
    return [found[name] for name in (*named, *strangers)]


def _seen(key: VerifierKey | None, size: int, note: Note, line: Signature) -> Witness:
    if key is None:
        return Witness(line.name, line.key_id, None, size)
    try:
        return Witness(line.name, line.key_id, key, size, verifier(key).check(note.text, line.blob))
    except (BadSignature, Malformed) as problem:
        return Witness(line.name, line.key_id, key, size, None, str(problem))


def _named(path: Path) -> dict[Name, VerifierKey]:
    """Of a policy that cannot be read: none. It is for auditors, and the node does without."""
    try:
        policy = parse_policy(path.read_bytes())
    except (OSError, TwinproofError):
        return {}
    return {(witness.key.name, witness.key.key_id): witness.key for witness in policy.witnesses.values()}


def _newest(reader: Reader) -> list[tuple[int, Note]]:
    """(size, note) of the newest kept checkpoints, the largest first."""
    notes: list[tuple[int, Note]] = []
    size = reader.head().size
    while len(notes) < LOOKED_AT:
        kept = reader.checkpoint_at_or_before(size)
        if kept is None:
            break
        notes.append((kept.size, parse_note(kept.note)))
        size = kept.size - 1
    return notes
