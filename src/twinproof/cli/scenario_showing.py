"""A scenario's result for people: a few lines a kind. Everything is in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from twinproof.cli.output import count
from twinproof.simulation.results import Result

SHOWN = 20
"""Assets that are listed."""


def show_result(done: Result) -> None:
    """Print what it came to."""
    click.echo(click.style(done.kind, bold=True))
    for line in _LINES[done.kind](done.result):
        click.echo(f"  {line}")
    if not done.reproducible:
        click.echo("  a clock ended the search: another machine may come to another plan")


def _decision(result: Mapping[str, Any]) -> Iterator[str]:
    ordered = sorted(result["assets"], key=lambda each: (each["date"], each["name"]))
    for each in ordered[:SHOWN]:
        when = "order now" if each["due"] else "then or later" if each["open"] else ""
        line = f"{each['name']}  in {each['date']} cycles, {1000 * each['rate']:.3g} per 1000 cycles"
        yield f"{line}, risk {each['risk']:.3f}  {when}".rstrip()
    yield from _more(ordered)


def _plan(result: Mapping[str, Any]) -> Iterator[str]:
    if not result["feasible"]:
        yield "there is no plan"
        yield from (f"{name} has no possible slot" for name in result["without_slot"])
        for each in result["shortages"] or result["together"]:
            alone = "" if result["shortages"] else " (together)"
            yield f"{each['limit']} is short by {', '.join(map(str, each['excess']))}{alone}"
        return
    ordered = sorted(result["slots"], key=lambda each: (each["slot"] is None, each["slot"] or 0, each["name"]))
    for each in ordered[:SHOWN]:
        yield f"{each['name']}  {'later' if each['slot'] is None else 'slot ' + str(each['slot'])}"
    yield from _more(ordered)
    yield f"expected cost {result['cost']:.4g}, none below {result['bound']:.4g} ({result['status']})"
    yield f"certified without the solver: {result['certified']:.4g}"


def _depot(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"{result['replications']} replications, mean and 95 % confidence interval"
    for name, each in result["measures"].items():
        yield f"{name:<13} {each['mean']:10.3f}  ({each['low']:.3f} to {each['high']:.3f})"


def _cosimulation(result: Mapping[str, Any]) -> Iterator[str]:
    if "calibrated" in result:
        found = result["calibrated"]
        yield (
            f"calibrated to {found['value']:.6g}, {found['rms']:.3g} off on average (RMS), "
            f"{count(found['samples'], 'sample')}, {count(found['simulations'], 'simulation')}"
        )
    for each in result["recorded"]:
        values = each["values"]
        yield f"{each['model']}.{each['variable']}  {values[0]:.6g} at first, {values[-1]:.6g} at last"


def _more(ordered: list[Any]) -> Iterator[str]:
    if len(ordered) > SHOWN:
        yield f"and {len(ordered) - SHOWN} more"


_LINES = {"decision": _decision, "plan": _plan, "depot": _depot, "cosimulation": _cosimulation}
