"""An embedded chain in memory with the real contracts, and a submitter that crashes where the test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from twinproof.chain.abi import Artifact, Contract
from twinproof.chain.accounts import Account
from twinproof.chain.embedded import EmbeddedChain, Genesis
from twinproof.chain.model import Chain, Receipt, Request
from twinproof.chain.signing import Unsigned
from twinproof.errors import ChainUnreachable
from twinproof.node.submissions import Submission

CHAIN_ID = 31_000
ACCOUNTS = [Account(sha256(b"chain rig %d" % number).digest()) for number in range(4)]
GENESIS = Genesis(CHAIN_ID, {account.address: 10**21 for account in ACCOUNTS})


def new_chain(clock: Callable[[], float], path: Path | None = None) -> EmbeddedChain:
    return EmbeddedChain.open(path, genesis=GENESIS, clock=clock)


def transact(chain: Chain, account: Account, to: bytes | None, data: bytes, value: int = 0) -> Receipt:
    """Send and see what became of it; raises `Reverted` if it would do nothing."""
    return mined(chain, chain.send(sign(chain, account, to, data, value)))


def mined(chain: Chain, transaction: bytes) -> Receipt:
    """The receipt. A node that mines on demand has it in a moment: it is asked a bounded number of times."""
    found = (chain.receipt(transaction) for _ in range(5000))
    receipt = next((each for each in found if each is not None), None)
    assert receipt is not None
    return receipt


def sign(
    chain: Chain, account: Account, to: bytes | None, data: bytes, value: int = 0, nonce: int | None = None
) -> bytes:
    gas = chain.estimate_gas(Request(to, data, value, account.address)) * 5 // 4
    fees = chain.fees()
    nonce = chain.nonce(account.address) if nonce is None else nonce
    return account.sign_transaction(
        Unsigned(chain.chain_id, nonce, fees.tip, 2 * fees.base + fees.tip, gas, to, value, data)
    )


def deploy(chain: Chain, name: str, *arguments: object, by: Account = ACCOUNTS[0]) -> Contract:
    artifact = Artifact.load(name)
    receipt = transact(chain, by, None, artifact.deployment(*arguments))
    assert receipt.succeeded
    assert receipt.contract is not None
    return Contract(artifact, receipt.contract)


@dataclass
class Outbox:
    """What survives a crash of the submitter."""

    signed: dict[str, bytes] = field(default_factory=dict)


class ScriptedSubmitter:
    """Sends at once. `crash` names the next point to fail at: `before`, `kept` or `sent`."""

    def __init__(self, chain: Chain, account: Account, outbox: Outbox | None = None) -> None:
        self._chain = chain
        self._account = account
        self.outbox = outbox or Outbox()
        self.crash = ""

    @property
    def address(self) -> bytes:
        return self._account.address

    def _point(self, name: str) -> None:
        if self.crash == name:
            self.crash = ""
            raise ChainUnreachable(f"crashed: {name}")

    def find(self, purpose: str) -> Submission | None:
        raw = self.outbox.signed.get(purpose)
        if raw is None:
            return None
        receipt = mined(self._chain, self._chain.send(raw))
        return Submission(purpose, receipt.transaction, True, receipt.succeeded, (receipt.number, receipt.block))

    def submit(self, purpose: str, to: bytes, data: bytes, value: int = 0) -> Submission:
        self._point("before")
        if purpose not in self.outbox.signed:
            self.outbox.signed[purpose] = sign(self._chain, self._account, to, data, value)
        self._point("kept")
        self._chain.send(self.outbox.signed[purpose])
        self._point("sent")
        found = self.find(purpose)
        assert found is not None
        return found
