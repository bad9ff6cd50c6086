"""`twinproof anchor transfer` and `accept`: who owns the log at the contract, and so anchors it."""

from __future__ import annotations

from typing import Any

import click

from twinproof.cli.chain_values import ADDRESS, address_name
from twinproof.cli.options import json_option
from twinproof.cli.receipts import report
from twinproof.cli.spending import open_desk, spender_options


def _do(what: str, function: str, rest: tuple[object, ...], where: dict[str, Any], as_json: bool) -> None:
    from twinproof.chain.anchors import CheckpointAnchor

    with open_desk(**where) as desk:
        contract = CheckpointAnchor(desk.chain, desk.contracts.addresses["CheckpointAnchor"]).contract
        done = desk.spend(what, contract.address, contract.encode(function, desk.contracts.log_id, *rest))
    report(done, as_json)


@click.command()
@click.argument("to", type=ADDRESS, metavar="ADDRESS")
@spender_options
@json_option
def transfer(to: bytes, as_json: bool, **where: Any) -> None:
    """Offer the log to the account ADDRESS, which owns it once it accepts. For its owner.

    \b
    Example:
      twinproof anchor transfer 0x70997970c51812dc3a010c7d01b50e0d17dc79c8 --folder ./node
    """
    _do(f"The log is offered to {address_name(to)}", "transferLog", (to,), where, as_json)


@click.command()
@spender_options
@json_option
def accept(as_json: bool, **where: Any) -> None:
    """Become owner of the log that was offered to the account; what is anchored stays.

    \b
    Example:
      twinproof anchor accept --folder ./node --account new.json

    Then the node is to sign with that account: stop it, and put the keystore in the place of NODE/chain/account.json.
    """
    _do("The log is this account's", "acceptLog", (), where, as_json)
