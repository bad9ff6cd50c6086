"""Accounts of several parties on one node: which are held, and that a file which does not open holds up nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import ORIGIN, START
from tests.node.chain_rig import ACCOUNTS, new_chain
from tests.node.folders import OPERATOR_IRI
from twinproof.chain.accounts import Account
from twinproof.chain.keystore import write_keystore
from twinproof.chain.outbox import TransactionOutbox
from twinproof.chain.sender import Sender, SenderSettings
from twinproof.errors import ConfigError, Malformed, NotFound
from twinproof.node.accounts import OWN, check_account_name, hold_account, open_accounts
from twinproof.node.chain_setup import OUTBOX, PASSWORD, chain_folder
from twinproof.node.config import ChainSettings
from twinproof.node.node import init_node
from twinproof.testing import ManualClock

EMBEDDED = ChainSettings("embedded")
NETWORK = ChainSettings("rpc", url="http://127.0.0.1:1", chain_id=5)
OWNER, WORKSHOP, CARRIER = ACCOUNTS[:3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init_node(tmp_path / "node", ORIGIN, OPERATOR_IRI, clock=ManualClock(START))
    return tmp_path / "node"


def held(folder: Path, settings: ChainSettings) -> dict[str, bytes]:
    """The names and addresses that are open, each of which sends what it is told to."""
    clock = ManualClock(START)
    chain = new_chain(clock)
    outbox = TransactionOutbox(chain_folder(folder) / OUTBOX)
    own = Sender(chain, OWNER, outbox, SenderSettings(10**12), clock=clock)
    try:
        with open_accounts(folder, settings, chain, own, clock=clock) as accounts:
            for name, sender in accounts.senders.items():
                if chain.balance(sender.address):
                    sender.submit(f"console {name}", OWNER.address, b"", 1)
                    assert sender.wait(f"console {name}", 5).sender == sender.address
                assert accounts.find(sender.address) is sender
            with pytest.raises(NotFound, match="Sign with a wallet"):
                accounts.find(b"\x55" * 20)
            return {name: sender.address for name, sender in accounts.senders.items()}
    finally:
        outbox.close()
        chain.close()
        (chain_folder(folder) / OUTBOX).unlink()


def test_the_nodes_own_account_is_always_held(folder: Path) -> None:
    assert held(folder, EMBEDDED) == {OWN: OWNER.address}


def test_an_embedded_chain_keeps_them_plain(folder: Path) -> None:
    path = hold_account(folder, EMBEDDED, "workshop", WORKSHOP)
    assert path.stat().st_mode & 0o777 == 0o600
    hold_account(folder, EMBEDDED, "carrier", CARRIER)
    assert held(folder, EMBEDDED) == {OWN: OWNER.address, "carrier": CARRIER.address, "workshop": WORKSHOP.address}
    with pytest.raises(ConfigError):
        hold_account(folder, EMBEDDED, "workshop", CARRIER)


def test_a_network_takes_keystores_that_the_nodes_password_opens(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(PASSWORD, raising=False)
    with pytest.raises(ConfigError, match=PASSWORD):
        hold_account(folder, NETWORK, "workshop", WORKSHOP, light=True)
    monkeypatch.setenv(PASSWORD, "secret")
    path = hold_account(folder, NETWORK, "workshop", WORKSHOP, light=True)
    assert WORKSHOP.key.hex() not in path.read_text()
    write_keystore(path.with_name("carrier.json"), CARRIER, "another", n=2)
    assert held(folder, NETWORK) == {OWN: OWNER.address, "workshop": WORKSHOP.address}
    assert "carrier.json is not held" in caplog.text
    assert "another" not in caplog.text


WRONG = {
    "no key": b"zz\n",
    "zero": b"0" * 64,
    "empty": b"",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_does_not_open_holds_up_nobody(folder: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    path = hold_account(folder, EMBEDDED, "workshop", WORKSHOP)
    broken = path.with_name("broken.key")
    broken.write_bytes(WRONG[name])
    broken.chmod(0o600)
    readable = path.with_name("readable.key")
    readable.write_bytes(CARRIER.key.hex().encode())
    readable.chmod(0o644)
    assert held(folder, EMBEDDED) == {OWN: OWNER.address, "workshop": WORKSHOP.address}
    assert "broken.key is not held" in caplog.text
    assert "readable.key is not held" in caplog.text


def test_an_account_is_held_once(folder: Path) -> None:
    hold_account(folder, EMBEDDED, "mine", OWNER)
    hold_account(folder, EMBEDDED, "a", WORKSHOP)
    hold_account(folder, EMBEDDED, "b", Account(WORKSHOP.key))
    assert held(folder, EMBEDDED) == {OWN: OWNER.address, "a": WORKSHOP.address}


@pytest.mark.parametrize("name", ["", "node", "A", "a/b", "..", "-a", "a" * 33, "a\n", "\u0661"])
def test_names(folder: Path, name: str) -> None:
    with pytest.raises(Malformed):
        check_account_name(name)
    with pytest.raises(Malformed):
        hold_account(folder, EMBEDDED, name, WORKSHOP)
