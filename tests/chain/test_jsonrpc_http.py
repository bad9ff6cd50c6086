"""The chain behind HTTP: who may ask, in what form, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.chain.embedded_rig import ADDRESSES, CHAIN_ID, GENESIS, REFUSE, STORE, Rig, deploying, signed, words
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.jsonrpc import MAX_REQUEST
from twinproof.chain.model import Chain, Request
from twinproof.chain.rpc import RpcChain
from twinproof.chain.rpc_client import RpcClient
from twinproof.errors import NonceTaken, OutOfFunds, Reverted, TransactionRefused, Underpriced, WrongChain
from twinproof.server.chain_rpc import make_chain_app

ASK = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = make_chain_app(Rig().chain, hosts=["chain.example"], origins=["https://wallet.example"])
    return TestClient(app, base_url="http://127.0.0.1:8545")


def test_it_answers(client: TestClient) -> None:
    found = client.post("/", content=ASK, headers=JSON)
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    assert found.json() == {"jsonrpc": "2.0", "id": 1, "result": hex(CHAIN_ID)}
    assert "access-control-allow-origin" not in found.headers
    quiet = client.post("/", content=ASK.replace(b'"id": 1, ', b""), headers=JSON)
    assert (quiet.status_code, quiet.content) == (204, b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8545", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8545", 200), ("10.1.2.3", 200),
        ("chain.example:80", 200), ("evil.example", 403), ("127.0.0.1.evil.example:8545", 403), ("localhost.evil", 403),
        ("", 403), ("[::1].evil", 403),
    ],
)  # fmt: skip
def test_a_rebound_name_is_not_served(client: TestClient, host: str, status: int) -> None:
    assert client.post("/", content=ASK, headers={**JSON, "host": host}).status_code == status


def test_pages_are_let_in_by_origin(client: TestClient) -> None:
    wallet, other = {"origin": "https://wallet.example"}, {"origin": "https://evil.example"}
    asked = client.options("/", headers={**wallet, "access-control-request-method": "POST"})
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-headers"] == "content-type"
    found = client.post("/", content=ASK, headers={**JSON, **wallet})
    assert found.headers["access-control-allow-origin"] == wallet["origin"]
    assert client.options("/", headers=other).status_code == 403
    assert client.post("/", content=ASK, headers={**JSON, **other}).status_code == 403
    closed = TestClient(make_chain_app(Rig().chain), base_url="http://localhost")
    assert closed.post("/", content=ASK, headers={**JSON, **wallet}).status_code == 403
    everybody = TestClient(make_chain_app(Rig().chain, origins=["*"]), base_url="http://localhost")
    assert everybody.post("/", content=ASK, headers={**JSON, **other}).status_code == 200


def test_form(client: TestClient) -> None:
    assert client.get("/").status_code == 405
    assert client.put("/", content=ASK, headers=JSON).status_code == 405
    assert client.post("/", content=ASK).status_code == 415
    assert client.post("/", content=ASK, headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/other", content=ASK, headers=JSON).status_code == 404
    assert client.post("/", content=b"x" * (MAX_REQUEST + 1), headers=JSON).status_code == 413
    assert client.post("/", content=b"{", headers=JSON).json()["error"]["code"] == -32700


SERVE = """
import sys
from pathlib import Path
from twinproof.server.chain_rpc import serve_chain
serve_chain(Path(sys.argv[1]), "127.0.0.1", 0, on_ready=lambda url: print(url, flush=True))
"""


def agree(remote: Chain, local: EmbeddedChain) -> None:
    """Our own driver tells over HTTP what the chain tells itself."""
    sender = ADDRESSES[0]
    nonce = local.nonce(sender)
    store = remote.receipt(remote.send(signed(0, nonce, data=deploying(STORE), gas=500_000)))
    assert store is not None
    assert store.contract is not None
    digest = remote.send(signed(0, nonce + 1, to=store.contract, data=words(1, 2)))
    assert remote.send(signed(0, nonce + 1, to=store.contract, data=words(1, 2))) == digest
    refuse = local.receipt(local.send(signed(0, nonce + 2, data=deploying(REFUSE), gas=500_000)))
    assert refuse is not None
    assert refuse.contract is not None
    head = local.head()
    assert remote.head() == head == remote.block(head.number) == remote.block(head.hash)
    assert remote.block(head.number + 1) is None
    assert (remote.receipt(digest), remote.transaction(digest)) == (local.receipt(digest), local.transaction(digest))
    assert remote.receipt(bytes(32)) is None
    assert remote.receipts_of(head.hash) == local.receipts_of(head.hash)
    assert remote.raw_header(head.hash) == local.raw_header(head.hash)
    assert remote.logs(first=0, last=head.number) == local.logs(first=0, last=head.number) != []
    assert remote.fees() == local.fees()
    assert (remote.balance(sender), remote.nonce(sender)) == (local.balance(sender), local.nonce(sender))
    assert (remote.code(store.contract), remote.storage(store.contract, 1)) == (STORE, words(2))
    assert remote.call(store.contract, words(1, 3)) == b""
    request = Request(store.contract, words(2, 3), sender=sender)
    assert remote.estimate_gas(request) == local.estimate_gas(request)
    with pytest.raises(Reverted) as caught:
        remote.call(refuse.contract, b"\x01\x02\x03\x04")
    assert caught.value.data == b"\x01\x02\x03\x04"
    for fields, error in (
        ({"nonce": 0, "value": 77}, NonceTaken),
        ({"nonce": nonce + 9}, TransactionRefused),
        ({"maxFeePerGas": 1}, Underpriced),
        ({"value": 10**30}, OutOfFunds),
        ({"chainId": 5}, WrongChain),
        ({"gas": 100}, TransactionRefused),
    ):
        offered: dict[str, Any] = {"nonce": nonce + 3, "to": ADDRESSES[1], **fields}
        with pytest.raises(error):
            remote.send(signed(0, offered.pop("nonce"), **offered))
    assert local.head() == head


def test_a_process_serves_a_file_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    beside = EmbeddedChain.open(path, genesis=GENESIS)
    child = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(path)], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert child.stdout
        url = child.stdout.readline().strip()
        with httpx.Client(base_url=url, timeout=30) as client:

            def ask(method: str, *params: object) -> object:
                return client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).json()[
                    "result"
                ]

            beside.send(signed(0, 0, to=ADDRESSES[1]))
            assert ask("eth_blockNumber") == "0x1"
            digest = ask("eth_sendRawTransaction", "0x" + signed(0, 1, to=ADDRESSES[1], value=3).hex())
            assert isinstance(digest, str)
            receipt = beside.receipt(bytes.fromhex(digest[2:]))
            assert receipt is not None
            assert (receipt.number, receipt.succeeded) == (2, True)
        with closing(RpcChain(RpcClient(url), CHAIN_ID)) as remote:
            agree(remote, beside)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
        beside.close()
