"""`twinproof chain`: the blockchain that a node anchors its log on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twinproof.cli.chain_account import account, transfer
from twinproof.cli.chain_embedded import compact, serve, verify
from twinproof.cli.chain_settings import set_up_chain
from twinproof.cli.chain_values import address_name, coins, hex_of
from twinproof.cli.options import FILE, FOLDER, json_option
from twinproof.cli.output import print_json, utc
from twinproof.cli.refusal_hints import with_hint
from twinproof.cli.spending import ChainGroup, Desk, open_desk, spender_options
from twinproof.errors import ConfigError, Reverted

REGISTRATION = 50_000
"""Gas for registering a log (contracts/gas.md): it cannot be estimated before the contract is there."""


@click.group(cls=ChainGroup)
def chain() -> None:
    """The blockchain that a node anchors its log on: its own, in a file, or any EVM network.

    \b
    Example:
      twinproof chain init ./node
      twinproof chain deploy --folder ./node
      twinproof chain enable --folder ./node
    """


chain.add_command(account)
chain.add_command(transfer)
for _command in (serve, verify, compact):
    chain.add_command(_command)


@chain.command()
@click.argument("folder", type=FOLDER, metavar="NODE")
@click.option("--driver", type=click.Choice(["embedded", "rpc"]), default="embedded", show_default=True,
              help="A chain of the node's own, in a file, or a network.")  # fmt: skip
@click.option("--url", metavar="URL", help="The network's JSON-RPC, for rpc.")
@click.option("--chain-id", type=click.IntRange(1, (1 << 63) - 1), metavar="N", help="The network's, for rpc.")
@click.option("--password-file", type=FILE, metavar="FILE", help="Holds the password of the account's new keystore.")
@json_option
def init(
    folder: Path, driver: str, url: str | None, chain_id: int | None, password_file: Path | None, as_json: bool
) -> None:
    """Set up a chain for the node in folder NODE: settings, and an account that pays.

    \b
    Examples:
      twinproof chain init ./node
      twinproof chain init ./node --driver rpc --url https://rpc.example --chain-id 8453

    The account of an embedded chain gets a key file and a million coins, worth nothing. For a network a keystore is
    made at NODE/chain/account.json, with a password from the environment variable TWINPROOF_CHAIN_PASSWORD,
    --password-file or a prompt; one that is there already is kept. Give its address some coin before `chain deploy`.
    """
    settings, address, made = set_up_chain(folder, driver, url, chain_id, password_file)
    if as_json:
        print_json({"driver": driver, "chain_id": made, "account": address_name(address)})
        return
    where = f"the network {settings.url}, chain {made}" if driver == "rpc" else f"a chain of its own, {made}"
    click.echo(f"{folder} uses {where}.")
    click.echo(f"  account      {address_name(address)}")
    if driver == "rpc":
        click.echo("Give the account some coin, then: " + f"twinproof chain deploy --folder {folder}")
    else:
        click.echo(f"Go on with: twinproof chain deploy --folder {folder}")


@chain.command()
@spender_options
@json_option
def deploy(as_json: bool, **where: Any) -> None:
    """Make the four contracts and register the log; the account owns both.

    \b
    Example:
      twinproof chain deploy --folder ./node

    Says what it costs first. An interrupted deployment goes on where it was. To use contracts that others made, put
    their contracts.json into NODE/chain and register the log there: twinproof anchor register.
    """
    from twinproof.node.chain_setup import deploy_contracts, has_contracts, write_contracts
    from twinproof.node.config import load_config

    folder = where["folder"]
    if folder is None:
        raise click.UsageError("Contracts are made for a node: give its folder as --folder NODE.")
    with open_desk(**where) as desk:
        if has_contracts(folder):
            raise ConfigError(f"there are contracts already: {folder}/chain/contracts.json")
        gas, fee, most = _deployment(desk)
        desk.confirm("there are four contracts, and the log is registered", gas, fee, most)
        before = desk.outbox.spent(desk.sender.address)
        try:
            made = deploy_contracts(desk.sender, desk.chain, load_config(folder).origin)
        except Reverted as refusal:
            raise with_hint(refusal) from None
        write_contracts(folder, made)
        cost = desk.outbox.spent(desk.sender.address) - before
    names = {name: address_name(address) for name, address in made.addresses.items()}
    if as_json:
        print_json({"chain_id": made.chain_id, "first_block": made.first_block, "log_id": hex_of(made.log_id),
                    "contracts": names, "cost": str(cost)})  # fmt: skip
        return
    click.echo(f"The contracts are on chain {made.chain_id}, from block {made.first_block} on.")
    for name, shown in names.items():
        click.echo(f"  {name:<21} {shown}")
    click.echo(f"  {'log id':<21} {hex_of(made.log_id)}\n  {'cost':<21} {coins(cost)}")


def _deployment(desk: Desk) -> tuple[int, int, int]:
    """Gas, fee of now and most, of all contracts and the registration."""
    from twinproof.chain.abi import Artifact
    from twinproof.node.chain_setup import NAMES

    # Where the anchors will be is not known yet; an address costs what an address costs.
    arguments = {"PartPassport": desk.sender.address, "Attestations": desk.sender.address}
    gas = fee = most = 0
    for name in NAMES:
        data = Artifact.load(name).deployment(*([arguments[name]] if name in arguments else []))
        estimate = desk.sender.estimate(None, data)
        gas, fee, most = gas + estimate.gas, fee + estimate.likely, most + estimate.most
    return gas + REGISTRATION, fee + REGISTRATION * fee // gas, most + REGISTRATION * most // gas


@chain.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder, not being served.")
@json_option
def enable(folder: Path, as_json: bool) -> None:
    """Let the node state what contracts said of its twins: make a key for it, and grant it `record`.

    \b
    Example:
      twinproof chain enable --folder ./node

    With the operator's key elsewhere, grant NODE/chain.json there: --can record --prefix "".
    """
    from twinproof.node.node import open_node
    from twinproof.node.service_keys import CHAIN

    with open_node(folder) as node:
        origin = node.config.origin
        index = CHAIN.enable(node, CHAIN.key(folder, origin))
    issuer = CHAIN.issuer(origin)
    if as_json:
        print_json({"iss": issuer, "index": index})
    elif index is None:
        click.echo(f"{issuer} may state what contracts said already.")
    else:
        click.echo(f"{issuer} may state what contracts said, by the grant at entry {index}.")


@chain.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder; it may be served.")
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Show the chain, the account, the contracts, what is under way, and what was paid so far.

    \b
    Example:
      twinproof chain status --folder ./node
    """
    from twinproof.cli.chain_account import address_of
    from twinproof.node.chain_setup import has_contracts

    with open_desk(folder=folder, url=None, chain_id=None, contracts=None) as desk:
        head, address = desk.chain.head(), address_of(desk)
        waiting = desk.outbox.live(address)
        found: dict[str, Any] = {
            "driver": desk.settings.driver,
            "chain_id": desk.chain.chain_id,
            "head": {"number": head.number, "time": head.time, "hash": hex_of(head.hash)},
            "account": address_name(address),
            "balance": str(desk.chain.balance(address)),
            "spent": str(desk.outbox.spent(address)),
            "under_way": [{"purpose": e.purpose, "nonce": e.nonce, "state": e.state, "problem": e.detail}
                          for e in waiting],
        }  # fmt: skip
        if has_contracts(folder):
            found["log_id"] = hex_of(desk.contracts.log_id)
            found["contracts"] = {name: address_name(at) for name, at in desk.contracts.addresses.items()}
    if as_json:
        print_json(found)
        return
    click.echo(f"Chain {found['chain_id']} ({found['driver']}), block {head.number} of {utc(head.time)}")
    click.echo(f"  account               {found['account']}")
    click.echo(f"  balance               {coins(int(found['balance']))}")
    click.echo(f"  paid for gas          {coins(int(found['spent']))}")
    for name, shown in found.get("contracts", {}).items():
        click.echo(f"  {name:<21} {shown}")
    if "contracts" not in found:
        click.echo(f"  no contracts yet: twinproof chain deploy --folder {folder}")
    for entry in waiting:
        click.echo(f"  under way             {entry.purpose}: {entry.detail or entry.state.value}")
