"""C2SP tlog-proof: a file that proves one entry offline, with the checkpoint inside.

    c2sp.org/tlog-proof@v1
    index 1
    KhWNiv1I4/iMtBld/bKp5IF9lfpX/TREDZP5quXE+Cs=        the leaf's sibling first
    THnQ1i989cqIdBVfLTuHXyYl2iuzq8hrvWgz8lupDlE=

    twin.example/log0                                    the checkpoint, a signed note, verbatim
    3
    …

The entry itself is not in the file: the verifier brings it. `extra` is not authenticated and is
never used to find the entry. Source: C2SP tlog-proof, main branch of 2026-05-22 (a draft).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twinproof.errors import Malformed, TooLarge
from twinproof.proof import merkle
from twinproof.proof.checkpoint import parse_decimal
from twinproof.proof.note import MAX_NOTE, decode_base64, encode_base64
from twinproof.proof.policy import Policy, TrustedCheckpoint

MAGIC: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63
MAX_EXTRA: Final = 64 * 1024
MAX_PROOF: Final = MAX_NOTE + 2 * MAX_EXTRA


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof file; nothing in it is checked yet."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note."""
    extra: bytes | None = None


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The bytes of a proof file."""
    lines = [MAGIC]
    if proof.extra is not None:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(map(encode_base64, proof.hashes))
    return "\n".join([*lines, "", ""]).encode() + proof.checkpoint


def parse_tlog_proof(data: bytes) -> TlogProof:
    """Read a proof file; raises `Malformed` naming the line."""
    if len(data) > MAX_PROOF:
        raise TooLarge("tlog-proof", f"{len(data)} bytes, the limit is {MAX_PROOF}")
    head, blank, checkpoint = data.partition(b"\n\n")
    if not blank:
        raise Malformed("tlog-proof", "has no empty line before the checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Malformed("tlog-proof", "not ASCII before the checkpoint") from None
    if lines.pop(0) != MAGIC:
        raise Malformed("tlog-proof", f"does not begin with {MAGIC}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra "), "tlog-proof extra")
        if len(extra) > MAX_EXTRA:
            raise TooLarge("tlog-proof extra", f"{len(extra)} bytes, the limit is {MAX_EXTRA}")
    if not lines or not lines[0].startswith("index "):
        raise Malformed("tlog-proof", "has no index line where one must be")
    index = parse_decimal(lines.pop(0).removeprefix("index "), "tlog-proof index")
    if len(lines) > MAX_HASHES:
        raise TooLarge("tlog-proof", f"{len(lines)} hashes, the limit is {MAX_HASHES}")
    hashes = tuple(decode_base64(line, f"tlog-proof hash {n}") for n, line in enumerate(lines))
    if any(len(value) != merkle.HASH_SIZE for value in hashes):
        raise Malformed("tlog-proof", f"a hash is not {merkle.HASH_SIZE} bytes")
    return TlogProof(index, hashes, checkpoint, extra)


def check_tlog_proof(proof: TlogProof, entry: bytes, policy: Policy) -> TrustedCheckpoint:
    """Prove that `entry` is in a log that `policy` trusts.

    1. The checkpoint's origin, signatures and quorum satisfy the policy.
    2. The inclusion proof leads from the entry to the checkpoint's root.

    What remains the caller's: what the entry says, and whether the times are acceptable.
    Raises `Malformed`, `BadSignature`, `Untrusted` or `BadProof`.
    """
    trusted = policy.check(proof.checkpoint)
    head = trusted.checkpoint
    merkle.check_inclusion(merkle.hash_leaf(entry), proof.index, head.size, proof.hashes, head.root)
    return trusted
