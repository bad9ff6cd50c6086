"""`twinproof scenario new`: a file to edit, from a node's own twins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from twinproof.cli.options import FILE, FOLDER, IRI, NEW_FILE, TIME, json_option, read_file, write_new
from twinproof.cli.output import count, print_json, progress
from twinproof.errors import NotFound, NotInstalled
from twinproof.node.node import Node, read_node
from twinproof.node.scenarios import Draft, Fit, Wished, draft, draft_cosimulation, twins_under
from twinproof.simulation.scenario import parse_scenario
from twinproof.twin.evidence import MAX_BLOB

F = TypeVar("F", bound=Callable[..., Any])

_PLACE: Final = re.compile(r"([^.=:\s]+)\.([^=:\s]+)\Z")
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?\Z")


class Place(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`model.variable`."""

    name = "model.variable"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Both names."""
        if isinstance(value, tuple):
            return value
        found = _PLACE.match(value)
        if not found:
            self.fail(f"{value!r} is not model.variable", param, ctx)
        return found[1], found[2]


class Parted(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """`left=right`, each side of a type of its own."""

    def __init__(self, name: str, *parts: Callable[[str], Any]) -> None:
        self.name = name
        self._parts = parts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The parts."""
        if isinstance(value, tuple):
            return value
        words = re.split("[=:]", value, maxsplit=len(self._parts) - 1)
        try:
            return tuple(part(word) for part, word in zip(self._parts, words, strict=True))
        except (ValueError, click.UsageError):
            self.fail(f"{value!r} is not {self.name}", param, ctx)


def _place(word: str) -> tuple[str, str]:
    return Place().convert(word, None, None)


def _number(word: str) -> float:
    if not _NUMBER.match(word):
        raise ValueError(word)
    return float(word)


