"""The parts of a node's chain: the chain itself, the account, the sender, the contracts.

FOLDER/chain/chain.db          the embedded chain
FOLDER/chain/outbox.db         what the account has sent, or is about to; of one chain
FOLDER/chain/contracts.json    where the contracts are: written by `twinproof chain deploy`
FOLDER/chain/anchors.db        evidence of anchors (`anchor_store`)
FOLDER/chain/account.json      the account, an encrypted keystore; the embedded chain does with keys/chain-account.key

    with open_chain(folder, config.chain) as chain:
        sender = open_sender(folder, config.chain, chain, open_account(folder, config.chain))
        contracts = deploy_contracts(sender, chain, config.origin)
        write_contracts(folder, contracts)
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twinproof.chain.abi import Artifact
from twinproof.chain.accounts import Account
from twinproof.chain.anchors import CheckpointAnchor, log_id_of
from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.hexadecimal import HASH_SIZE, format_address, keccak, parse_address, parse_data
from twinproof.chain.keystore import read_keystore
from twinproof.chain.model import Chain
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.errors import ChainError, ConfigError, Malformed
from twinproof.log.files import replace_file
from twinproof.node import keyring
from twinproof.node.config import ChainSettings
from twinproof.node.node import Clock

FOLDER: Final = "chain"
CHAIN: Final = "chain.db"
OUTBOX: Final = "outbox.db"
CONTRACTS: Final = "contracts.json"
ANCHORS: Final = "anchors.db"
ACCOUNT_KEY: Final = "chain-account.key"
"""In FOLDER/keys: the key of an embedded chain's account, in hex."""
PASSWORD: Final = "TWINPROOF_CHAIN_PASSWORD"  # noqa: S105 - the name of a variable
EMBEDDED_CHAIN_ID: Final = 1_954_047_342
"""`twin` in ASCII. No public network has it, so nothing that is signed for an embedded chain counts elsewhere."""
EMBEDDED_FUNDS: Final = 10**24
"""Wei that the account of an embedded chain begins with."""
GWEI: Final = 10**9
DEPLOY_SECONDS: Final = 300.0
"""Until a deployment must be confirmed."""
NAMES: Final = ("CheckpointAnchor", "PartPassport", "MaintenanceAgreement", "Attestations")
"""Contracts in the order of their making."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """Where a node's contracts are."""

    chain_id: int
    first_block: int
    """Their events begin here or later."""
    log_id: bytes
    """The log's id at the CheckpointAnchor."""
    addresses: dict[str, bytes]
    """By name; all of `NAMES`."""

    def to_json(self) -> str:
        """The file's text."""
        value = {
            "chain_id": self.chain_id,
            "first_block": self.first_block,
            "log_id": f"0x{self.log_id.hex()}",
            "contracts": {name: format_address(self.addresses[name]) for name in NAMES},
        }
        return json.dumps(value, indent=2) + "\n"


def chain_folder(folder: Path) -> Path:
    """FOLDER/chain, made if need be."""
    made = folder / FOLDER
    made.mkdir(mode=0o700, exist_ok=True)
    return made


# --- the contracts' addresses -------------------------------------------------------------------


def has_contracts(folder: Path) -> bool:
    """Whether contracts were deployed, or taken over, for this node."""
    return (folder / FOLDER / CONTRACTS).exists()


def write_contracts(folder: Path, contracts: Contracts) -> None:
    """Write contracts.json, durable on return; raises `OSError`."""
    replace_file(chain_folder(folder) / CONTRACTS, contracts.to_json().encode())


def read_contracts(folder: Path) -> Contracts:
    """Read the node's contracts.json; raises as `read_contracts_at`."""
    return read_contracts_at(folder / FOLDER / CONTRACTS)


def read_contracts_at(path: Path) -> Contracts:
    """Read such a file anywhere; raises `ConfigError` naming the file and the key."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}; make it with: twinproof chain deploy") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise ConfigError(f"{path}: {problem}") from None
    if type(value) is not dict or value.keys() != {"chain_id", "first_block", "log_id", "contracts"}:
        raise ConfigError(f"{path}: must hold chain_id, first_block, log_id and contracts")
    contracts = value["contracts"]
    if type(contracts) is not dict or contracts.keys() != set(NAMES):
        raise ConfigError(f"{path}: contracts must hold {', '.join(NAMES)}")
    return Contracts(
        _number(value["chain_id"], f"{path}: chain_id", 1),
        _number(value["first_block"], f"{path}: first_block", 0),
        _read_log_id(value["log_id"], f"{path}: log_id"),
        {name: _address(contracts[name], f"{path}: contracts.{name}") for name in NAMES},
    )


def _number(value: Any, where: str, low: int) -> int:
    if type(value) is not int or not low <= value < 1 << 63:
        raise ConfigError(f"{where} is not a number from {low} on")
    return value


def _read_log_id(value: Any, where: str) -> bytes:
    try:
        return parse_data(value, where, size=HASH_SIZE)
    except Malformed as problem:
        raise ConfigError(str(problem)) from None


def _address(value: Any, where: str) -> bytes:
    # With its checksum (EIP-55): a mistyped address is a contract that nobody has.
    try:
        return parse_address(value if type(value) is str else "", where)
    except Malformed as problem:
        raise ConfigError(str(problem)) from None


# --- account, chain, sender ----------------------------------------------------------------------


def open_account(folder: Path, settings: ChainSettings) -> Account:
    """The account that signs for this node; raises `ConfigError`, `Malformed` or `WrongPassword`.

    An embedded chain whose money is worth nothing needs no password: without a keystore it has a key file, made here.
    """
    path = folder / settings.keystore
    if settings.driver == "embedded" and not path.exists():
        return _plain_account(folder)
    if not path.exists():
        raise ConfigError(f"there is no keystore at {path}; make one with: twinproof chain account")
    return read_keystore(path, node_password(folder, settings))


def node_password(folder: Path, settings: ChainSettings) -> str:
    """The password of the node's keystore, from its file or the environment; raises `ConfigError`."""
    if settings.password_file:
        try:
            return keyring.read_secret(folder / settings.password_file).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigError(f"{folder / settings.password_file} is not text") from None
    password = os.environ.get(PASSWORD)
    if password is None:
        raise ConfigError(f"the keystore's password is missing: set {PASSWORD}, or chain.password_file")
    return password


