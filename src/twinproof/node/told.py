"""What the log tells of parts and orders: rows of the state view, and the statements of what contracts said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from twinproof.log.reader import Reader
from twinproof.node.statements import logged
from twinproof.proof import cbor
from twinproof.proof.merkle import hash_leaf
from twinproof.twin.chain_event import ChainEvent, parse_chain_event
from twinproof.twin.ledger import FOLLOWER
from twinproof.views.state import StateView

MAX_NAMES: Final = 100_000
"""Parts whose names and birth statements are kept."""
MAX_BIRTH: Final = 1000
"""Entries about a part among which its birth statement is looked for."""
_PAGE: Final = 1000


class Purchase(NamedTuple):
    """An order, as the log tells."""

    subject: str
    chain: int
    contract: bytes
    number: int
    agreement: int
    state: str
    since: int
    token: int | None
    entry: int


class ToldPart(NamedTuple):
    """A part, as the log tells."""

    subject: str
    chain: int
    contract: bytes
    token: int
    owner: bytes | None
    status: str
    parent: int | None
    entry: int


class PartName(NamedTuple):
    """What a part is called; None for what is no text, or was not told."""

    part_number: str | None
    serial: str | None
    manufacturer: bytes | None


class ToldEvent(NamedTuple):
    """An event of a contract, and the entry that states it."""

    entry: int
    event: ChainEvent

    def number(self, name: str) -> int | None:
        """An argument that is a number of any size."""
        return number_in(self.event.args.get(name))

    def address(self, name: str) -> bytes | None:
        """An argument that is an address."""
        value = self.event.args.get(name)
        return value if type(value) is bytes and len(value) == 20 else None

    def text(self, name: str) -> str | None:
        """An argument that is text."""
        value = self.event.args.get(name)
        return value if type(value) is str else None


def number_in(value: cbor.Value) -> int | None:
    """A number of the chain as statements have it; None for what is none."""
    if type(value) is int:
        return value
    return int.from_bytes(value, "big") if type(value) is bytes and len(value) == 32 else None


def _optional(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "big")


class Told:
    """One per node. `place` limits it to the contracts that the node knows; without, it tells of all."""

    def __init__(self, states: StateView, reader: Reader) -> None:
        self._states = states
        self._reader = reader
        self._births: dict[tuple[str, bytes], int] = {}
        self._names: dict[int, PartName] = {}

    def purchases(
        self, ranges: Sequence[tuple[str, bool]], *, place: tuple[int, bytes] | None, subject: str | None = None,
        state: str | None = None, before: int | None = None, limit: int = 100,
    ) -> list[Purchase]:  # fmt: skip
        """Orders of the twins in `ranges` (text, whole IRI or beginning), highest numbers first."""
        where, values = _among(ranges, place)
        for clause, value in (
            ("t.sub = ?", subject),
            ("p.state = ?", state),
            ("p.number < ?", None if before is None else before.to_bytes(32, "big")),
        ):
            if value is not None:
                where.append(clause)
                values.append(value)
        rows = self._states.query(
            "SELECT t.sub, p.chain, p.contract, p.number, p.agreement, p.state, p.since, p.token, p.entry"  # noqa: S608
            f" FROM purchase p JOIN twin t ON t.id = p.twin WHERE {' AND '.join(where)} ORDER BY p.number DESC LIMIT ?",
            (*values, limit),
        )
        return [
            Purchase(sub, chain, contract, int.from_bytes(number, "big"), int.from_bytes(agreement, "big"), state_,
                     since, _optional(token), entry)
            for sub, chain, contract, number, agreement, state_, since, token, entry in rows
        ]  # fmt: skip

    def purchase(self, number: int, place: tuple[int, bytes] | None) -> Purchase | None:
        """One order."""
        found = self.purchases([("", False)], place=place, before=number + 1, limit=1)
        return found[0] if found and found[0].number == number else None

    def parts(
        self, ranges: Sequence[tuple[str, bool]], *, place: tuple[int, bytes] | None, subject: str | None = None,
        owner: bytes | None = None, token: int | None = None, parent: int | None = None, after: int | None = None,
        limit: int = 100,
    ) -> list[ToldPart]:  # fmt: skip
        """Parts of the twins in `ranges`, by their tokens."""
        where, values = _among(ranges, place)
        for clause, value in (
            ("t.sub = ?", subject),
            ("p.owner = ?", owner),
            ("p.token = ?", None if token is None else token.to_bytes(32, "big")),
            ("p.parent = ?", None if parent is None else parent.to_bytes(32, "big")),
            ("p.token > ?", None if after is None else after.to_bytes(32, "big")),
        ):
            if value is not None:
                where.append(clause)
                values.append(value)
        rows = self._states.query(
            "SELECT t.sub, p.chain, p.contract, p.token, p.owner, p.status, p.parent, p.entry"  # noqa: S608
            f" FROM part p JOIN twin t ON t.id = p.twin WHERE {' AND '.join(where)} ORDER BY p.token LIMIT ?",
            (*values, limit),
        )
        return [
            ToldPart(sub, chain, contract, int.from_bytes(id_, "big"), owned, status, _optional(above), entry)
            for sub, chain, contract, id_, owned, status, above, entry in rows
        ]

    def proposals(self, place: tuple[int, bytes] | None) -> dict[tuple[int, bytes, int], list[str]]:
        """(chain, contract, agreement) that the log tells of -> the twins that it is about or has orders for."""
        clause, values = _at(place)
        found: dict[tuple[int, bytes, int], set[str]] = {}
        for table in ("proposal", "purchase"):
            sql = f"SELECT p.chain, p.contract, p.agreement, t.sub FROM {table} p JOIN twin t ON t.id = p.twin"  # noqa: S608
            for chain, contract, agreement, subject in self._states.query(f"{sql} WHERE {clause}", values):
                found.setdefault((chain, contract, int.from_bytes(agreement, "big")), set()).add(subject)
        return {
            key: sorted(subjects) for key, subjects in sorted(found.items(), key=lambda row: (row[0][2], row[0][:2]))
        }

    def events(self, subject: str) -> list[ToldEvent]:
        """What contracts said about a twin, in each chain's order; what was taken back is left out."""
        found: dict[tuple[int, bytes, tuple[int, int], bytes], ToldEvent] = {}
        after = -1
        while True:
            rows = self._states.history(subject, after=after, kind="chain-event", limit=_PAGE)
            for row in rows:
                if not row.issuer.endswith(FOLLOWER):
                    continue
                event = parse_chain_event(logged(self._reader, row.entry).payload)
                key = (event.chain, event.contract, event.place, event.block_hash)
                if event.retracted:
                    found.pop(key, None)
                else:
                    # Several may follow the same chain: the first that told it counts.
                    found.setdefault(key, ToldEvent(row.entry, event))
            if len(rows) < _PAGE:
                return [found[key] for key in sorted(found)]
            after = rows[-1].entry

    def name_of(self, part: ToldPart) -> PartName:
        """What a part is called. A token is the hash of it, so what is known stays."""
        if part.token not in self._names:
            for told in self.events(part.subject):
                if told.event.event == "Minted" and told.number("tokenId") == part.token:
                    made = PartName(told.text("partNumber"), told.text("serial"), told.address("manufacturer"))
                    if len(self._names) < MAX_NAMES:
                        self._names[part.token] = made
                    return made
            return PartName(None, None, None)
        return self._names[part.token]

    def birth(self, subject: str, leaf: bytes) -> int | None:
        """The entry about a part whose leaf hash its passport names."""
        key = (subject, leaf)
        if key not in self._births:
            rows = self._states.history(subject, limit=MAX_BIRTH)
            matching = (row.entry for row in rows if hash_leaf(self._reader.entry(row.entry)) == leaf)
            found = next(matching, None)
            if found is not None and len(self._births) < MAX_NAMES:
                self._births[key] = found
            return found
        return self._births[key]


def _at(place: tuple[int, bytes] | None) -> tuple[str, tuple[object, ...]]:
    return ("1", ()) if place is None else ("p.chain = ? AND p.contract = ?", place)


def _among(ranges: Sequence[tuple[str, bool]], place: tuple[int, bytes] | None) -> tuple[list[str], list[object]]:
    clause, values = _at(place)
    given: list[object] = [*values]
    options = []
    for text, whole in ranges:
        options.append("t.sub = ?" if whole else "(t.sub >= ? AND t.sub < ?)")
        given += [text] if whole else [text, text + "\U0010ffff"]
    return [clause, f"({' OR '.join(options) or '0'})"], given
