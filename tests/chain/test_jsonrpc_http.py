"""The chain behind HTTP: who may ask, in what form, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from tests.chain.embedded_rig import ADDRESSES, CHAIN_ID, GENESIS, Rig, signed
from twinproof.chain.embedded import EmbeddedChain
from twinproof.chain.jsonrpc import MAX_REQUEST
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
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
        beside.close()
