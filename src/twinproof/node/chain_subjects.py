"""Which twins an event of a contract is about.

On a chain a twin is the SHA-256 of its IRI, and most events name it only by a token, an order or an attestation; the
event that made that thing names the twin. So events are taken in the chain's order from the contracts' first block
on, and what they say about names is kept here. Nothing of it is a source of truth: it is read from the chain again.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final

Thing = tuple[str, bytes, object]
"""What kind of thing (`token`, `order`, `agreement` or `attestation`), of which contract, and its number or uid."""

SILENT: Final = frozenset(
    # What another event of the same transaction says better, money that no twin is concerned with, and the log's own
    # anchors: an entry for each would make an idle log grow, and so be anchored for ever.
    ("Transfer", "Approval", "ApprovalForAll", "Deposited", "Reclaimed", "Withdrawn", "Anchored")
)
_MADE_BY: Final = {
    "Minted": ("token", "tokenId"),
    "OrderPlaced": ("order", "orderId"),
    "Attested": ("attestation", "uid"),
}
"""Event -> the thing that it makes for the twin that it names."""
_SPEAKERS: Final = {"Attested": "attester", "Proposed": "operator"}
"""What anybody may say of any twin for the price of its gas -> the argument that tells who does."""
_NAMES: Final = (
    ("tokenId", "token"),
    ("child", "token"),
    ("orderId", "order"),
    ("uid", "attestation"),
    ("parent", "token"),
    ("id", "agreement"),
)
"""Arguments that name a thing, the one that says most first."""


class Subjects:
    """What is known of things on one chain."""

    def __init__(self, speakers: Set[bytes] | None = None) -> None:
        """`speakers` are the accounts whose attestations and agreements are heard; None hears everybody."""
        self._speakers = speakers
        self._twins: dict[Thing, tuple[bytes, ...]] = {}

    def twins_of(self, contract: bytes, name: str, args: Mapping[str, Any]) -> tuple[bytes, ...]:
        """The twins (SHA-256 of their IRIs) that an event concerns; what it says about names is kept."""
        if name in SILENT:
            return ()
        if self._speakers is not None and name in _SPEAKERS and args[_SPEAKERS[name]] not in self._speakers:
            return ()
        if name == "OrderPlaced" and ("agreement", contract, args["id"]) not in self._twins:
            # Of an agreement that is not heard: it may name any anchors and any predictor.
            return ()
        if name == "Proposed":
            return self._keep(("agreement", contract, args.get("id")), args.get("twins", ()))
        if name in _MADE_BY:
            kind, key = _MADE_BY[name]
            return self._keep((kind, contract, args.get(key)), (args["twin"],))
        for key, kind in _NAMES:
            # OrderShipped names a token of another contract, too: the order is what it is about.
            if key in args and not (key == "tokenId" and "orderId" in args):
                found = self._twins.get((kind, contract, args[key]))
                if found is not None:
                    return found
        return ()

    def _keep(self, thing: Thing, twins: Any) -> tuple[bytes, ...]:
        # A proposal may name a twin twice.
        self._twins[thing] = tuple(dict.fromkeys(twins))
        return self._twins[thing]
