"""`twinproof part show`, `life` and `find`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from twinproof.chain.forms import part_json, twin_name
from twinproof.cli.chain_values import ADDRESS, TOKEN, address_name, hex_of, token_name, visible
from twinproof.cli.options import IRI, json_option
from twinproof.cli.output import count, print_json, utc
from twinproof.cli.spending import Desk, chain_options, open_desk
from twinproof.errors import NotFound

if TYPE_CHECKING:
    from twinproof.chain.parts import PartPassport

STATUSES = ("in-service", "removed", "quarantined", "scrapped")


def passports_at(desk: Desk) -> PartPassport:
    """The contract."""
    from twinproof.chain.parts import PartPassport

    return PartPassport(desk.chain, desk.contracts.addresses["PartPassport"])


@click.command()
@click.argument("token", type=TOKEN)
@chain_options
@json_option
def show(token: int, as_json: bool, **where: Any) -> None:
    """Show the part TOKEN: owner, status, place, offer, and the parts in it.

    \b
    Example:
      twinproof part show 0x8c1b…(64 digits) --folder ./node
    """
    with open_desk(**where) as desk:
        passports, first = passports_at(desk), desk.contracts.first_block
        found = passports.part(token)
        minted = passports.minted(token, first).args
        told = {
            **part_json(found),
            "part_number": minted["partNumber"],
            "serial": minted["serial"],
            "parts": [token_name(child) for child in passports.parts_in(token, first)],
        }
    if as_json:
        print_json(told)
        return
    click.echo(f"{visible(told['part_number'])} {visible(told['serial'])}, {found.status.word}")
    for name in ("token", "manufacturer", "owner", "user", "twin", "birth", "parent"):
        if told[name] is not None:
            click.echo(f"  {name:<13} {told[name]}")
    if found.offered_to:
        click.echo(f"  {'offered to':<13} {address_name(found.offered_to)} until {utc(found.offer_expires)}")
    for child in told["parts"]:
        click.echo(f"  {'holds':<13} {child}")


@click.command()
@click.argument("token", type=TOKEN)
@chain_options
@json_option
def life(token: int, as_json: bool, **where: Any) -> None:
    """List what happened to the part TOKEN, in the chain's order.

    \b
    Example:
      twinproof part life 0x8c1b…(64 digits) --folder ./node
    """
    with open_desk(**where) as desk:
        rows = []
        for happening in passports_at(desk).life(token, desk.contracts.first_block):
            block = desk.chain.block(happening.log.number)
            rows.append((happening, 0 if block is None else block.time))
    if not rows:
        raise NotFound(f"no part has the token {token_name(token)}")
    if as_json:
        print_json([{"event": happening.name, "time": at, "block": happening.log.number,
                     "transaction": hex_of(happening.log.transaction),
                     "args": {name: _plain(name, value) for name, value in happening.args.items()}}
                    for happening, at in rows])  # fmt: skip
        return
    for happening, at in rows:
        told = ", ".join(
            f"{k} {utc(v) if k == 'expires' else visible(_plain(k, v))}"
            for k, v in happening.args.items()
            if k not in ("tokenId", "from")
        )
        click.echo(f"{utc(at)}  {happening.name:<14}  {told}")
    click.echo(count(len(rows), "event"))


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return address_name(value) if len(value) == 20 else hex_of(value)
    if name in ("tokenId", "child", "parent"):
        return token_name(value)
    return STATUSES[value] if name == "status" else value


@click.command()
@click.option("--twin", type=IRI, metavar="IRI", help="The part's twin.")
@click.option("--by", "manufacturer", type=ADDRESS, metavar="ADDRESS", help="Its manufacturer.")
@click.option("--number", help="Its part number.")
@click.option("--serial", help="Its serial.")
@chain_options
@json_option
def find(
    twin: str | None, manufacturer: bytes | None, number: str | None, serial: str | None, as_json: bool, **where: Any
) -> None:
    """Find parts by twin, manufacturer, part number and serial; all parts without.

    \b
    Example:
      twinproof part find --twin https://twin.example/blade/1 --folder ./node
    """
    with open_desk(**where) as desk:
        passports = passports_at(desk)
        rows = [
            (minted, passports.part(minted["tokenId"]))
            for minted in passports.all_minted(
                desk.contracts.first_block, manufacturer, None if twin is None else twin_name(twin)
            )
            if number in (None, minted["partNumber"]) and serial in (None, minted["serial"])
        ]
    if as_json:
        print_json([{"part_number": m["partNumber"], "serial": m["serial"], **part_json(found)} for m, found in rows])
        return
    for minted, found in rows:
        name = f"{visible(minted['partNumber'])} {visible(minted['serial'])}"
        click.echo(f"{token_name(found.token)}  {name}  {found.status.word}")
    click.echo(count(len(rows), "part"))
