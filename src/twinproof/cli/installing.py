"""`twinproof tell installation`: a technician states which part went into a twin, under which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twinproof.cli.chain_values import ORDER, TOKEN, token_name
from twinproof.cli.options import DIGEST, FILE, IRI, json_option
from twinproof.cli.output import print_json
from twinproof.cli.policy import agreement_contract
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.twin.installation import INSTALLATION, Installation, format_installation, parse_installation


@click.command()
@click.argument("twin", type=IRI, metavar="IRI")
@click.option("--part", "token", type=TOKEN, required=True, metavar="TOKEN", help="The part's token.")
@click.option("--order", "order_id", type=ORDER, metavar="ORDER", help="The order that it came for, as 1-1.")
@click.option("--order-key", type=DIGEST, metavar="DIGEST", help="The same as `agreement show ORDER` tells it.")
@click.option("--contracts", type=FILE, metavar="FILE", help="For --order: chain/contracts.json; by default NODE's.")
@click.option("--serial", help="As it is written on the part.")
@click.option("--remark", help="In words.")
@speaker_options
@json_option
def installation(
    twin: str,
    token: int,
    order_id: int | None,
    order_key: bytes | None,
    contracts: Path | None,
    serial: str | None,
    remark: str | None,
    as_json: bool,
    **where: Any,
) -> None:
    """State that the part TOKEN was put into the twin IRI. Takes a key with `maintain`, which the agreement names.

    \b
    Example:
      twinproof tell installation https://twin.example/pump/7 --part 0x8c1b…(64 digits) --order 1-1 \\
        --key technician.pem --folder ./node

    Its entry, once anchored, fulfils the order: twinproof agreement confirm 1-1 ENTRY.
    """
    if (order_id is None) == (order_key is None):
        raise click.UsageError("Name the order either by --order ORDER or by --order-key DIGEST.")
    if order_id is not None:
        chain_id, contract = agreement_contract(contracts, where["folder"])
        from twinproof.chain.agreements import order_key_of

        order_key = order_key_of(chain_id, contract, order_id)
    payload = format_installation(Installation(token.to_bytes(32, "big"), order_key or b"", serial, remark))
    parse_installation(payload)
    said = state_it(INSTALLATION, twin, payload, **where)
    if as_json:
        print_json({"index": said.index, "digest": said.digest.hex(), "iss": said.issuer})
    else:
        click.echo(f"{token_name(token)} is in {twin}, by entry {said.index}.\n  digest  {said.digest.hex()}")
