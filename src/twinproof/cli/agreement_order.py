"""`twinproof agreement order` and what follows an order: accept, ship, receive, confirm, disputes, ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from twinproof.cli.agreement_reading import agreements_at, order_json, order_lines
from twinproof.cli.chain_values import AMOUNT, COUNTING, ORDER, TOKEN, Money, amount_in, order_name
from twinproof.cli.evidence_options import need_log, proof_of
from twinproof.cli.options import INDEX, json_option
from twinproof.cli.output import print_json, utc
from twinproof.cli.receipts import report
from twinproof.cli.spending import open_desk, spender_options

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@click.argument("entry", type=INDEX)
@spender_options
@json_option
def order(id_: int, entry: int, as_json: bool, **where: Any) -> None:
    """Place the order under the agreement ID that the prediction at the log index ENTRY calls for. Anybody may.

    \b
    Example:
      twinproof agreement order 1 42 --folder ./node

    The entry must be anchored: twinproof anchor now. A node with a policy does this by itself.
    """
    need_log(where["folder"])
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms = agreements.proposal(id_).terms
        proof = proof_of(desk, entry, terms.anchors, terms.log_id)
        data = agreements.contract.encode("order", id_, terms, proof)
        done = desk.spend(f"The prediction at entry {entry} places an order", agreements.contract.address, data)
        placed = agreements.made(done.receipt, "OrderPlaced")
    report(done, as_json, {"order": order_name(placed["orderId"]), "accept_until": utc(placed["deadline"])})


@click.command()
@click.argument("order_id", type=ORDER, metavar="ORDER")
@click.argument("token", type=TOKEN)
@spender_options
@json_option
def ship(order_id: int, token: int, as_json: bool, **where: Any) -> None:
    """Say that the part TOKEN is sent for ORDER. For the supplier, who has offered it to the operator before.

    \b
    Example:
      twinproof agreement ship 1-1 0x8c1b…(64 digits) --folder ./node --account supplier.json
    """
    _act(f"Order {order_name(order_id)} is shipped", "ship", order_id, (token,), where, as_json)


@click.command()
@click.argument("order_id", type=ORDER, metavar="ORDER")
@click.argument("entry", type=INDEX)
@spender_options
@json_option
def confirm(order_id: int, entry: int, as_json: bool, **where: Any) -> None:
    """Fulfil ORDER by the technician's installation statement at the log index ENTRY. Anybody may.

    \b
    Example:
      twinproof agreement confirm 1-1 57 --folder ./node

    The entry must be anchored: twinproof anchor now. The supplier is owed the price then.
    """
    need_log(where["folder"])
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms = agreements.proposal(order_id >> 32).terms
        proof = proof_of(desk, entry, terms.anchors, terms.log_id)
        data = agreements.contract.encode("confirmInstallation", order_id, terms, proof)
        done = desk.spend(f"Order {order_name(order_id)} is fulfilled", agreements.contract.address, data)
        paid = agreements.made(done.receipt, "OrderFulfilled")["amount"]
    report(done, as_json, {"price": str(paid) if as_json else amount_in(terms.currency, paid)})


@click.command()
@click.argument("order_id", type=ORDER, metavar="ORDER")
@click.argument("to_supplier", type=AMOUNT)
@spender_options
@json_option
def resolve(order_id: int, to_supplier: Money, as_json: bool, **where: Any) -> None:
    """Decide the dispute about ORDER: TO_SUPPLIER of the price, the rest goes back to the escrow. For the arbiter.

    \b
    Example:
      twinproof agreement resolve 1-1 0.2 --folder ./node --account arbiter.json
    """
    _act(f"The dispute about {order_name(order_id)} is decided", "resolve", order_id, (to_supplier,), where, as_json)


def _act(
    what: str, function: str, order_id: int, rest: tuple[object, ...], where: dict[str, Any], as_json: bool
) -> None:
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms = agreements.proposal(order_id >> 32).terms
        plain = [part.for_currency(terms.currency) if isinstance(part, Money) else part for part in rest]
        data = agreements.contract.encode(function, order_id, terms, *plain)
        done = desk.spend(what, agreements.contract.address, data)
        found = agreements.order(order_id)
    if as_json:
        print_json({**order_json(found), **done.to_json()})
        return
    report(done, as_json)
    click.echo("\n".join(order_lines(found)))


def _simple(name: str, function: str, what: str, about: str, example: str = "") -> click.Command:
    """A command that takes an order alone."""

    @click.command(name)
    @click.argument("order_id", type=ORDER, metavar="ORDER")
    @spender_options
    @json_option
    def command(order_id: int, as_json: bool, **where: Any) -> None:
        _act(f"Order {order_name(order_id)}: {what}", function, order_id, (), where, as_json)

    command.help = f"{about}\n\n\b\nExample:\n  twinproof agreement {name} 1-1 --folder ./node{example}"
    return command


_SUPPLIER: Final = " --account supplier.json"
COMMANDS: Final = (
    order,
    _simple("accept", "acceptOrder", "accepted", "Take ORDER. For the supplier.", _SUPPLIER),
    ship,
    _simple("receive", "receivePart", "received", "Record that the operator owns the part of ORDER. Anybody may."),
    confirm,
    _simple(
        "cancel",
        "cancelOrder",
        "this account cancels",
        "Cancel ORDER. While it is placed either party alone, once accepted the supplier alone, later both together.",
    ),
    _simple(
        "dispute",
        "dispute",
        "disputed",
        "Ask the arbiter about ORDER. For both parties, once it is shipped and before the deadline.",
    ),
    resolve,
    _simple(
        "expire",
        "expire",
        "ended by its deadline",
        "End the state of ORDER whose deadline is over. Anybody may; docs/agreements.md says what follows.",
    ),
)
"""In the order of an order's life."""
