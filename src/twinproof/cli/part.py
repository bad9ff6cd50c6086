"""`twinproof part`: passports of parts on the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twinproof.chain.forms import twin_name
from twinproof.cli.chain_values import ADDRESS, HASH, TOKEN, address_name, token_name
from twinproof.cli.evidence_options import leaf_of
from twinproof.cli.options import INDEX, IRI, TIME, json_option
from twinproof.cli.output import utc
from twinproof.cli.part_batch import batch
from twinproof.cli.part_reading import STATUSES, find, life, passports_at, show
from twinproof.cli.receipts import report
from twinproof.cli.spending import ChainGroup, open_desk, spender_options

if TYPE_CHECKING:
    pass

NO_LEAF = bytes(32)


@click.group(cls=ChainGroup)
def part() -> None:
    """Passports of numbered parts on the chain: who made, owns and uses them, and what they are in (docs/parts.md).

    \b
    Example:
      twinproof part mint HPT-7 SN-001 --twin https://twin.example/blade/1 --entry 12 --folder ./node
    """


for _command in (batch, show, life, find):
    part.add_command(_command)


def _do(what: str, function: str, arguments: tuple[object, ...], where: dict[str, Any], as_json: bool) -> None:
    with open_desk(**where) as desk:
        contract = passports_at(desk).contract
        done = desk.spend(what, contract.address, contract.encode(function, *arguments))
    report(done, as_json)


@part.command()
@click.argument("manufacturer", type=ADDRESS, metavar="ADDRESS")
@click.option("--withdraw", is_flag=True, help="Take the right back; what was made stays.")
@spender_options
@json_option
def accredit(manufacturer: bytes, withdraw: bool, as_json: bool, **where: Any) -> None:
    """Give the manufacturer at ADDRESS the right to mint parts and release batches. For an accreditor.

    \b
    Example:
      twinproof part accredit 0x70997970c51812dc3a010c7d01b50e0d17dc79c8 --folder ./node
    """
    what = f"{address_name(manufacturer)} {'is not accredited any more' if withdraw else 'is accredited'}"
    _do(what, "setAccredited", (manufacturer, not withdraw), where, as_json)


@part.command()
@click.argument("number")
@click.argument("serial")
@click.option("--twin", type=IRI, required=True, metavar="IRI", help="The part's twin.")
@click.option("--entry", type=INDEX, metavar="INDEX", help="The log entry of its birth statement.")
@click.option("--leaf", type=HASH, metavar="HASH", help="That statement's leaf hash, if the log is elsewhere.")
@spender_options
@json_option
def mint(
    number: str, serial: str, twin: str, entry: int | None, leaf: bytes | None, as_json: bool, **where: Any
) -> None:
    """Make the passport of the part with the part number NUMBER and the serial SERIAL. For its accredited manufacturer.

    \b
    Example:
      twinproof part mint HPT-7 SN-001 --twin https://twin.example/blade/1 --entry 12 --folder ./node

    Number and serial stand on the chain for everybody to read; the twin as the SHA-256 of its IRI.
    """
    birth = leaf_of(where["folder"], entry, leaf, "the birth statement")
    if birth is None:
        raise click.UsageError("A part begins with a statement: name it by --entry INDEX or by --leaf HASH.")
    from twinproof.chain.parts import token_id_of

    with open_desk(**where) as desk:
        contract = passports_at(desk).contract
        data = contract.encode("mint", number, serial, twin_name(twin), birth)
        done = desk.spend(f"{number} {serial} has a passport", contract.address, data)
        token = token_id_of(desk.sender.address, number, serial)
    report(done, as_json, {"token": token_name(token)})


# --- changing hands -----------------------------------------------------------------------------------


@part.command()
@click.argument("token", type=TOKEN)
@click.argument("to", type=ADDRESS, metavar="ADDRESS")
@click.option("--until", type=TIME, required=True, help="When the offer ends.")
@spender_options
@json_option
def offer(token: int, to: bytes, until: int, as_json: bool, **where: Any) -> None:
    """Offer the part TOKEN to ADDRESS, which becomes its owner by accepting. For its owner.

    \b
    Example:
      twinproof part offer 0x8c1b…(64 digits) 0x7099…(40 digits) --until 2027-01-01 --folder ./node
    """
    what = f"The part is offered to {address_name(to)} until {utc(until)}"
    _do(what, "offer", (token, to, until), where, as_json)


@part.command()
@click.argument("token", type=TOKEN)
@click.argument("inside", type=TOKEN, nargs=-1, metavar="[TOKEN_IN_IT]...")
@spender_options
@json_option
def accept(token: int, inside: tuple[int, ...], as_json: bool, **where: Any) -> None:
    """Become owner of the part TOKEN that was offered to you, and of just the parts named as being in it.

    \b
    Example:
      twinproof part accept 0x8c1b…(64 digits) --folder ./node --account operator.json

    Of an assembly name all parts in it, each after the one that it is in: so none can be exchanged unseen.
    """
    if inside:
        _do("The assembly is yours", "acceptAssembly", (token, list(inside)), where, as_json)
    else:
        _do("The part is yours", "accept", (token,), where, as_json)


@part.command()
@click.argument("token", type=TOKEN)
@spender_options
@json_option
def cancel(token: int, as_json: bool, **where: Any) -> None:
    """End the offer of the part TOKEN. For its owner, and for whom it was offered to.

    \b
    Example:
      twinproof part cancel 0x8c1b…(64 digits) --folder ./node
    """
    _do("The offer is cancelled", "cancelOffer", (token,), where, as_json)


@part.command()
@click.argument("token", type=TOKEN)
@click.argument("new", type=click.Choice(STATUSES), metavar="STATUS")
@click.option("--entry", type=INDEX, metavar="INDEX", help="The log entry that says why.")
@click.option("--leaf", type=HASH, metavar="HASH", help="That statement's leaf hash, if the log is elsewhere.")
@spender_options
@json_option
def status(token: int, new: str, entry: int | None, leaf: bytes | None, as_json: bool, **where: Any) -> None:
    """Set the part's status: in-service, removed, quarantined or scrapped, which is final.

    \b
    Example:
      twinproof part status 0x8c1b…(64 digits) quarantined --entry 40 --folder ./node
    """
    evidence = leaf_of(where["folder"], entry, leaf, "the reason") or NO_LEAF
    _do(f"The part is {new}", "setStatus", (token, STATUSES.index(new), evidence), where, as_json)


@part.command()
@click.argument("child", type=TOKEN)
@click.argument("parent", type=TOKEN)
@spender_options
@json_option
def install(child: int, parent: int, as_json: bool, **where: Any) -> None:
    """Put the part CHILD into the part PARENT. For the owner of both.

    \b
    Example:
      twinproof part install 0x8c1b…(64 digits) 0x51f0…(64 digits) --folder ./node
    """
    _do("The part is installed", "install", (child, parent), where, as_json)


@part.command()
@click.argument("token", type=TOKEN)
@spender_options
@json_option
def remove(token: int, as_json: bool, **where: Any) -> None:
    """Take the part TOKEN out of the one that it is in. For its owner.

    \b
    Example:
      twinproof part remove 0x8c1b…(64 digits) --folder ./node
    """
    _do("The part is taken out", "remove", (token,), where, as_json)
