"""What a stranger asks of a served chain: numbers beyond the database's, and work without end."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.chain.embedded_rig import ADDRESSES, GENESIS, asm, deploying
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.embedded.engine import Outcome
from twinproof.chain.jsonrpc import FULL, answer
from twinproof.chain.model import Request

NOBODY = "0x" + "42" * 20


def ask(chain: EmbeddedChain, method: str, *params: object) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    found = json.loads(answer(chain, json.dumps(body).encode()) or b"")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("number", ["0x7fffffffffffffff", "0x8000000000000000", "0xffffffffffffffff"])
def test_numbers_of_blocks_beyond_any(number: str) -> None:
    with EmbeddedChain.open(None, genesis=GENESIS) as chain:
        for method in ("eth_getBlockReceipts", "debug_getRawHeader", "debug_getRawReceipts"):
            assert ask(chain, method, number)["result"] is None, method
        assert ask(chain, "eth_getBlockByNumber", number, True)["result"] is None
        refused = [
            ask(chain, "eth_getBalance", NOBODY, number),
            ask(chain, "eth_getCode", NOBODY, number),
            ask(chain, "eth_getStorageAt", NOBODY, "0x0", number),
            ask(chain, "eth_getTransactionCount", NOBODY, {"blockNumber": number}),
            ask(chain, "eth_call", {"to": NOBODY}, number),
            ask(chain, "eth_feeHistory", "0x1", number),
        ]
        assert {one["error"]["code"] for one in refused} == {-32000}
        for asked in ({"fromBlock": number}, {"fromBlock": number, "toBlock": number}, {"toBlock": number}):
            assert ask(chain, "eth_getLogs", asked)["result"] == []


def test_a_batch_ends_when_its_time_is_over() -> None:
    """Each request could run as much code as a block holds; those that were begun are answered."""
    seconds = count(0, 4)
    with EmbeddedChain.open(None, genesis=GENESIS) as chain:
        batch = [{"jsonrpc": "2.0", "id": number, "method": "eth_chainId"} for number in range(1000)]
        raw = answer(chain, json.dumps(batch).encode(), monotonic=lambda: next(seconds))
        found = json.loads(raw or b"")
        assert [one["id"] for one in found] == list(range(1000))
        assert ["result" in one for one in found] == [True, True] + [False] * 998
        assert {one["error"]["code"] for one in found[2:]} == {FULL}


def test_an_estimate_is_not_a_hundred_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that does nothing with much gas and burns all of less leads a search through every limit below."""
    spent: list[int] = []
    run = EmbeddedChain._run

    def counted(chain: EmbeddedChain, request: Request, block: int | None) -> Outcome:
        outcome = run(chain, request, block)
        spent.append(outcome.gas_used)
        return outcome

    # Stops if more than 60,000,000 gas are left, and else burns what there is.
    runtime = asm("GAS 0x03938700") + b"\x10" + asm("0x0b JUMPI INVALID JUMPDEST")
    genesis = replace(GENESIS, gas_limit=61_000_000)
    with EmbeddedChain.open(None, genesis=genesis) as chain:
        monkeypatch.setattr(EmbeddedChain, "_run", counted)
        # A stranger needs no contract: what is estimated is its making.
        found = chain.estimate_gas(Request(None, runtime, sender=ADDRESSES[0]))
        assert chain.simulate(Request(None, runtime, sender=ADDRESSES[0], gas=found)).succeeded
        assert sum(spent) <= 2 * genesis.gas_limit
        # An honest estimate is as narrow as ever.
        honest = Request(None, deploying(asm("STOP")), sender=ADDRESSES[0])
        assert chain.estimate_gas(honest) * 32 <= chain.simulate(honest).gas_needed * 33
