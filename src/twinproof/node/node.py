"""A node: a folder with a log, its keys and settings, opened for writing or just for reading.

FOLDER/twinproof.toml     settings
FOLDER/log.db             the log (SQLite)
FOLDER/log.pin            the last checkpoint signed here; see twinproof.log.pin
FOLDER/keys/              log.key, log-pq.key, operator.pem: mode 0600
FOLDER/operator.json      the operator's signer card
FOLDER/blobs/             what statements name by digest, such as models; see twinproof.node.blobs
FOLDER/chain/anchors.db   evidence of where the log was anchored; see twinproof.node.anchor_store
FOLDER/policy.txt         what to hand to an auditor: the C2SP trust policy of this log alone
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from twinproof.errors import ConfigError, NotFound, StorageFailed
from twinproof.log.files import replace_file
from twinproof.log.pin import Pin
from twinproof.log.reader import Reader
from twinproof.log.sqlite import SqliteStore
from twinproof.log.store import Entry
from twinproof.log.writer import Writer
from twinproof.node import keyring
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.blobs import Blobs
from twinproof.node.cards import SignerCard
from twinproof.node.config import FILE_NAME, Config, check_origin, format_config, load_config
from twinproof.node.evidence import EvidenceBuilder
from twinproof.node.intake import Intake
from twinproof.proof import keys, note
from twinproof.proof.cosignature import verifier
from twinproof.proof.keys import PrivateKey, PublicKey
from twinproof.proof.note import SignerKey
from twinproof.twin.authority import ModelOf
from twinproof.twin.grants import GENESIS, Genesis, format_genesis, log_subject
from twinproof.twin.state import TwinState
from twinproof.twin.statement import check_iri, parse_statement, sign_statement
from twinproof.twin.stream import position_of, twin_prefix
from twinproof.views.feed import Item

Clock = Callable[[], float]

DATABASE: Final = "log.db"
PIN: Final = "log.pin"
POLICY: Final = "policy.txt"
OPERATOR_CARD: Final = "operator.json"
ANCHORS: Final = "chain/anchors.db"


def init_node(folder: Path, origin: str, operator: str, *, clock: Clock = time.time) -> None:
    """Make a new node: keys, settings, and a log whose first entry is the signed genesis.

    `origin` names the log (twin.example/log0), `operator` is the operator's IRI. Raises `ConfigError`
    if the folder holds anything, `Malformed` for an operator that is no IRI, `StorageFailed`.
    """
    check_origin(origin)
    check_iri(operator, "operator")
    try:
        _require_empty(folder)
        (folder / "keys").mkdir(parents=True, mode=0o700)
        _fill(folder, origin, operator, clock)
    except OSError as problem:
        raise StorageFailed(f"{problem.filename or folder}: {problem.strerror}") from None


def _require_empty(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if (folder / "keys").is_dir() and not (folder / FILE_NAME).exists():
        raise ConfigError(f"{folder} is left over from an init that did not end; delete it and start again")
    raise ConfigError(f"{folder} is not an empty folder")


def _fill(folder: Path, origin: str, operator: str, clock: Clock) -> None:
    log_key = keyring.new_signer_key(origin, note.ED25519)
    pq_key = keyring.new_signer_key(origin, note.COSIGNATURE_ML_DSA_44)
    operator_key = keyring.new_private_key()
    keyring.write_secret(folder / "keys" / "log.key", log_key.to_text().encode() + b"\n")
    keyring.write_secret(folder / "keys" / "log-pq.key", pq_key.to_text().encode() + b"\n")
    keyring.write_secret(folder / "keys" / "operator.pem", operator_key.to_pem())
    replace_file(folder / OPERATOR_CARD, SignerCard(operator, operator_key.public).to_json().encode())
    replace_file(folder / POLICY, f"log {log_key.verifier}\nlog {pq_key.verifier}\nquorum none\n".encode())
    genesis = sign_statement(
        operator_key,
        issuer=operator,
        subject=log_subject(origin),
        content_type=GENESIS,
        payload=format_genesis(Genesis(origin, (log_key.verifier, pq_key.verifier), operator_key.public)),
        seq=0,
        prev=None,
        issued_at=int(clock()),
    )
    store = SqliteStore(folder / DATABASE)
    try:
        writer = Writer(store, Pin(folder / PIN), [log_key, pq_key], origin, clock)
        writer.append([Entry(position_of(genesis), genesis)])
    finally:
        store.close()
    # Last, so that a folder with settings is a whole node.
    replace_file(folder / FILE_NAME, format_config(Config(origin)).encode())


class Node:
    """An open node. Use `open_node` or `read_node`."""

    def __init__(self, folder: Path, config: Config, store: SqliteStore, reader: Reader, signers: list[SignerKey]):
        self.folder = folder
        self.config = config
        self.store = store
        self.reader = reader
        self.signers = signers
        self.anchors = AnchorStore(folder / ANCHORS)
        self.blobs = Blobs(folder)
        self.evidence = EvidenceBuilder(
            reader, config.origin, PrivateKey(keys.EDDSA, signers[0].seed), self.anchors, self.blobs
        )

    @property
    def receipt_key(self) -> PublicKey:
        """The key that signs receipts: the log's Ed25519 key."""
        return PublicKey(keys.EDDSA, self.signers[0].verifier.public)

    @property
    def verifiers(self) -> list[note.Verifier]:
        """Verifiers of the log's own keys."""
        return [verifier(signer.verifier) for signer in self.signers]

    def entries_about(self, subject: str) -> Iterator[tuple[int, bytes]]:
        """(index, statement) of a twin, in log order, up to the published head."""
        for index in sorted(index for _, index in self.reader.scan(twin_prefix(subject))):
            yield index, self.reader.entry(index)

    def state(self, subject: str, *, at: int | None = None) -> TwinState:
        """The twin's state after the entry `at` (default: the newest); raises `NotFound`."""
        state = TwinState(subject)
        for index, raw in self.entries_about(subject):
            if at is not None and index > at:
                break
            state.apply(index, parse_statement(raw))
        if not state.statements:
            raise NotFound(f"the log holds nothing about {subject}" + ("" if at is None else f" up to entry {at}"))
        return state


