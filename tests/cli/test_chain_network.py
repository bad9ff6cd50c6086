"""Spending on a network: what is said first, who is asked, what is refused; against a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.anvil import BINARY, CHAIN_ID, Anvil
from tests.cli.chain_rig import PASSWORD
from tests.cli.rig import Cli
from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import keccak
from twinproof.chain.keystore import LIGHT_SCRYPT_N, write_keystore

ACCOUNT = Account(keccak(b"the operator of a node on a network"))
HERE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.fixture(scope="module")
def network() -> Iterator[Anvil]:
    if not BINARY.is_file():
        pytest.fail(f"needs anvil at {BINARY}: npm ci in contracts/")
    node = Anvil()
    node.fund(ACCOUNT.address)
    yield node
    node.close()


@pytest.fixture
def node_there(node: Path, network: Anvil, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node on the network, whose blocks come with transactions: nothing to wait for."""
    monkeypatch.setenv(*next(iter(PASSWORD.items())))
    (node / "chain").mkdir(mode=0o700)
    write_keystore(node / "chain/account.json", ACCOUNT, PASSWORD["TWINPROOF_CHAIN_PASSWORD"], n=LIGHT_SCRYPT_N)
    cli("chain", "init", node, "--driver", "rpc", "--url", network.url, "--chain-id", CHAIN_ID)
    path = node / "twinproof.toml"
    path.write_text(path.read_text().replace("confirmations = 2", "confirmations = 0"))
    return node


def answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at a terminal."""
    monkeypatch.setattr("twinproof.cli.spending.is_terminal", lambda: True)


def test_a_network_is_asked_for_before_it_is_paid(
    cli: Cli, node_there: Path, network: Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--folder", node_there)
    status = cli.json("chain", "status", *where)
    assert (status["driver"], status["chain_id"], status["account"]) == ("rpc", CHAIN_ID, str(ACCOUNT))

    def sent() -> int:
        return int(network.rpc("eth_getTransactionCount", str(ACCOUNT), "latest"), 16)

    begun = sent()
    # Nobody can be asked: refused, and the refusal says what it would cost.
    refused = cli.error("chain", "deploy", *where, code=2)["message"]
    assert "--yes" in refused
    assert "coins for 11," in refused
    # Asked, and declined.
    with monkeypatch.context() as patch:
        answer(patch)
        declined = cli("chain", "deploy", *where, given="n\n", code=130)
        assert "Once done: there are four contracts" in declined.stderr
        assert str(ACCOUNT) in declined.stderr
    assert sent() == begun
    # Asked, and agreed.
    with monkeypatch.context() as patch:
        answer(patch)
        assert "Go on?" in cli("chain", "deploy", *where, given="y\n").stderr
    assert sent() == begun + 5

    assert "--yes" in cli.error("anchor", "now", *where, code=2)["message"]
    assert "pays 1.5 coins" in cli.error("chain", "transfer", HERE, "1.5", *where, code=2)["message"]
    assert sent() == begun + 5
    done = cli.json("anchor", "now", "--yes", *where)
    assert done["size"] == cli.json("log", "head", *where)["size"]
    assert sent() == begun + 6
    # Reading asks nobody, and what is there already is not paid for again.
    assert cli.json("anchor", "now", *where)["transaction"] is None
    assert cli.json("anchor", "list", *where)[0]["cost"] == done["cost"]
    balance = int(network.rpc("eth_getBalance", HERE, "latest"), 16)
    with monkeypatch.context() as patch:
        answer(patch)
        said = cli("chain", "transfer", HERE, "1.5", *where, "--json", given="y\n")
    assert "pays        1.5 coins" in said.stderr
    paid = json.loads(said.stdout)
    assert f"Sent as {paid['transaction']}" in said.stderr
    assert int(network.rpc("eth_getBalance", HERE, "latest"), 16) - balance == 15 * 10**17
    assert paid["gas"] == 21_000
    spent = cli.json("chain", "status", *where)["spent"]
    held = int(network.rpc("eth_getBalance", str(ACCOUNT), "latest"), 16)
    assert held == 100 * 10**18 - 15 * 10**17 - int(spent)


def test_a_refusal_costs_nothing_and_says_what_helps(cli: Cli, node_there: Path, network: Anvil) -> None:
    where = ("--folder", node_there)
    cli("chain", "deploy", "--yes", *where)
    before = network.rpc("eth_getTransactionCount", str(ACCOUNT), "latest")
    words = ("part", "mint", "P", "S", "--twin", "https://twin.example/x", "--leaf", "0x" + "11" * 32)
    refused = cli.error(*words, *where, code=1)
    assert refused["code"] == "reverted"
    assert f"NotAccredited({ACCOUNT})" in refused["message"]
    assert "twinproof part accredit" in refused["message"]
    assert network.rpc("eth_getTransactionCount", str(ACCOUNT), "latest") == before


def test_limits_and_silence(cli: Cli, node_there: Path, network: Anvil) -> None:
    path = node_there / "twinproof.toml"
    text = path.read_text()
    network.rpc("anvil_setNextBlockBaseFeePerGas", hex(3 * 10**9))
    network.mine()
    path.write_text(text.replace("max_fee = 100", "max_fee = 1"))
    expensive = cli.error("chain", "transfer", HERE, "1", "--yes", "--folder", node_there, code=1)
    assert expensive["code"] == "too-expensive"
    path.write_text(text.replace(str(network.port), "1"))
    assert cli.error("chain", "status", "--folder", node_there, code=3)["code"] == "chain-unreachable"
    path.write_text(text.replace(f"chain_id = {CHAIN_ID}", "chain_id = 5"))
    assert cli.error("chain", "status", "--folder", node_there, code=1)["code"] == "wrong-chain"


def test_contracts_of_others_are_used_after_registering(
    cli: Cli, node_there: Path, template: Path, network: Anvil, tmp_path: Path
) -> None:
    import shutil

    where = ("--folder", node_there)
    cli("chain", "deploy", "--yes", *where)
    other = Path(shutil.copytree(template, tmp_path / "other"))
    (other / "chain").mkdir(mode=0o700)
    account = Account(keccak(b"another"))
    network.fund(account.address)
    write_keystore(other / "chain/account.json", account, PASSWORD["TWINPROOF_CHAIN_PASSWORD"], n=LIGHT_SCRYPT_N)
    cli("chain", "init", other, "--driver", "rpc", "--url", network.url, "--chain-id", CHAIN_ID)
    (other / "twinproof.toml").write_text((node_there / "twinproof.toml").read_text())
    theirs = (node_there / "chain/contracts.json").read_text()
    (other / "chain/contracts.json").write_text(theirs)
    refused = cli.error("anchor", "now", "--yes", "--folder", other, code=1)["message"]
    assert "NotOwner" in refused
    made = cli.json("anchor", "register", "--yes", "--folder", other)
    kept = json.loads((other / "chain/contracts.json").read_text())
    assert kept == {**json.loads(theirs), "log_id": made["log_id"]} != json.loads(theirs)
    cli("anchor", "now", "--yes", "--folder", other)
    assert cli.json("anchor", "status", "--folder", other)["owner"] == str(account)
