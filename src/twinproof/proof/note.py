"""C2SP signed notes: text with signature lines, and the keys that make and check them.

A note, with its two parts divided by the last blank line:

    twin.example/log0
    3
    OF2jDzkXKCyJOd/4UZV+UZqxhGsTUaFMCts7EWMnQqo=

    — twin.example/log0 J3YJtBLOuCEkH/E8SOXU…(base64 of key ID and signature)

Signed is the text with its last newline. A key is known by its name and its 4-byte ID together;
a line whose pair is unknown is ignored, a known pair whose signature fails spoils the whole note.
Verifier keys are written `name+hex(key ID)+base64(type || public key)`, signer keys
`PRIVATE+KEY+name+hex(key ID)+base64(type || seed)`.

Source: C2SP signed-note v1.0.0 (and 0x06 of its main branch); golang.org/x/mod/sumdb/note for the
secret form.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Final, Protocol

from twinproof.errors import BadSignature, Malformed, TooLarge, Untrusted
from twinproof.proof import keys

MAX_NOTE: Final = 256 * 1024
"""Bytes; room for `MAX_SIGNATURES` post-quantum lines."""
MAX_SIGNATURES: Final = 64
MAX_NAME: Final = 255
"""Bytes of UTF-8 in a key's name; the ML-DSA-44 message holds the length in one byte."""

ED25519: Final = 0x01
"""Signature type: Ed25519 over the text."""
COSIGNATURE_ED25519: Final = 0x04
"""Signature type: timestamped Ed25519 (tlog-cosignature)."""
COSIGNATURE_ML_DSA_44: Final = 0x06
"""Signature type: timestamped ML-DSA-44 (tlog-cosignature)."""

KEY_SIZES: Final = {ED25519: 32, COSIGNATURE_ED25519: 32, COSIGNATURE_ML_DSA_44: keys.ML_DSA_44_KEY_SIZE}

_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_HEX8 = re.compile(r"[0-9a-f]{8}\Z")


def decode_base64(text: str, field: str) -> bytes:
    """Standard padded base64 (RFC 4648 §4), refusing every second way to write the same bytes."""
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise Malformed(field, "not base64") from None
    if b64encode(raw).decode() != text:
        raise Malformed(field, "not canonical base64")
    return raw


def encode_base64(raw: bytes) -> str:
    """Standard padded base64."""
    return b64encode(raw).decode()


def check_name(name: str, field: str = "key name") -> None:
    """Raise `Malformed` unless `name` may name a key: not empty, no white space, no `+`."""
    if not name or "+" in name or any(c.isspace() or ord(c) < 0x20 for c in name):
        raise Malformed(field, "must be non-empty, without white space and without '+'")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise Malformed(field, "not UTF-8") from None
    if size > MAX_NAME:
        raise TooLarge(field, f"longer than {MAX_NAME} bytes")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    """4 bytes."""
    blob: bytes
    """What follows the key ID; its form depends on the key's type."""


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; its signatures are not checked yet."""

    text: str
    """Ends in a newline; the signed part."""
    signatures: tuple[Signature, ...]


def parse_note(data: bytes) -> Note:
    """Read a note; raises `Malformed`. `format_note(parse_note(data)) == data`."""
    if len(data) > MAX_NOTE:
        raise TooLarge("note", f"{len(data)} bytes, the limit is {MAX_NOTE}")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise Malformed("note", "not UTF-8") from None
    if _CONTROL.search(whole):
        raise Malformed("note", "holds a control character")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise Malformed("note", "needs text, an empty line and signature lines that end in a newline")
    signatures = tuple(_parse_line(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MAX_SIGNATURES:
        raise TooLarge("note", f"{len(signatures)} signatures, the limit is {MAX_SIGNATURES}")
    return Note(text + "\n", signatures)


def _parse_line(line: str) -> Signature:
    field = "signature line"
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise Malformed(field, "not of the form '\N{EM DASH} name base64'")
    check_name(parts[0], field)
    raw = decode_base64(parts[1], field)
    if len(raw) < 5:
        raise Malformed(field, "too short for a key ID and a signature")
    return Signature(parts[0], raw[:4], raw[4:])


def format_signature(signature: Signature) -> str:
    """One signature line with its newline."""
    return f"{_DASH}{signature.name} {encode_base64(signature.key_id + signature.blob)}\n"


def format_note(note: Note) -> bytes:
    """The bytes of a note."""
    return (note.text + "\n" + "".join(map(format_signature, note.signatures))).encode()


def parse_signature_lines(data: bytes) -> tuple[Signature, ...]:
    """The signature lines a witness answers with; raises `Malformed`."""
    note = parse_note(b"x\n\n" + data)
    if note.text != "x\n":
        raise Malformed("signature lines", "hold an empty line")
    return note.signatures


# --- keys -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class VerifierKey:
    """The `vkey` of a log or witness."""

    name: str
    type: int
    public: bytes

    @cached_property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || public key)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes((self.type,)) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes((self.type,)) + self.public)}"


def _parse_key(text: str, field: str) -> tuple[str, str, int, bytes]:
    parts = text.split("+", 2)
    if len(parts) != 3 or not _HEX8.fullmatch(parts[1]):
        raise Malformed(field, "not of the form name+hash+base64")
    check_name(parts[0], field)
    raw = decode_base64(parts[2], field)
    if not raw or raw[0] not in KEY_SIZES:
        raise Malformed(field, f"signature type {raw[:1].hex() or 'missing'} is not supported; known are 01, 04 and 06")
    return parts[0], parts[1], raw[0], raw[1:]


def parse_verifier_key(text: str) -> VerifierKey:
    """Read a vkey of type 01, 04 or 06; raises `Malformed`, also when its hash is another key's."""
    name, digest, kind, public = _parse_key(text, "verifier key")
    if len(public) != KEY_SIZES[kind]:
        raise Malformed("verifier key", f"type {kind:02x} needs {KEY_SIZES[kind]} key bytes, not {len(public)}")
    key = VerifierKey(name, kind, public)
    if key.key_id.hex() != digest:
        raise Malformed("verifier key", f"its hash should be {key.key_id.hex()}: name or key was altered")
    return key


