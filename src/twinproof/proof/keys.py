"""Keys and signatures: the one module that imports cryptographic libraries.

| primitive  | library        | why                                                                        |
|------------|----------------|----------------------------------------------------------------------------|
| Ed25519    | PyNaCl         | libsodium verifies about twice as fast as OpenSSL 3.5 (bench: signatures), |
|            |                | refuses small-order and non-canonical keys, and releases the GIL           |
| ECDSA P-256| cryptography   | the one maintained binding; low-s is enforced here, it accepts high-s      |
| ML-DSA-44  | cryptography   | FIPS 204 from OpenSSL 3.5; keys are kept as their 32-byte seed             |

Keys are made from 32 bytes that the caller draws: this room reads no randomness. Signing is
deterministic (RFC 8032, RFC 6979), so the same statement signed again is the same bytes; ML-DSA
signatures are hedged and appear only beside other signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InternalError as CryptographyError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from twinproof.errors import BadSignature, Malformed
from twinproof.proof import cbor

EDDSA: Final = -8
"""COSE algorithm of Ed25519 keys (RFC 9053 §2.2). RFC 9864's -19 is not yet known to all verifiers."""
ES256: Final = -7
"""COSE algorithm of P-256 keys: ECDSA with SHA-256 (RFC 9053 §2.1)."""
ALGORITHM_NAMES: Final = {EDDSA: "Ed25519", ES256: "ES256"}

SIGNATURE_SIZE: Final = 64
"""Bytes of both: R || S (RFC 8032), r || s (RFC 9053 §2.1)."""
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ML_DSA_44_KEY_SIZE: Final = 1312
ML_DSA_44_SIGNATURE_SIZE: Final = 2420
SEED_SIZE: Final = 32

_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_ECDSA_PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()))


@lru_cache(maxsize=4096)
def _p256(raw: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + raw)
    except ValueError:
        raise Malformed("key", "not a point on P-256") from None


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """RFC 8032 verification, cofactorless, of a 64-byte signature; raises `BadSignature`."""
    if len(signature) != SIGNATURE_SIZE or len(public) != 32:
        raise BadSignature("Ed25519 needs a 32-byte key and a 64-byte signature")
    try:
        sodium.crypto_sign_open(signature + message, public)
    except CryptoError:
        raise BadSignature("the Ed25519 signature does not verify") from None


def verify_es256(public: bytes, message: bytes, signature: bytes) -> None:
    """ECDSA P-256 over SHA-256, `public` x || y, `signature` r || s with s in the lower half."""
    if len(signature) != SIGNATURE_SIZE:
        raise BadSignature(f"an ES256 signature has 64 bytes, not {len(signature)}")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > P256_ORDER // 2:
        raise BadSignature("the ES256 signature has a high s: it is a malleable copy")
    try:
        _p256(public).verify(encode_dss_signature(r, s), message, _ECDSA_SHA256)
    except InvalidSignature:
        raise BadSignature("the ES256 signature does not verify") from None


def verify_p256_digest(digest: bytes, r: int, s: int, x: int, y: int) -> bool:
    """What the EVM's P256VERIFY precompile answers (RIP-7212, EIP-7951): is (r, s) the key's over this digest?

    Unlike `verify_es256`, which statements are checked with, a high s is accepted, and a key that is no point on the
    curve, or a number out of range, is a plain no. `digest` has 32 bytes.
    """
    if len(digest) != 32 or not (0 < r < P256_ORDER and 0 < s < P256_ORDER and 0 <= x < 2**256 and 0 <= y < 2**256):
        return False
    try:
        key = _p256(x.to_bytes(32, "big") + y.to_bytes(32, "big"))
        key.verify(encode_dss_signature(r, s), digest, _ECDSA_PREHASHED)
    except (Malformed, InvalidSignature):
        return False
    return True


