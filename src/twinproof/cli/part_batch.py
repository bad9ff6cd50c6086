"""`twinproof part batch`: parts that are counted, not numbered."""

from __future__ import annotations

from typing import Any

import click

from twinproof.cli.chain_values import ADDRESS, BATCH, COUNTING, HASH, TOKEN, address_name, hex_of, token_name
from twinproof.cli.evidence_options import leaf_of
from twinproof.cli.options import INDEX, TIME, json_option
from twinproof.cli.output import print_json, utc
from twinproof.cli.part_reading import passports_at
from twinproof.cli.receipts import report
from twinproof.cli.spending import chain_options, open_desk, spender_options


@click.group()
def batch() -> None:
    """Batches: parts that are counted, not numbered.

    \b
    Example:
      twinproof part batch release BOLT-M8 LOT-3 5000 --entry 12 --folder ./node
    """


def _do(what: str, function: str, arguments: tuple[object, ...], where: dict[str, Any], as_json: bool) -> None:
    with open_desk(**where) as desk:
        contract = passports_at(desk).contract
        done = desk.spend(what, contract.address, contract.encode(function, *arguments))
    report(done, as_json)


@batch.command()
@click.argument("number")
@click.argument("lot")
@click.argument("quantity", type=COUNTING)
@click.option("--entry", type=INDEX, metavar="INDEX", help="The log entry of its birth statement.")
@click.option("--leaf", type=HASH, metavar="HASH", help="That statement's leaf hash, if the log is elsewhere.")
@spender_options
@json_option
def release(
    number: str, lot: str, quantity: int, entry: int | None, leaf: bytes | None, as_json: bool, **where: Any
) -> None:
    """Release QUANTITY pieces of the part number NUMBER as the lot LOT. For an accredited manufacturer.

    \b
    Example:
      twinproof part batch release BOLT-M8 LOT-3 5000 --entry 12 --folder ./node
    """
    birth = leaf_of(where["folder"], entry, leaf, "the birth statement")
    if birth is None:
        raise click.UsageError("A batch begins with a statement: name it by --entry INDEX or by --leaf HASH.")
    with open_desk(**where) as desk:
        from twinproof.chain.parts import batch_id_of

        contract = passports_at(desk).contract
        data = contract.encode("releaseBatch", number, lot, quantity, birth)
        done = desk.spend(f"{quantity:,} of {number}, lot {lot}, are released", contract.address, data)
        made = batch_id_of(desk.sender.address, number, lot)
    report(done, as_json, {"batch": token_name(made)})


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("to", type=ADDRESS, metavar="ADDRESS")
@click.argument("quantity", type=COUNTING)
@click.option("--until", type=TIME, required=True, help="When the offer ends.")
@spender_options
@json_option
def offer(batch_id: int, to: bytes, quantity: int, until: int, as_json: bool, **where: Any) -> None:
    """Offer QUANTITY pieces to ADDRESS; they are reserved until the offer ends.

    \b
    Example:
      twinproof part batch offer 0x77aa…(64 digits) 0x7099…(40 digits) 40 --until 2027-01-01 --folder ./node
    """
    what = f"{quantity:,} are offered to {address_name(to)} until {utc(until)}"
    _do(what, "offerQuantity", (batch_id, to, quantity, until), where, as_json)


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("giver", type=ADDRESS, metavar="FROM")
@click.argument("quantity", type=COUNTING)
@spender_options
@json_option
def accept(batch_id: int, giver: bytes, quantity: int, as_json: bool, **where: Any) -> None:
    """Accept the QUANTITY that FROM offers you.

    \b
    Example:
      twinproof part batch accept 0x77aa…(64 digits) 0x70997970c51812dc3a010c7d01b50e0d17dc79c8 40 --folder ./node
    """
    _do(f"{quantity:,} are yours", "acceptQuantity", (batch_id, giver, quantity), where, as_json)


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("giver", type=ADDRESS, metavar="FROM")
@click.argument("to", type=ADDRESS, metavar="TO")
@spender_options
@json_option
def cancel(batch_id: int, giver: bytes, to: bytes, as_json: bool, **where: Any) -> None:
    """End the offer from FROM to TO. For either of them.

    \b
    Example:
      twinproof part batch cancel 0x77aa…(64 digits) 0x7099…(40 digits) 0x3c44…(40 digits) --folder ./node
    """
    _do("The offer is cancelled", "cancelQuantity", (batch_id, giver, to), where, as_json)


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("token", type=TOKEN)
@click.argument("quantity", type=COUNTING)
@spender_options
@json_option
def install(batch_id: int, token: int, quantity: int, as_json: bool, **where: Any) -> None:
    """Put QUANTITY of your stock into the part TOKEN. For its owner.

    \b
    Example:
      twinproof part batch install 0x77aa…(64 digits) 0x8c1b…(64 digits) 8 --folder ./node
    """
    _do(f"{quantity:,} are installed", "installQuantity", (batch_id, token, quantity), where, as_json)


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("token", type=TOKEN)
@click.argument("quantity", type=COUNTING)
@click.option("--scrap", is_flag=True, help="They go to scrap, not to the stock.")
@spender_options
@json_option
def remove(batch_id: int, token: int, quantity: int, scrap: bool, as_json: bool, **where: Any) -> None:
    """Take QUANTITY out of the part TOKEN. For its owner.

    \b
    Example:
      twinproof part batch remove 0x77aa…(64 digits) 0x8c1b…(64 digits) 2 --scrap --folder ./node
    """
    _do(f"{quantity:,} are taken out", "removeQuantity", (batch_id, token, quantity, scrap), where, as_json)


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.argument("quantity", type=COUNTING)
@spender_options
@json_option
def scrap(batch_id: int, quantity: int, as_json: bool, **where: Any) -> None:
    """Scrap QUANTITY of your stock.

    \b
    Example:
      twinproof part batch scrap 0x77aa…(64 digits) 3 --folder ./node
    """
    _do(f"{quantity:,} are scrapped", "scrapQuantity", (batch_id, quantity), where, as_json)


@batch.command()
@click.argument("batch_id", type=BATCH, metavar="BATCH")
@click.option("--holder", type=ADDRESS, metavar="ADDRESS", help="Tell what this account holds, too.")
@chain_options
@json_option
def show(batch_id: int, holder: bytes | None, as_json: bool, **where: Any) -> None:
    """Show the batch BATCH: how many were released, are installed, were scrapped.

    \b
    Example:
      twinproof part batch show 0x77aa…(64 digits) --folder ./node
    """
    with open_desk(**where) as desk:
        passports = passports_at(desk)
        found = passports.batch(batch_id)
        held = passports.ask("heldOf", batch_id, holder) if holder else None
    told: dict[str, Any] = {
        "batch": token_name(batch_id),
        "manufacturer": address_name(found.manufacturer),
        "birth": hex_of(found.birth),
        "released": found.released,
        "installed": found.installed,
        "scrapped": found.scrapped,
    }
    if held is not None:
        told |= {"available": held[0], "offered": held[1]}
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        click.echo(f"{name:<13} {value:,}" if isinstance(value, int) else f"{name:<13} {value}")
