"""What is fuzzed: one function per format, bytes in, and a property that must hold for all bytes.

A target may let `TwinproofError` through: that is a refusal. Every other exception, and every
`assert` that fails, is a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from twinproof.errors import Malformed, TwinproofError
from twinproof.proof import cbor, cose, merkle, note, receipt, tiles
from twinproof.proof.checkpoint import Checkpoint, parse_checkpoint
from twinproof.proof.cosignature import sign_checkpoint, verifier
from twinproof.proof.keys import EDDSA, ES256, PrivateKey, PublicKey
from twinproof.proof.policy import parse_policy
from twinproof.proof.tlog_proof import TlogProof, check_tlog_proof, format_tlog_proof, parse_tlog_proof

Target = Callable[[bytes], None]

_ORIGIN = "log.example"
_LOG = note.SignerKey(_ORIGIN, note.ED25519, b"\x01" * 32)
_WITNESS = note.SignerKey("wit.example", note.COSIGNATURE_ED25519, b"\x02" * 32)
_KEY = PrivateKey(EDDSA, _LOG.seed)
_P256 = PrivateKey(ES256, b"\x03" * 32)
_LEAVES = [merkle.hash_leaf(bytes([number])) for number in range(5)]


def _nodes(level: int, index: int) -> bytes:
    hashes = _LEAVES[index << level : (index + 1) << level]
    while len(hashes) > 1:
        hashes = [merkle.hash_node(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


_ROOT = merkle.root(5, _nodes)
_CHECKPOINT = Checkpoint(_ORIGIN, 5, _ROOT)
_NOTE = note.format_note(
    note.Note(_CHECKPOINT.text, tuple(sign_checkpoint(key, _CHECKPOINT, 1700000000) for key in (_LOG, _WITNESS)))
)
_POLICY_TEXT = (
    f"# policy\nlog {_LOG.verifier} https://log.example/\nwitness w {_WITNESS.verifier}\ngroup g any w\nquorum g\n"
).encode()
_POLICY = parse_policy(_POLICY_TEXT)
_PATH = merkle.prove_inclusion(3, 5, _nodes)


def fuzz_cbor(data: bytes) -> None:
    """One encoding per value; `skip` and `decode_sequence` end where `decode` ends."""
    try:
        value = cbor.decode(data)
    except Malformed:
        cbor.decode_sequence(data, limit=100)
        return
    assert cbor.encode(value) == data
    assert cbor.skip(data, 0) == len(data)
    assert cbor.decode_sequence(data, limit=1) == [data]


def fuzz_note(data: bytes) -> None:
    """Notes and signature lines come back to the byte."""
    with suppress(TwinproofError):
        lines = note.parse_signature_lines(data)
        assert "".join(map(note.format_signature, lines)).encode() == data
    parsed = note.parse_note(data)
    assert note.format_note(parsed) == data
    note.open_note(parsed, [verifier(_LOG.verifier), verifier(_WITNESS.verifier)])


def fuzz_key(data: bytes) -> None:
    """Verifier and signer keys come back to the character."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(TwinproofError):
        assert note.parse_signer_key(text).to_text() == text
    assert str(note.parse_verifier_key(text)) == text


def fuzz_checkpoint(data: bytes) -> None:
    """Checkpoint texts come back; only the signed one passes the policy."""
    with suppress(TwinproofError):
        assert _POLICY.check(data).checkpoint == _CHECKPOINT
    text = data.decode("utf-8", "replace")
    assert parse_checkpoint(text).text == text


def fuzz_policy(data: bytes) -> None:
    """A policy either trusts a note or refuses it by an error of ours."""
    parse_policy(data).check(_NOTE)


def fuzz_tlog_proof(data: bytes) -> None:
    """Proof files come back; no file proves an entry that is not in the log."""
    proof = parse_tlog_proof(data)
    assert format_tlog_proof(proof) == data
    with suppress(TwinproofError):
        check_tlog_proof(proof, b"not in the log", _POLICY)
        raise AssertionError("proved what is not in the log")
    trusted = check_tlog_proof(proof, bytes([3]), _POLICY)
    assert (proof.index, trusted.checkpoint) == (3, _CHECKPOINT)


def fuzz_cose(data: bytes) -> None:
    """Messages come back; what verifies is the one that was signed."""
    sign1 = cose.parse_sign1(data)
    assert cose.format_sign1(sign1) == data
    cose.scitt_claims(sign1.headers)
    for key in (_KEY, _P256):
        try:
            cose.check_signature(sign1, key.public)
        except TwinproofError:
            continue
        assert sign1.payload == b"payload"


