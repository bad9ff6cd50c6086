"""What a party may do on the contracts, as a table: an action is a method, its arguments by name, and words.

    part.offer {token, to, until}   PartPassport.offer(token, to, until)
    order.accept {order}            MaintenanceAgreement.acceptOrder(order, terms)

Methods of MaintenanceAgreement take the agreement's terms in second place: nobody has to bring those along here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from twinproof.chain.forms import parse_order, parse_token
from twinproof.chain.hexadecimal import parse_address
from twinproof.errors import Malformed
from twinproof.twin.ledger import STATUSES
from twinproof.twin.statement import MAX_IRI, MAX_TIME, check_iri, shown

MAX_PARTS: Final = 900
"""Parts of one assembly: more do not fit into a transaction."""
MAX_TEXT: Final = 128
"""Bytes of part numbers and serials."""
_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,38}", re.ASCII)


class Kind(StrEnum):
    """What an argument is, as JSON has it."""

    TOKEN = "token"  # noqa: S105 - a part's number
    """A token id: decimal digits, or 0x and 64 hexadecimal digits."""
    TOKENS = "tokens"
    """A list of them."""
    ADDRESS = "address"
    TIME = "time"
    """Whole POSIX seconds."""
    STATUS = "status"
    """One of a part's."""
    LEAF = "entry"
    """A log index; the contract gets the leaf hash."""
    PROOF = "proven entry"
    """A log index; the contract gets the statement and its proof, so it must be anchored."""
    ORDER = "order"
    """`1-2`."""
    AGREEMENT = "agreement"
    """Decimal digits."""
    AMOUNT = "amount"
    """Of the agreement's currency, in its smallest unit: decimal digits."""
    TEXT = "text"
    TWIN = "twin"
    """An IRI; the contract gets its SHA-256."""
    FLAG = "flag"
    """true or false."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an action."""

    name: str
    kind: Kind
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """A row of the table."""

    name: str
    contract: str
    function: str
    arguments: tuple[Argument, ...]
    """In the method's order."""
    says: str
    """What it does; names of arguments stand in braces."""
    pays: str = ""
    """The argument that is paid along, where the agreement's currency is the chain's own coin."""


def _row(
    name: str, function: str, says: str, *arguments: tuple[str, Kind], optional: str = "", pays: str = ""
) -> Action:
    contract = "PartPassport" if name.startswith("part.") else "MaintenanceAgreement"
    made = tuple(Argument(word, kind, word == optional) for word, kind in arguments)
    return Action(name, contract, function, made, says, pays)


_T, _O, _A = ("token", Kind.TOKEN), ("order", Kind.ORDER), ("agreement", Kind.AGREEMENT)
_TABLE: Final = (
    _row("part.offer", "offer", "Offers {token} to {to} until {until}, who becomes its owner by accepting.",
         _T, ("to", Kind.ADDRESS), ("until", Kind.TIME)),
    _row("part.accept", "accept", "Accepts {token}: this account becomes its owner.", _T),
    _row("part.accept-assembly", "acceptAssembly",
         "Accepts {token} with just the parts in it that are named: this account becomes their owner.",
         _T, ("inside", Kind.TOKENS)),
    _row("part.cancel-offer", "cancelOffer", "Ends the offer of {token}.", _T),
    _row("part.status", "setStatus", "Sets {token} to {status}. Scrapped is final.",
         _T, ("status", Kind.STATUS), ("entry", Kind.LEAF), optional="entry"),
    _row("part.install", "install", "Puts {token} into {parent}.", _T, ("parent", Kind.TOKEN)),
    _row("part.remove", "remove", "Takes {token} out of the part that it is in.", _T),
    _row("part.user", "setUser", "Lets {user} use {token}, without owning it.", _T, ("user", Kind.ADDRESS)),
    _row("part.mint", "mint",
         "Makes the passport of the part {part_number} {serial}, for everybody to read; this account owns it.",
         ("part_number", Kind.TEXT), ("serial", Kind.TEXT), ("twin", Kind.TWIN), ("entry", Kind.LEAF)),
    _row("part.accredit", "setAccredited", "Sets whether the manufacturer {manufacturer} may mint parts: {accredited}.",
         ("manufacturer", Kind.ADDRESS), ("accredited", Kind.FLAG)),
    _row("order.place", "order", "Brings the prediction at {entry} to {agreement}: an order is placed.",
         _A, ("entry", Kind.PROOF)),
    _row("order.accept", "acceptOrder", "Takes {order}: the supplier promises to ship in time.", _O),
    _row("order.ship", "ship", "Says that {token} is sent for {order}.", _O, _T),
    _row("order.receive", "receivePart", "Records for {order} that the operator owns the part.", _O),
    _row("order.confirm", "confirmInstallation",
         "Brings the installation at {entry} to {order}: the supplier is owed the price.", _O, ("entry", Kind.PROOF)),
    _row("order.cancel", "cancelOrder",
         "Cancels {order}, or agrees to; the price goes back to the escrow once nobody's consent is missing.", _O),
    _row("order.dispute", "dispute", "Asks the arbiter to decide {order}.", _O),
    _row("order.resolve", "resolve",
         "Decides {order}: {to_supplier} for the supplier, the rest of the price goes back to the escrow.",
         _O, ("to_supplier", Kind.AMOUNT)),
    _row("order.expire", "expire", "Ends the state of {order}, whose deadline is over.", _O),
    _row("agreement.agree", "agree", "Agrees to {agreement}, for its supplier: it is in force from then on.", _A),
    _row("agreement.fund", "deposit", "Puts {amount} into the escrow of {agreement}; it is the operator's then.",
         _A, ("amount", Kind.AMOUNT), pays="amount"),
    _row("agreement.reclaim", "reclaim", "Takes {amount} of the free escrow of {agreement} back, to be withdrawn.",
         _A, ("amount", Kind.AMOUNT)),
    _row("agreement.suspend", "suspend", "Sets whether this party stops new orders under {agreement}: {suspended}.",
         _A, ("suspended", Kind.FLAG)),
    _row("agreement.end", "end", "Stops new orders under {agreement} for ever; open ones go on.", _A),
    _row("withdraw", "withdraw", "Pays out all that this account is owed.", ("currency", Kind.ADDRESS),
         optional="currency"),
)  # fmt: skip
ACTIONS: Final[Mapping[str, Action]] = {action.name: action for action in _TABLE}
"""By name."""


