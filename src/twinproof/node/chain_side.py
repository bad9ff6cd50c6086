"""The node's chain side: one chain, one sender, and the tasks that connect it with the log.

    anchoring      the log's heads go to the chain, their evidence comes back
    chain events   what contracts say about twins becomes statements       [chain] events = true, and a key for it
    relay          predictions that policies name place orders             [chain] relay = true, replay = "required"
    sender         what is not mined is sent again

Nothing that happens here reaches intake: each task has a thread, and hands statements in as anybody does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.agreements import Agreements
from twinproof.chain.anchors import CheckpointAnchor
from twinproof.chain.model import Chain
from twinproof.chain.sender import Sender
from twinproof.errors import ConfigError
from twinproof.node import chain_setup
from twinproof.node.accounts import OWN, Accounts, open_accounts
from twinproof.node.anchor_store import AnchorStore
from twinproof.node.anchoring import Anchoring
from twinproof.node.chain_events import ChainEvents
from twinproof.node.chain_setup import Contracts, confirmations, open_account, open_chain, open_sender, read_contracts
from twinproof.node.node import WritingNode
from twinproof.node.relay import Relay
from twinproof.node.replaying import ForecastReplay
from twinproof.node.service_keys import CHAIN
from twinproof.node.submissions import OutboxSubmitter
from twinproof.node.tasks import Rounds, Task
from twinproof.views.feed import Feed
from twinproof.views.state import StateView

EMBEDDED_TICK: Final = 1.0
"""Seconds between two rounds of a task."""
NETWORK_TICK: Final = 5.0

_LOG = logging.getLogger(__name__)


@dataclass
class ChainSide:
    """What `open_chain_side` opened."""

    chain: Chain
    contracts: Contracts
    sender: Sender
    accounts: Accounts
    """All that the node can sign for, `sender` among them."""
    anchoring: Anchoring
    events: ChainEvents | None
    """None if it is switched off, or was never enabled."""
    relay: Relay | None
    tasks: dict[str, Task] = field(default_factory=dict)
    unlisten: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to run the tasks."""
        for task in self.tasks.values():
            task.start()

    def stop(self) -> None:
        """End the rounds under way."""
        if self.unlisten is not None:
            self.unlisten()
            self.unlisten = None
        for task in self.tasks.values():
            task.stop()


@contextmanager
def open_chain_side(node: WritingNode, feed: Feed, states: StateView) -> Iterator[ChainSide | None]:
    """The parts and tasks that the settings ask for, not started; None if nothing is deployed yet.

    Raises `ConfigError`, `Malformed` or `WrongPassword` for settings, files or keys that are wrong.
    """
    folder, settings = node.folder, node.config.chain
    if not chain_setup.has_contracts(folder):
        _LOG.warning("a chain is set up, but there are no contracts on it; make them with: twinproof chain deploy")
        yield None
        return
    contracts = read_contracts(folder)
    account = open_account(folder, settings)
    with ExitStack() as stack:
        chain = stack.enter_context(open_chain(folder, settings, clock=node.clock))
        # A network is not asked here: the node starts without it.
        chain_id = settings.chain_id or chain.chain_id
        if chain_id != contracts.chain_id:
            raise ConfigError(
                f"contracts.json is of chain {contracts.chain_id}, the settings name chain {chain_id}; "
                "deploy there, too, or mend the settings"
            )
        sender = stack.enter_context(open_sender(folder, settings, chain, account, clock=node.clock))
        accounts = stack.enter_context(open_accounts(folder, settings, chain, sender, clock=node.clock))
        yield _side(node, feed, states, chain, contracts, accounts)


def _side(
    node: WritingNode, feed: Feed, states: StateView, chain: Chain, contracts: Contracts, accounts: Accounts
) -> ChainSide:
    sender = accounts.senders[OWN]
    settings, submitter = node.config.chain, OutboxSubmitter(sender)
    wait = confirmations(settings)
    anchors = CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"])
    anchoring = Anchoring(
        node.reader,
        chain,
        anchors,
        contracts.log_id,
        submitter,
        AnchorStore(node.folder / chain_setup.FOLDER / chain_setup.ANCHORS),
        settings=settings,
        clock=node.clock,
        confirmations=wait,
        first_block=contracts.first_block,
    )
    tick = NETWORK_TICK if settings.driver == "rpc" else EMBEDDED_TICK
    sending = _SenderRounds(accounts)
    tasks = {"anchoring": Task("anchoring", anchoring.step, tick), "sender": Task("sender", sending.step, tick)}
    events = relay = stop = None
    if settings.events and CHAIN.has_key(node.folder):
        events = _events(node, feed, states, chain, contracts, wait, sender.address)
        tasks["chain events"] = Task("chain events", events.step, tick)
    if settings.relay:
        agreements = Agreements(chain, contracts.addresses["MaintenanceAgreement"], contracts.first_block)
        relay = Relay(
            node.reader,
            feed,
            states,
            chain,
            agreements,
            anchoring,
            anchors.address,
            contracts.log_id,
            submitter,
            ForecastReplay(node.reader, states, node.blobs),
            replay_required=settings.replay == "required",
            clock=node.clock,
            on_due=tasks["anchoring"].wake,
        )
        tasks["relay"] = Task("relay", relay.step, tick)
        # A busy log grows faster than a task ticks: entries are cheap to take in while they are in memory.
        tasks["relay feed"] = following = Task("relay feed", relay.follow, tick)
        stop = feed.listen(lambda size: following.wake())
    return ChainSide(chain, contracts, sender, accounts, anchoring, events, relay, tasks, stop)


def _events(
    node: WritingNode, feed: Feed, states: StateView, chain: Chain, contracts: Contracts, wait: int, account: bytes
) -> ChainEvents:
    heard = node.config.chain.heard
    followed = ("PartPassport", "MaintenanceAgreement", "Attestations")
    return ChainEvents(
        node,
        feed,
        states,
        CHAIN.key(node.folder, node.config.origin),
        chain,
        [Contract(Artifact.load(name), contracts.addresses[name]) for name in followed],
        clock=node.clock,
        first_block=contracts.first_block,
        confirmations=wait,
        speakers=None if heard is None else heard | {account},
    )


class _SenderRounds(Rounds):
    """The senders' looks at what is not final."""

    def __init__(self, accounts: Accounts) -> None:
        super().__init__("the sender")
        self._accounts = accounts

    def _round(self) -> None:
        for sender in self._accounts.senders.values():
            sender.step()
