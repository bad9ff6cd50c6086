"""Keys in encrypted files: the Web3 Secret Storage, version 3, as geth, clef and most wallets read and write it.

    {"version": 3, "id": "…", "address": "…", "crypto": {
        "cipher": "aes-128-ctr", "cipherparams": {"iv": 16 bytes}, "ciphertext": 32 bytes,
        "kdf": "scrypt", "kdfparams": {"dklen": 32, "n": 262144, "r": 8, "p": 1, "salt": …},
        "mac": keccak256(second half of the derived key ‖ ciphertext)}}

The file chooses how much memory and time its password costs, so that is bounded before anything is derived.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt

from twinproof.chain.accounts import KEY_SIZE, Account
from twinproof.chain.hexadecimal import format_address, keccak
from twinproof.errors import ConfigError, Malformed, TooLarge, WrongPassword
from twinproof.log.files import write_secret

SCRYPT_N: Final = 1 << 18
"""geth's standard: 256 MiB and about a second."""
LIGHT_SCRYPT_N: Final = 1 << 12
"""geth's light setting: 4 MiB."""
MAX_FILE: Final = 16 * 1024
MAX_MEMORY: Final = 512 << 20
"""Bytes that scrypt may take: 128 · n · r."""
MAX_WORK: Final = 1 << 23
"""n · r · p, four times the standard."""

_HEX: Final = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})*)", re.ASCII)


def format_keystore(account: Account, password: str, *, n: int = SCRYPT_N) -> bytes:
    """The file's JSON, encrypted by scrypt with cost `n` (a power of two). Raises `Malformed`."""
    _check_cost(n, 8, 1, "keystore")
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
    derived = _derive(password, salt, n, 8, 1)
    ciphertext = _aes_ctr(derived, iv, account.key)
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": iv.hex()},
        "ciphertext": ciphertext.hex(),
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": n, "r": 8, "p": 1, "salt": salt.hex()},
        "mac": keccak(derived[16:] + ciphertext).hex(),
    }
    value = {"version": 3, "id": str(uuid4()), "address": account.address.hex(), "crypto": crypto}
    return json.dumps(value, indent=1).encode() + b"\n"


def parse_keystore(data: bytes, password: str, field: str = "keystore") -> Account:
    """The account in a file; raises `Malformed`, `TooLarge` for a cost over the bounds, `WrongPassword`."""
    box, address = _check(data, field)
    derived = _derive(password, box.salt, box.n, box.r, box.p)
    if not hmac.compare_digest(keccak(derived[16:] + box.ciphertext), box.mac):
        raise WrongPassword(f"{field}: the password is wrong, or the file was changed")
    account = Account(_aes_ctr(derived, box.iv, box.ciphertext))
    if address is not None and address != account.address:
        named, found = format_address(address), format_address(account.address)
        raise Malformed(f"{field}.address", f"says {named}, but the key is that of {found}")
    return account


def write_keystore(path: Path, account: Account, password: str, *, n: int = SCRYPT_N) -> None:
    """Make a file of mode 0600, durable on return; none is overwritten. Raises `ConfigError`, `StorageFailed`."""
    write_secret(path, format_keystore(account, password, n=n))


def read_keystore(path: Path, password: str) -> Account:
    """The account in a file; raises `ConfigError` (missing, others may read it), `Malformed`, `WrongPassword`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE + 1)
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(f"{path} may be read by others; mend it with: chmod 600 {path}")
    return parse_keystore(data, password, str(path))


@dataclass(frozen=True, slots=True)
class _Box:
    ciphertext: bytes
    iv: bytes
    mac: bytes
    salt: bytes
    n: int
    r: int
    p: int


def _check(data: bytes, field: str) -> tuple[_Box, bytes | None]:
    """What is encrypted and how, and the address that the file claims."""
    if len(data) > MAX_FILE:
        raise TooLarge(field, f"has more than {MAX_FILE} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed(field, "is not JSON") from None
    if not isinstance(value, dict) or value.get("version") != 3 or isinstance(value["version"], float):
        raise Malformed(f"{field}.version", "is not 3: no Web3 Secret Storage of version 3")
    crypto = _object(value.get("crypto", value.get("Crypto")), f"{field}.crypto")
    for name, wanted in (("cipher", "aes-128-ctr"), ("kdf", "scrypt")):
        if crypto.get(name) != wanted:
            raise Malformed(f"{field}.crypto.{name}", f"is not {wanted}")
    cipher = _object(crypto.get("cipherparams"), f"{field}.crypto.cipherparams")
    kdf = _object(crypto.get("kdfparams"), f"{field}.crypto.kdfparams")
    cost = {name: _integer(kdf.get(name), f"{field}.crypto.kdfparams.{name}") for name in ("dklen", "n", "r", "p")}
    if cost["dklen"] != 32:
        raise Malformed(f"{field}.crypto.kdfparams.dklen", "is not 32")
    _check_cost(cost["n"], cost["r"], cost["p"], f"{field}.crypto.kdfparams")
    box = _Box(
        ciphertext=_hex(crypto.get("ciphertext"), f"{field}.crypto.ciphertext", KEY_SIZE),
        iv=_hex(cipher.get("iv"), f"{field}.crypto.cipherparams.iv", 16),
        mac=_hex(crypto.get("mac"), f"{field}.crypto.mac", 32),
        salt=_hex(kdf.get("salt"), f"{field}.crypto.kdfparams.salt"),
        n=cost["n"],
        r=cost["r"],
        p=cost["p"],
    )
    address = value.get("address")
    return box, None if address is None else _hex(address, f"{field}.address", 20)


def _check_cost(n: int, r: int, p: int, field: str) -> None:
    if n < 2 or n & (n - 1) or r < 1 or p < 1:
        raise Malformed(field, "scrypt needs n, a power of two above 1, and r and p of at least 1")
    if 128 * n * r > MAX_MEMORY or n * r * p > MAX_WORK:
        raise TooLarge(
            field, f"scrypt with n={n}, r={r}, p={p} would take more than {MAX_MEMORY >> 20} MiB or too long"
        )


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # Not hashlib's: OpenSSL refuses n above 2^(16 r), which old wallets wrote (r = 1), the format's own example, too.
    derived = scrypt(_password(password), salt, 32, n, r, p)  # type: ignore[arg-type]
    return bytes(derived)  # type: ignore[arg-type]


def _aes_ctr(derived: bytes, iv: bytes, data: bytes) -> bytes:
    cipher = AES.new(derived[:16], AES.MODE_CTR, nonce=b"", initial_value=iv)
    return cipher.encrypt(data)


def _password(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed("password", "is not text that UTF-8 can hold") from None


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(field, "is not an object")
    return value


def _integer(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(field, "is not an integer")
    return value


def _hex(value: Any, field: str, size: int | None = None) -> bytes:
    match = _HEX.fullmatch(value) if isinstance(value, str) else None
    if match is None or size not in (None, len(match[1]) // 2):
        raise Malformed(field, f"is not hexadecimal text{'' if size is None else f' of {size} bytes'}")
    return bytes.fromhex(match[1])