@dataclass(frozen=True)
class PublicKey:
    """A signer's verification key."""

    algorithm: int
    """`EDDSA` or `ES256`."""
    raw: bytes
    """Ed25519: 32 bytes. P-256: x || y, 64 bytes."""

    def __post_init__(self) -> None:
        size = {EDDSA: 32, ES256: 64}.get(self.algorithm)
        if size is None:
            raise Malformed("key", f"algorithm {self.algorithm} is neither EdDSA (-8) nor ES256 (-7)")
        if len(self.raw) != size:
            raise Malformed("key", f"{ALGORITHM_NAMES[self.algorithm]} needs {size} bytes, not {len(self.raw)}")
        if self.algorithm == ES256:
            _p256(self.raw)

    def check(self, message: bytes, signature: bytes) -> None:
        """Raise `BadSignature` unless `signature` (64 bytes) is this key's over `message`."""
        if self.algorithm == EDDSA:
            verify_ed25519(self.raw, message, signature)
        else:
            verify_es256(self.raw, message, signature)

    @cached_property
    def cose_key(self) -> dict[int | str, cbor.Value]:
        """The COSE_Key map with just its required members (RFC 9052 §7, RFC 9053 §7)."""
        if self.algorithm == EDDSA:
            return {1: 1, -1: 6, -2: self.raw}
        return {1: 2, -1: 1, -2: self.raw[:32], -3: self.raw[32:]}

    @cached_property
    def thumbprint(self) -> bytes:
        """The COSE Key Thumbprint (RFC 9679) with SHA-256: our `kid`, 32 bytes."""
        return sha256(cbor.encode(self.cose_key)).digest()

    @classmethod
    def from_cose_key(cls, value: cbor.Value, field: str = "key") -> PublicKey:
        """Read a COSE_Key map that has only its required members; raises `Malformed`."""
        # A float or a boolean equals an integer in Python and has another encoding.
        if type(value) is dict and type(value.get(1)) is type(value.get(-1)) is int:
            if value.keys() == {1, -1, -2} and value[1] == 1 and value[-1] == 6 and type(value[-2]) is bytes:
                return cls(EDDSA, value[-2])
            if (
                value.keys() == {1, -1, -2, -3}
                and value[1] == 2
                and value[-1] == 1
                and type(value[-2]) is type(value[-3]) is bytes
                and len(value[-2]) == len(value[-3]) == 32
            ):
                return cls(ES256, value[-2] + value[-3])
        raise Malformed(field, "not a COSE_Key of an Ed25519 (OKP) or P-256 (EC2, uncompressed) public key")


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """A signer's private key, held as 32 bytes: the Ed25519 seed or the P-256 scalar."""

    algorithm: int
    seed: bytes

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHM_NAMES or len(self.seed) != SEED_SIZE:
            raise ValueError("a private key is EdDSA or ES256 with a seed of 32 bytes")
        if self.algorithm == ES256 and not 0 < int.from_bytes(self.seed, "big") < P256_ORDER:
            raise ValueError("not a P-256 scalar; draw another seed")

    def __repr__(self) -> str:
        return f"<PrivateKey {ALGORITHM_NAMES[self.algorithm]} {self.public.thumbprint.hex()[:16]}>"

    @cached_property
    def _sodium_key(self) -> bytes:
        return sodium.crypto_sign_seed_keypair(self.seed)[1]

    @cached_property
    def _p256_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self.seed, "big"), ec.SECP256R1())

    @cached_property
    def public(self) -> PublicKey:
        """The matching public key."""
        if self.algorithm == EDDSA:
            return PublicKey(EDDSA, sodium.crypto_sign_seed_keypair(self.seed)[0])
        numbers = self._p256_key.public_key().public_numbers()
        return PublicKey(ES256, numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte deterministic signature over `message`."""
        if self.algorithm == EDDSA:
            return sodium.crypto_sign(message, self._sodium_key)[:SIGNATURE_SIZE]
        r, s = decode_dss_signature(self._p256_key.sign(message, _ECDSA_SHA256))
        return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")

    def to_pem(self) -> bytes:
        """PKCS #8, unencrypted PEM, as every other tool reads it."""
        key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey = (
            ed25519.Ed25519PrivateKey.from_private_bytes(self.seed) if self.algorithm == EDDSA else self._p256_key
        )
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @classmethod
    def from_pem(cls, data: bytes) -> PrivateKey:
        """Read PKCS #8 PEM of an Ed25519 or P-256 key; raises `Malformed`."""
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
            raise Malformed("private key", f"not an unencrypted PKCS #8 PEM file ({problem})") from None
        except CryptographyError:  # OpenSSL's own refusals that the binding does not expect: an X448 key of 32 bytes
            raise Malformed("private key", "not an unencrypted PKCS #8 PEM file (refused by OpenSSL)") from None
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return cls(EDDSA, key.private_bytes_raw())
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return cls(ES256, key.private_numbers().private_value.to_bytes(32, "big"))
        raise Malformed("private key", "neither Ed25519 nor P-256")


# --- ML-DSA-44, only for notes --------------------------------------------------------------


@lru_cache(maxsize=256)
def _ml_dsa_public(public: bytes) -> mldsa.MLDSA44PublicKey:
    try:
        return mldsa.MLDSA44PublicKey.from_public_bytes(public)
    except ValueError:
        raise Malformed("key", "not an ML-DSA-44 public key") from None


@lru_cache(maxsize=16)
def _ml_dsa_private(seed: bytes) -> mldsa.MLDSA44PrivateKey:
    return mldsa.MLDSA44PrivateKey.from_seed_bytes(seed)


def ml_dsa_44_public(seed: bytes) -> bytes:
    """The 1312-byte public key of a 32-byte seed (FIPS 204 §5.1)."""
    return _ml_dsa_private(seed).public_key().public_bytes_raw()


def sign_ml_dsa_44(seed: bytes, message: bytes) -> bytes:
    """A 2420-byte signature, pure mode with empty context (FIPS 204 §5.2)."""
    return _ml_dsa_private(seed).sign(message)


def verify_ml_dsa_44(public: bytes, message: bytes, signature: bytes) -> None:
    """Verify in pure mode with empty context (FIPS 204 §5.3); raises `BadSignature`."""
    if len(public) != ML_DSA_44_KEY_SIZE or len(signature) != ML_DSA_44_SIGNATURE_SIZE:
        raise BadSignature("ML-DSA-44 needs a 1312-byte key and a 2420-byte signature")
    try:
        _ml_dsa_public(public).verify(signature, message)
    except InvalidSignature:
        raise BadSignature("the ML-DSA-44 signature does not verify") from None
