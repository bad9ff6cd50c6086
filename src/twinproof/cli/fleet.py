"""A fleet of C-MAPSS engines on its way into a log: keys, grants, statements, in order and only once.

Every engine has a stream of its own: number 0 describes the twin, number n is flight n. So where the log's stream
ends is all that must be known to go on, and nothing is said twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from twinproof.cli.grant import granter
from twinproof.cli.target import refusal
from twinproof.edge.sinks import Delivered, Delivery, Sink
from twinproof.errors import ConfigError, Overloaded
from twinproof.exchange.cmapss.files import read_snapshots
from twinproof.exchange.cmapss.layout import Snapshot, device_iri, snapshot_payload, twin_iri
from twinproof.node import keyring
from twinproof.node.cards import SignerCard
from twinproof.proof.keys import PrivateKey
from twinproof.twin.authority import Authority, Grant
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.grants import GRANT, Capability, GrantTerms, Scope, format_grant, log_subject
from twinproof.twin.stream import StreamHead, next_seq, sign_next

MODEL: Final = "urn:twinproof:model:cmapss-turbofan"
DAY: Final = 86_400
BATCH: Final = 500
"""Statements in one request."""
PATIENCE: Final = 10
"""Requests that a busy log may turn down in a row."""
CAN: Final = frozenset({Capability.RECORD, Capability.DESCRIBE})

Report = Callable[[int, int], None]
Engines = Mapping[int, Sequence[Snapshot]]
"""Unit number -> its rows, flight 1 first."""


def find_file(directory: Path, dataset: str) -> Path:
    """`train_FD00x.txt` or `.txt.gz` in `directory`; raises `ConfigError`."""
    for name in (f"train_{dataset}.txt", f"train_{dataset}.txt.gz"):
        if (directory / name).is_file():
            return directory / name
    raise ConfigError(f"{directory} holds neither train_{dataset}.txt nor train_{dataset}.txt.gz")


def read_units(path: Path, units: int | None, report: Report) -> dict[int, list[Snapshot]]:
    """The rows of the first `units` engines; raises `Malformed` naming line and column."""
    engines: dict[int, list[Snapshot]] = {}
    for number, snapshot in enumerate(read_snapshots(path), 1):
        if units is not None and snapshot.unit > units:
            break
        engines.setdefault(snapshot.unit, []).append(snapshot)
        if number % 1000 == 0:
            report(number, number)
    return engines


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine: its twin, its device and the device's key."""

    unit: int
    twin: str
    card: SignerCard
    key: PrivateKey


