"""A log's own signed checkpoints: making them, and recognising them when they are read back."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.errors import BadSignature, Corrupt, Malformed, Untrusted
from twinproof.log.store import Head
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint
from twinproof.proof.cosignature import sign_checkpoint
from twinproof.proof.note import Note, SignerKey, Verifier, VerifierKey, format_note, open_note, parse_note


def sign_head(signers: Sequence[SignerKey], origin: str, size: int, root: bytes, time: int) -> Head:
    """A head with one signature line per signer; the caller answers for consistency with all before it."""
    checkpoint = Checkpoint(origin, size, root)
    lines = tuple(sign_checkpoint(signer, checkpoint, time) for signer in signers)
    return Head(size, root, format_note(Note(checkpoint.text, lines)), time)


def open_signed(note: bytes, verifiers: Sequence[Verifier], origin: str | None, what: str) -> Checkpoint:
    """The checkpoint in a stored note that one of `verifiers` signed; `what` names it in errors.

    Raises `Untrusted` if none of the keys signed or the origin is another log's, `Corrupt` if the
    note is damaged.
    """
    return open_timed(note, verifiers, origin, what)[0]


def open_timed(
    note: bytes, verifiers: Sequence[Verifier], origin: str | None, what: str
) -> tuple[Checkpoint, dict[VerifierKey, tuple[int, ...]]]:
    """As `open_signed`, with the keys that signed and their signatures' times (POSIX seconds)."""
    try:
        parsed = parse_note(note)
        signed = open_note(parsed, verifiers)
        checkpoint = parse_checkpoint(parsed.text)
    except (Malformed, BadSignature) as problem:
        raise Corrupt(f"{what} is damaged: {problem}") from problem
    except Untrusted as problem:
        raise Untrusted(f"{what}: {problem}. Is this the key of this log?") from problem
    if origin is not None and checkpoint.origin != origin:
        raise Untrusted(f"{what} belongs to the log {checkpoint.origin}, not to {origin}")
    return checkpoint, signed
