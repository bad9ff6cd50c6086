"""`twinproof scenario`: what-ifs as files that anybody checks and runs again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import FILE, IRI, NEW_FILE, json_option, read_file, write_new
from twinproof.cli.output import count, mark, print_json, progress
from twinproof.cli.scenario_inputs import Sources, open_sources, source_options
from twinproof.cli.scenario_new import new
from twinproof.cli.scenario_showing import show_result
from twinproof.cli.speaker import Said, state_it
from twinproof.errors import ForecastMismatch, NotInstalled
from twinproof.simulation.results import (
    MAX_RESULT,
    MEDIA_TYPE,
    SCENARIO_RESULT,
    Result,
    check_rerun,
    parse_result,
)
from twinproof.simulation.scenario import MAX_SCENARIO, Scenario, parse_scenario
from twinproof.twin.attestation import ATTESTATION, Attestation, Document, format_attestation, parse_attestation
from twinproof.twin.grants import log_subject

NATIVE: Final = "--native"

native_option = click.option(
    NATIVE, "native", is_flag=True, help="Execute the native code of a co-simulation's models, with your rights."
)


@click.group()
def scenario() -> None:
    """What-ifs as files: dates, plans, depots and coupled models, from pinned inputs, run again by anybody.

    \b
    Examples:
      twinproof scenario new decision -o when.json --twin https://twin.example/engine/7 --folder ./node
      twinproof scenario run when.json -o when.result --folder ./node
    """


scenario.add_command(new)


@scenario.command()
@click.argument("file", type=FILE)
@source_options
@json_option
def check(
    file: Path, folder: Path | None, bundles: tuple[Path, ...], policy: Path | None, operator: str | None,
    files: tuple[Path, ...], as_json: bool,
) -> None:  # fmt: skip
    """Check the scenario in FILE: its form, and with --folder or --bundle its inputs and settings too.

    \b
    Examples:
      twinproof scenario check plan.json
      twinproof scenario check plan.json --folder ./node
      twinproof scenario check plan.json --bundle e7.twinproof --bundle e8.twinproof --policy policy.txt
    """
    found = _read(file)[1]
    told = {"scenario": found.digest.hex(), "kind": found.kind, "name": found.name, "inputs": len(found.inputs)}
    seen, log = False, ""
    if folder is not None or bundles or files:
        with open_sources(folder, bundles, policy, operator, files) as sources, _extras():
            from twinproof.simulation.runs import check_settings

            seen, log = sources.check_log(found.log)
            check_settings(found, sources.resolve(found))
    if as_json:
        print_json({**told, "checked": bool(log), "log": log or None})
        return
    click.echo(f"{file}  {found.kind}, {found.name}\n  digest   {found.digest.hex()}")
    pinned = sum(each.index is not None for each in found.inputs.values())
    click.echo(f"  inputs   {len(found.inputs)}, of them {count(pinned, 'entry')} of the log")
    if log:
        click.echo(f"  {_sign(seen)} {log}")
        click.echo(f"  {mark(True)} the inputs are the ones that are pinned, and the settings can be run")


@scenario.command()
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=NEW_FILE, required=True, metavar="RESULT", help="Where to write the result.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("--state", "state_too", is_flag=True, help="State it in the log, and keep both files in NODE/blobs.")
@click.option("--about", type=IRI, metavar="IRI", help="With --state: about whom; by default the log itself.")
@click.option("--url", metavar="URL", help="With --state: through this running node, which serves NODE.")
@click.option("--key", "key_file", type=FILE, metavar="FILE.pem", help="With --state: the signer's key.")
@click.option("--iss", "issuer", type=IRI, metavar="IRI", help="In whose name, if the key has several.")
@native_option
@source_options
@json_option
def run(
    file: Path, output: Path, force: bool, state_too: bool, about: str | None, url: str | None, key_file: Path | None,
    issuer: str | None, native: bool, folder: Path | None, bundles: tuple[Path, ...], policy: Path | None,
    operator: str | None, files: tuple[Path, ...], as_json: bool,
) -> None:  # fmt: skip
    """Run the scenario in FILE and write what it comes to.

    \b
    Examples:
      twinproof scenario run plan.json -o plan.result --folder ./node
      twinproof scenario run plan.json -o plan.result --folder ./node --state
      twinproof scenario run tanks.json -o tanks.result --folder ./node --native
      twinproof scenario run plan.json -o plan.result --bundle e7.twinproof --file engine.model --policy policy.txt

    The same file and inputs give the same bytes. With --state they become a signed statement: an attestation of type
    urn:twinproof:scenario-result that names result and scenario by digest.
    """
    if state_too and folder is None:
        raise click.UsageError("--state keeps the files in a node's folder: give --folder NODE.")
    if not state_too and any((about, url, key_file, issuer)):
        raise click.UsageError("--about, --url, --key and --iss are for --state.")
    if output.exists() and not force:
        raise click.UsageError(f"{output} exists; give another name or --force")
    data, found = _read(file)
    with open_sources(folder, bundles, policy, operator, files) as sources:
        sources.check_log(found.log)
        inputs = sources.resolve(found)
        done = _run(found, inputs, native)
        made = done.to_cbor()
        write_new(output, made, force=force)
        told = {
            "scenario": found.digest.hex(), "file": sha256(data).hexdigest(), "kind": found.kind, "name": found.name,
            "output": str(output), "digest": done.digest.hex(), "tools": dict(done.tools),
            "reproducible": done.reproducible,
        }  # fmt: skip
        origin = sources.node.config.origin if sources.node else ""
        if state_too and sources.node is not None:
            for blob in (data, made, *_unlogged(found, inputs)):
                sources.node.blobs.put(blob)
    if state_too:
        said = _state(data, found, done, about or log_subject(origin), url, folder, key_file, issuer)
        told |= {"index": said.index, "about": about or log_subject(origin)}
    if as_json:
        print_json({**told, "result": dict(done.result)})
        return
    show_result(done)
    click.echo(f"\n{output}  {count(len(made), 'byte')}, digest {done.digest.hex()}")
    if state_too:
        click.echo(f"stated in entry {told['index']}; scenario {told['file']}")


@scenario.command()
@click.argument("result", type=FILE)
@click.argument("file", type=FILE)
@click.option("--tolerance", type=click.FloatRange(0, 1e-3), default=0.0, help="Relative, for native code built anew.")
@native_option
@source_options
@json_option
def rerun(
    result: Path, file: Path, tolerance: float, native: bool, folder: Path | None, bundles: tuple[Path, ...],
    policy: Path | None, operator: str | None, files: tuple[Path, ...], as_json: bool,
) -> None:  # fmt: skip
    """Run the scenario in FILE again and compare with RESULT, which somebody recorded.

    \b
    Examples:
      twinproof scenario rerun plan.result plan.json --bundle e7.twinproof --policy policy.txt --operator operator.json
      twinproof scenario rerun tanks.result tanks.json --folder ./node --native

    It takes nothing but these files. A bundle is verified first; an input counts only if the bundle proves it at the
    log index that the scenario pins. Exit code 0: the same result. 1: another one, or a bundle that does not hold.
    """
    recorded = parse_result(read_file(result, MAX_RESULT, "result"))
    found = _read(file)[1]
    if recorded.scenario != found.digest:
        named, other = recorded.scenario.hex(), found.digest.hex()
        raise ForecastMismatch("scenario", f"the result is of the scenario {named}, {file} is {other}")
    with open_sources(folder, bundles, policy, operator, files) as sources:
        seen, log = sources.check_log(found.log)
        done = _run(found, sources.resolve(found), native)
        stated = _stated(sources, recorded)
    check_rerun(recorded, done, tolerance)
    same = recorded.to_cbor() == done.to_cbor()
    tools = {
        name: [recorded.tools.get(name), done.tools.get(name)]
        for name in sorted({*recorded.tools, *done.tools})
        if recorded.tools.get(name) != done.tools.get(name)
    }
    if as_json:
        print_json({
            "same": True, "bytes": same, "kind": found.kind, "scenario": found.digest.hex(),
            "digest": recorded.digest.hex(), "tools": tools, "log": log, "stated": stated,
        })  # fmt: skip
        return
    click.echo(f"  {mark(True)} {count(len(found.inputs), 'input')}, each the one that is pinned")
    click.echo(f"  {_sign(seen)} {log}")
    how = "the same bytes" if same else "the same result" + (f", with other tools: {', '.join(tools)}" if tools else "")
    click.echo(f"  {mark(True)} {how}, digest {recorded.digest.hex()}")
    for each in stated:
        click.echo(f"  {mark(True)} stated by {each['iss']} in entry {each['index']}")
    click.echo(click.style("\nTHE SAME", fg="green", bold=True) + f": {found.kind}, {found.name}")


# --- parts ------------------------------------------------------------------------------------


def _read(file: Path) -> tuple[bytes, Scenario]:
    data = read_file(file, MAX_SCENARIO, "scenario")
    return data, parse_scenario(data)


@contextmanager
def _extras() -> Iterator[None]:
    """Raises `NotInstalled` for what the extra `sim` brings."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise NotInstalled(f"this scenario needs {missing.name}: pip install 'twinproof[sim]'") from None


