"""A world with part passports: who is who, and parts in the hands that tests need."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from tests.contracts.kit import ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI, Deployed, World
from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import keccak

ACCREDITOR, MANUFACTURER, OWNER, USER, RECEIVER, STRANGER, OTHER_MANUFACTURER, WITHDRAWN = (
    ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GRACE, HEIDI
)  # fmt: skip
IN_SERVICE, REMOVED, QUARANTINED, SCRAPPED = range(4)
TWIN: Final = sha256(b"https://twin.example/pump/7").digest()
BIRTH: Final = sha256(b"birth statement").digest()
LEAF: Final = sha256(b"inspection statement").digest()
NOBODY: Final = bytes(20)
HOUR: Final = 3600


class Passports:
    """The contract, deployed by its accreditor, with two accredited manufacturers and one whose right was withdrawn."""

    def __init__(self) -> None:
        self.world = World()
        self.contract: Deployed = self.world.deploy("PartPassport", ACCREDITOR.address)
        self.serials = 0
        for maker in (MANUFACTURER, OTHER_MANUFACTURER, WITHDRAWN):
            self.send(ACCREDITOR, "setAccredited", maker.address, True)
        self.send(ACCREDITOR, "setAccredited", WITHDRAWN.address, False)

    def send(self, sender: Account, function: str, *arguments: object) -> Any:
        """A transaction's answer."""
        return self.contract.send(sender, function, *arguments).value

    def call(self, function: str, *arguments: object) -> Any:
        """A view's answer."""
        return self.contract.call(function, *arguments)

    @property
    def soon(self) -> int:
        """An hour from now."""
        return self.world.time + HOUR

    def new(self, owner: Account = MANUFACTURER, maker: Account = MANUFACTURER) -> int:
        """A part that was minted, and handed over if the owner is not its manufacturer."""
        self.serials += 1
        token: int = self.send(maker, "mint", "PN-4711", f"SN-{self.serials}", TWIN, BIRTH)
        if owner is not maker:
            self.hand_over(token, maker, owner)
        return token

    def hand_over(self, token: int, giver: Account, receiver: Account) -> None:
        """Offer and accept."""
        self.send(giver, "offer", token, receiver.address, self.soon)
        self.send(receiver, "accept", token)

    def batch(self, quantity: int = 100, owner: Account = MANUFACTURER) -> int:
        """A batch, all of it the owner's."""
        self.serials += 1
        batch: int = self.send(MANUFACTURER, "releaseBatch", "BOLT-M8", f"LOT-{self.serials}", quantity, BIRTH)
        if owner is not MANUFACTURER:
            self.send(MANUFACTURER, "offerQuantity", batch, owner.address, quantity, self.soon)
            self.send(owner, "acceptQuantity", batch, MANUFACTURER.address, quantity)
        return batch

    def observe(self, token: int) -> tuple[Any, ...]:
        """All that the contract says about a part."""
        return tuple(self.call(view, token) for view in ("ownerOf", "partOf", "offerOf", "userOf", "childCount"))

    def status(self, token: int) -> int:
        """Of a part."""
        return int(self.call("partOf", token)[4])


def token_id(maker: Account, part_number: str, serial: str) -> int:
    """keccak256(abi.encode(address, string, string)), put together by hand."""
    texts = [part_number.encode(), serial.encode()]
    tails = [len(text).to_bytes(32, "big") + text + bytes(-len(text) % 32) for text in texts]
    offsets = [96, 96 + len(tails[0])]
    head = maker.address.rjust(32, b"\0") + b"".join(offset.to_bytes(32, "big") for offset in offsets)
    return int.from_bytes(keccak(head + b"".join(tails)), "big")
