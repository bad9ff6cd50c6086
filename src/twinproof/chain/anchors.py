"""The CheckpointAnchor contract, typed: heads of transparency logs, each proved to extend the one before.

    anchors = CheckpointAnchor(chain, address)
    latest = anchors.latest(log_id)
    data = anchors.plan(log_id, old, new, reader.consistency(old.size, new.size))     # for `Sender.submit`

The contract recomputes both roots from the consistency proof, so what it has taken is one history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.abi_types import encode_values, parse_parameters
from twinproof.chain.asking import ask, logs_of, newest_log
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.model import Chain, Log
from twinproof.errors import ChainLied, Malformed

NAME: Final = "CheckpointAnchor"
_ID_PARTS: Final = parse_parameters([{"name": "origin", "type": "string"}, {"name": "by", "type": "address"}], "log id")


@dataclass(frozen=True, slots=True)
class Head:
    """An anchored head. `NO_HEAD` stands before the first."""

    size: int
    """Entries of the log."""
    time: int
    """When it was anchored: the block's time, POSIX seconds."""
    root: bytes
    """RFC 9162 root of the tree of `size` leaves."""


NO_HEAD: Final = Head(0, 0, bytes(32))


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest anchored head without its root; all zero before the first."""

    size: int
    time: int
    count: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """The event of one anchor."""

    head: Head
    log: Log
    """Where it stands on the chain."""


def log_id_of(origin: str, registrar: bytes) -> bytes:
    """keccak256(abi.encode(origin, registrar)): the id that a log gets when `registrar` (20 bytes) registers it."""
    return keccak(encode_values(_ID_PARTS, [origin, registrar], "log id"))


class CheckpointAnchor:
    """One contract on one chain. Methods raise what the chain raises."""

    def __init__(self, chain: Chain, address: bytes) -> None:
        self.contract = Contract(Artifact.load(NAME), address)
        self._chain = chain

    @property
    def address(self) -> bytes:
        """20 bytes."""
        return self.contract.address

    def _ask(self, function: str, *arguments: object, block: int | None = None) -> object:
        return ask(self._chain, self.contract, function, *arguments, block=block)

    def owner(self, log_id: bytes) -> bytes | None:
        """Who anchors the log's heads; None if it is not registered."""
        owner = self._ask("ownerOf", log_id)
        return owner if isinstance(owner, bytes) and any(owner) else None

    def origin(self, log_id: bytes, first: int) -> str | None:
        """The name that the log was registered under; None if that was not in block `first` or later."""
        log = newest_log(self._chain, self.contract, [self.contract.topic("LogRegistered"), log_id], first)
        return None if log is None else str(self.contract.event(log)[1]["origin"])

    def latest(self, log_id: bytes, *, block: int | None = None) -> Latest:
        """The newest anchored head, as of a block."""
        answer = self._ask("latest", log_id, block=block)
        if not isinstance(answer, tuple):
            raise ChainLied(f"{NAME}.latest answers {answer!r}")
        return Latest(*answer)

    def is_anchored(self, log_id: bytes, head: Head, *, block: int | None = None) -> bool:
        """Whether just this head was anchored."""
        return self._ask("isAnchored", log_id, head, block=block) is True

    def events(self, log_id: bytes, first: int, last: int) -> list[Anchored]:
        """The log's anchors in blocks `first` to `last`, both included, in order."""
        topics = [self.contract.topic("Anchored"), log_id]
        return [self.read(log) for log in logs_of(self._chain, self.contract, topics, first, last)]

    def read(self, log: Log) -> Anchored:
        """An Anchored event; raises `Malformed`."""
        name, args = self.contract.event(log)
        if name != "Anchored":
            raise Malformed("log", f"is {name}, not Anchored")
        return Anchored(Head(args["size"], args["time"], args["root"]), log)

    # --- calls for a sender -----------------------------------------------------------------------

    def plan_registration(self, origin: str, owner: bytes) -> bytes:
        """The call that registers a log; its id is `log_id_of(origin, the sending account)`."""
        return self.contract.encode("register", origin, owner)

    def plan(self, log_id: bytes, old: Head, size: int, root: bytes, proof: Sequence[bytes]) -> bytes:
        """The call that anchors a newer head: `proof` leads from `old` to it, and is empty after `NO_HEAD`."""
        return self.contract.encode("anchor", log_id, old, size, root, list(proof))

    def plan_signed(
        self, log_id: bytes, old: Head, size: int, root: bytes, proof: Sequence[bytes], signature: bytes
    ) -> bytes:
        """The same for anybody who has the owner's EIP-712 signature over `typed_anchor`."""
        return self.contract.encode("anchorSigned", log_id, old, size, root, list(proof), signature)

    def typed_anchor(
        self, log_id: bytes, old: Head, size: int, root: bytes
    ) -> tuple[dict[str, object], dict[str, list[tuple[str, str]]], dict[str, object]]:
        """Domain, types and message that the log's owner signs (EIP-712)."""
        head = [("size", "uint64"), ("time", "uint64"), ("root", "bytes32")]
        anchor = [("logId", "bytes32"), ("old", "Head"), ("size", "uint64"), ("root", "bytes32")]
        domain = {
            "name": f"Twinproof {NAME}",
            "version": "1",
            "chainId": self._chain.chain_id,
            "verifyingContract": self.address,
        }
        message = {
            "logId": log_id,
            "old": {"size": old.size, "time": old.time, "root": old.root},
            "size": size,
            "root": root,
        }
        return domain, {"Anchor": anchor, "Head": head}, message
