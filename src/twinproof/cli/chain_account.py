"""`twinproof chain account` and `chain transfer`: keys that sign transactions, and coin for them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinproof.cli.chain_values import ADDRESS, AMOUNT, NO_CURRENCY, Money, address_name, coins
from twinproof.cli.options import FILE, FOLDER, NEW_FILE, json_option, read_file
from twinproof.cli.output import print_json
from twinproof.cli.passwords import ask_password, new_password
from twinproof.cli.receipts import report
from twinproof.cli.spending import Desk, chain_options, open_desk, spender_options
from twinproof.errors import ConfigError, Malformed

if TYPE_CHECKING:
    from twinproof.chain.accounts import Account

_KEY = re.compile(r"(?:0x)?([0-9a-fA-F]{64})\Z", re.ASCII)


def claimed_address(path: Path) -> bytes:
    """The address that a keystore says it is of, without its password; raises `ConfigError`."""
    try:
        value = json.loads(read_file(path, 16 * 1024, "keystore"))
        found = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{40})", value["address"])
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if found is None:
        raise ConfigError(f"{path} does not say of which account it is: not a keystore of version 3?")
    return bytes.fromhex(found[1])


def address_of(desk: Desk) -> bytes:
    """The address of who would sign, without asking for a password."""
    path = desk.account_file
    if path is None and desk.folder is not None and (desk.folder / desk.settings.keystore).exists():
        path = desk.folder / desk.settings.keystore
    return claimed_address(path) if path else desk.account.address


@click.group()
def account() -> None:
    """Accounts on chains: encrypted keystores (Web3 Secret Storage 3), as geth and most wallets keep them.

    \b
    Example:
      twinproof chain account new supplier.json
    """


_password_option = click.option("--password-file", type=FILE, metavar="FILE", help="Holds the keystore's password.")
_light_option = click.option("--light", is_flag=True, help="Cheaper to open (4 MiB), and to guess: for tests.")


def _write(path: Path, made: Account, password_file: Path | None, light: bool, as_json: bool) -> None:
    from twinproof.chain.keystore import LIGHT_SCRYPT_N, SCRYPT_N, write_keystore

    write_keystore(path, made, new_password(path, password_file), n=LIGHT_SCRYPT_N if light else SCRYPT_N)
    if as_json:
        print_json({"account": address_name(made.address), "keystore": str(path)})
    else:
        click.echo(f"{address_name(made.address)} is in {path}; without the file and its password it is lost.")


@account.command()
@click.argument("file", type=NEW_FILE)
@_password_option
@_light_option
@json_option
def new(file: Path, password_file: Path | None, light: bool, as_json: bool) -> None:
    """Make an account, with its key encrypted in FILE.

    \b
    Example:
      twinproof chain account new supplier.json

    The password comes from TWINPROOF_CHAIN_PASSWORD, --password-file or a prompt.
    """
    from twinproof.chain.accounts import Account

    _write(file, Account.generate(), password_file, light, as_json)


@account.command("import")
@click.argument("file", type=NEW_FILE)
@_password_option
@_light_option
@json_option
def import_(file: Path, password_file: Path | None, light: bool, as_json: bool) -> None:
    """Encrypt a key that you have into FILE: 64 hexadecimal digits from standard input.

    \b
    Example:
      twinproof chain account import operator.json --password-file secret.txt < key.txt

    Never give a key as an argument: others on the machine can read those.
    """
    from twinproof.chain.accounts import Account

    text = click.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read(200)
    found = _KEY.match(text.strip())
    if not found:
        raise Malformed("key", "is not 64 hexadecimal digits")
    _write(file, Account(bytes.fromhex(found[1])), password_file, light, as_json)


@account.command()
@click.argument("name")
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="The node's folder.")
@click.option("--account", "keystore", type=FILE, metavar="FILE", help="A keystore to take over; a new one without.")
@_password_option
@_light_option
@json_option
def hold(
    name: str, folder: Path, keystore: Path | None, password_file: Path | None, light: bool, as_json: bool
) -> None:
    """Let the node sign for another party's account, under the name NAME, when its console asks for it.

    \b
    Example:
      twinproof chain account hold supplier --account supplier.json --folder ./node

    The password is the keystore's. An embedded chain's account is kept plain, as the node's own; a network's in
    NODE/chain/accounts, under the password of the node's account. It counts from the node's next start on.
    """
    from twinproof.chain.accounts import Account
    from twinproof.chain.keystore import read_keystore
    from twinproof.node.accounts import hold_account
    from twinproof.node.config import load_config

    settings = load_config(folder).chain
    if not settings.driver:
        raise ConfigError(f"{folder} has no chain; set one up with: twinproof chain init {folder}")
    made = Account.generate() if keystore is None else read_keystore(keystore, ask_password(keystore, password_file))
    path = hold_account(folder, settings, name, made, light=light)
    if as_json:
        print_json({"name": name, "account": address_name(made.address), "file": str(path)})
    else:
        click.echo(f"The node signs for {name}, {address_name(made.address)}, from its next start on.")


@account.command()
@click.option("--account", type=FILE, metavar="FILE", help="Another keystore than the node's.")
@chain_options
@json_option
def show(as_json: bool, **where: Any) -> None:
    """Show an account's address and balance; needs no password.

    \b
    Example:
      twinproof chain account show --folder ./node
      twinproof chain account show --folder ./node --account supplier.json
    """
    with open_desk(**where) as desk:
        address = address_of(desk)
        balance, nonce = desk.chain.balance(address), desk.chain.nonce(address)
        chain_id = desk.chain.chain_id
    if as_json:
        print_json({"account": address_name(address), "chain_id": chain_id, "balance": str(balance), "nonce": nonce})
    else:
        click.echo(f"{address_name(address)} has {coins(balance)} on chain {chain_id}; it sent {nonce}.")


@click.command()
@click.argument("to", type=ADDRESS, metavar="ADDRESS")
@click.argument("amount", type=AMOUNT)
@spender_options
@json_option
def transfer(to: bytes, amount: Money, as_json: bool, **where: Any) -> None:
    """Give ADDRESS some of the chain's own coin, for its fees and deposits.

    \b
    Example:
      twinproof chain transfer 0x70997970c51812dc3a010c7d01b50e0d17dc79c8 1.5 --folder ./node
    """
    wei = amount.for_currency(NO_CURRENCY)
    with open_desk(**where) as desk:
        done = desk.spend(f"{address_name(to)} has {coins(wei)} more", to, b"", wei)
    report(done, as_json, {"to": address_name(to), "amount": str(amount)} if as_json else None)
