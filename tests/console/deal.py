"""An operator and a supplier who deal in the console: a served node with both accounts, a part, an agreement, an order.

Its chain tasks run when a test says so (`parties.follow()`): the contract is ahead of the log until then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.console.world import served
from tests.server.parties_rig import NUMBER, PART, SUPPLIER, Parties, parties_rig
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.parts import token_id_of
from twinproof.chain.signing import Unsigned
from twinproof.node.tokens import TokenFile, parse_scope

_IDS = count()
WALLET = """
(chains) => {
  let chain = chains.now;
  window.settings = chains;
  const fail = (code, message) => { throw Object.assign(new Error(message), {code}); };
  window.asked = [];
  window.ethereum = {
    request: async ({method, params}) => {
      window.asked.push(method);
      if (method === 'eth_requestAccounts') return [chains.account];
      if (method === 'eth_chainId') return chain;
      if (method === 'wallet_switchEthereumChain') {
        if (chains.known && !chains.known.includes(params[0].chainId)) fail(4902, 'Unrecognized chain ID');
        if (!chains.stays) chain = params[0].chainId;
        return null;
      }
      if (method === 'eth_sendTransaction') {
        if (window.declines) fail(4001, 'User rejected the request.');
        return await window.signAndSend(JSON.stringify(params[0]));
      }
      fail(4200, 'not supported');
    },
  };
}
"""
"""A wallet as pages see it (EIP-1193); `signAndSend` is exposed by the test."""


@dataclass(frozen=True)
class Deal:
    """The node, where its console is, and a client that acts."""

    parties: Parties
    url: str
    client: TestClient

    def link(self, route: str, *, token: str | None = None) -> str:
        return f"{self.url}/console/#{route}" if token is None else f"{self.url}/console/#/signin?token={token}"

    @property
    def operating(self) -> str:
        """A token that reads everything and acts."""
        tokens = TokenFile(self.parties.live.node.folder, self.parties.live.node.clock)
        return tokens.new([parse_scope("all"), parse_scope("operate")])[0]

    def do(self, action: str, by: str, **arguments: Any) -> None:
        """Act by the API."""
        question = {"action": action, "arguments": arguments, "from": by, "sign": "node", "id": f"deal-{next(_IDS):08}"}
        answer = self.client.post("/api/v1/transactions", json=question)
        assert answer.status_code == 200, answer.text

    def mint(self, serial: str) -> str:
        """A part of the supplier's; its token."""
        birth = self.parties.describe(PART, partNumber=NUMBER)
        self.do("part.accredit", self.parties.operator, manufacturer=self.parties.supplier, accredited=True)
        self.do("part.mint", self.parties.supplier, part_number=NUMBER, serial=serial, twin=PART, entry=birth)
        self.parties.follow()
        return str(token_id_of(SUPPLIER.address, NUMBER, serial))

    def order(self) -> str:
        """An agreement that both have entered, and an order that a forecast has placed; its key."""
        parties = self.parties
        parties.propose()
        self.do("agreement.agree", parties.supplier, agreement="1")
        self.do("agreement.fund", parties.operator, agreement="1", amount=str(10**18))
        entry = parties.predict(20.0)
        parties.anchor()
        self.do("order.place", parties.operator, agreement="1", entry=entry)
        parties.follow()
        return "1-1"

    def sign_and_send(self, sent: dict[str, str]) -> str:
        """What the supplier's wallet does with `eth_sendTransaction`."""
        chain = self.parties.side.chain
        assert sent["from"] == self.parties.supplier
        transaction = Unsigned(
            chain_id=chain.chain_id,
            nonce=chain.nonce(SUPPLIER.address),
            max_tip=int(sent["maxPriorityFeePerGas"], 16),
            max_fee=int(sent["maxFeePerGas"], 16),
            gas=int(sent["gas"], 16),
            to=bytes.fromhex(sent["to"][2:]),
            value=int(sent["value"], 16),
            data=bytes.fromhex(sent["data"][2:]),
        )
        raw = SUPPLIER.sign_transaction(transaction)
        assert chain.send(raw) == keccak(raw)
        return f"0x{keccak(raw).hex()}"


@contextmanager
def dealing(folder: Path) -> Iterator[Deal]:
    """A new node on a folder. Its time stands still, a little ahead: what the browser takes for now lies before it."""
    with (
        parties_rig(folder, time.time() + 1) as parties,
        served(parties.live) as url,
        parties.client("all", "operate") as client,
    ):
        yield Deal(parties, url, client)
