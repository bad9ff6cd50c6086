"""The rules of PartPassport once more, in Python, from docs/parts.md: the state machine compares the contract with it.

A refusal is `Refused` with the name of the contract's error. Parties are account names, tokens and batches numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NoReturn

IN_SERVICE, REMOVED, QUARANTINED, SCRAPPED = range(4)
DEPTH: Final = 16
RANKS: Final = ("owner", "manufacturer", "accreditor")
"""Who may quarantine, the strongest last."""


class Refused(Exception):
    """With the name of the contract's error."""


def refuse(error: str) -> NoReturn:
    """The operation changes nothing."""
    raise Refused(error)


@dataclass
class Token:
    """One part."""

    owner: str
    manufacturer: str
    status: int = IN_SERVICE
    holder: str = ""
    parent: int | None = None
    user: str = ""
    offer: tuple[str, int] | None = None


@dataclass
class Batch:
    """One batch."""

    released: int
    available: dict[str, int] = field(default_factory=dict)
    installed: dict[int, int] = field(default_factory=dict)
    offers: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    scrapped: int = 0

    def reserved(self, owner: str) -> int:
        """In offers of this owner."""
        return sum(quantity for (giver, _), (quantity, _) in self.offers.items() if giver == owner)


@dataclass
class Model:
    """All parts and batches."""

    accreditor: str
    accredited: set[str]
    tokens: list[Token] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    # --- looking -----------------------------------------------------------------------------

    def children(self, token: int) -> list[int]:
        """Directly in it."""
        return [other for other, item in enumerate(self.tokens) if item.parent == token]

    def inside(self, token: int) -> list[int]:
        """However deep, each after its parent."""
        found = self.children(token)
        for child in found:
            found += self.children(child)
        return found

    def depth(self, token: int) -> int:
        """Levels above it."""
        parent = self.tokens[token].parent
        return 0 if parent is None else 1 + self.depth(parent)

    def height(self, token: int) -> int:
        """Levels below it."""
        return max((1 + self.height(child) for child in self.children(token)), default=0)

    def _owned(self, caller: str, token: int) -> Token:
        item = self.tokens[token]
        return item if item.owner == caller else refuse("NotOwner")

    # --- parts -------------------------------------------------------------------------------

    def offer(self, caller: str, token: int, to: str, expires: int, now: int) -> None:
        item = self._owned(caller, token)
        if item.status >= QUARANTINED:
            refuse("WrongStatus")
        if item.parent is not None:
            refuse("StillInstalled")
        if item.offer and now < item.offer[1]:
            refuse("AlreadyOffered")
        if to == caller:
            refuse("BadReceiver")
        if expires <= now:
            refuse("OfferExpired")
        item.offer = (to, expires)

    def accept(self, caller: str, token: int, parts: list[int] | None, now: int) -> None:
        """Without `parts`: the part alone."""
        item = self.tokens[token]
        if not item.offer or item.offer[0] != caller:
            refuse("NotOffered")
        if now >= item.offer[1]:
            refuse("OfferExpired")
        inside = self.inside(token)
        if parts is None and inside:
            refuse("AssemblyMismatch")
        seen = {token}
        for part in parts or []:
            if part in seen or self.tokens[part].parent not in seen:
                refuse("AssemblyMismatch")
            if self.tokens[part].status >= QUARANTINED:
                refuse("WrongStatus")
            seen.add(part)
        if seen != {token, *inside}:
            refuse("AssemblyMismatch")
        item.offer = None
        for part in seen:
            self.tokens[part].owner, self.tokens[part].user = caller, ""

    def cancel_offer(self, caller: str, token: int) -> None:
        item = self.tokens[token]
        if not item.offer or caller not in (item.owner, item.offer[0]):
            refuse("NotOffered")
        item.offer = None

    def set_user(self, caller: str, token: int, user: str) -> None:
        item = self._owned(caller, token)
        if user and item.status >= QUARANTINED:
            refuse("WrongStatus")
        item.user = user

    def set_status(self, caller: str, token: int, status: int) -> None:
        item = self.tokens[token]
        if item.status == SCRAPPED:
            refuse("WrongStatus")
        rights = {
            "owner": caller == item.owner,
            "manufacturer": caller == item.manufacturer and caller in self.accredited,
            "accreditor": caller == self.accreditor,
        }
        best = next((rank for rank in reversed(RANKS) if rights[rank]), "")
        if status == QUARANTINED:
            stronger = bool(best) and (not item.holder or RANKS.index(best) > RANKS.index(item.holder))
            if not stronger:
                refuse("StatusRefused")
        elif item.status == QUARANTINED and status != SCRAPPED:
            if not rights[item.holder] and not rights["accreditor"]:
                refuse("StatusRefused")
        elif status == item.status or not rights["owner"]:
            refuse("StatusRefused")
        if status == REMOVED and item.parent is not None:
            refuse("StillInstalled")
        if status >= QUARANTINED:
            item.offer = None
        item.status, item.holder = status, best if status == QUARANTINED else ""

    def install(self, caller: str, child: int, parent: int) -> None:
        item, into = self._owned(caller, child), self._owned(caller, parent)
        if item.parent is not None:
            refuse("StillInstalled")
        if item.status != IN_SERVICE or into.status >= QUARANTINED:
            refuse("WrongStatus")
        if parent in (child, *self.inside(child)):
            refuse("Cycle")
        if self.depth(parent) + 1 + self.height(child) > DEPTH:
            refuse("TooDeep")
        item.parent, item.offer = parent, None

    def remove(self, caller: str, child: int) -> None:
        item = self._owned(caller, child)
        if item.parent is None:
            refuse("NotInstalled")
        item.parent = None

    # --- quantities --------------------------------------------------------------------------

    def _take(self, caller: str, batch: Batch, quantity: int) -> None:
        if quantity == 0:
            refuse("ZeroQuantity")
        if batch.available.get(caller, 0) < quantity:
            refuse("InsufficientQuantity")
        batch.available[caller] -= quantity

    def offer_quantity(self, caller: str, batch: int, to: str, quantity: int, expires: int, now: int) -> None:
        item = self.batches[batch]
        old = item.offers.get((caller, to), (0, 0))
        if old[0] and now < old[1]:
            refuse("AlreadyOffered")
        if to == caller:
            refuse("BadReceiver")
        if expires <= now:
            refuse("OfferExpired")
        if quantity == 0:
            refuse("ZeroQuantity")
        if item.available.get(caller, 0) + old[0] < quantity:
            refuse("InsufficientQuantity")
        item.available[caller] += old[0] - quantity
        item.offers[caller, to] = (quantity, expires)

    def accept_quantity(self, caller: str, batch: int, giver: str, quantity: int, now: int) -> None:
        item = self.batches[batch]
        if (giver, caller) not in item.offers:
            refuse("NotOffered")
        offered, expires = item.offers[giver, caller]
        if now >= expires:
            refuse("OfferExpired")
        if offered != quantity:
            refuse("WrongQuantity")
        del item.offers[giver, caller]
        item.available[caller] = item.available.get(caller, 0) + quantity

    def cancel_quantity(self, caller: str, batch: int, giver: str, to: str) -> None:
        item = self.batches[batch]
        if caller not in (giver, to) or (giver, to) not in item.offers:
            refuse("NotOffered")
        item.available[giver] += item.offers.pop((giver, to))[0]

    def install_quantity(self, caller: str, batch: int, parent: int, quantity: int) -> None:
        if self._owned(caller, parent).status >= QUARANTINED:
            refuse("WrongStatus")
        item = self.batches[batch]
        self._take(caller, item, quantity)
        item.installed[parent] = item.installed.get(parent, 0) + quantity

    def remove_quantity(self, caller: str, batch: int, parent: int, quantity: int, scrap: bool) -> None:
        self._owned(caller, parent)
        item = self.batches[batch]
        if quantity == 0:
            refuse("ZeroQuantity")
        if item.installed.get(parent, 0) < quantity:
            refuse("InsufficientQuantity")
        item.installed[parent] -= quantity
        if scrap:
            item.scrapped += quantity
        else:
            item.available[caller] = item.available.get(caller, 0) + quantity

    def scrap_quantity(self, caller: str, batch: int, quantity: int) -> None:
        item = self.batches[batch]
        self._take(caller, item, quantity)
        item.scrapped += quantity
