"""C2SP tlog-cosignature: timestamped signatures of witnesses (and of the log itself) on checkpoints.

The blob after the key ID is a big-endian u64 of POSIX seconds and the signature. Signed is

  Ed25519 (0x04):    "cosignature/v1\\n" "time <decimal>\\n" <checkpoint text>
  ML-DSA-44 (0x06):  "subtree/v1\\n\\0" u8+cosigner name, u64 time, u8+origin, u64 start, u64 end, root

with start 0 and end = size for a checkpoint. A cosignature says: at this time this was the largest
consistent tree that I had seen for this origin. The Ed25519 form does not sign the cosigner's name,
so a public key counts once, whatever names it appears under.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import BadSignature
from twinproof.proof import keys
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint
from twinproof.proof.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    Ed25519Verifier,
    Signature,
    SignerKey,
    Verifier,
    VerifierKey,
    sign_ed25519,
)


def ed25519_message(text: str, time: int) -> bytes:
    """What an Ed25519 cosigner signs; `time` in POSIX seconds."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def ml_dsa_message(name: str, checkpoint: Checkpoint, time: int) -> bytes:
    """What an ML-DSA-44 cosigner called `name` signs for a whole tree."""
    cosigner, origin = name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes((len(cosigner),)) + cosigner,
            time.to_bytes(8, "big"),
            bytes((len(origin),)) + origin,
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _split(blob: bytes, size: int) -> tuple[int, bytes]:
    time = int.from_bytes(blob[:8], "big")
    if len(blob) != 8 + size or not 0 < time < 1 << 63:
        raise BadSignature(f"a cosignature is a time in 1..2^63-1 and {size} bytes")
    return time, blob[8:]


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """Checks types 04 and 06; the text must be a checkpoint."""

    key: VerifierKey

    def check(self, text: str, blob: bytes) -> int | None:
        if self.key.type == COSIGNATURE_ED25519:
            time, signature = _split(blob, keys.SIGNATURE_SIZE)
            parse_checkpoint(text)
            keys.verify_ed25519(self.key.public, ed25519_message(text, time), signature)
        else:
            time, signature = _split(blob, keys.ML_DSA_44_SIGNATURE_SIZE)
            message = ml_dsa_message(self.key.name, parse_checkpoint(text), time)
            keys.verify_ml_dsa_44(self.key.public, message, signature)
        return time


def verifier(key: VerifierKey) -> Verifier:
    """The verifier for a key of any supported type."""
    return Ed25519Verifier(key) if key.type == ED25519 else CosignatureVerifier(key)


def sign_checkpoint(key: SignerKey, checkpoint: Checkpoint, time: int) -> Signature:
    """A signature line on `checkpoint` in the form of the key's type; `time` is POSIX seconds > 0.

    The caller answers for consistency with everything this key has signed before.
    """
    if key.type == ED25519:
        return sign_ed25519(key, checkpoint.text)
    if key.type == COSIGNATURE_ML_DSA_44:
        signature = keys.sign_ml_dsa_44(key.seed, ml_dsa_message(key.name, checkpoint, time))
    else:
        signature = keys.PrivateKey(keys.EDDSA, key.seed).sign(ed25519_message(checkpoint.text, time))
    return Signature(key.name, key.verifier.key_id, time.to_bytes(8, "big") + signature)
