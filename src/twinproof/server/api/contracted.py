"""What the routes about orders, parts and agreements share: the log's word, the contracts as of one block, forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twinproof.errors import AccessDenied, ChainError, NotFound
from twinproof.node.live import Live
from twinproof.node.told import Told
from twinproof.server.access import Principal
from twinproof.server.api.twins import ranges

if TYPE_CHECKING:
    from twinproof.chain.agreements import Agreements
    from twinproof.chain.model import Block
    from twinproof.chain.parts import PartPassport
    from twinproof.node.openings import Opening
    from twinproof.node.transactions import Desk


@dataclass(frozen=True, slots=True)
class Seen:
    """The contracts as of one block."""

    block: Block
    agreements: Agreements
    passports: PartPassport
    now: int
    """Time that the next block would have, about: on a quiet chain the newest one may be old."""


class Contracted:
    """One per application."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.told = Told(live.states, live.node.reader)
        self._desk: Desk | None = None
        if live.chain is not None:
            # Who has no chain needs none of its packages.
            from twinproof.node.transactions import Desk

            self._desk = Desk(live, self.told)

    @property
    def desk(self) -> Desk:
        """Where one acts; raises `NotFound` on a node without a chain."""
        if self._desk is None:
            raise NotFound("this node has no chain with contracts; see twinproof chain init and chain deploy")
        return self._desk

    def place(self, name: str) -> tuple[int, bytes] | None:
        """Chain and address of one of the node's contracts; None without a chain, where all that was told is shown."""
        side = self.live.chain
        return None if side is None else (side.contracts.chain_id, side.contracts.addresses[name])

    def look(self) -> tuple[Seen | None, str | None]:
        """The contracts as of the newest block; or None, and what is in the way if there is a chain."""
        if self._desk is None:
            return None, None
        try:
            block = self._desk.side.chain.head()
        except ChainError as problem:
            return None, f"{problem.code}: {problem}"
        desk, now = self._desk, max(block.time + 1, int(self.live.node.clock()))
        return Seen(block, desk.agreements.at(block.number), desk.passports.at(block.number), now), None


def reading(principal: Principal) -> list[tuple[str, bool]]:
    """The twins that the principal may read: see `twins.ranges`."""
    return ranges(principal, "")


def check_covered(principal: Principal, subject: str | None) -> None:
    """Raise `AccessDenied` unless the principal may read the twin; of none, everything."""
    if not (principal.reads_all if subject is None else principal.covers(subject)):
        raise AccessDenied("the token does not cover this twin")


def address(value: bytes | None) -> str | None:
    """0x and digits; None for none, which contracts write as zeros."""
    return f"0x{value.hex()}" if value and any(value) else None


def number(value: int | None) -> str | None:
    """JSON's numbers are too small."""
    return None if value is None else str(value)


def block_form(seen: Seen | None) -> dict[str, Any] | None:
    """The block that was asked."""
    if seen is None:
        return None
    return {"number": seen.block.number, "hash": f"0x{seen.block.hash.hex()}", "time": seen.block.time}


def opening_form(opening: Opening) -> dict[str, Any]:
    """An action that is open."""
    return {
        "action": opening.action,
        "by": None if opening.by is None else [address(one) for one in opening.by],
        "until": opening.until,
        "arguments": opening.arguments,
        "needs": list(opening.needs),
        "why": opening.why,
        "note": opening.note,
    }