class Fleet:
    """The engines of one data set. Keys are made in `keys` (mode 0600) when they are first needed."""

    def __init__(self, sink: Sink, dataset: str, base: str, start: int, keys: Path) -> None:
        self._sink = sink
        self._dataset = dataset
        self._base = base
        self._start = start
        self._keys = keys
        self._engines: dict[int, Engine] = {}

    def engine(self, unit: int) -> Engine:
        """The engine with this number."""
        if unit not in self._engines:
            self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._keys / f"{self._dataset}-{unit:03d}.pem"
            if not path.exists():
                keyring.write_secret(path, keyring.new_private_key().to_pem())
            key = keyring.read_private_key(path)
            card = SignerCard(device_iri(self._dataset, unit), key.public)
            path.with_suffix(".json").write_text(card.to_json())
            self._engines[unit] = Engine(unit, twin_iri(self._base, self._dataset, unit), card, key)
        return self._engines[unit]

    # --- authority ---

    def grant(self, operator: PrivateKey, authority: Authority, origin: str, units: Collection[int]) -> int:
        """Let each device record and describe its engine, unless it may already; how many grants were made."""
        relied = granter(authority, operator, None)
        about = log_subject(origin)
        head = self._sink.head(relied.terms.issuer, about)
        statements = []
        for unit in units:
            engine = self.engine(unit)
            if any(_covers(authority, grant, engine) for grant in authority.grants.values()):
                continue
            terms = GrantTerms(
                engine.card.issuer,
                engine.card.key,
                CAN,
                Scope("twin", engine.twin),
                via=None if len(relied.chain) == 1 else relied.id,
            )
            raw = _sign(operator, relied.terms.issuer, about, GRANT, format_grant(terms), head)
            head = StreamHead(next_seq(head), sha256(raw).digest())
            statements.append(raw)
        for at in range(0, len(statements), BATCH):
            self._send(statements[at : at + BATCH])
        return len(statements)

    # --- history ---

    def deliver(self, engines: Engines, report: Report, rate: float | None = None) -> tuple[int, int]:
        """Deliver what the log does not have; (delivered, already there). `rate` in statements a second."""
        total = sum(len(rows) + 1 for rows in engines.values())
        delivered = there = 0
        began = time.monotonic()
        heads = {unit: self._head(unit) for unit in engines}
        there = sum(min(next_seq(heads[unit]), len(rows) + 1) for unit, rows in engines.items())
        report(there, total)
        pending: Future[None] | None = None
        # While one batch is on its way, the next is signed.
        with ThreadPoolExecutor(1, thread_name_prefix="delivery") as sender:
            for batch in self._batches(engines, heads, BATCH if rate is None else max(1, min(BATCH, int(rate)))):
                if pending is not None:
                    pending.result()
                    report(there + delivered, total)
                if rate is not None:
                    time.sleep(max(0.0, began + delivered / rate - time.monotonic()))
                pending = sender.submit(self._send, batch)
                delivered += len(batch)
            if pending is not None:
                pending.result()
        report(there + delivered, total)
        return delivered, there

    def _head(self, unit: int) -> StreamHead | None:
        engine = self.engine(unit)
        return self._sink.head(engine.card.issuer, engine.twin)

    def _batches(self, engines: Engines, heads: Mapping[int, StreamHead | None], size: int) -> Iterator[list[bytes]]:
        batch: list[bytes] = []
        for unit, rows in engines.items():
            engine, head = self.engine(unit), heads[unit]
            for seq in range(next_seq(head), len(rows) + 1):
                kind, payload = self._describe(engine) if seq == 0 else self._flight(rows[seq - 1])
                raw = _sign(engine.key, engine.card.issuer, engine.twin, kind, payload, head)
                head = StreamHead(seq, sha256(raw).digest())
                batch.append(raw)
                if len(batch) == size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _describe(self, engine: Engine) -> tuple[str, bytes]:
        day = time.strftime("%Y-%m-%d", time.gmtime(self._start))
        return DESCRIPTION, format_description(
            Description(
                model=MODEL,
                lifecycle=Lifecycle.IN_SERVICE,
                set={
                    "dataset": f"C-MAPSS {self._dataset}",
                    "unit": engine.unit,
                    "calendar": f"assumed: one flight a day from {day}; the data set holds no times",
                },
            )
        )

    def _flight(self, snapshot: Snapshot) -> tuple[str, bytes]:
        return snapshot_payload(snapshot, self._start + (snapshot.cycle - 1) * DAY)

    def _send(self, statements: Sequence[bytes]) -> None:
        """Deliver a batch; a busy log is waited for. Raises `RefusedByLog`, `Unreachable`, `Overloaded`."""
        deliveries: list[Delivery] = []
        for attempt in range(PATIENCE):
            try:
                deliveries = self._sink.send(statements)
                break
            except Overloaded as busy:
                if attempt == PATIENCE - 1:
                    raise
                time.sleep(min(busy.retry_after, 30))
        for delivery in deliveries:
            if not isinstance(delivery, Delivered):
                raise refusal(delivery)


def _covers(authority: Authority, grant: Grant, engine: Engine) -> bool:
    terms = grant.terms
    return (
        terms.key == engine.card.key
        and terms.issuer == engine.card.issuer
        and terms.can >= CAN
        and terms.scope.covers_twin(engine.twin, MODEL)
        and authority.revoked_at(grant) is None
    )


def _sign(
    key: PrivateKey, issuer: str, subject: str, content_type: str, payload: bytes, head: StreamHead | None
) -> bytes:
    return sign_next(
        head,
        key,
        issuer=issuer,
        subject=subject,
        content_type=content_type,
        payload=payload,
        issued_at=int(time.time()),
    )
