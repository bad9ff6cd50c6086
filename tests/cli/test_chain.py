"""chain and anchor: setting up, settings kept, accounts, what is shown, wrong input."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.chain_rig import PART_TWIN, PASSWORD, Parties
from tests.cli.rig import ORIGIN, TWIN, Cli
from twinproof.chain.abi import Artifact, artifact_names
from twinproof.chain.accounts import Account
from twinproof.cli.chain_settings import change_chain_settings
from twinproof.cli.chain_values import AMOUNT, ORDER, coins, order_name
from twinproof.cli.refusal_hints import HINTS
from twinproof.node.config import ChainSettings, Config, format_config, parse_config

HERE = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
WORD = "0x" + "8c" * 32


def test_a_chain_is_set_up_and_told_of(parties: Parties, cli: Cli) -> None:
    found = parties.operator_does("chain", "status")
    assert (found["driver"], found["account"]) == ("embedded", parties.operator_address)
    assert set(found["contracts"]) == {"CheckpointAnchor", "PartPassport", "MaintenanceAgreement", "Attestations"}
    kept = json.loads((parties.node / "chain/contracts.json").read_text())
    assert (found["contracts"], found["log_id"]) == (kept["contracts"], kept["log_id"])
    assert int(found["spent"]) > 0
    assert found["under_way"] == []
    text = cli("chain", "status", "--folder", parties.node).stdout
    assert parties.operator_address in text
    assert "coins" in text


def test_what_is_there_is_not_made_again(parties: Parties, cli: Cli) -> None:
    assert "has a chain already (embedded)" in cli.error("chain", "init", parties.node, code=2)["message"]
    assert "there are contracts already" in parties.refused("chain", "deploy", code=2)
    assert "registered by this account already" in parties.refused("anchor", "register", code=3)
    assert parties.operator_does("chain", "enable")["index"] is None


def test_a_node_without_a_chain_says_how_to_get_one(cli: Cli, node: Path) -> None:
    for words in (("chain", "status"), ("anchor", "now"), ("anchor", "list"), ("part", "find"), ("chain", "deploy")):
        assert "twinproof chain init" in cli.error(*words, "--folder", node, code=2)["message"]
    for words in (("chain", "serve"), ("chain", "verify"), ("chain", "compact")):
        assert "no embedded chain" in cli.error(*words, "--folder", node, code=2)["message"]
    cli("chain", "init", node)
    assert "no contracts yet" in cli("chain", "status", "--folder", node).stdout
    assert "twinproof chain deploy" in cli.error("part", "find", "--folder", node, code=2)["message"]


def test_anchors_are_listed_and_exported(parties: Parties, cli: Cli, tmp_path: Path) -> None:
    parties.operator_does("anchor", "now")
    again = parties.operator_does("anchor", "now")
    assert again["transaction"] is None
    assert "anchored already" in cli("anchor", "now", "--folder", parties.node).stdout
    found = parties.operator_does("anchor", "status")
    assert (found["behind"], found["forked"], found["owner"]) == (0, False, parties.operator_address)
    rows = parties.operator_does("anchor", "list")
    assert rows[-1]["size"] == found["size"] == found["log_size"]
    assert rows[-1]["by"] == parties.operator_address
    assert f"block {rows[-1]['block']}" in cli("anchor", "list", "--folder", parties.node).stdout
    blocks = tmp_path / "blocks.txt"
    assert parties.operator_does("anchor", "export", blocks)["blocks"] == len(rows)
    bundle = tmp_path / "pump7.twinproof"
    cli("prove", TWIN, "-o", bundle, "--folder", parties.node)
    told = cli.json("verify", bundle, "--policy", parties.node / "policy.txt", "--blocks", blocks)
    assert [anchor["trusted"] for anchor in told["anchors"]] == [True]
    assert "exists" in cli.error("anchor", "export", blocks, "--folder", parties.node, code=2)["message"]


def test_a_log_changes_owners_in_two_steps(parties: Parties) -> None:
    us = parties
    us.operator_does("anchor", "transfer", us.supplier_address)
    assert us.operator_does("anchor", "status")["owner"] == us.operator_address
    us.supplier_does("anchor", "accept")
    assert us.operator_does("anchor", "status")["owner"] == us.supplier_address
    assert "NotOwner" in us.refused("anchor", "transfer", us.operator_address)
    us.supplier_does("anchor", "transfer", us.operator_address)
    us.operator_does("anchor", "accept")
    assert us.operator_does("anchor", "status")["owner"] == us.operator_address


def test_a_forked_log_is_told(parties: Parties, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinproof.log.reader import Reader

    parties.operator_does("anchor", "now")
    monkeypatch.setattr(Reader, "root", lambda self, size: bytes(32))
    assert parties.operator_does("anchor", "status", code=1)["forked"] is True
    assert "FORKED" in cli("anchor", "status", "--folder", parties.node, code=1).stdout


def test_the_chain_is_replayed_and_compacted(parties: Parties, cli: Cli) -> None:
    found = parties.operator_does("chain", "verify")
    assert found["head"] == parties.operator_does("chain", "status")["head"]["hash"]
    assert found["transactions"] == found["blocks"] - 1
    assert parties.operator_does("chain", "compact").keys() == {"nodes", "bytes_before", "bytes_after"}
    assert "give the same states" in cli("chain", "verify", "--folder", parties.node).stdout


# --- settings -----------------------------------------------------------------------------------


def test_the_settings_keep_everything_else(cli: Cli, node: Path) -> None:
    path = node / "twinproof.toml"
    before = path.read_text().replace("max_batch = 1000", "max_batch = 7  # few")
    path.write_text("# my node\n" + before)
    cli("chain", "init", node)
    after = path.read_text()
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines()[1:], strict=True) if old != new]
    assert changed == [('driver = ""', 'driver = "embedded"')]
    assert after.startswith("# my node\n")


@pytest.mark.parametrize(
    "text",
    [
        'origin = "a.example/x"\n',
        'origin = "a.example/x"\n[chain]',
        'origin = "a.example/x"\n[chain]\n',
        'origin = "a.example/x"\n[chain] # mine\nmax_fee = 3\n\n[limits]\nmax_batch = 9\n',
        'origin = "a.example/x"\n[chain]\n  driver = ""   # none\n  chain_id=0\n[log]\nlevel = "error"\n',
        format_config(Config("a.example/x")),
    ],
    ids=["nothing", "header", "empty", "between", "indented", "everything"],
)
def test_settings_are_changed_in_place(text: str) -> None:
    wanted: dict[str, str | int] = {"driver": "rpc", "url": 'https://rpc.example/a"b', "chain_id": 8453}
    changed = change_chain_settings(text, wanted)
    found = parse_config(tomllib.loads(changed), "x")
    before = parse_config(tomllib.loads(text), "x")
    assert (found.chain.driver, found.chain.url, found.chain.chain_id) == tuple(wanted.values())
    assert found.chain.max_fee == before.chain.max_fee
    assert (found.limits, found.log) == (before.limits, before.log)
    assert set(text.splitlines()) - set(changed.splitlines()) <= {
        line for line in text.splitlines() if line.strip().startswith(("driver", "url", "chain_id", "[chain]"))
    }


def test_settings_that_cannot_be_changed_stay(cli: Cli, node: Path) -> None:
    path = node / "twinproof.toml"
    path.write_text(f'origin = "{ORIGIN}"\nchain = {{max_fee = 7}}\n')
    before = path.read_text()
    assert "by hand" in cli.error("chain", "init", node, code=2)["message"]
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--driver", "rpc"), "url must be an http or https URL"),
        (("--driver", "rpc", "--url", "ftp://x", "--chain-id", "5"), "url must be"),
        (("--driver", "rpc", "--url", "https://rpc.example"), "chain_id is missing"),
        (("--url", "https://rpc.example"), "belongs to driver rpc"),
        (("--driver", "besu"), "embedded"),
        (("--driver", "rpc", "--url", "https://rpc.example", "--chain-id", "0"), "chain-id"),
    ],
    ids=["no url", "wrong url", "no id", "url without rpc", "driver", "id"],
)
def test_wrong_settings_change_nothing(cli: Cli, node: Path, words: tuple[str, ...], message: str) -> None:
    before = (node / "twinproof.toml").read_text()
    assert message in cli.error("chain", "init", node, *words, code=2)["message"]
    assert (node / "twinproof.toml").read_text() == before
    assert not (node / "chain").exists()


def test_a_network_needs_a_password_for_its_keystore(
    cli: Cli, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWINPROOF_CHAIN_PASSWORD", raising=False)
    words = ("chain", "init", node, "--driver", "rpc", "--url", "http://127.0.0.1:1", "--chain-id", "5")
    assert "TWINPROOF_CHAIN_PASSWORD" in cli.error(*words, code=2)["message"]
    assert ChainSettings().driver in (node / "twinproof.toml").read_text()
    secret = tmp_path / "secret.txt"
    secret.write_text("correct horse\n")
    secret.chmod(0o644)
    assert "chmod 600" in cli.error(*words, "--password-file", secret, code=2)["message"]
    secret.chmod(0o600)
    made = cli.json(*words, "--password-file", secret)
    keystore = node / "chain/account.json"
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    assert json.loads(keystore.read_text())["address"] == made["account"][2:].lower()
    assert cli.error("chain", "status", "--folder", node, code=3)["code"] == "chain-unreachable"


# --- accounts -----------------------------------------------------------------------------------


def test_accounts_are_made_imported_and_shown(
    parties: Parties, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Account(bytes(31) + b"\7")
    file = tmp_path / "imported.json"
    made = json.loads(cli("chain", "account", "import", file, "--light", "--json", given=f"0x{key.key.hex()}\n").stdout)
    assert made["account"] == EthAccount.from_key(key.key).address
    shown = cli.json("chain", "account", "show", "--folder", parties.node, "--account", file)
    assert (shown["account"], shown["balance"], shown["nonce"]) == (made["account"], "0", 0)
    assert "never overwritten" in cli.error("chain", "account", "new", file, "--light", code=2)["message"]
    for wrong in ("", "12", "0x" + "g" * 64, "0" * 64):
        words = ("chain", "account", "import", tmp_path / "other.json", "--light")
        assert cli.error(*words, code=2, given=wrong)["code"] == "malformed"
    refused = ("chain", "transfer", HERE, "1", "--folder", parties.node, "--account", file)
    assert "twinproof chain transfer" in cli.error(*refused, code=1)["message"]
    monkeypatch.setenv("TWINPROOF_CHAIN_PASSWORD", "wrong")
    assert cli.error(*refused, code=1)["code"] == "wrong-password"
    monkeypatch.delenv("TWINPROOF_CHAIN_PASSWORD")
    assert "--password-file" in cli.error(*refused, code=2)["message"]
    monkeypatch.setenv("TWINPROOF_CHAIN_PASSWORD", "")
    assert "empty" in cli.error("chain", "account", "new", tmp_path / "x.json", "--light", code=2)["message"]


def test_passwords_are_typed_twice_for_a_new_keystore_and_once_to_open_it(
    parties: Parties, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWINPROOF_CHAIN_PASSWORD", raising=False)
    monkeypatch.setattr("twinproof.cli.passwords.can_ask", lambda: True)
    file = tmp_path / "typed.json"
    made = cli("chain", "account", "new", file, "--light", "--json", given="one\ntwo\none\none\n")
    assert "one" not in made.output.replace(str(tmp_path), "")
    address = json.loads(made.stdout)["account"]
    monkeypatch.setenv("TWINPROOF_CHAIN_PASSWORD", PASSWORD["TWINPROOF_CHAIN_PASSWORD"])
    parties.operator_does("chain", "transfer", address, "0.1")
    monkeypatch.delenv("TWINPROOF_CHAIN_PASSWORD")
    back = ("chain", "transfer", parties.operator_address, "1gwei", "--folder", parties.node, "--account", file)
    cli(*back, given="one\n")
    assert "wrong" in cli(*back, given="two\n", code=1).stderr


def test_coin_goes_over(parties: Parties) -> None:
    before = int(parties.operator_does("chain", "account", "show", "--account", parties.supplier)["balance"])
    done = parties.operator_does("chain", "transfer", parties.supplier_address, "20gwei")
    assert done["amount"] == str(20 * 10**9)
    assert done["gas"] == 21_000
    after = int(parties.operator_does("chain", "account", "show", "--account", parties.supplier)["balance"])
    assert after - before == 20 * 10**9


def test_an_interrupted_command_goes_on_with_what_it_had_signed(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twinproof.chain.embedded import EmbeddedChain

    real = EmbeddedChain.send

    def broken(self: EmbeddedChain, raw: bytes) -> bytes:
        raise KeyboardInterrupt

    before = int(parties.operator_does("chain", "account", "show", "--account", parties.supplier)["balance"])
    monkeypatch.setattr(EmbeddedChain, "send", broken)
    words = ("chain", "transfer", parties.supplier_address, "5gwei")
    parties.cli(*words, "--folder", parties.node, code=130)
    monkeypatch.setattr(EmbeddedChain, "send", real)
    assert len(parties.operator_does("chain", "status")["under_way"]) == 1
    parties.operator_does(*words)
    assert parties.operator_does("chain", "status")["under_way"] == []
    after = int(parties.operator_does("chain", "account", "show", "--account", parties.supplier)["balance"])
    assert after - before == 5 * 10**9


# --- a party without a node ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoint(parties: Parties) -> Iterator[dict[str, Any]]:
    """`twinproof chain serve` in a process of its own."""
    words = ["chain", "serve", "--folder", str(parties.node), "--port", "0", "--json"]
    command = [sys.executable, "-m", "twinproof", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **PASSWORD})
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_party_without_a_node_uses_the_network(
    parties: Parties, endpoint: dict[str, Any], cli: Cli, tmp_path: Path
) -> None:
    keystore = tmp_path / "supplier.json"
    keystore.write_bytes(parties.supplier.read_bytes())
    keystore.chmod(0o600)
    contracts = parties.node / "chain/contracts.json"
    there = ("--url", endpoint["listening"], "--chain-id", endpoint["chain_id"], "--confirmations", 0)
    spending = (*there, "--contracts", contracts, "--account", keystore)
    parties.operator_does("part", "accredit", parties.supplier_address)
    made = ("part", "mint", "HPT-7", "SN-900", "--twin", PART_TWIN, "--leaf", WORD)
    refused = cli.error(*made, *spending, code=2)
    assert "--yes" in refused["message"]
    token = cli.json(*made, *spending, "--yes")["token"]
    assert cli.json("part", "show", token, *there, "--contracts", contracts)["birth"] == WORD
    assert parties.operator_does("part", "show", token)["serial"] == "SN-900"
    assert list(tmp_path.glob("supplier-*.outbox"))
    assert "give the node's folder" in cli.error("agreement", "order", 1, 0, *spending, "--yes", code=2)["message"]
    wrong = ("--url", endpoint["listening"], "--chain-id", 5, "--account", keystore)
    assert cli.error("chain", "account", "show", *wrong, code=1)["code"] == "wrong-chain"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--folder NODE or as --url URL"),
        (("--folder", ".", "--url", "http://127.0.0.1:1"), "--folder NODE or as --url URL"),
        (("--url", "http://127.0.0.1:1"), "--chain-id"),
        (("--url", "http://127.0.0.1:1", "--chain-id", "5"), "--contracts"),
        (("--folder", ".", "--chain-id", "5"), "belong to --url"),
        (("--folder", ".", "--confirmations", "0"), "belong to --url"),
    ],
    ids=["nothing", "both", "no id", "no contracts", "id with folder", "confirmations with folder"],
)
def test_where_the_chain_is_must_be_plain(cli: Cli, words: tuple[str, ...], message: str) -> None:
    assert message in cli.error("part", "find", *words, code=2)["message"]


def test_without_the_extra_the_commands_say_what_to_install(parties: Parties) -> None:
    blocked = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"coincurve", "eth", "eth_abi", "eth_hash", "eth_keys", "httpx", "rlp", "trie"}:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
from twinproof.cli import main
main(sys.argv[1:])
"""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", blocked, *words], capture_output=True, text=True, check=False, timeout=60
        )

    assert "agreement" in run("--help").stdout
    folder = ("--folder", str(parties.node))
    for words in (("part", "find"), ("anchor", "list"), ("chain", "verify"), ("chain", "transfer", HERE, "1")):
        done = run(*words, *folder)
        assert done.returncode == 2, done.stderr
        assert "pip install 'twinproof[chain]'" in done.stderr


