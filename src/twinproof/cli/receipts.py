"""Confirmed transactions, told to people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from twinproof.cli.chain_values import coins, hex_of
from twinproof.cli.output import print_json

if TYPE_CHECKING:
    from twinproof.chain.model import Receipt


@dataclass(frozen=True)
class Done:
    """A confirmed transaction."""

    what: str
    receipt: Receipt

    @property
    def cost(self) -> int:
        """Wei for gas."""
        return self.receipt.gas_used * self.receipt.gas_price

    def to_json(self) -> dict[str, object]:
        """As JSON; the cost in wei, as text."""
        receipt = self.receipt
        return {
            "transaction": hex_of(receipt.transaction),
            "block": receipt.number,
            "gas": receipt.gas_used,
            "cost": str(self.cost),
        }


def report(done: Done, as_json: bool, made: dict[str, object] | None = None) -> None:
    """Tell of a transaction and of the ids that it made."""
    made = made or {}
    if as_json:
        print_json({**made, **done.to_json()})
        return
    rows = {
        **made,
        "transaction": hex_of(done.receipt.transaction),
        "block": done.receipt.number,
        "gas": f"{done.receipt.gas_used:,}, {coins(done.cost)}",
    }
    click.echo(done.what)
    for name, value in rows.items():
        click.echo(f"  {name.replace('_', ' '):<12} {value}")
