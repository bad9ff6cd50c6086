"""Key files: private keys, mode 0600.

| file            | holds                                                                       |
|-----------------|-----------------------------------------------------------------------------|
| `log.key`       | the log's Ed25519 note signer, in the form `PRIVATE+KEY+…`; also signs receipts |
| `log-pq.key`    | the log's ML-DSA-44 cosigner, same form                                      |
| `operator.pem`  | the operator's key, PKCS #8                                                  |
| `NAME.pem`      | a device's or party's key, PKCS #8; its signer card is `NAME.json`           |
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from twinproof.errors import ConfigError, Malformed
from twinproof.log.files import write_secret as write_secret  # callers find all of the key ring here
from twinproof.proof import keys, note
from twinproof.proof.keys import PrivateKey
from twinproof.proof.note import SignerKey


def new_private_key(algorithm: int = keys.EDDSA) -> PrivateKey:
    """A fresh key from the system's randomness."""
    while True:
        try:
            return PrivateKey(algorithm, secrets.token_bytes(keys.SEED_SIZE))
        except ValueError:  # one P-256 scalar in 2^32 is out of range
            continue


def new_signer_key(name: str, kind: int) -> SignerKey:
    """A fresh note signer of type 01, 04 or 06."""
    return SignerKey(name, kind, secrets.token_bytes(keys.SEED_SIZE))


def read_secret(path: Path) -> bytes:
    """Read a key file; raises `ConfigError` if it is missing or others may read it."""
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & 0o077:
            raise ConfigError(f"{path} may be read by others; mend it with: chmod 600 {path}")
        return path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}") from None


def read_private_key(path: Path) -> PrivateKey:
    """Read a PKCS #8 file; raises `ConfigError` naming it."""
    if path.suffix == ".json":
        raise ConfigError(f"{path} is a signer card, which is public; the secret key is {path.with_suffix('.pem')}")
    try:
        return PrivateKey.from_pem(read_secret(path))
    except Malformed as problem:
        raise ConfigError(f"{path}: {problem}") from None


def read_signer_key(path: Path, name: str, kind: int) -> SignerKey:
    """Read the file of a note signer of this name and type (01, 04, 06); raises `ConfigError` naming the file."""
    try:
        key = note.parse_signer_key(read_secret(path).decode("ascii").strip())
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a note signer key") from None
    except Malformed as problem:
        raise ConfigError(f"{path}: {problem}") from None
    if (key.name, key.type) != (name, kind):
        raise ConfigError(f"{path}: a key of type {key.type:02x} for {key.name}, not of type {kind:02x} for {name}")
    return key
