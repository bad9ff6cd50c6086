"""Fixed keys, trees and notes that several independent implementations agreed on."""

from __future__ import annotations

from tests.proof import reference
from twinproof.proof import merkle
from twinproof.proof.checkpoint import Checkpoint
from twinproof.proof.cosignature import sign_checkpoint
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.proof.note import COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44, ED25519, Note, SignerKey, format_note
from twinproof.proof.tlog_proof import TlogProof, format_tlog_proof

ORIGIN = "twin.example/log0"
TIME = 1700000000

LOG = SignerKey(ORIGIN, ED25519, b"\x01" * 32)
WITNESS = SignerKey("wit.example/w1", COSIGNATURE_ED25519, b"\x09" * 32)
PQ_WITNESS = SignerKey("wit.example/pq1", COSIGNATURE_ML_DSA_44, b"\x07" * 32)
STRANGER = SignerKey("stranger.example/s", COSIGNATURE_ED25519, b"\x0a" * 32)
LOG_KEY = PrivateKey(EDDSA, LOG.seed)

ENTRIES = (b"alpha", b"beta", b"gamma")
HASHES = [merkle.hash_leaf(entry) for entry in ENTRIES]
ROOT = reference.mth(HASHES)
CHECKPOINT = Checkpoint(ORIGIN, 3, ROOT)

LOG_VKEY = "twin.example/log0+277609b4+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
WITNESS_VKEY = "wit.example/w1+27cb0d8d+BP0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY"

LOG_LINE = (
    "— twin.example/log0 J3YJtBLOuCEkH/E8SOXUpGLr1O73UvBZCvN7zxwh2z2/S7XmpO7Fb4Nxm+G0VQSdSs/Glze0auZhpTtVi62yhNd40QY=\n"
)
WITNESS_LINE = (
    "— wit.example/w1 J8sNjQAAAABlU/EAf3t0yQTYkk2OYrGeuxddYVex9yipILa1XiVQ6jCShZm8qE9bSVXoSqUS3Pbiwo6MGvtEdGB6"
    "XX41jVpQfBY3Dw==\n"
)
TEXT = "twin.example/log0\n3\nOF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=\n"
NOTE = f"{TEXT}\n{LOG_LINE}{WITNESS_LINE}".encode()
PROOF = (
    b"c2sp.org/tlog-proof@v1\nindex 1\n"
    b"KhWNiv1I4/iMtBld/bKp5IF9lfpX/TREDZP5quXE+Cs=\nTHnQ1i989cqIdBVfLTuHXyYl2iuzq8hrvWgz8lupDlE=\n\n"
) + NOTE


def checkpoint_note(*signers: SignerKey, checkpoint: Checkpoint = CHECKPOINT, time: int = TIME) -> bytes:
    """A signed note of `checkpoint`."""
    return format_note(Note(checkpoint.text, tuple(sign_checkpoint(signer, checkpoint, time) for signer in signers)))


def proof_file(*signers: SignerKey, index: int = 1, size: int = 3, extra: bytes | None = None) -> bytes:
    """A proof of entry `index` of a tree of `size` entries "entry 0", "entry 1" ... (or of ENTRIES for size 3)."""
    leaves = HASHES if size == 3 else reference.leaf_hashes(size)
    note = checkpoint_note(*signers, checkpoint=Checkpoint(ORIGIN, size, reference.mth(leaves)))
    return format_tlog_proof(TlogProof(index, tuple(reference.path(index, leaves)), note, extra))


def policy_text(quorum: str = "both") -> bytes:
    """A policy of the log, the two witnesses and a group of both."""
    return (
        f"log {LOG.verifier}\nwitness w1 {WITNESS.verifier}\nwitness pq1 {PQ_WITNESS.verifier}\n"
        f"group both all w1 pq1\nquorum {quorum}\n"
    ).encode()
