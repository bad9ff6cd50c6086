"""What predictions, policies, installations and contracts say about a twin: the ledger part of its state.

A fold like the rest of `twin.state`. Events of a contract take effect in the chain's order, (block, position),
whoever states them and how often: an event that is not beyond the last one of its token or order changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from twinproof.proof import cbor
from twinproof.twin.chain_event import ChainEvent
from twinproof.twin.installation import Installation
from twinproof.twin.policy import Policy, PolicyRemoval, policy_map, read_policy
from twinproof.twin.prediction import Prediction, format_prediction, parse_prediction
from twinproof.twin.statement import Statement

FOLLOWER: Final = "#chain"
"""End of the issuers whose chain-events count: whoever records readings may state some, too, but under another name."""
UNKNOWN: Final = "unknown"
"""A state after a retraction that does not say what was before."""
STATUSES: Final = ("InService", "Removed", "Quarantined", "Scrapped")
"""PartPassport's statuses, by their numbers."""
ORDER_STATES: Final = {
    "OrderPlaced": ("placed", None),
    "OrderAccepted": ("accepted", "placed"),
    "OrderShipped": ("shipped", "accepted"),
    "OrderReceived": ("received", "shipped"),
    "OrderFulfilled": ("fulfilled", UNKNOWN),
    "OrderCancelled": ("cancelled", UNKNOWN),
    "OrderDisputed": ("disputed", UNKNOWN),
    "OrderResolved": ("resolved", "disputed"),
}
"""Event -> (the state that it leads to, the one that it came from); None: the order was not there."""
OPEN_STATES: Final = frozenset(("placed", "accepted", "shipped", "received", "disputed", UNKNOWN))
"""States of an order that may still change."""


class Forecast(NamedTuple):
    """The newest prediction."""

    prediction: Prediction
    issuer: str
    entry: int
    """Its log index."""
    time: int
    """Its `iat`."""


class StandingPolicy(NamedTuple):
    """A policy that holds."""

    policy: Policy
    entry: int


class Installed(NamedTuple):
    """A part that a technician put in."""

    order: bytes
    entry: int
    time: int


Key = tuple[int, bytes, bytes]
"""Chain id, contract, and a token id or order number in 32 bytes."""
Place = tuple[int, int]
"""Block and position."""


@dataclass(frozen=True, slots=True)
class Token:
    """The part token of this twin."""

    owner: bytes | None
    """An address; None if a retraction left it open."""
    status: str
    """One of `STATUSES`, or `UNKNOWN`."""
    parent: bytes | None
    """Token id, 32 bytes, of the part that it is installed in."""
    place: Place
    entry: int


@dataclass(frozen=True, slots=True)
class Order:
    """A maintenance order for this twin."""

    agreement: bytes
    """Its number, 32 bytes."""
    state: str
    since: int
    """Time of the block that led there."""
    token: bytes | None
    """Token id, 32 bytes, of the part that was shipped."""
    place: Place
    entry: int