# --- values -----------------------------------------------------------------------------------------


@given(st.integers(0, (1 << 128) - 1))
@settings(max_examples=200)
def test_amounts_are_read_as_they_are_shown(wei: int) -> None:
    text = coins(wei).removesuffix(" coins")
    assert AMOUNT.convert(text, None, None) == wei


@given(st.integers(1, 10**17), st.integers(1, (1 << 32) - 1))
def test_orders_are_read_as_they_are_shown(agreement: int, number: int) -> None:
    order = agreement << 32 | number
    assert ORDER.convert(order_name(order), None, None) == order


@pytest.mark.parametrize(("text", "wei"), [("0.5", 5 * 10**17), ("3 gwei", 3 * 10**9), ("7wei", 7), ("9units", 9),
                                           ("0.000000000000000001", 1), ("1.5gwei", 15 * 10**8)])  # fmt: skip
def test_amounts(text: str, wei: int) -> None:
    assert AMOUNT.convert(text, None, None) == wei


BAD = [
    (("chain", "transfer", HERE, "1.5wei"), "no amount"),
    (("chain", "transfer", HERE, "-1"), "No such option"),
    (("chain", "transfer", HERE, "1e18"), "no amount"),
    (("chain", "transfer", HERE, "0.0000000000000000001"), "no amount"),
    (("chain", "transfer", HERE, "1" + "0" * 29), "128 bits"),
    (("chain", "transfer", HERE, "5units"), "chain's own coin"),
    (("chain", "transfer", "0x70997970C51812dc3A010C7d01b50e0d17dc79c8", "1"), "checksum"),
    (("chain", "transfer", "0x1234", "1"), "40 hexadecimal digits"),
    (("chain", "serve", "--port", "99999"), "65535"),
    (("anchor", "now", "--url", "http://127.0.0.1:1"), "folder alone"),
    (("part", "mint", "P", "S", "--twin", TWIN), "--entry INDEX or by --leaf HASH"),
    (("part", "mint", "P", "S", "--twin", TWIN, "--entry", "2", "--leaf", WORD), "either by --entry"),
    (("part", "mint", "P", "S", "--twin", "no iri", "--entry", "2"), "no iri"),
    (("part", "mint", "P", "S", "--twin", TWIN, "--entry", "99999"), "no entry"),
    (("part", "show", "0x12"), "64 hexadecimal digits"),
    (("part", "show", WORD), "no part has the token"),
    (("part", "life", WORD), "no part has the token"),
    (("part", "status", WORD, "lost"), "in-service"),
    (("part", "offer", WORD, HERE), "--until"),
    (("part", "offer", WORD, HERE, "--until", "soon"), "POSIX seconds"),
    (("part", "find", "--by", "0x12"), "40 hexadecimal digits"),
    (("part", "batch", "release", "P", "L", "0", "--entry", "2"), "from 1 on"),
    (("part", "batch", "release", "P", "L", "1_000", "--entry", "2"), "from 1 on"),
    (("part", "batch", "release", "P", "L", "5"), "--entry INDEX or by --leaf HASH"),
    (("part", "batch", "show", WORD), "no batch has the id"),
    (("agreement", "show", "0"), "from 1 on"),
    (("agreement", "show", "77"), "nobody has proposed agreement 77"),
    (("agreement", "show", "1-0"), "no order such as"),
    (("agreement", "show", "1-4294967296"), "no order such as"),
    (("agreement", "show", "77-1"), "has no order 1"),
    (("agreement", "accept", "1"), "no order such as"),
    (("agreement", "accept", "77-1"), "nobody has proposed agreement 77"),
    (("agreement", "order", "x", "1"), "from 1 on"),
    (("agreement", "order", "1", "-1"), "No such option"),
    (("agreement", "confirm", "1-1", "one"), "decimal digits"),
    (("agreement", "resolve", "1-1", "half"), "no amount"),
    (("agreement", "deposit", "77", "1"), "nobody has proposed agreement 77"),
    (("agreement", "withdraw", "--currency", "EUR"), "40 hexadecimal digits"),
    (("attest", "issue", TWIN, "--schema", "0x12"), "64 hexadecimal digits"),
    (("attest", "issue", TWIN, "--schema", WORD), "there is no schema"),
    (("attest", "schema", "uint64"), "a Solidity type and a name"),
    (("attest", "schema", "uint65 x"), "uint65 does not exist"),
    (("attest", "show", WORD), "there is no attestation"),
    (("attest", "revoke", "x"), "64 hexadecimal digits"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words)[:60] for words, _ in BAD])