@dataclass(frozen=True, repr=False)
class SignerKey:
    """The private key of a log or witness, as its 32-byte seed; raises `Malformed` for what no vkey can name."""

    name: str
    type: int
    seed: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.type not in KEY_SIZES:
            raise Malformed("signer key", f"signature type {self.type} is not supported; known are 1, 4 and 6")
        if len(self.seed) != keys.SEED_SIZE:
            raise Malformed("signer key", f"needs a seed of {keys.SEED_SIZE} bytes, not {len(self.seed)}")

    @cached_property
    def verifier(self) -> VerifierKey:
        """The matching public half."""
        if self.type == COSIGNATURE_ML_DSA_44:
            return VerifierKey(self.name, self.type, keys.ml_dsa_44_public(self.seed))
        return VerifierKey(self.name, self.type, keys.PrivateKey(keys.EDDSA, self.seed).public.raw)

    def to_text(self) -> str:
        """The secret form `PRIVATE+KEY+name+hash+base64`."""
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{encode_base64(bytes((self.type,)) + self.seed)}"

    def __repr__(self) -> str:
        return f"<SignerKey {self.name}+{self.verifier.key_id.hex()}>"


def parse_signer_key(text: str) -> SignerKey:
    """Read the secret form; raises `Malformed`."""
    prefix = "PRIVATE+KEY+"
    if not text.startswith(prefix):
        raise Malformed("signer key", f"does not begin with {prefix}")
    name, digest, kind, seed = _parse_key(text.removeprefix(prefix), "signer key")
    key = SignerKey(name, kind, seed)
    if key.verifier.key_id.hex() != digest:
        raise Malformed("signer key", "its hash belongs to another key")
    return key


# --- opening --------------------------------------------------------------------------------


class Verifier(Protocol):
    """Checks the signatures of one key."""

    @property
    def key(self) -> VerifierKey:
        """Whose signatures."""

    def check(self, text: str, blob: bytes) -> int | None:
        """Raise `BadSignature` unless `blob` signs `text`; the signature's POSIX time, if it has one."""


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """Type 01: a plain signature over the text."""

    key: VerifierKey

    def check(self, text: str, blob: bytes) -> int | None:
        keys.verify_ed25519(self.key.public, text.encode(), blob)
        return None


def open_note(note: Note, verifiers: Iterable[Verifier]) -> dict[VerifierKey, tuple[int, ...]]:
    """The known keys that signed `note`, with the times of their lines that carry one.

    Raises `BadSignature` if any line of a known key fails, `Untrusted` if no known key signed.
    """
    known = {(verifier.key.name, verifier.key.key_id): verifier for verifier in verifiers}
    opened: dict[VerifierKey, tuple[int, ...]] = {}
    for signature in note.signatures:
        verifier = known.get((signature.name, signature.key_id))
        if verifier is None:
            continue
        try:
            time = verifier.check(note.text, signature.blob)
        except BadSignature as problem:
            raise BadSignature(f"note signature of {signature.name}: {problem}") from None
        opened[verifier.key] = (*opened.get(verifier.key, ()), *(() if time is None else (time,)))
    if not opened:
        names = ", ".join(f"{signature.name}+{signature.key_id.hex()}" for signature in note.signatures[:5])
        raise Untrusted(f"no signature of a known key; the note is signed by {names}")
    return opened


def sign_ed25519(key: SignerKey, text: str) -> Signature:
    """A signature line of type 01 over `text`."""
    return Signature(key.name, key.verifier.key_id, keys.PrivateKey(keys.EDDSA, key.seed).sign(text.encode()))