def _run(found: Scenario, inputs: Mapping[str, bytes], native: bool) -> Result:
    if found.kind == "cosimulation" and not native:
        raise click.UsageError(f"A co-simulation executes native code of its models: allow it with {NATIVE}.")
    with _extras(), progress("Running") as report:
        from twinproof.simulation.runs import run as run_scenario

        with tempfile.TemporaryDirectory(prefix="twinproof-") as folder:
            return run_scenario(found, inputs, folder=folder if native else None, report=report)


def _sign(seen: bool) -> str:
    return mark(True) if seen else click.style("?", fg="yellow", bold=True)


def _unlogged(found: Scenario, inputs: Mapping[str, bytes]) -> Iterator[bytes]:
    return (inputs[name] for name, pinned in found.inputs.items() if pinned.index is None)


def _state(
    data: bytes, found: Scenario, done: Result, about: str, url: str | None, folder: Path | None,
    key_file: Path | None, issuer: str | None,
) -> Said:  # fmt: skip
    text = {"scenario": sha256(data).hexdigest(), "digest": found.digest.hex(), "kind": found.kind, "name": found.name}
    said = Attestation(SCENARIO_RESULT, json.dumps(text, sort_keys=True), Document(done.digest, MEDIA_TYPE))
    payload = format_attestation(said)
    parse_attestation(payload)
    key = key_file if key_file is not None or url is None or folder is None else folder / "keys" / "operator.pem"
    return state_it(
        ATTESTATION, about, payload, folder=None if url else folder, url=url, key_file=key, issuer=issuer
    )  # fmt: skip


def _stated(sources: Sources, recorded: Result) -> list[dict[str, Any]]:
    """Attestations in the bundles that are of this result."""
    return [
        {"index": index, "iss": issuer}
        for index, issuer, said in sources.stated
        if said.type == SCENARIO_RESULT and said.document is not None and said.document.sha256 == recorded.digest
    ]
