"""Accounts on the chain that the node can sign for without asking anybody: its own, and those that were given to it.

FOLDER/keys/accounts/NAME.key      an embedded chain's: plain, mode 0600; its money is worth nothing
FOLDER/chain/accounts/NAME.json    a network's: a keystore that the password of the node's own account opens

So that parties who share a node, an operator and its workshop say, each act in their own name.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import format_address
from twinproof.chain.keystore import LIGHT_SCRYPT_N, SCRYPT_N, read_keystore, write_keystore
from twinproof.chain.model import Chain
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.sender import Sender
from twinproof.errors import ConfigError, Malformed, NotFound, StorageFailed, WrongPassword
from twinproof.node import keyring
from twinproof.node.chain_setup import OUTBOX, chain_folder, node_password, read_plain_account
from twinproof.node.config import ChainSettings
from twinproof.node.node import Clock

FOLDER: Final = "accounts"
OWN: Final = "node"
"""The name of the node's own account."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z", re.ASCII)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accounts:
    """What `open_accounts` opened: senders by the accounts' names, the node's own first."""

    senders: dict[str, Sender]

    def find(self, address: bytes) -> Sender:
        """Who sends for an address; raises `NotFound` naming those that there are."""
        for sender in self.senders.values():
            if sender.address == address:
                return sender
        names = ", ".join(f"{name} {format_address(sender.address)}" for name, sender in self.senders.items())
        raise NotFound(f"the node cannot sign for {format_address(address)}; it holds {names}. Sign with a wallet")


def check_account_name(name: str) -> str:
    """Return what can name a held account; raises `Malformed`."""
    if not _NAME.match(name) or name == OWN:
        raise Malformed("name", f"not 1..32 of a-z 0-9 - beginning with a letter or digit, or it is {OWN!r}")
    return name


def hold_account(folder: Path, settings: ChainSettings, name: str, account: Account, *, light: bool = False) -> Path:
    """Give an account to the node under a name; its file. From its next start on the node signs for it.

    Raises `Malformed` for the name, `ConfigError` if the file is there or the node's password is missing,
    `StorageFailed`.
    """
    check_account_name(name)
    path = _file(folder, settings, name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise StorageFailed(f"{path.parent}: {problem.strerror}") from None
    if settings.driver == "embedded":
        keyring.write_secret(path, account.key.hex().encode() + b"\n")
    else:
        write_keystore(path, account, node_password(folder, settings), n=LIGHT_SCRYPT_N if light else SCRYPT_N)
    return path


def _file(folder: Path, settings: ChainSettings, name: str) -> Path:
    if settings.driver == "embedded":
        return folder / "keys" / FOLDER / f"{name}.key"
    return chain_folder(folder) / FOLDER / f"{name}.json"


def _read(folder: Path, settings: ChainSettings) -> Iterator[tuple[str, Account]]:
    pattern = _file(folder, settings, "*")
    for path in sorted(pattern.parent.glob(pattern.name)):
        try:
            name = check_account_name(path.stem)
            if settings.driver == "embedded":
                yield name, read_plain_account(path)
            else:
                yield name, read_keystore(path, node_password(folder, settings))
        except (ConfigError, Malformed, WrongPassword) as problem:
            # One file that does not open keeps nobody else from acting.
            _LOG.warning("the account in %s is not held: %s", path, problem)


@contextmanager
def open_accounts(
    folder: Path, settings: ChainSettings, chain: Chain, own: Sender, *, clock: Clock = time.time
) -> Iterator[Accounts]:
    """All accounts that can be opened, with `own` as `OWN`; an account that is there twice has its first name."""
    senders = {OWN: own}
    outbox: TransactionOutbox | None = None
    try:
        for name, account in _read(folder, settings):
            if any(sender.address == account.address for sender in senders.values()):
                continue
            outbox = outbox or TransactionOutbox(chain_folder(folder) / OUTBOX)
            senders[name] = Sender(chain, account, outbox, own.settings, clock=clock)
        yield Accounts(senders)
    finally:
        if outbox is not None:
            outbox.close()
