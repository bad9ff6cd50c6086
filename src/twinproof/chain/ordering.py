"""Placing orders by proof, typed: what a relay needs of the MaintenanceAgreement contract.

    orders = Ordering(chain, address, first_block)
    agreement = orders.agreement(7)                  # its terms, from the event that proposed it
    data = orders.plan(agreement, proof)             # for `Sender.submit`

The contract keeps only a hash of an agreement's terms: whoever calls it brings them along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.anchors import Head
from twinproof.chain.model import Chain

NAME: Final = "MaintenanceAgreement"
RANGE: Final = 10_000
"""Blocks asked for at once."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement's terms, as far as a relay looks at them."""

    id: int
    terms: tuple[Any, ...]
    """All of them, in the contract's order."""
    anchors: bytes
    """Address of the CheckpointAnchor that proofs lead to."""
    log_id: bytes
    unit: bytes
    """Keccak-256 of the unit."""
    below: int
    """Bits of a float64."""
    coverage: int
    """Bits of a float64."""
    max_age: int
    """Seconds that a prediction may be old."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A twin under an agreement."""

    agreed: bool
    """Whether the agreement covers the twin."""
    number: int
    """Orders that are final."""
    order: int
    """The latest order, or 0."""
    open: bool
    """Whether it is open."""
    floor: int
    """If there was an order, the next one needs a prediction at a higher log index."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A statement and its place in an anchored log."""

    statement: bytes
    index: int
    head: Head
    path: Sequence[bytes]
    """Inclusion path of `index` in the tree of `head.size`."""


class Ordering:
    """One MaintenanceAgreement contract. Methods raise what the chain raises."""

    def __init__(self, chain: Chain, address: bytes, first_block: int = 0) -> None:
        """`first_block` is the one that made the contract."""
        self.contract = Contract(Artifact.load(NAME), address)
        self._chain = chain
        self._first = first_block
        member = self.contract.artifact.find("event", "Proposed")
        (terms,) = (parameter for parameter in member.inputs if parameter.name == "terms")
        self._fields = [component.name for component in terms.components]
        self._known: dict[int, Agreement] = {}

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self.contract.address

    def agreement(self, id_: int) -> Agreement | None:
        """The agreement of this number; None if nobody proposed it."""
        if id_ not in self._known:
            found = self._find(id_)
            if found is None:
                return None
            self._known[id_] = found
        return self._known[id_]

    def _find(self, id_: int) -> Agreement | None:
        topics = [self.contract.topic("Proposed"), id_.to_bytes(32, "big")]
        last = self._chain.head().number
        # Backwards: what policies name is more often new than old.
        while last >= self._first:
            first = max(self._first, last - RANGE + 1)
            logs = self._chain.logs(first=first, last=last, addresses=[self.address], topics=topics)
            if logs:
                return self._read(id_, self.contract.event(logs[0])[1]["terms"])
            last = first - 1
        return None

    def _read(self, id_: int, terms: tuple[Any, ...]) -> Agreement:
        named = dict(zip(self._fields, terms, strict=True))
        return Agreement(
            id_,
            terms,
            anchors=named["anchors"],
            log_id=named["logId"],
            unit=named["unit"],
            below=named["below"],
            coverage=named["coverage"],
            max_age=named["maxAge"],
        )

    def forget(self, id_: int) -> None:
        """Look the agreement up again: a reorganisation may have given its number to another."""
        self._known.pop(id_, None)

    def episode(self, id_: int, twin: bytes) -> Episode:
        """How things stand with a twin (SHA-256 of its IRI) under an agreement."""
        data = self._chain.call(self.address, self.contract.encode("episodeOf", id_, twin))
        return Episode(*self.contract.decode("episodeOf", data))

    def plan(self, agreement: Agreement, proof: Proof) -> bytes:
        """The call that places the order; anybody may make it."""
        proved = (proof.statement, proof.index, proof.head, list(proof.path))
        return self.contract.encode("order", agreement.id, agreement.terms, proved)

    def try_order(self, data: bytes, sender: bytes) -> None:
        """Ask the contract whether it would place the order now; raises `Reverted` with its reason if not."""
        self._chain.call(self.address, data, sender=sender)