def _fmu(word: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", word):
        raise ValueError(word)
    return word


FMU: Final = Parted("name=FILE", _fmu, str)
WIRE: Final = Parted("model.variable=model.variable", _place, _place)
START: Final = Parted("model.variable=number", _place, _number)
RANGE: Final = Parted("model.variable=low:high", _place, _number, _number)
PLACE: Final = Place()
COST: Final = click.FloatRange(0, 1e12, min_open=True)


@click.group()
def new() -> None:
    """Write a scenario to edit, its inputs pinned by log index. It runs as it is.

    \b
    Example:
      twinproof scenario new plan -o plan.json --prefix https://twin.example/engine/ --folder ./node
    """


def _shared(command: F) -> F:
    for option in (
        json_option,
        click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder; it may be served."),
        click.option("--seed", type=click.IntRange(0, 2**63), default=0, show_default=True, help="Of all randomness."),
        click.option("--name", help="What the scenario is called."),
        click.option("--force", is_flag=True, help="Replace a file that exists."),
        click.option("-o", "--output", type=NEW_FILE, required=True, metavar="FILE", help="Where to write it."),
    ):
        command = option(command)
    return command


def _forecasts(command: F) -> F:
    for option in (
        click.option("--price", type=COST, help="What a cycle of running is worth."),
        click.option("--lead", type=click.IntRange(0, 100_000), default=5, show_default=True, help="Cycles ahead."),
        click.option("--failure", type=COST, default=10.0, show_default=True, help="Cost of a failure."),
        click.option("--planned", type=COST, default=1.0, show_default=True, help="Cost of maintenance in time."),
        click.option("--model", metavar="DIGEST", help="Only predictions of this model; else of the first twin's."),
        click.option("--prefix", metavar="IRI", help="Twins in service whose IRIs begin so."),
        click.option("--twin", "twins", type=IRI, multiple=True, metavar="IRI", help="A twin; several times."),
    ):
        command = option(command)
    return _shared(command)


@new.command()
@_forecasts
@click.option("--draws", type=click.IntRange(2, 10**7), help="Check the exact sum by so many random lives.")
def decision(**given: Any) -> None:
    """When to maintain each of some twins.

    \b
    Example:
      twinproof scenario new decision -o when.json --twin https://twin.example/engine/7 --failure 20 --folder ./node
    """
    _forecast("decision", given)


@new.command()
@_forecasts
@click.option("--slots", type=click.IntRange(1, 1000), default=8, show_default=True, help="Of the plan.")
@click.option("--cycles", type=click.IntRange(1, 10**6), help="Of a slot.")
@click.option("--crew", type=click.IntRange(0, 10**6), default=1, show_default=True, help="Crews in every slot.")
@click.option("--spares", type=click.IntRange(0, 10**6), default=1, show_default=True, help="Spares at the beginning.")
def plan(**given: Any) -> None:
    """Which twin in which slot, under limits of crews and spares.

    \b
    Example:
      twinproof scenario new plan -o plan.json --prefix https://twin.example/engine/ --crew 2 --spares 4 --folder ./node
    """
    _forecast("plan", given)


@new.command()
@_forecasts
@click.option("--crew", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Bays and crews.")
@click.option("--spares", type=click.IntRange(0, 10_000), default=1, show_default=True, help="Spares at the beginning.")
@click.option("--replications", type=click.IntRange(2, 10_000), default=200, show_default=True, help="Of the depot.")
def depot(**given: Any) -> None:
    """What queues in a depot with these bays, crews and spares.

    \b
    Example:
      twinproof scenario new depot -o depot.json --prefix https://twin.example/engine/ --crew 2 --folder ./node
    """
    _forecast("depot", given)


def _forecast(kind: str, given: dict[str, Any]) -> None:
    twins, prefix, digest = given.pop("twins"), given.pop("prefix"), given.pop("model")
    if not twins and prefix is None:
        raise click.UsageError("Say of which twins: --twin IRI, or --prefix IRI.")
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise click.UsageError("--model is not 64 lower-case hexadecimal digits.")
    output, force, folder, as_json = (given.pop(name) for name in ("output", "force", "folder", "as_json"))
    wished = Wished(given.pop("name") or kind, **given)
    with read_node(folder) as node:
        wanted = [*twins, *_under(node, prefix, twins)]
        with progress("Reading") as report:
            try:
                made = draft(node, kind, wanted, wished, bytes.fromhex(digest) if digest else None, report)
            except ModuleNotFoundError as missing:
                raise NotInstalled(f"drafting needs {missing.name}: pip install 'twinproof[sim]'") from None
    _write(made, output, force, as_json)


def _under(node: Node, prefix: str | None, named: tuple[str, ...]) -> list[str]:
    if prefix is None:
        return []
    with progress("Looking") as report:
        found = [twin for twin in twins_under(node, prefix, report) if twin not in named]
    if not found and not named:
        raise NotFound(f"the log holds nothing about a twin in service whose IRI begins with {prefix}")
    return found


@new.command()
@_shared
@click.option("--fmu", "fmus", type=FMU, multiple=True, required=True, help="A model (FMI 2.0); several times.")
@click.option("--connect", "wires", type=WIRE, multiple=True, help="From an output to an input.")
@click.option("--start", "starts", type=START, multiple=True, help="A parameter, or an input's first value.")
@click.option("--record", "records", type=PLACE, multiple=True, required=True, help="What the result tells of.")
@click.option("--step", type=click.FloatRange(1e-9, 1e9), required=True, help="Seconds of a step.")
@click.option("--steps", type=click.IntRange(1, 10**6), help="How many; else up to the last reading.")
@click.option("--calibrate", type=RANGE, help="Fit this variable to readings of a twin.")
@click.option("--observed", type=PLACE, help="With --calibrate: what the readings are of.")
@click.option("--twin", type=IRI, metavar="IRI", help="With --calibrate: whose readings.")
@click.option("--signal", metavar="NAME", help="With --calibrate: which.")
@click.option("--begin", type=TIME, help="With --calibrate: time 0; else the first reading's.")
def cosimulation(
    output: Path, force: bool, name: str | None, seed: int, folder: Path, as_json: bool, fmus: Any, wires: Any,
    starts: Any, records: Any, step: float, steps: int | None, calibrate: Any, observed: Any, twin: str | None,
    signal: str | None, begin: int | None,
) -> None:  # fmt: skip
    """Coupled models of other tools (FMUs), one of their parameters fitted to what a twin's log says.

    \b
    Example:
      twinproof scenario new cosimulation -o tanks.json --folder ./node --fmu tank=tank.fmu --fmu pump=pump.fmu \\
        --connect pump.flow=tank.inflow --connect tank.level=pump.level --record tank.level --step 0.5 \\
        --calibrate tank.area=0.5:10 --observed tank.level --twin https://twin.example/tank/1 --signal level

    The models' bytes go to NODE/blobs, the readings are pinned by log index.
    """
    if calibrate is not None and None in (observed, twin, signal):
        raise click.UsageError("--calibrate takes --observed, --twin and --signal.")
    if calibrate is None and any((observed, twin, signal, begin)):
        raise click.UsageError("--observed, --twin, --signal and --begin are for --calibrate.")
    start: dict[str, dict[str, float]] = {}
    for (model, variable), value in starts:
        start.setdefault(model, {})[variable] = value
    settings = {
        "start": start, "connections": [[*one, *other] for one, other in wires], "step": step, "steps": steps,
        "record": [list(place) for place in records],
    }  # fmt: skip
    fit = None
    if calibrate is not None:
        sought, low, high = calibrate
        fit = Fit(sought, low, high, observed, twin or "", signal or "", None if begin is None else float(begin))
    models = {fmu: read_file(FILE.convert(path, None, None), MAX_BLOB, "fmu") for fmu, path in fmus}
    with read_node(folder) as node:
        made = draft_cosimulation(node, models, settings, Wished(name or "cosimulation", seed), fit)
    _write(made, output, force, as_json)


def _write(made: Draft, output: Path, force: bool, as_json: bool) -> None:
    data = (json.dumps(made.value, indent=1, ensure_ascii=False) + "\n").encode()
    found = parse_scenario(data)
    write_new(output, data, force=force)
    if as_json:
        left = [{"sub": twin, "why": why} for twin, why in made.left_out]
        print_json({"output": str(output), "scenario": found.digest.hex(), "kind": found.kind,
                    "inputs": len(found.inputs), "left_out": left})  # fmt: skip
        return
    log = made.value["log"]
    click.echo(f"{output}  {found.kind}, {count(len(found.inputs), 'input')}, the log {log['origin']} at {log['size']}")
    for twin, why in made.left_out:
        click.echo(f"  left out  {twin}: {why}")