def test_bad_input_is_refused_before_anything_is_sent(parties: Parties, words: tuple[str, ...], message: str) -> None:
    before = parties.operator_does("chain", "status")["head"]
    error = parties.cli.error(*words, "--folder", parties.node, code=2)
    assert message in error["message"]
    assert parties.operator_does("chain", "status")["head"] == before


def test_every_hint_is_about_an_error_that_contracts_raise() -> None:
    known = {error.name for name in artifact_names() for error in Artifact.load(name).members["error"]}
    assert set(HINTS) - known == set()


def test_a_node_holds_a_partys_account(cli: Cli, node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PASSWORD.items():
        monkeypatch.setenv(name, value)
    assert "has no chain" in cli.error("chain", "account", "hold", "supplier", "--folder", node, code=2)["message"]
    cli("chain", "init", node)
    keystore = node / "supplier.json"
    made = cli.json("chain", "account", "new", keystore, "--light")
    held = cli.json("chain", "account", "hold", "supplier", "--account", keystore, "--folder", node)
    assert (held["name"], held["account"]) == ("supplier", made["account"])
    assert cli.json("chain", "account", "hold", "other", "--folder", node)["account"] != made["account"]
    assert "name" in cli.error("chain", "account", "hold", "node", "--folder", node, code=2)["message"]
