"""CheckpointAnchor against a model, over any order of honest and dishonest steps, on the real bytecode."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.contracts.anchoring import NONE, Head, proof, root, signature
from tests.contracts.kit import ACCOUNTS, World, refused
from twinproof.chain.accounts import Account

PARTIES = st.sampled_from(range(3))
SIZES = st.integers(1, 70)
WORLD = World()
ANCHOR = WORLD.deploy("CheckpointAnchor")
FRESH = WORLD.snapshot()


@dataclass
class Model:
    """A log as it should be."""

    log_id: bytes
    owner: Account
    heads: list[Head] = field(default_factory=lambda: [NONE])
    """All of them, from none on."""
    offered: Account | None = None
    fork: int | None = None
    """Which of the trees it is."""

    @property
    def latest(self) -> Head:
        return self.heads[-1]


class Anchoring(RuleBasedStateMachine):
    """Three parties, up to six logs. Dishonest steps come as often as honest ones."""

    def __init__(self) -> None:
        super().__init__()
        WORLD.revert(FRESH)
        self.models: dict[tuple[str, int], Model] = {}

    def pick(self, number: int) -> Model:
        return list(self.models.values())[number % len(self.models)]

    @rule(origin=st.sampled_from("ab"), by=PARTIES, owner=PARTIES)
    def register(self, origin: str, by: int, owner: int) -> None:
        arguments = (ACCOUNTS[by], "register", origin, ACCOUNTS[owner].address)
        if (origin, by) in self.models:
            with refused("AlreadyRegistered"):
                ANCHOR.send(*arguments)
        else:
            self.models[origin, by] = Model(ANCHOR.send(*arguments).value, ACCOUNTS[owner])

    @rule(seconds=st.integers(1, 10**7))
    def wait(self, seconds: int) -> None:
        WORLD.time += seconds

    @precondition(lambda self: self.models)
    @rule(number=st.integers(0, 5), size=SIZES, by=PARTIES, signed=st.booleans(), signer=PARTIES)
    def anchor(self, number: int, size: int, by: int, signed: bool, signer: int) -> None:
        """A true head: taken from the owner, or with the owner's signature, if it is newer."""
        model, sender, old = self.pick(number), ACCOUNTS[by], self.pick(number).latest
        new_root = root(size, model.fork)
        arguments = [model.log_id, old, size, new_root, proof(min(old.size, size), size, model.fork)]
        time = WORLD.time
        if signed:
            arguments.append(signature(ACCOUNTS[signer], ANCHOR, model.log_id, old, size, new_root))
            step, allowed = "anchorSigned", ACCOUNTS[signer] == model.owner
        else:
            step, allowed = "anchor", sender == model.owner
        if not allowed:
            with refused("BadOwnerSignature" if signed else "NotOwner"):
                ANCHOR.send(sender, step, *arguments)
        elif size <= old.size:
            with refused("NotNewer"):
                ANCHOR.send(sender, step, *arguments)
        else:
            ANCHOR.send(sender, step, *arguments)
            model.heads.append(Head(size, time, new_root))

    @precondition(lambda self: self.models)
    @rule(number=st.integers(0, 5), more=st.integers(1, 9), place=st.integers(0, 69))
    def fork(self, number: int, more: int, place: int) -> None:
        """The owner's own attempt at another tree: only what is not anchored yet can be otherwise."""
        model = self.pick(number)
        old = model.latest
        fork, size = place % (old.size + 1), old.size + more
        arguments = (model.log_id, old, size, root(size, fork), proof(old.size, size, fork))
        time = WORLD.time
        if root(old.size, fork) != root(old.size, model.fork):
            with refused("BadConsistencyProof"):
                ANCHOR.send(model.owner, "anchor", *arguments)
        else:
            ANCHOR.send(model.owner, "anchor", *arguments)
            model.heads.append(Head(size, time, root(size, fork)))
            model.fork = fork

    @precondition(lambda self: any(len(model.heads) > 1 for model in self.models.values()))
    @rule(number=st.integers(0, 5), which=st.integers(0, 20), more=st.integers(1, 9))
    def branch_off_an_earlier_head(self, number: int, which: int, more: int) -> None:
        models = [model for model in self.models.values() if len(model.heads) > 1]
        model = models[number % len(models)]
        old, size = model.heads[which % (len(model.heads) - 1)], model.latest.size + more
        with refused("NotLatest"):
            ANCHOR.send(
                model.owner,
                "anchor",
                model.log_id,
                old,
                size,
                root(size, model.fork),
                proof(old.size, size, model.fork),
            )

    @precondition(lambda self: self.models)
    @rule(number=st.integers(0, 5), by=PARTIES, to=PARTIES)
    def transfer(self, number: int, by: int, to: int) -> None:
        model = self.pick(number)
        if ACCOUNTS[by] != model.owner:
            with refused("NotOwner"):
                ANCHOR.send(ACCOUNTS[by], "transferLog", model.log_id, ACCOUNTS[to].address)
        else:
            ANCHOR.send(ACCOUNTS[by], "transferLog", model.log_id, ACCOUNTS[to].address)
            model.offered = ACCOUNTS[to]

    @precondition(lambda self: self.models)
    @rule(number=st.integers(0, 5), by=PARTIES)
    def accept(self, number: int, by: int) -> None:
        model = self.pick(number)
        if ACCOUNTS[by] != model.offered:
            with refused("NotOffered"):
                ANCHOR.send(ACCOUNTS[by], "acceptLog", model.log_id)
        else:
            ANCHOR.send(ACCOUNTS[by], "acceptLog", model.log_id)
            model.owner, model.offered = ACCOUNTS[by], None

    @invariant()
    def the_contract_knows_what_the_model_knows(self) -> None:
        for model in self.models.values():
            head = model.latest
            assert ANCHOR.call("latest", model.log_id) == (head.size, head.time, len(model.heads) - 1)
            assert ANCHOR.call("ownerOf", model.log_id) == model.owner.address

    def teardown(self) -> None:
        """Exactly what was anchored is anchored, at its time, and each head extends the one before."""
        for model in self.models.values():
            for head in model.heads[1:]:
                assert ANCHOR.call("isAnchored", model.log_id, head)
                assert head.root == root(head.size, model.fork)
                assert not ANCHOR.call("isAnchored", model.log_id, head._replace(time=head.time + 1))
                assert not ANCHOR.call("isAnchored", model.log_id, head._replace(root=bytes(32)))
            anchored = {head.size for head in model.heads}
            for size in set(range(5)) - anchored | {0}:
                guess = Head(size, model.latest.time, root(size, model.fork))
                assert not ANCHOR.call("isAnchored", model.log_id, guess)


TestAnchoring = Anchoring.TestCase
TestAnchoring.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
