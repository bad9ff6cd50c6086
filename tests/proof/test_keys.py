"""Keys: foreign vectors, deterministic signing, PEM files, COSE_Keys and their thumbprints."""

from __future__ import annotations

from base64 import encodebytes
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import BadSignature, Malformed, TwinproofError
from twinproof.proof import cbor, keys
from twinproof.proof.keys import EDDSA, ES256, P256_ORDER, PrivateKey, PublicKey

ED = PrivateKey(EDDSA, b"\x01" * 32)
P = PrivateKey(ES256, b"\x02" * 32)
SEEDS = st.binary(min_size=32, max_size=32).filter(lambda seed: 0 < int.from_bytes(seed, "big") < P256_ORDER)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# --- signatures -----------------------------------------------------------------------------


def test_ed25519_of_rfc_8032() -> None:
    # RFC 8032 §7.1, tests 1 and 3
    key = PrivateKey(EDDSA, bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b"
    )
    key = PrivateKey(EDDSA, bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
    assert key.sign(b"\xaf\x82").hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a"
    )


def test_es256_of_rfc_6979_with_low_s() -> None:
    # RFC 6979 A.2.5, P-256 with SHA-256; the s of "sample" is high there and its negative is taken here.
    key = PrivateKey(ES256, bytes.fromhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"))
    assert key.public.raw.hex() == (
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )
    sample = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    assert key.sign(b"sample").hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" + f"{P256_ORDER - sample:064x}"
    )
    assert key.sign(b"test").hex() == (
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
    )


@given(seed=SEEDS, message=st.binary(max_size=200))
def test_signing_is_deterministic_and_low(seed: bytes, message: bytes) -> None:
    for algorithm in (EDDSA, ES256):
        key = PrivateKey(algorithm, seed)
        signature = key.sign(message)
        assert len(signature) == keys.SIGNATURE_SIZE
        assert signature == PrivateKey(algorithm, seed).sign(message)
        key.public.check(message, signature)
        if algorithm == ES256:
            assert int.from_bytes(signature[32:], "big") <= P256_ORDER // 2


