"""`twinproof agreement`: maintenance agreements on the chain, their escrow, and the orders under them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinproof.chain.forms import twin_name
from twinproof.cli.agreement_costs import costs
from twinproof.cli.agreement_order import COMMANDS
from twinproof.cli.agreement_reading import agreements_at, show
from twinproof.cli.agreement_terms import TEMPLATE, read_terms
from twinproof.cli.chain_account import address_of
from twinproof.cli.chain_values import (
    ADDRESS,
    AMOUNT,
    COUNTING,
    NO_CURRENCY,
    Money,
    address_name,
    amount_in,
    coins,
)
from twinproof.cli.options import FILE, json_option
from twinproof.cli.output import count, print_json
from twinproof.cli.receipts import Done, report
from twinproof.cli.spending import ChainGroup, chain_options, open_desk, spender_options

if TYPE_CHECKING:
    pass


@click.group(cls=ChainGroup)
def agreement() -> None:
    """Maintenance agreements on the chain: orders that predictions place, paid from escrow (docs/agreements.md).

    \b
    Example:
      twinproof agreement template > terms.toml
      twinproof agreement propose terms.toml --folder ./node
    """


for _command in (show, costs, *COMMANDS):
    agreement.add_command(_command)


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
def propose(terms_file: Path, deposit: Money, as_json: bool, **where: Any) -> None:
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
        data = agreements.contract.encode("propose", terms, [twin_name(twin) for twin in twins])
        done = desk.spend(what, agreements.contract.address, data, deposit.for_currency(NO_CURRENCY))
        made = agreements.made(done.receipt, "Proposed")["id"]
    report(done, as_json, {"agreement": made})


def _with_terms(
    what: str, function: str, id_: int, rest: tuple[object, ...], where: dict[str, Any], value: int = 0
) -> Done:
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms = agreements.proposal(id_).terms
        plain = [part.for_currency(terms.currency) if isinstance(part, Money) else part for part in rest]
        data = agreements.contract.encode(function, id_, terms, *plain)
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
def deposit(id_: int, amount: Money, as_json: bool, **where: Any) -> None:
    """Put AMOUNT into the escrow of the agreement ID; it is the operator's from then on.

    \b
    Example:
      twinproof agreement deposit 1 1.5 --folder ./node

    Of an ERC-20 the account must have approved the contract for that much before, with its wallet.
    """
    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        terms = agreements.proposal(id_).terms
        plain = amount.for_currency(terms.currency)
        data = agreements.contract.encode("deposit", id_, terms, plain)
        what = f"{amount_in(terms.currency, plain)} are in the escrow of agreement {id_}"
        done = desk.spend(what, agreements.contract.address, data, 0 if any(terms.currency) else plain)
    report(done, as_json)


@agreement.command()
@click.argument("id_", type=COUNTING, metavar="ID")
@click.argument("amount", type=AMOUNT)
@spender_options
@json_option
def reclaim(id_: int, amount: Money, as_json: bool, **where: Any) -> None:
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
    what = f"This account {'allows' if resume else 'stops'} new orders under agreement {id_}"
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
        data = agreements.contract.encode("withdraw", currency or NO_CURRENCY)
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
        amount = agreements_at(desk).owed(whom, currency or NO_CURRENCY)
    if as_json:
        print_json({"account": address_name(whom), "amount": str(amount)})
    else:
        click.echo(f"{address_name(whom)} is owed {f'{amount:,} units' if currency else coins(amount)}.")
