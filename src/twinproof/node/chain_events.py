"""The node's ear on the chain: what contracts say about twins becomes `chain-event` statements, each event once.

It signs with a key of its own, FOLDER/keys/chain.pem, as `log_subject#chain`, which the operator must grant `record`
(`service_keys.CHAIN.enable`). Where it stands is what it has stated: each twin's state holds the place (block and
position) of the newest event per contract, so a restart reads the contracts' events from their first block again
and passes by what is stated. An event that a reorganisation takes away after it was stated is stated as retracted.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from hashlib import sha256
from typing import Final, NamedTuple

from twinproof.chain.abi import Contract
from twinproof.chain.asking import block_ranges
from twinproof.chain.model import Block, Chain, Log
from twinproof.errors import ConfigError, Malformed, NotFound, StorageFailed, TwinproofError
from twinproof.node.chain_subjects import Subjects
from twinproof.node.node import Clock, WritingNode
from twinproof.node.service_keys import CHAIN, PATIENCE
from twinproof.node.statements import logged
from twinproof.node.stating import Stating
from twinproof.node.submissions import is_replaced
from twinproof.node.tasks import Rounds
from twinproof.proof.keys import PrivateKey
from twinproof.twin.chain_event import CHAIN_EVENT, ChainEvent, event_args, format_chain_event, parse_chain_event
from twinproof.twin.grants import log_subject
from twinproof.views.feed import Feed
from twinproof.views.state import StateView

MAX_QUEUE: Final = 4096
"""Statements that wait; the chain is read on when they are fewer."""
MEMORY: Final = 4096
"""Stated events that are kept to be retracted: as deep as a reorganisation may go and be noticed."""

_LOG = logging.getLogger(__name__)


class _Stated(NamedTuple):
    subject: str
    event: ChainEvent


class ChainEvents(Rounds):
    """One per node. `step` does one round; `tasks.Task` runs rounds in a thread."""

    def __init__(
        self,
        node: WritingNode,
        feed: Feed,
        states: StateView,
        key: PrivateKey,
        chain: Chain,
        contracts: Sequence[Contract],
        *,
        clock: Clock,
        first_block: int = 0,
        confirmations: int = 0,
        speakers: Set[bytes] | None = None,
        on_problem: Callable[[TwinproofError], None] | None = None,
    ) -> None:
        """`first_block` is the block that made the first of `contracts`; `speakers` as `Subjects` takes them."""
        super().__init__("following the chain", on_problem)
        self.issuer = CHAIN.issuer(node.config.origin)
        self.stated = 0
        """Events that became entries."""
        self.retracted = 0
        self.refused = 0
        """Events that the log will not take."""
        self.unread = 0
        """Logs of the contracts that are no events of theirs."""
        self._node = node
        self._feed = feed
        self._states = states
        self._key = key
        self._chain = chain
        self._contracts = {contract.address: contract for contract in contracts}
        self._first = first_block
        self._confirmations = confirmations
        self._speakers = speakers
        self._stating = Stating[_Stated](node, self.issuer, key, clock, taken=self._took, refused=self._refuse)
        self._restart()

    def _restart(self) -> None:
        self._opened = False
        self._next = self._first
        self._end: Block | None = None
        self._names = Subjects(self._speakers)
        self._unknown: set[bytes] = set()
        self._places: dict[tuple[str, bytes], tuple[int, int]] = {}
        self._twins = 0
        """Highest number of a twin in the states that is known here: they are numbered as they come."""
        self._subjects: dict[bytes, str] = {}
        self._recent: deque[_Stated] = deque(maxlen=MEMORY)

    @property
    def reached(self) -> int:
        """The next block to read."""
        return self._next

    @property
    def waiting(self) -> int:
        """Statements that are not in the log yet."""
        return len(self._stating)

    def _round(self) -> None:
        """Read what is new on the chain and state it."""
        if not CHAIN.is_enabled(self._node, self._key):
            raise ConfigError("the node may not state what the chain says; let it with: twinproof chain enable")
        if not self._opened:
            self._open()
        self._meet_twins()
        self._stating.deliver()
        last = self._chain.head().number - self._confirmations
        self._follow_reorganisation()
        for first, upto in block_ranges(self._next, last):
            if len(self._stating) >= MAX_QUEUE:
                break
            end = self._chain.block(upto)
            self._read(first, upto)
            self._next, self._end = upto + 1, end
            self._stating.deliver()

    # --- where it stands ------------------------------------------------------------------------

    def _open(self) -> None:
        # Places are read from the states: if these did not have the newest statements, events would be stated twice.
        if not self._states.wait(self._feed.size, PATIENCE):
            raise StorageFailed("the states lag behind the log, so what is stated cannot be told")
        self._new_twins()
        rows = self._states.query(
            "SELECT t.sub, h.entry FROM history h JOIN twin t ON t.id = h.twin JOIN issuer i ON i.id = h.issuer"
            " WHERE h.kind = 'chain-event' AND i.iss = ? ORDER BY h.entry DESC LIMIT ?",
            (self.issuer, MEMORY),
        )
        for subject, entry in reversed(rows):
            statement = logged(self._node.reader, entry)
            self._remember(_Stated(subject, parse_chain_event(statement.payload)))
        self._opened = True

    def _remember(self, stated: _Stated) -> None:
        event = stated.event
        if event.chain != self._chain.chain_id or event.contract not in self._contracts:
            return
        if not event.retracted:
            self._recent.append(stated)
        elif (taken_back := _Stated(stated.subject, replace(event, retracted=False))) in self._recent:
            self._recent.remove(taken_back)

    def _place(self, subject: str, contract: bytes) -> tuple[int, int]:
        """The newest event of a contract that is stated about a twin, or waits to be."""
        found = self._places.get((subject, contract))
        if found is None:
            try:
                events = self._states.state(subject).live.ledger.events
            except NotFound:
                events = {}
            found = self._places[subject, contract] = events.get(
                (self.issuer, self._chain.chain_id, contract), (-1, -1)
            )
        return found

    def _new_twins(self) -> set[bytes]:
        """Twins that the states have and we do not, by their names on a chain."""
        found: set[bytes] = set()
        for number, subject in self._states.query("SELECT id, sub FROM twin WHERE id > ? ORDER BY id", (self._twins,)):
            self._twins = number
            # Nobody but its grantees speaks about the log, and what is said of it stands in every bundle.
            if subject != log_subject(self._node.config.origin):
                name = sha256(subject.encode()).digest()
                self._subjects[name] = subject
                found.add(name)
        return found

    def _meet_twins(self) -> None:
        """Twins that the log speaks of for the first time, among them some that the chain spoke of before."""
        met = self._new_twins() & self._unknown
        for first, last in block_ranges(self._first, self._next - 1 if met else -1):
            self._read(first, last, met)
        self._unknown -= met

    # --- reading --------------------------------------------------------------------------------

    def _read(self, first: int, last: int, only: set[bytes] | None = None) -> None:
        blocks: dict[bytes, Block] = {}
        for log in self._chain.logs(first=first, last=last, addresses=list(self._contracts)):
            contract = self._contracts.get(log.address)
            if contract is None:
                continue
            try:
                name, args = contract.event(log)
                twins = self._names.twins_of(log.address, name, args)
                told = event_args(args)
            except (Malformed, ValueError) as problem:
                self.unread += only is None
                _LOG.warning("block %d, log %d: %s", log.number, log.position, problem)
                continue
            for twin in twins:
                if only is None or twin in only:
                    self._tell(twin, log, name, told, blocks)

    def _tell(self, twin: bytes, log: Log, name: str, args: dict[str, object], blocks: dict[bytes, Block]) -> None:
        subject = self._subjects.get(twin)
        if subject is None:
            self._unknown.add(twin)
            return
        place = (log.number, log.position)
        if place <= self._place(subject, log.address):
            return
        if log.block not in blocks:
            block = self._chain.block(log.block)
            if block is None:
                raise NotFound(f"block {log.number} is gone; the chain reorganises")
            blocks[log.block] = block
        event = ChainEvent(
            chain=self._chain.chain_id,
            contract=log.address,
            event=name,
            block=log.number,
            block_hash=log.block,
            time=blocks[log.block].time,
            transaction=log.transaction,
            position=log.position,
            args=args,
        )
        self._places[subject, log.address] = place
        self._state(subject, event)

    def _state(self, subject: str, event: ChainEvent) -> None:
        self._stating.add(subject, CHAIN_EVENT, format_chain_event(event), _Stated(subject, event))

    def _took(self, stated: _Stated, index: int) -> None:
        self._remember(stated)
        if stated.event.retracted:
            self.retracted += 1
        else:
            self.stated += 1

    def _refuse(self, stated: _Stated, why: TwinproofError) -> None:
        self.refused += 1
        _LOG.error("the log refuses %s of block %d: %s", stated.event.event, stated.event.block, why)

    # --- reorganisations ------------------------------------------------------------------------

    def _follow_reorganisation(self) -> None:
        """If blocks that were read are gone, retract what was stated of them, and read everything again."""
        gone = self._gone()
        if not gone and (self._end is None or not is_replaced(self._chain, self._end.number, self._end.hash)):
            return
        if gone:
            _LOG.warning("the chain reorganised: %d events from block %d on are gone", len(gone), gone[-1].event.block)
        for stated in gone:
            self._state(stated.subject, replace(stated.event, retracted=True))
        self._stating.deliver()
        self._restart()
        self._open()

    def _gone(self) -> list[_Stated]:
        """Stated events whose blocks the chain has no more, newest first."""
        gone: list[_Stated] = []
        known: dict[bytes, bool] = {}
        for stated in sorted(self._recent, key=_place_of, reverse=True):
            event = stated.event
            if event.block_hash not in known:
                known[event.block_hash] = is_replaced(self._chain, event.block, event.block_hash)
            if not known[event.block_hash]:
                break
            gone.append(stated)
        return gone


def _place_of(stated: _Stated) -> tuple[int, int]:
    return stated.event.place