class WritingNode(Node):
    """A node that takes statements once it was started; close it with `close`."""

    writer: Writer
    intake: Intake
    clock: Clock

    def start(self, *, model_of: ModelOf | None = None, on_taken: Callable[[list[Item]], None] | None = None) -> None:
        """Begin to take statements; the arguments are `Intake`'s."""
        self.intake = Intake(
            self.writer,
            self.reader,
            limits=self.config.limits,
            clock=self.clock,
            model_of=model_of,
            on_taken=on_taken,
        )

    def operator_key(self) -> PrivateKey:
        """The operator's key; raises `ConfigError` if it is kept elsewhere."""
        return keyring.read_private_key(self.folder / "keys" / "operator.pem")


def _signers(folder: Path, origin: str) -> list[SignerKey]:
    return [
        keyring.read_signer_key(folder / "keys" / name, origin, kind)
        for name, kind in (("log.key", note.ED25519), ("log-pq.key", note.COSIGNATURE_ML_DSA_44))
    ]


@contextmanager
def open_log(folder: Path, *, config: Config | None = None, clock: Clock = time.time) -> Iterator[WritingNode]:
    """Open for writing, not started yet; raises `ConfigError`, `RolledBack`, `Corrupt` or `StorageFailed`."""
    settings = config or load_config(folder)
    signers = _signers(folder, settings.origin)
    store = SqliteStore(folder / DATABASE)
    try:
        writer = Writer(store, Pin(folder / PIN), signers, settings.origin, clock)
        reader = Reader(store, lambda: writer.published)
        node = WritingNode(folder, settings, store, reader, signers)
        node.writer, node.clock = writer, clock
        yield node
    finally:
        store.close()


@contextmanager
def open_node(folder: Path, *, config: Config | None = None, clock: Clock = time.time) -> Iterator[WritingNode]:
    """Open for writing and start; raises as `open_log` does. What is queued at the end is finished."""
    with open_log(folder, config=config, clock=clock) as node:
        node.start()
        try:
            yield node
        finally:
            node.intake.stop()


@contextmanager
def read_node(folder: Path) -> Iterator[Node]:
    """Open just for reading, also while another process writes; raises as `open_node`."""
    settings = load_config(folder)
    signers = _signers(folder, settings.origin)
    store = SqliteStore(folder / DATABASE, read_only=True)
    try:
        yield Node(folder, settings, store, Reader(store), signers)
    finally:
        store.close()
