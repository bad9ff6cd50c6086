"""`twinproof agreement show`: agreements and orders as the chain has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twinproof.chain.forms import order_json as order_json
from twinproof.chain.forms import terms_json
from twinproof.cli.chain_values import COUNTING, ORDER, amount_in, hex_of, order_name, token_name
from twinproof.cli.options import json_option
from twinproof.cli.output import print_json, utc
from twinproof.cli.spending import Desk, chain_options, open_desk

if TYPE_CHECKING:
    from twinproof.chain.agreements import Agreements, Order, Proposal, Standing


def agreements_at(desk: Desk) -> Agreements:
    """The contract."""
    from twinproof.chain.agreements import Agreements

    return Agreements(desk.chain, desk.contracts.addresses["MaintenanceAgreement"], desk.contracts.first_block)


def order_lines(order: Order) -> list[str]:
    """An order for people."""
    until = f", until {utc(order.deadline)}" if order.state.is_open else ""
    lines = [f"Order {order_name(order.id)}: {order.state.word}{until}", f"  prediction  entry {order.index}"]
    if order.token:
        lines.append(f"  part        {token_name(order.token)}")
    if order.installed:
        lines.append(f"  installed   entry {order.installed}")
    return lines


@click.command()
@click.argument("which", metavar="ID_OR_ORDER")
@chain_options
@json_option
def show(which: str, as_json: bool, **where: Any) -> None:
    """Show an agreement (`1`) with its terms, twins and escrow, or an order (`1-2`).

    \b
    Examples:
      twinproof agreement show 1 --folder ./node
      twinproof agreement show 1-2 --folder ./node
    """
    if "-" in which:
        _show_order(ORDER.convert(which, None, None), as_json, where)
        return
    id_ = COUNTING.convert(which, None, None)
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        proposal, standing = agreements.proposal(id_), agreements.standing(id_)
        orders = [agreements.order(id_ << 32 | number) for number in range(1, standing.orders + 1)]
    told = _agreement_json(proposal, standing)
    if as_json:
        print_json({**told, "orders": [order_json(order) for order in orders]})
        return
    click.echo(f"Agreement {id_}: {standing.word}")
    for name, value in told["terms"].items():
        if value is not None:
            shown = f"keccak256 {value}" if name in ("unit", "part_number") else value
            click.echo(f"  {name.replace('_', ' '):<16} {f'{value:,} s' if type(value) is int else shown}")
    click.echo(f"  {'price':<16} {amount_in(proposal.terms.currency, proposal.terms.price)}")
    click.echo(f"  {'free escrow':<16} {amount_in(proposal.terms.currency, standing.free)}")
    for twin in told["twins"]:
        click.echo(f"  {'twin':<16} {twin}")
    for order in orders:
        click.echo("\n".join(order_lines(order)))


def _show_order(order_id: int, as_json: bool, where: dict[str, Any]) -> None:
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        order, key = agreements.order(order_id), agreements.ask("orderKey", order_id)
    if as_json:
        print_json({**order_json(order), "order_key": key.hex()})
        return
    click.echo("\n".join(order_lines(order)))
    click.echo(f"  order key  {key.hex()}")


def _agreement_json(proposal: Proposal, standing: Standing) -> dict[str, Any]:
    return {
        "agreement": proposal.id,
        "state": standing.word,
        "free": str(standing.free),
        "price": str(proposal.terms.price),
        "terms": terms_json(proposal.terms),
        "twins": [hex_of(twin) for twin in proposal.twins],
    }