def fuzz_receipt(data: bytes) -> None:
    """Receipts come back; what verifies leads to the signed root."""
    parsed = receipt.parse_receipt(data)
    assert cose.format_sign1(parsed.sign1) == data
    assert isinstance(parsed.issuer, str)
    assert isinstance(parsed.kid, bytes)
    assert receipt.check_inclusion_receipt(parsed, _LEAVES[3], _KEY.public) == _ROOT


def fuzz_cose_key(data: bytes) -> None:
    """COSE_Keys come back."""
    key = PublicKey.from_cose_key(cbor.decode(data))
    assert cbor.encode(key.cose_key) == data
    key.check(b"message", bytes(64))


def fuzz_pem(data: bytes) -> None:
    """A private key file is read or refused."""
    key = PrivateKey.from_pem(data)
    assert PrivateKey.from_pem(key.to_pem()) == key


def fuzz_tile_path(data: bytes) -> None:
    """Paths come back to the character."""
    path = data.decode("utf-8", "replace")
    tile = tiles.parse_path(path)
    assert tile.path == path
    assert 1 <= tile.width <= tiles.WIDTH


def fuzz_merkle(data: bytes) -> None:
    """No proof leads from a wrong leaf to the root; multiproofs never end in anything but a verdict."""
    if len(data) < 4:
        return
    index, size, old, take = data[:4]
    proof = [data[at : at + 32] for at in range(4, len(data), 32)][:12]
    proof += _PATH[: take % 4]
    wanted = {position: _LEAVES[position] for position in range(5) if take >> position & 1}
    with suppress(TwinproofError):
        merkle.check_many(wanted, size, proof, _ROOT)
    with suppress(TwinproofError):
        merkle.check_consistency(old, size, _nodes(0, 0), _ROOT, proof)
    with suppress(TwinproofError):
        merkle.check_inclusion(_LEAVES[3], index, size, proof, _ROOT)
    merkle.check_inclusion(merkle.hash_leaf(b"not in the log"), index, size, proof, _ROOT)
    raise AssertionError("proved what is not in the log")


def _sign1_seeds() -> list[bytes]:
    headers: cose.Header = {cose.CONTENT_TYPE: "t", cose.KID: b"k", cose.CWT_CLAIMS: {cose.ISS: "i", cose.SUB: "s"}}
    return [cose.format_sign1(cose.sign(key, headers, b"payload")) for key in (_KEY, _P256)]


def _receipt_seeds() -> list[bytes]:
    signed = receipt.sign_root(_KEY, _ORIGIN, 5, _ROOT)
    return [
        receipt.format_inclusion(signed, 3, _PATH),
        receipt.format_consistency(signed, 3, merkle.prove_consistency(3, 5, _nodes)),
    ]


_CBOR_SEED = {1: [1.5, -2, None, True], -1: {"a": b"b", "aa": cbor.Tagged(18, "text")}, "z": 1e300}

TARGETS: dict[str, tuple[Target, list[bytes]]] = {
    "cbor": (fuzz_cbor, [cbor.encode(_CBOR_SEED), *_sign1_seeds()]),
    "note": (fuzz_note, [_NOTE, _NOTE.partition(b"\n\n")[2]]),
    "key": (fuzz_key, [str(_LOG.verifier).encode(), _LOG.to_text().encode(), str(_WITNESS.verifier).encode()]),
    "checkpoint": (fuzz_checkpoint, [_CHECKPOINT.text.encode(), _NOTE]),
    "policy": (fuzz_policy, [_POLICY_TEXT]),
    "tlog_proof": (
        fuzz_tlog_proof,
        [format_tlog_proof(TlogProof(3, tuple(_PATH), _NOTE, extra)) for extra in (None, b"x")],
    ),
    "cose": (fuzz_cose, _sign1_seeds()),
    "receipt": (fuzz_receipt, _receipt_seeds()),
    "cose_key": (fuzz_cose_key, [cbor.encode(key.public.cose_key) for key in (_KEY, _P256)]),
    "pem": (fuzz_pem, [_KEY.to_pem(), _P256.to_pem()]),
    "tile_path": (fuzz_tile_path, [b"tile/0/x001/x234/067.p/12", b"tile/entries/000"]),
    "merkle": (fuzz_merkle, [bytes([3, 5, 3, 31]) + b"".join(_PATH), bytes([0, 5, 0, 3])]),
}
"""Name -> (target, seeds)."""