@dataclass
class LedgerState:
    """A part of `TwinState`."""

    prediction: Forecast | None = None
    policies: dict[str, StandingPolicy] = field(default_factory=dict)
    installed: dict[bytes, Installed] = field(default_factory=dict)
    """By token id."""
    tokens: dict[Key, Token] = field(default_factory=dict)
    orders: dict[Key, Order] = field(default_factory=dict)
    events: dict[tuple[str, int, bytes], Place] = field(default_factory=dict)
    """(issuer, chain id, contract) -> place of the newest event that this issuer stated, retractions taken back."""

    def apply(self, index: int, statement: Statement, payload: object) -> None:
        """Take in a statement of a kind that concerns this part; others change nothing."""
        match payload:
            case Prediction():
                self.prediction = Forecast(payload, statement.issuer, index, statement.issued_at)
            case Policy():
                self.policies[payload.id] = StandingPolicy(payload, index)
            case PolicyRemoval():
                self.policies.pop(payload.id, None)
            case Installation():
                self.installed[payload.part] = Installed(payload.order, index, statement.issued_at)
            case ChainEvent() if statement.issuer.endswith(FOLLOWER):
                self._hear(index, statement.issuer, payload)
            case _:
                pass

    def _hear(self, index: int, issuer: str, event: ChainEvent) -> None:
        source = (issuer, event.chain, event.contract)
        before = self.events.get(source, (-1, -1))
        # A retraction steps back to just below what it takes away, so that what replaces it counts.
        self.events[source] = min(before, _below(event.place)) if event.retracted else max(before, event.place)
        (self._retract if event.retracted else self._act)(index, event)

    def _act(self, index: int, event: ChainEvent) -> None:
        if event.event in ORDER_STATES:
            self._order(index, event)
            return
        key = _key(event, "child" if event.event in ("Installed", "Removed") else "tokenId")
        if event.event == "Minted" and key is not None and key not in self.tokens:
            self.tokens[key] = Token(_address(event, "manufacturer"), STATUSES[0], None, event.place, index)
        token = self.tokens.get(key) if key is not None else None
        if key is None or token is None or event.place <= token.place:
            return
        change = _TOKEN_CHANGES.get(event.event)
        if change is not None:
            self.tokens[key] = replace(change(token, event), place=event.place, entry=index)

    def _order(self, index: int, event: ChainEvent) -> None:
        key = _key(event, "orderId")
        if key is None:
            return
        state, _ = ORDER_STATES[event.event]
        order = self.orders.get(key)
        if event.event == "OrderPlaced" and order is None:
            order = Order(_wide(event.args.get("id")) or bytes(32), state, event.time, None, _below(event.place), index)
        if order is None or event.place <= order.place:
            return
        if event.event == "OrderReceived" and order.state == "disputed":
            state = order.state
        token = _wide(event.args.get("tokenId")) if event.event == "OrderShipped" else order.token
        self.orders[key] = Order(order.agreement, state, event.time, token, event.place, index)

    def _retract(self, index: int, event: ChainEvent) -> None:
        if event.event in ORDER_STATES:
            self._retract_order(index, event)
            return
        key = _key(event, "child" if event.event in ("Installed", "Removed") else "tokenId")
        token = self.tokens.get(key) if key is not None else None
        if key is None or token is None or token.place < event.place:
            return
        if event.event == "Minted":
            del self.tokens[key]
            return
        undo = _TOKEN_RETRACTIONS.get(event.event)
        if undo is not None:
            self.tokens[key] = replace(undo(token, event), place=_below(event.place), entry=index)

    def _retract_order(self, index: int, event: ChainEvent) -> None:
        key = _key(event, "orderId")
        order = self.orders.get(key) if key is not None else None
        if key is None or order is None or order.place < event.place:
            return
        _, state = ORDER_STATES[event.event]
        if state is None:
            del self.orders[key]
            return
        if event.event == "OrderReceived" and order.state == "disputed":
            state = order.state
        token = None if event.event == "OrderShipped" else order.token
        self.orders[key] = Order(order.agreement, state, event.time, token, _below(event.place), index)

    def to_map(self) -> dict[int | str, cbor.Value]:
        """The members that this part adds to a state's canonical form: only those that are not empty."""
        if not (self.prediction or self.policies or self.installed or self.tokens or self.orders or self.events):
            return {}  # most twins, each time that a reading comes in
        forecast = self.prediction
        members: dict[int | str, cbor.Value] = {
            "prediction": forecast and [cbor.decode(format_prediction(forecast.prediction)), *forecast[1:]],
            "policies": {id_: [policy_map(held.policy), held.entry] for id_, held in self.policies.items()},
            "installed": [[part, *installed] for part, installed in sorted(self.installed.items())],
            "tokens": [
                [*key, token.owner, token.status, token.parent, *token.place, token.entry]
                for key, token in sorted(self.tokens.items())
            ],
            "orders": [
                [*key, order.agreement, order.state, order.since, order.token, *order.place, order.entry]
                for key, order in sorted(self.orders.items())
            ],
            "events": [[*source, *place] for source, place in sorted(self.events.items())],
        }
        return {name: member for name, member in members.items() if member}

    @classmethod
    def from_map(cls, members: dict[int | str, cbor.Value]) -> LedgerState:
        """What `to_map` wrote, from among a state's members."""
        forecast = members.get("prediction")
        return cls(
            prediction=forecast and Forecast(parse_prediction(cbor.encode(forecast[0])), *forecast[1:]),
            policies={
                id_: StandingPolicy(_policy(p), entry) for id_, (p, entry) in members.get("policies", {}).items()
            },
            installed={part: Installed(*rest) for part, *rest in members.get("installed", [])},
            tokens={
                (chain, contract, id_): Token(owner, status, parent, (block, position), entry)
                for chain, contract, id_, owner, status, parent, block, position, entry in members.get("tokens", [])
            },
            orders={
                (chain, contract, id_): Order(agreement, state, since, token, (block, position), entry)
                for chain, contract, id_, agreement, state, since, token, block, position, entry in members.get(
                    "orders", []
                )
            },
            events={
                (issuer, chain, contract): (block, position)
                for issuer, chain, contract, block, position in members.get("events", [])
            },
        )


def _policy(value: cbor.Value) -> Policy:
    policy = read_policy(value)
    if not isinstance(policy, Policy):
        raise TypeError("a removal does not stand")
    return policy


def _below(place: Place) -> Place:
    return place[0], place[1] - 1


def _wide(value: cbor.Value) -> bytes | None:
    """A number of the chain in 32 bytes; None for what is no number."""
    if type(value) is int and value >= 0:
        return value.to_bytes(32, "big")
    return value if type(value) is bytes and len(value) == 32 else None


def _key(event: ChainEvent, name: str) -> Key | None:
    number = _wide(event.args.get(name))
    return None if number is None else (event.chain, event.contract, number)


def _address(event: ChainEvent, name: str) -> bytes | None:
    value = event.args.get(name)
    return value if type(value) is bytes and len(value) == 20 else None


def _status(event: ChainEvent) -> str:
    number = event.args.get("status")
    return STATUSES[number] if type(number) is int and 0 <= number < len(STATUSES) else UNKNOWN


_Change = Callable[[Token, ChainEvent], Token]
_TOKEN_CHANGES: Final[dict[str, _Change]] = {
    "HandedOver": lambda token, event: replace(token, owner=_address(event, "to")),
    "StatusChanged": lambda token, event: replace(token, status=_status(event)),
    "Installed": lambda token, event: replace(token, parent=_wide(event.args.get("parent"))),
    "Removed": lambda token, event: replace(token, parent=None),
}
_TOKEN_RETRACTIONS: Final[dict[str, _Change]] = {
    "HandedOver": lambda token, event: replace(token, owner=_address(event, "from")),
    "StatusChanged": lambda token, event: replace(token, status=UNKNOWN),
    "Installed": lambda token, event: replace(token, parent=None),
    "Removed": lambda token, event: replace(token, parent=_wide(event.args.get("parent"))),
}
