"""The PartPassport contract, typed: tokens of numbered parts, and batches of counted ones (docs/parts.md).

parts = PartPassport(chain, address)
token = token_id_of(manufacturer, "HPT-7", "SN-001")
parts.part(token).status                       # Status.IN_SERVICE
data = parts.contract.encode("offer", token, to, expires)        # for a sender
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.abi_types import encode_values, parse_parameters
from twinproof.chain.asking import ask, logs_of
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Chain, Log, Topics
from twinproof.errors import Malformed, NotFound, Reverted

NAME: Final = "PartPassport"
_PART_ID: Final = parse_parameters(
    [
        {"name": "by", "type": "address"},
        {"name": "partNumber", "type": "string"},
        {"name": "serial", "type": "string"},
    ],
    "token id",
)
_BATCH_ID: Final = parse_parameters(
    [
        {"name": "kind", "type": "string"},
        {"name": "by", "type": "address"},
        {"name": "partNumber", "type": "string"},
        {"name": "lot", "type": "string"},
    ],
    "batch id",
)


class Status(IntEnum):
    """Whether a part is fit for use."""

    IN_SERVICE = 0
    REMOVED = 1
    QUARANTINED = 2
    SCRAPPED = 3
    """Final."""

    @property
    def word(self) -> str:
        """`in-service` and so on."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Part:
    """A part as the contract has it now."""

    token: int
    manufacturer: bytes
    part_number: bytes
    """keccak256 of the text."""
    twin: bytes
    """SHA-256 of the twin's IRI."""
    birth: bytes
    """Leaf hash of the birth statement."""
    status: Status
    parent: int
    """The part that it is installed in, or 0."""
    owner: bytes
    user: bytes | None
    offered_to: bytes | None
    offer_expires: int
    """POSIX seconds; 0 without an offer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the contract has it now; quantities are pieces."""

    manufacturer: bytes
    part_number: bytes
    birth: bytes
    released: int
    installed: int
    scrapped: int


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a part's life."""

    name: str
    args: dict[str, Any]
    log: Log


def token_id_of(manufacturer: bytes, part_number: str, serial: str) -> int:
    """keccak256(abi.encode(manufacturer, part number, serial)): the token of a part, minted or not."""
    return int.from_bytes(keccak(encode_values(_PART_ID, [manufacturer, part_number, serial], "token id")), "big")


def batch_id_of(manufacturer: bytes, part_number: str, lot: str) -> int:
    """keccak256(abi.encode("batch", manufacturer, part number, lot))."""
    return int.from_bytes(
        keccak(encode_values(_BATCH_ID, ["batch", manufacturer, part_number, lot], "batch id")), "big"
    )


class PartPassport:
    """One contract on one chain. Methods raise what the chain raises."""

    def __init__(self, chain: Chain, address: bytes, block: int | None = None) -> None:
        """With `block`, view functions answer as of that one."""
        self.contract = Contract(Artifact.load(NAME), address)
        self._chain = chain
        self._block = block

    def at(self, block: int) -> PartPassport:
        """The same contract as of a block, so that several answers belong together."""
        return PartPassport(self._chain, self.contract.address, block)

    def ask(self, function: str, *arguments: object) -> Any:
        """The answer of a view function."""
        return ask(self._chain, self.contract, function, *arguments, block=self._block)

    def part(self, token: int) -> Part:
        """A part; raises `NotFound` if it was never minted."""
        try:
            owner = self.ask("ownerOf", token)
        except Reverted as refusal:
            if not refusal.reason.startswith("ERC721NonexistentToken"):
                raise
            raise NotFound(f"no part has the token {token:#066x}") from None
        manufacturer, part_number, twin, birth, status, parent = self.ask("partOf", token)
        to, expires = self.ask("offerOf", token)
        user = self.ask("userOf", token)
        return Part(
            token,
            manufacturer,
            part_number,
            twin,
            birth,
            Status(status),
            parent,
            owner,
            user if any(user) else None,
            to if any(to) else None,
            expires,
        )

    def batch(self, batch: int) -> Batch:
        """A batch; raises `NotFound` if it was never released."""
        try:
            found = Batch(*self.ask("batchOf", batch))
        except Reverted as refusal:
            if not refusal.reason.startswith("NoSuchBatch"):
                raise
            raise NotFound(f"no batch has the id {batch:#066x}") from None
        if not found.released:
            raise NotFound(f"no batch has the id {batch:#066x}")
        return found

    def minted(self, token: int, first: int = 0) -> Happening:
        """How a part came to be: part number and serial in words. `first` is the contract's own block."""
        for happening in self._happenings("Minted", token, first):
            return happening
        raise NotFound(f"no part has the token {token:#066x}")

    def all_minted(
        self, first: int = 0, manufacturer: bytes | None = None, twin: bytes | None = None
    ) -> list[dict[str, Any]]:
        """The arguments of all `Minted` events, of a manufacturer's or a twin's alone, in order.

        Texts that are not UTF-8, which the contract takes, are None.
        """
        by = None if manufacturer is None else manufacturer.rjust(32, b"\0")
        logs = self._logs([self.contract.topic("Minted"), None, by, twin], first)
        return [self._read(log).args for log in logs]

    def life(self, token: int, first: int = 0) -> list[Happening]:
        """Every event that names the part first, in order."""
        found = [
            happening
            for name in (
                "Minted",
                "Offered",
                "OfferCancelled",
                "HandedOver",
                "StatusChanged",
                "Installed",
                "Removed",
                "UserAssigned",
            )
            for happening in self._happenings(name, token, first)
        ]
        return sorted(found, key=lambda happening: (happening.log.number, happening.log.position))

    def parts_in(self, token: int, first: int = 0) -> list[int]:
        """The parts that are directly in a part, in the order of their installation."""
        inside: dict[int, None] = {}
        topic = token.to_bytes(32, "big")
        for log in self._logs([[self.contract.topic("Installed"), self.contract.topic("Removed")], None, topic], first):
            name, args = self.contract.event(log)
            if name == "Installed":
                inside[args["child"]] = None
            else:
                inside.pop(args["child"], None)
        return list(inside)

    def _happenings(self, event: str, token: int, first: int) -> list[Happening]:
        logs = self._logs([self.contract.topic(event), token.to_bytes(32, "big")], first)
        return [self._read(log) for log in logs]

    def _read(self, log: Log) -> Happening:
        try:
            return Happening(*self.contract.event(log), log)
        except Malformed:
            if len(log.topics) != 4 or log.topics[0] != self.contract.topic("Minted"):
                raise
            # The contract takes any bytes as text: what one manufacturer makes of that must not hide other parts.
            token, by, twin = log.topics[1:]
            texts = dict.fromkeys(("partNumber", "serial", "birth"))
            args = {"tokenId": int.from_bytes(token, "big"), "manufacturer": by[-20:], "twin": twin, **texts}
            return Happening("Minted", args, log)

    def _logs(self, topics: Topics, first: int) -> list[Log]:
        return list(logs_of(self._chain, self.contract, topics, first))
