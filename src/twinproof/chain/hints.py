"""What to do when a contract refuses, by the name of its error: in words, and with the command that does it."""

from __future__ import annotations

from typing import Final

_OTHER: Final = "; sign as another party with --account FILE"

HINTS: Final[dict[str, tuple[str, str]]] = {
    # parts
    "AccessControlUnauthorizedAccount": ("only an accreditor may", _OTHER),
    "NotAccredited": ("an accreditor lets a manufacturer in", " with: twinproof part accredit ADDRESS"),
    "AlreadyExists": (
        "this manufacturer used the part number with this serial or lot before",
        "; see: twinproof part find",
    ),
    "NotOwner": ("only the owner may", _OTHER),
    "ERC721NonexistentToken": ("nobody minted this part", "; see: twinproof part find"),
    "NoSuchBatch": ("nobody released this batch", ""),
    "NotOffered": (
        "the owner offers it first, to just this account",
        ": twinproof part offer TOKEN ADDRESS",
    ),
    "AlreadyOffered": ("end the standing offer first", ": twinproof part cancel TOKEN"),
    "OfferExpired": (
        "the owner offers it again, with a later end",
        ": twinproof part offer TOKEN ADDRESS --until TIME",
    ),
    "WrongStatus": ("its status does not allow it", "; see: twinproof part show TOKEN"),
    "StatusRefused": ("who quarantined a part, or an accreditor, releases it; scrapped is final", ""),
    "StillInstalled": ("take it out first", ": twinproof part remove TOKEN"),
    "NotInstalled": ("it is in no other part", ""),
    "AssemblyMismatch": ("the parts in it changed, or are not as named", "; see: twinproof part show TOKEN"),
    "InsufficientQuantity": ("offered quantities are reserved", "; see: twinproof part batch show BATCH"),
    # agreements
    "BadTerms": (
        "the term that it names is missing, or contradicts another; a party cannot be its own arbiter",
        "",
    ),
    "NotAllowed": ("another party of the agreement is to do this", _OTHER),
    "AlreadyAgreed": ("nothing is left to do", ""),
    "NotActive": (
        "the supplier agrees first",
        " (twinproof agreement agree ID), and no party has suspended or ended it",
    ),
    "WrongValue": (
        "coin goes along only where the currency is the chain's own; an ERC-20 is deposited afterwards",
        "",
    ),
    "InsufficientEscrow": ("put money into the escrow", ": twinproof agreement deposit ID AMOUNT"),
    "WrongTerms": ("the agreement is not what the event told; was the chain reorganised? Try again", ""),
    "NotAnchored": ("anchor the log first", ": twinproof anchor now"),
    "WrongKind": ("the entry is a statement of another kind", ""),
    "BadSignature": (
        "the statement is not signed by the key that the agreement names; it takes ES256 keys only",
        "",
    ),
    "TwinNotCovered": ("the agreement does not cover this twin", "; see: twinproof agreement show ID"),
    "NotBelow": ("the prediction's lower bound is not below the agreed one: no order is due", ""),
    "CoverageTooLow": ("the prediction says less than the agreement asks for", ""),
    "Stale": ("a newer prediction is needed", ""),
    "NotAfter": ("a newer statement is needed: this one, or a later one, was used already", ""),
    "OrderOpen": ("the twin has an open order", "; see: twinproof agreement show ID"),
    "WrongState": ("the order's state does not allow it", "; see: twinproof agreement show ORDER"),
    "TooLate": (
        "the deadline is over; anybody may end the state",
        ": twinproof agreement expire ORDER",
    ),
    "TooEarly": ("its deadline is not over", "; see: twinproof agreement show ORDER"),
    "WrongHolder": ("the part belongs to another account", "; see: twinproof part show TOKEN"),
    "WrongPart": ("the agreement is about another part number", ""),
    "WrongOffer": (
        "offer the part to the operator first, with",
        " --until a little after the agreed time to receive it",
    ),
    "OfferStands": ("the supplier ends its offer first", ": twinproof part cancel TOKEN"),
    "WrongOrder": ("the installation names another order", "; see: twinproof agreement show ORDER"),
    "NothingOwed": ("", "see: twinproof agreement owed"),
    # anchors and attestations
    "NotLatest": ("somebody anchored meanwhile; try again", ""),
    "NotNewer": ("this head is anchored already", ""),
    "AlreadyRegistered": ("it is there already", ""),
    "UnknownSchema": ("register it first", ": twinproof attest schema FIELDS"),
    "NotAttester": ("only who attested it may revoke it", _OTHER),
}
"""Error -> what helps, and how a command says it: the second text follows the first."""

_PLAIN: Final = {
    "NotActive": "the supplier agrees first, and no party has suspended or ended it",
    "WrongOffer": "the part is offered to the operator first, with an end a little after the agreed time to receive it",
    "NothingOwed": "nothing is owed to this account",
}
"""Where the words alone would be half a sentence."""


def hint_of(reason: str, *, commands: bool) -> str:
    """What helps against a refusal such as `NotOwner(0x…)`; empty if nothing is known."""
    name = reason.partition("(")[0]
    words, command = HINTS.get(name, ("", ""))
    return words + command if commands else _PLAIN.get(name, words)