def test_the_high_half_of_a_signature_is_refused_though_ecdsa_accepts_it() -> None:
    signature = P.sign(b"m")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    high = signature[:32] + (P256_ORDER - s).to_bytes(32, "big")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + P.public.raw)
    point.verify(encode_dss_signature(r, P256_ORDER - s), b"m", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(BadSignature, match="high s"):
        P.public.check(b"m", high)


@pytest.mark.parametrize("key", [ED, P], ids=["Ed25519", "ES256"])
def test_every_flipped_bit_of_a_signature_is_refused(key: PrivateKey) -> None:
    signature = key.sign(b"message")
    for bit in range(512):
        with pytest.raises(BadSignature):
            key.public.check(b"message", flipped(signature, bit))
    for bit in range(56):
        with pytest.raises(BadSignature):
            key.public.check(flipped(b"message", bit), signature)
    for length in (0, 1, 63, 65, 128):
        with pytest.raises(BadSignature, match="64"):
            key.public.check(b"message", (signature * 2)[:length])


@pytest.mark.parametrize("numbers", [(0, 0), (0, 1), (1, 0), (P256_ORDER, 1), (2**256 - 1, 1), (1, P256_ORDER // 2)])
def test_es256_numbers_out_of_range_are_a_bad_signature(numbers: tuple[int, int]) -> None:
    signature = b"".join(number.to_bytes(32, "big") for number in numbers)
    with pytest.raises(BadSignature, match="does not verify"):
        P.public.check(b"m", signature)


def test_keys_of_the_wrong_length_are_a_bad_signature() -> None:
    for length in (0, 31, 33):
        with pytest.raises(BadSignature, match="32-byte key"):
            keys.verify_ed25519(bytes(length), b"", bytes(64))


def test_another_library_verifies() -> None:
    ed25519.Ed25519PublicKey.from_public_bytes(ED.public.raw).verify(ED.sign(b"x"), b"x")
    signature = P.sign(b"x")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + P.public.raw)
    point.verify(encode_dss_signature(r, s), b"x", ec.ECDSA(hashes.SHA256()))


# --- ML-DSA-44 ------------------------------------------------------------------------------


def test_ml_dsa_44() -> None:
    seed = b"\x07" * 32
    public = keys.ml_dsa_44_public(seed)
    assert len(public) == keys.ML_DSA_44_KEY_SIZE
    signature = keys.sign_ml_dsa_44(seed, b"message")
    assert len(signature) == keys.ML_DSA_44_SIGNATURE_SIZE
    keys.verify_ml_dsa_44(public, b"message", signature)
    for at in (0, 31, 32, 1000, 2336, 2419):
        with pytest.raises(BadSignature, match="does not verify"):
            keys.verify_ml_dsa_44(public, b"message", flipped(signature, at * 8))
    with pytest.raises(BadSignature, match="does not verify"):
        keys.verify_ml_dsa_44(public, b"messagf", signature)
    for wrong in ((public[:-1], signature), (public, signature[:-1]), (public, signature + b"\0"), (b"", b"")):
        with pytest.raises(BadSignature, match="1312-byte key and a 2420-byte signature"):
            keys.verify_ml_dsa_44(wrong[0], b"message", wrong[1])


# --- thumbprints and COSE_Keys --------------------------------------------------------------

# RFC 9679 §6
X = bytes.fromhex("65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d")
Y = bytes.fromhex("1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c")


def test_thumbprint_of_rfc_9679() -> None:
    key = PublicKey(ES256, X + Y)
    assert cbor.encode(key.cose_key).hex() == f"a401022001215820{X.hex()}225820{Y.hex()}"
    assert key.thumbprint.hex() == "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"


def test_thumbprint_of_an_okp_key() -> None:
    encoded = bytes.fromhex("a3010120062158208a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
    assert cbor.encode(ED.public.cose_key) == encoded
    assert ED.public.thumbprint == sha256(encoded).digest()


@given(seed=SEEDS)
def test_cose_keys_come_back(seed: bytes) -> None:
    for algorithm in (EDDSA, ES256):
        key = PrivateKey(algorithm, seed).public
        assert PublicKey.from_cose_key(cbor.decode(cbor.encode(key.cose_key))) == key


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {1: 1},
        {1: 1, -1: 6},
        {1: 1, -1: 6, -2: b"\x01" * 32, 2: b"kid"},
        {1: 1, -1: 6, -2: "\x01" * 32},
        {1: 1, -1: 4, -2: b"\x01" * 32},
        {1: 2, -1: 6, -2: b"\x01" * 32},
        {1: 1, -1: 6, -2: b"\x01" * 32, -4: b"\x01" * 32},
        # equal to the right integers in Python, another encoding in CBOR
        {1: True, -1: 6, -2: b"\x01" * 32},
        {1: 1.0, -1: 6, -2: b"\x01" * 32},
        {1: 1, -1: 6.0, -2: b"\x01" * 32},
        {1: 2, -1: True, -2: X, -3: Y},
        {1: 2.0, -1: 1, -2: X, -3: Y},
        {1: 2, -1: 1, -2: X, -3: True},
        {1: 2, -1: 1, -2: X[:31], -3: Y + b"\0"},
        {1: 2, -1: 1, -2: X, -3: Y, -4: X},
        {1: 2, -1: 2, -2: X, -3: Y},
    ],
)
def test_other_cose_keys_are_refused(value: Any) -> None:
    with pytest.raises(Malformed, match=r"^grant key: not a COSE_Key"):
        PublicKey.from_cose_key(value, "grant key")


def test_points_off_the_curve_and_odd_sizes_are_refused() -> None:
    with pytest.raises(Malformed, match="not a point on P-256"):
        PublicKey(ES256, X + flipped(Y, 0))
    with pytest.raises(Malformed, match="not a point on P-256"):
        PublicKey.from_cose_key({1: 2, -1: 1, -2: bytes(32), -3: bytes(32)})
    with pytest.raises(Malformed, match="Ed25519 needs 32 bytes, not 33"):
        PublicKey.from_cose_key({1: 1, -1: 6, -2: bytes(33)})
    with pytest.raises(Malformed, match="ES256 needs 64 bytes, not 65"):
        PublicKey(ES256, bytes(65))
    with pytest.raises(Malformed, match="algorithm -35 is neither"):
        PublicKey(-35, bytes(32))


# --- private keys ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", [ED, P], ids=["Ed25519", "ES256"])
def test_pem_comes_back_and_others_read_it(key: PrivateKey) -> None:
    pem = key.to_pem()
    assert PrivateKey.from_pem(pem) == key
    loaded = serialization.load_pem_private_key(pem, password=None)
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        assert loaded.private_bytes_raw() == key.seed
        assert loaded.public_key().public_bytes_raw() == key.public.raw
    else:
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        assert loaded.private_numbers().private_value.to_bytes(32, "big") == key.seed


def pem_of(key: PrivateKeyTypes, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def armour(der: bytes) -> bytes:
    return b"-----BEGIN PRIVATE KEY-----\n" + encodebytes(der) + b"-----END PRIVATE KEY-----\n"


def p256_der() -> bytes:
    loaded = serialization.load_pem_private_key(P.to_pem(), password=None)
    return loaded.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_other_private_keys_are_refused() -> None:
    der = p256_der()
    at = der.index(P.seed)
    for pem, message in (
        (pem_of(x25519.X25519PrivateKey.from_private_bytes(bytes(32))), "neither Ed25519 nor P-256"),
        (pem_of(ec.derive_private_key(5, ec.SECP384R1())), "neither Ed25519 nor P-256"),
        (pem_of(ec.derive_private_key(5, ec.SECP256K1())), "neither Ed25519 nor P-256"),
        (pem_of(rsa.generate_private_key(65537, 2048)), "neither Ed25519 nor P-256"),
        (pem_of(ec.derive_private_key(5, ec.SECP256R1()), b"secret"), "not an unencrypted PKCS #8 PEM file"),
        # an unknown curve, an unknown algorithm, scalars out of range, another key's public half
        (armour(der.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030109"))), "not supported"),
        (armour(der.replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d0209"))), "Unknown key type"),
        (armour(der[:at] + bytes(32) + der[at + 32 :]), "not an unencrypted"),
        (armour(der[:at] + b"\xff" * 32 + der[at + 32 :]), "not an unencrypted"),
        (armour(der[:at] + b"\x05" * 32 + der[at + 32 :]), "not an unencrypted"),
        # X448 with a seed of 32 bytes: found by fuzzing
        (armour(bytes.fromhex("302e020100300506032b656f04220420") + b"\x01" * 32), "refused by OpenSSL"),
        (armour(b""), "not an unencrypted"),
        (b"", "not an unencrypted"),
        (b"\xff\x00", "not an unencrypted"),
        (b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n", "not an unencrypted"),
    ):
        with pytest.raises(Malformed, match=message) as caught:
            PrivateKey.from_pem(pem)
        assert caught.value.field == "private key"


def test_every_flipped_byte_of_a_pem_is_refused_or_harmless() -> None:
    for key in (ED, P):
        pem = key.to_pem()
        for bit in range(0, len(pem) * 8, 5):
            try:
                read = PrivateKey.from_pem(flipped(pem, bit))
            except TwinproofError:
                continue
            # An Ed25519 file has no check sum: a flip in the seed is another key, never half of one.
            assert read == key or (key is ED and len(read.seed) == 32)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
@pytest.mark.parametrize("algorithm", [EDDSA, ES256])
def test_seeds_have_32_bytes(algorithm: int, seed: bytes) -> None:
    with pytest.raises(ValueError, match="seed of 32 bytes"):
        PrivateKey(algorithm, seed)


def test_scalars_lie_within_the_order() -> None:
    for number in (0, P256_ORDER, 2**256 - 1):
        with pytest.raises(ValueError, match="not a P-256 scalar"):
            PrivateKey(ES256, number.to_bytes(32, "big"))
    assert (
        PrivateKey(ES256, (P256_ORDER - 1).to_bytes(32, "big")).public.raw[:32]
        == PrivateKey(ES256, (1).to_bytes(32, "big")).public.raw[:32]
    )


def test_no_text_of_a_private_key_shows_its_seed() -> None:
    for key in (ED, P):
        for text in (repr(key), str(key), f"{key}"):
            assert key.seed.hex() not in text
            assert str(key.seed) not in text
            assert key.public.thumbprint.hex()[:16] in text