def _plain_account(folder: Path) -> Account:
    path = folder / "keys" / ACCOUNT_KEY
    if not path.exists():
        keyring.write_secret(path, Account.generate().key.hex().encode() + b"\n")
    return read_plain_account(path)


def read_plain_account(path: Path) -> Account:
    """The account of an embedded chain in a file of 64 hexadecimal digits; raises `ConfigError`, `Malformed`."""
    text = keyring.read_secret(path).strip()
    if not re.fullmatch(rb"[0-9a-f]{64}", text):
        raise ConfigError(f"{path} is not a key of 64 hexadecimal digits")
    return Account(bytes.fromhex(text.decode()))


@contextmanager
def open_chain(folder: Path, settings: ChainSettings, *, clock: Clock = time.time) -> Iterator[Chain]:
    """The chain that the settings name; an embedded one is made if it is not there, with its account funded.

    Raises `ConfigError` without a driver, and what the driver raises. A network is not asked anything yet.
    """
    if settings.driver == "embedded":
        genesis = None
        if not (folder / FOLDER / CHAIN).exists():
            account = open_account(folder, settings)
            genesis = Genesis(EMBEDDED_CHAIN_ID, {account.address: EMBEDDED_FUNDS}, time=int(clock()))
        with EmbeddedChain.open(chain_folder(folder) / CHAIN, genesis=genesis, clock=clock) as chain:
            yield chain
    elif settings.driver == "rpc":
        # An HTTP client takes longer to load than most commands take, and an embedded chain needs none.
        from twinproof.chain.rpc import RpcChain
        from twinproof.chain.rpc_client import RpcClient

        network = RpcChain(RpcClient(settings.url), settings.chain_id)
        try:
            yield network
        finally:
            network.close()
    else:
        raise ConfigError("no chain is set up; in twinproof.toml, [chain] driver is embedded or rpc")


def confirmations(settings: ChainSettings) -> int:
    """Blocks upon another until it counts."""
    return settings.confirmations if settings.driver == "rpc" else 0


@contextmanager
def open_sender(
    folder: Path, settings: ChainSettings, chain: Chain, account: Account, *, clock: Clock = time.time
) -> Iterator[Sender]:
    """The account's sender, on FOLDER/chain/outbox.db; raises `ConfigError` or `StorageFailed`."""
    outbox = TransactionOutbox(chain_folder(folder) / OUTBOX)
    try:
        limits = SenderSettings(settings.max_fee * GWEI, confirmations=confirmations(settings) + 1)
        yield Sender(chain, account, outbox, limits, clock=clock)
    finally:
        outbox.close()


# --- deploying -----------------------------------------------------------------------------------


def deploy_contracts(sender: Sender, chain: Chain, origin: str, *, timeout: float = DEPLOY_SECONDS) -> Contracts:
    """Make the contracts and register the log, its account being the owner; asked again it goes on where it was.

    Raises what `Sender.wait` raises; what was sent stays in the outbox.
    """
    addresses: dict[str, bytes] = {}
    blocks: list[int] = []
    for name in NAMES:
        # A contract's arguments: the passports' administrator, and the anchors that attestations are proved by.
        arguments = {"PartPassport": sender.address, "Attestations": addresses.get("CheckpointAnchor")}
        data = Artifact.load(name).deployment(*([arguments[name]] if name in arguments else []))
        purpose = f"deploy {name} {keccak(data + origin.encode()).hex()}"
        sender.submit(purpose, None, data)
        entry = sender.wait(purpose, timeout)
        if entry.contract is None or entry.number is None:
            raise ChainError(f"the chain's node does not tell where {name} was made")
        addresses[name] = entry.contract
        blocks.append(entry.number)
    anchors = CheckpointAnchor(chain, addresses["CheckpointAnchor"])
    log_id = log_id_of(origin, sender.address)
    if anchors.owner(log_id) is None:
        purpose = f"register {log_id.hex()}"
        sender.submit(purpose, anchors.address, anchors.plan_registration(origin, sender.address))
        sender.wait(purpose, timeout)
    return Contracts(chain.chain_id, min(blocks), log_id, addresses)
