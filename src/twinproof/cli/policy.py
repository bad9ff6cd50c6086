"""`twinproof policy`: which predictions are to place orders, under which agreement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from twinproof.cli.chain_values import COUNTING, address_name, hex_of
from twinproof.cli.options import FILE, IRI, json_option, target_options
from twinproof.cli.output import count, print_json
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.cli.target import told_state
from twinproof.errors import NotFound
from twinproof.twin.ledger import StandingPolicy
from twinproof.twin.policy import POLICY, Policy, PolicyRemoval, format_policy, parse_policy


def _standing(about: str, folder: Path | None, url: str | None) -> dict[str, StandingPolicy]:
    return dict(sorted(told_state(about, folder, url).live.ledger.policies.items()))


@click.group()
def policy() -> None:
    """Policies: which predictions about a twin, or about each twin of a model, place orders under which agreement.

    \b
    Example:
      twinproof policy list https://twin.example/pump/7 --folder ./node

    A node with a chain acts on them by itself; the agreement's own terms are checked all the same.
    """


@policy.command("set")
@click.argument("about", type=IRI)
@click.argument("policy_id", metavar="ID")
@click.option("--agreement", type=COUNTING, required=True, metavar="N", help="The agreement's number.")
@click.option("--unit", required=True, help="The predictions' unit, such as {cycle}.")
@click.option("--below", type=float, required=True, help="Order when the lower bound is below it.")
@click.option("--coverage", type=float, required=True, help="And the prediction covers at least this: above 0 to 1.")
@click.option("--contracts", type=FILE, metavar="FILE", help="A node's chain/contracts.json; by default NODE's.")
@speaker_options
@json_option
def set_(
    about: str,
    policy_id: str,
    agreement: int,
    unit: str,
    below: float,
    coverage: float,
    contracts: Path | None,
    as_json: bool,
    **where: Any,
) -> None:
    """State the policy ID about ABOUT, a twin or a model; it replaces that of the same ID. Takes a key with `operate`.

    \b
    Example:
      twinproof policy set https://twin.example/pump/7 spare --agreement 1 --unit "{cycle}" --below 30 --coverage 0.9 \\
        --folder ./node
    """
    chain_id, contract = agreement_contract(contracts, where["folder"])
    payload = format_policy(Policy(policy_id, unit, below, coverage, chain_id, contract, agreement))
    parse_policy(payload)
    said = state_it(POLICY, about, payload, **where)
    if as_json:
        print_json({"about": about, "id": policy_id, "index": said.index, "digest": said.digest.hex()})
    else:
        click.echo(
            f"{policy_id}: below {below:g} {unit} at {coverage:g}, agreement {agreement}\n  entry   {said.index}"
        )


def agreement_contract(contracts: Path | None, folder: Path | None) -> tuple[int, bytes]:
    """Chain id and address of the agreements' contract; raises a usage error or `ConfigError`."""
    from twinproof.cli.spending import need_chain_extra

    need_chain_extra()
    from twinproof.node.chain_setup import read_contracts, read_contracts_at

    if contracts is None and folder is None:
        raise click.UsageError("Name the contracts by --contracts FILE, a node's chain/contracts.json.")
    found = read_contracts_at(contracts) if contracts else read_contracts(folder or Path())
    return found.chain_id, found.addresses["MaintenanceAgreement"]


@policy.command()
@click.argument("about", type=IRI)
@click.argument("policy_id", metavar="ID")
@speaker_options
@json_option
def remove(about: str, policy_id: str, as_json: bool, **where: Any) -> None:
    """State that the policy ID about ABOUT holds no longer; orders that it led to go on.

    \b
    Example:
      twinproof policy remove https://twin.example/pump/7 spare --folder ./node
    """
    if policy_id not in _standing(about, where["folder"], where["url"]):
        raise NotFound(f"no policy {policy_id} about {about}; `twinproof policy list` shows them")
    said = state_it(POLICY, about, format_policy(PolicyRemoval(policy_id)), **where)
    if as_json:
        print_json({"about": about, "id": policy_id, "index": said.index, "digest": said.digest.hex()})
    else:
        click.echo(f"{policy_id} is removed\n  entry   {said.index}")


@policy.command("list")
@click.argument("about", type=IRI)
@target_options
@json_option
def list_(about: str, folder: Path | None, url: str | None, as_json: bool) -> None:
    """List the policies about ABOUT, a twin or a model.

    \b
    Example:
      twinproof policy list https://twin.example/pump/7 --folder ./node
    """
    found = _standing(about, folder, url)
    if as_json:
        print_json([
            {"id": id_, "unit": p.unit, "below": p.below, "coverage": p.coverage, "chain_id": p.chain,
             "contract": hex_of(p.contract), "agreement": p.agreement, "entry": entry}
            for id_, (p, entry) in found.items()
        ])  # fmt: skip
        return
    for id_, (p, entry) in found.items():
        where = f"agreement {p.agreement} at {address_name(p.contract)}, chain {p.chain}"
        click.echo(f"{id_:<12}  below {p.below:g} {p.unit} at {p.coverage:g}: {where} (entry {entry})")
    click.echo(count(len(found), "policy"))
