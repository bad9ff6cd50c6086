"""`twinproof agreement`: maintenance agreements on the chain, their escrow, and the orders under them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinproof.cli.agreement_order import COMMANDS, order_json, order_lines
from twinproof.cli.agreement_terms import TEMPLATE, read_terms
from twinproof.cli.chain_account import address_of
from twinproof.cli.chain_values import (
    ADDRESS,
    AMOUNT,
    COUNTING,
    ORDER,
    address_name,
    amount_in,
    coins,
    hex_of,
)
from twinproof.cli.evidence_options import twin_of
from twinproof.cli.options import FILE, json_option
from twinproof.cli.output import count, print_json
from twinproof.cli.spending import Desk, Done, chain_options, open_desk, report, spender_options

if TYPE_CHECKING:
    from twinproof.chain.agreements import Agreements, Proposal, Standing


@click.group()
def agreement() -> None:
    """Maintenance agreements on the chain: orders that predictions place, paid from escrow (docs/agreements.md).

    \b
    Example:
      twinproof agreement template > terms.toml
      twinproof agreement propose terms.toml --folder ./node
    """


for _command in COMMANDS:
    agreement.add_command(_command)


def agreements_at(desk: Desk) -> Agreements:
    """The contract."""
    from twinproof.chain.agreements import Agreements

    return Agreements(desk.chain, desk.contracts.addresses["MaintenanceAgreement"], desk.contracts.first_block)


@agreement.command()
@json_option
def template(as_json: bool) -> None:
    """Print the terms of an agreement to fill in.

    \b
    Example:
      twinproof agreement template > terms.toml
    """
    if as_json:
        print_json({"template": TEMPLATE})
    else:
        click.echo(TEMPLATE, nl=False)


@agreement.command()
@click.argument("terms_file", type=FILE, metavar="TERMS.toml")
@click.option("--deposit", type=AMOUNT, default="0", help="Coin that goes into the escrow at once.")
@spender_options
@json_option
def propose(terms_file: Path, deposit: int, as_json: bool, **where: Any) -> None:
    """Propose the terms in TERMS.toml. The account becomes the agreement's operator.

    \b
    Example:
      twinproof agreement template > terms.toml
      twinproof agreement propose terms.toml --deposit 2 --folder ./node
    """
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms, twins = read_terms(terms_file, desk.sender.address, desk.contracts)
        what = f"An agreement with {address_name(terms.supplier)} about {count(len(twins), 'twin')} is proposed"
        data = agreements.contract.encode("propose", terms, [twin_of(twin) for twin in twins])
        done = desk.spend(what, agreements.contract.address, data, deposit)
        made = agreements.made(done.receipt, "Proposed")["id"]
    report(done, as_json, {"agreement": made})


def _with_terms(
    what: str, function: str, id_: int, rest: tuple[object, ...], where: dict[str, Any], value: int = 0
) -> Done:
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        data = agreements.contract.encode(function, id_, agreements.proposal(id_).terms, *rest)
        return desk.spend(what, agreements.contract.address, data, value)


@agreement.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@spender_options
@json_option
def agree(id_: int, as_json: bool, **where: Any) -> None:
    """Agree to the proposal ID. For its supplier; read the terms first: twinproof agreement show ID.

    \b
    Example:
      twinproof agreement agree 1 --folder ./node --account supplier.json
    """
    report(_with_terms(f"Agreement {id_} holds", "agree", id_, (), where), as_json)


@agreement.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@click.argument("amount", type=AMOUNT)
@spender_options
@json_option
def deposit(id_: int, amount: int, as_json: bool, **where: Any) -> None:
    """Put AMOUNT into the escrow of the agreement ID; it is the operator's from then on.

    \b
    Example:
      twinproof agreement deposit 1 1.5 --folder ./node

    Of an ERC-20 the account must have approved the contract for that much before, with its wallet.
    """
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms = agreements.proposal(id_).terms
        data = agreements.contract.encode("deposit", id_, terms, amount)
        what = f"{amount_in(terms.currency, amount)} into the escrow of agreement {id_}"
        done = desk.spend(what, agreements.contract.address, data, 0 if any(terms.currency) else amount)
    report(done, as_json)


@agreement.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@click.argument("amount", type=AMOUNT)
@spender_options
@json_option
def reclaim(id_: int, amount: int, as_json: bool, **where: Any) -> None:
    """Take AMOUNT of the free escrow of the agreement ID back, to be withdrawn. For its operator.

    \b
    Example:
      twinproof agreement reclaim 1 0.5 --folder ./node
    """
    report(_with_terms(f"The operator of agreement {id_} is owed it", "reclaim", id_, (amount,), where), as_json)


@agreement.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@click.option("--resume", is_flag=True, help="Let orders be placed again.")
@spender_options
@json_option
def suspend(id_: int, resume: bool, as_json: bool, **where: Any) -> None:
    """Stop new orders under the agreement ID. For both parties, each for itself.

    \b
    Example:
      twinproof agreement suspend 1 --folder ./node
      twinproof agreement suspend 1 --resume --folder ./node
    """
    what = f"This account does not {'hold up' if resume else 'let'} orders under agreement {id_}" + (
        " any more" if resume else ""
    )
    report(_with_terms(what, "suspend", id_, (not resume,), where), as_json)


@agreement.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@spender_options
@json_option
def end(id_: int, as_json: bool, **where: Any) -> None:
    """Stop new orders under the agreement ID for ever. For both parties; open orders go on.

    \b
    Example:
      twinproof agreement end 1 --folder ./node
    """
    report(_with_terms(f"Agreement {id_} has ended", "end", id_, (), where), as_json)


# --- reading ------------------------------------------------------------------------------------------


@agreement.command()
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
        click.echo(f"  {name.replace('_', ' '):<16} {value}")
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
    terms = proposal.terms
    return {
        "agreement": proposal.id,
        "state": standing.word,
        "free": str(standing.free),
        "price": str(terms.price),
        "terms": {
            "operator": address_name(terms.operator),
            "supplier": address_name(terms.supplier),
            "arbiter": address_name(terms.arbiter) if any(terms.arbiter) else "nobody",
            "anchors": address_name(terms.anchors),
            "passports": address_name(terms.passports),
            "log_id": hex_of(terms.log_id),
            "predictor": hex_of(terms.predictor.x + terms.predictor.y),
            "technician": hex_of(terms.technician.x + terms.technician.y),
            "unit": f"keccak256 {hex_of(terms.unit)}",
            "below": _float(terms.below),
            "coverage": _float(terms.coverage),
            "part_number": f"keccak256 {hex_of(terms.part_number)}",
            "currency": address_name(terms.currency) if any(terms.currency) else "the chain's coin",
            "max_age": f"{terms.max_age:,} s",
            "accept_within": f"{terms.accept_within:,} s",
            "ship_within": f"{terms.ship_within:,} s",
            "receive_within": f"{terms.receive_within:,} s",
            "install_within": f"{terms.install_within:,} s",
            "dispute_within": f"{terms.dispute_within:,} s",
        },
        "twins": [hex_of(twin) for twin in proposal.twins],
    }


def _float(bits: int) -> float:
    (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    return float(value)


# --- money --------------------------------------------------------------------------------------------

_currency_option = click.option(
    "--currency", type=ADDRESS, metavar="ADDRESS", help="An ERC-20; the chain's own coin without."
)


@agreement.command()
@_currency_option
@spender_options
@json_option
def withdraw(currency: bytes | None, as_json: bool, **where: Any) -> None:
    """Take all that the account is owed.

    \b
    Example:
      twinproof agreement withdraw --folder ./node --account supplier.json
    """
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        data = agreements.contract.encode("withdraw", currency or bytes(20))
        done = desk.spend("What was owed is withdrawn", agreements.contract.address, data)
        amount = agreements.made(done.receipt, "Withdrawn")["amount"]
    shown = str(amount) if as_json else amount_in(currency or b"", amount)
    report(done, as_json, {"amount": shown})


@agreement.command()
@click.option("--account", type=FILE, metavar="FILE", help="Another keystore than the node's.")
@click.option("--of", "address", type=ADDRESS, metavar="ADDRESS", help="Of this account instead.")
@_currency_option
@chain_options
@json_option
def owed(address: bytes | None, currency: bytes | None, as_json: bool, **where: Any) -> None:
    """Show what the account may withdraw; needs no password.

    \b
    Example:
      twinproof agreement owed --folder ./node --account supplier.json
    """
    with open_desk(**where) as desk:
        whom = address or address_of(desk)
        amount = agreements_at(desk).owed(whom, currency or bytes(20))
    if as_json:
        print_json({"account": address_name(whom), "amount": str(amount)})
    else:
        click.echo(f"{address_name(whom)} is owed {f'{amount:,} units' if currency else coins(amount)}.")