def read_arguments(action: Action, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as values: numbers, bytes, texts; None for an optional one that is left out.

    Raises `Malformed` naming the argument.
    """
    known = {argument.name for argument in action.arguments}
    for name in given:
        if name not in known:
            listed = ", ".join(argument.name for argument in action.arguments)
            raise Malformed(f"arguments.{shown(name)}", f"is no argument of {action.name}, which has {listed}")
    found: dict[str, Any] = {}
    for argument in action.arguments:
        value, field = given.get(argument.name), f"arguments.{argument.name}"
        if value is None:
            if not argument.optional:
                raise Malformed(field, f"is missing; {action.name} takes {argument.kind}")
            found[argument.name] = None
        else:
            found[argument.name] = read_value(argument.kind, value, field)
    return found


def read_value(kind: Kind, value: Any, field: str) -> Any:
    """One argument; raises `Malformed`."""
    match kind:
        case Kind.TOKEN:
            return parse_token(value, field)
        case Kind.TOKENS:
            if type(value) is not list or not 0 < len(value) <= MAX_PARTS:
                raise Malformed(field, f"not a list of 1..{MAX_PARTS} tokens")
            return [parse_token(item, field) for item in value]
        case Kind.ADDRESS:
            return parse_address(_text(value, field), field)
        case Kind.TIME:
            return _whole(value, field, MAX_TIME)
        case Kind.LEAF | Kind.PROOF:
            return _whole(value, field, 1 << 53)
        case Kind.STATUS:
            if value not in STATUSES:
                raise Malformed(field, f"none of {', '.join(STATUSES)}")
            return STATUSES.index(value)
        case Kind.ORDER:
            return parse_order(_text(value, field), field)
        case Kind.AGREEMENT:
            return _digits(value, field, 1 << 63)
        case Kind.AMOUNT:
            return _digits(value, field, 1 << 128)
        case Kind.TWIN:
            return check_iri(_text(value, field, MAX_IRI), field)
        case Kind.TEXT:
            return _label(value, field)
        case Kind.FLAG:
            if type(value) is not bool:
                raise Malformed(field, "neither true nor false")
            return value


def _text(value: Any, field: str, limit: int = 256) -> str:
    if type(value) is not str or not 0 < len(value) <= limit:
        raise Malformed(field, "not text, empty or too long")
    return value


def _label(value: Any, field: str) -> str:
    label = _text(value, field, MAX_TEXT)
    if not label.isprintable() or len(label.encode(errors="replace")) > MAX_TEXT:
        raise Malformed(field, f"not printable, or longer than {MAX_TEXT} bytes")
    return label


def _whole(value: Any, field: str, end: int) -> int:
    if type(value) is not int or not 0 <= value < end:
        raise Malformed(field, f"not a whole number below {end}")
    return value


def _digits(value: Any, field: str, end: int) -> int:
    if type(value) is not str or not _WHOLE.fullmatch(value) or int(value) >= end:
        raise Malformed(field, f"not decimal digits of a number below {end}")
    return int(value)
