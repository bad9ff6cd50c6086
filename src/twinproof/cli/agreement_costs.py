"""`twinproof agreement costs`: what an order's steps have cost on the chain, and whom."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from twinproof.cli.agreement_reading import agreements_at
from twinproof.cli.chain_values import ORDER, address_name, coins, hex_of, order_name
from twinproof.cli.options import json_option
from twinproof.cli.output import print_json
from twinproof.cli.spending import chain_options, open_desk


@click.command()
@click.argument("order", type=ORDER)
@chain_options
@json_option
def costs(order: int, as_json: bool, **where: Any) -> None:
    """Show what each step of ORDER has cost on the chain: who paid, how much gas, and what for it in the chain's coin.

    \b
    Example:
      twinproof agreement costs 1-2 --folder ./node

    An anchor is of the whole log; whatever else it covers came with it. The price is not among the costs.
    """
    from twinproof.chain.costs import order_costs, role_of

    with open_desk(**where) as desk:
        agreements = agreements_at(desk)
        steps = order_costs(desk.chain, agreements, order, desk.contracts.first_block)
        proposal = agreements.proposal(order >> 32)
    rows = [
        {
            "step": step.name,
            "role": role_of(step.payer, proposal) or None,
            "payer": address_name(step.payer),
            "gas": step.gas,
            "cost": str(step.cost),
            "block": step.number,
            "transaction": hex_of(step.transaction),
        }
        for step in steps
    ]
    gas, wei = sum(step.gas for step in steps), sum(step.cost for step in steps)
    if as_json:
        print_json({"order": order_name(order), "steps": rows, "gas": gas, "cost": str(wei)})
        return
    paid: Counter[str] = Counter()
    shown = []
    for step in steps:
        who = role_of(step.payer, proposal) or address_name(step.payer)
        paid[who] += step.cost
        shown.append((step.name, who, f"{step.gas:,} gas", coins(step.cost)))
    shown.append(("all steps", "", f"{gas:,} gas", coins(wei)))
    wide = [max(len(row[at]) for row in shown) for at in range(3)]
    for name, who, used, cost in shown:
        click.echo(f"  {name:<{wide[0]}}  {who:<{wide[1]}}  {used:>{wide[2]}}  {cost}")
    click.echo(", ".join(f"{who} paid {coins(cost)}" for who, cost in paid.items()))
