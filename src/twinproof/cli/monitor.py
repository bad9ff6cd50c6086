"""`twinproof monitor`: detectors that watch twins, and the cases that they raised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import FILE, FOLDER, IRI, NEW_FILE, json_option, read_file, target_options, write_new
from twinproof.cli.output import count, print_json, progress, utc
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.cli.target import told_state
from twinproof.errors import Malformed, NotFound
from twinproof.prognosis.monitor import encode_monitor, parse_monitor, read_monitor
from twinproof.proof import cbor
from twinproof.twin.alarm import MAX_MONITOR, RULE, Rule, RuleRemoval, Severity, Test, format_rule, parse_rule
from twinproof.twin.live import StandingRule

MAX_TEMPLATE: Final = 8 * MAX_MONITOR
"""Bytes of a template: decimals take more room than the document's numbers."""


def _rules(about: str, folder: Path | None, url: str | None) -> dict[str, StandingRule]:
    rules = told_state(about, folder, url).live.rules
    return {id_: held for id_, held in rules.items() if held.rule.monitor is not None}


def _template(
    path: Path | None, signals: tuple[str, ...], detector: str, warm_up: int, cycle: str | None
) -> dict[str, Any]:
    """The template in a file, or one of the options."""
    if (path is None) != bool(signals):
        raise click.UsageError("Give either --template FILE or one --signal or more.")
    if path is not None:
        try:
            value = json.loads(read_file(path, MAX_TEMPLATE, "template"))
        except (ValueError, RecursionError) as problem:
            raise Malformed("template", f"{path} is no JSON: {problem}") from None
        if type(value) is not dict:
            raise Malformed("template", f"{path} holds no object")
        return value
    needed: dict[str, Any] = {"mewma": {"limit": 4.0 * len(signals) + 20}, "t2q": _NIL}.get(detector, {})
    named = {"cycle": cycle} if cycle is not None else {}
    return {"signals": list(signals), "detector": {detector: needed}, "warm_up": warm_up, **named}


_NIL: Final[dict[str, Any]] = {"axes": [], "variances": [], "t2": 1.0, "q": 1.0}
"""What `learn` fills in."""


@click.group()
def monitor() -> None:
    """Detectors that watch twins: which signals, what is normal, the cases that they raised.

    \b
    Example:
      twinproof monitor cases --folder ./node
    """


@monitor.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder, not being served.")
@json_option
def enable(folder: Path, as_json: bool) -> None:
    """Let the node state cases: make its key, and grant it `predict` by the operator's.

    \b
    Example:
      twinproof monitor enable --folder ./node

    With the operator's key elsewhere, grant NODE/monitor.json there: --can predict --prefix "".
    """
    from twinproof.node.node import open_node
    from twinproof.node.service_keys import MONITOR

    with open_node(folder) as node:
        origin = node.config.origin
        index = MONITOR.enable(node, MONITOR.key(folder, origin))
    if as_json:
        print_json({"iss": MONITOR.issuer(origin), "index": index})
    elif index is None:
        click.echo(f"{MONITOR.issuer(origin)} may state cases already.")
    else:
        click.echo(f"{MONITOR.issuer(origin)} may state cases, by the grant at entry {index}.")


@monitor.command("set")
@click.argument("about", type=IRI)
@click.argument("rule_id", metavar="ID")
@click.option("--template", type=FILE, metavar="FILE.json", help="What is watched and how; `learn` writes one.")
@click.option("--signal", "signals", multiple=True, metavar="NAME", help="Without a template: a reading to watch.")
@click.option("--detector", type=click.Choice(["ewma", "cusum", "mewma"]), default="ewma", show_default=True,
              help="Without a template.")  # fmt: skip
@click.option("--warm-up", type=click.IntRange(2, 1_000_000), default=50, show_default=True, metavar="ROWS",
              help="Without a template: first rows of the asset that say what is normal for it.")  # fmt: skip
@click.option("--cycle", metavar="NAME", help="Without a template: the reading that counts cycles.")
@click.option("--severity", type=click.Choice([str(s) for s in Severity]), required=True, help="The alarm's priority.")
@click.option("--limit", type=float, default=1.0, show_default=True, help="Score that raises; 1 is the detector's own.")
@click.option("--deadband", type=float, default=0.2, show_default=True, help="How far the score must fall to clear.")
@click.option("--text", help="What to do, for whoever answers.")
@speaker_options
@json_option
def set_monitor(
    about: str,
    rule_id: str,
    template: Path | None,
    signals: tuple[str, ...],
    detector: str,
    warm_up: int,
    cycle: str | None,
    severity: str,
    limit: float,
    deadband: float,
    text: str | None,
    folder: Path | None,
    url: str | None,
    key_file: Path | None,
    issuer: str | None,
    as_json: bool,
) -> None:
    """State the monitor ID about ABOUT, a twin or a model; it replaces the rule of that ID.

    \b
    Examples:
      twinproof monitor set https://twin.example/pump/7 bearing --signal vibration --signal inlet.T \\
        --severity high --folder ./node
      twinproof monitor set "dtmi:example:pump;1" wear --template wear.json --severity high --folder ./node
    """
    document = encode_monitor(_template(template, signals, detector, warm_up, cycle))
    first = read_monitor(cbor.decode(document, what="monitor")).signals[0]
    wanted = Rule(rule_id, first, Test.STRAYS, limit, Severity(severity), deadband, text=text, monitor=document)
    payload = format_rule(wanted)
    parse_rule(payload)
    index = state_it(RULE, about, payload, folder=folder, url=url, key_file=key_file, issuer=issuer).index
    if as_json:
        print_json({"about": about, "index": index, **_json(wanted)})
    else:
        click.echo(f"{rule_id}: {_said(wanted)}\n  entry   {index}")


@monitor.command()
@click.argument("about", type=IRI)
@click.argument("rule_id", metavar="ID")
@speaker_options
@json_option
def remove(
    about: str, rule_id: str, folder: Path | None, url: str | None, key_file: Path | None, issuer: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """State that the monitor ID about ABOUT holds no longer; its cases are cleared.

    \b
    Example:
      twinproof monitor remove "dtmi:example:pump;1" wear --folder ./node
    """
    if rule_id not in _rules(about, folder, url):
        raise NotFound(f"no monitor {rule_id} about {about}; `twinproof monitor list` shows them")
    index = state_it(
        RULE, about, format_rule(RuleRemoval(rule_id)), folder=folder, url=url, key_file=key_file, issuer=issuer
    ).index
    if as_json:
        print_json({"about": about, "id": rule_id, "index": index})
    else:
        click.echo(f"{rule_id} is removed\n  entry   {index}")


@monitor.command("list")
@click.argument("about", type=IRI)
@target_options
@json_option
def list_monitors(about: str, folder: Path | None, url: str | None, as_json: bool) -> None:
    """List the monitors about ABOUT, a twin or a model.

    \b
    Example:
      twinproof monitor list "dtmi:example:pump;1" --folder ./node
    """
    rules = sorted(_rules(about, folder, url).items())
    if as_json:
        print_json([{"entry": held.entry, **_json(held.rule)} for _, held in rules])
        return
    for id_, held in rules:
        click.echo(f"{id_:<20}  {held.rule.severity.value:<8}  {_said(held.rule)}  (entry {held.entry})")
    click.echo(count(len(rules), "monitor"))


def _said(rule: Rule) -> str:
    try:
        found = parse_monitor(rule.monitor or b"")
    except Malformed as problem:
        return f"cannot be read: {problem}"
    modes = f", {count(len(found.modes), 'mode')} of failure" if found.modes else ""
    regimes = f", {count(len(found.cells), 'regime')}" if found.cells else ""
    return (
        f"{found.detector} on {', '.join(found.signals)}; {count(found.warm_up, 'row')} of warm-up{regimes}{modes}; "
        f"score over {rule.limit:g}"
    )


def _json(rule: Rule) -> dict[str, Any]:
    document = problem = None
    try:
        parse_monitor(rule.monitor or b"")
        document = cbor.decode(rule.monitor or b"", what="monitor")
    except Malformed as refusal:
        problem = str(refusal)
    return {
        "id": rule.id,
        "severity": rule.severity.value,
        "limit": rule.limit,
        "deadband": rule.deadband,
        "text": rule.text,
        "monitor": document,
        **({"problem": problem} if problem else {}),
    }


# --- cases ------------------------------------------------------------------------------------


@monitor.command()
@click.argument("prefix", default="")
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder; it may be served.")
@json_option
def cases(prefix: str, folder: Path, as_json: bool) -> None:
    """List the cases that stand, of subjects that begin with PREFIX: by severity, then by how far they strayed.

    Cases that are part of a fleet's come last.

    \b
    Examples:
      twinproof monitor cases --folder ./node
      twinproof monitor cases https://twin.example/pump/ --folder ./node --json
    """
    from twinproof.node.cases import ranked_cases
    from twinproof.node.states import read_states

    with read_states(folder) as (states, _):
        found = ranked_cases(states, prefix)
    if as_json:
        print_json([
            {
                "sub": each.subject, "rule": each.rule, "state": each.state, "severity": each.severity,
                "entry": each.entry, "time": each.time, "part_of": each.part_of, "detector": each.case.detector,
                "score": each.case.score, "since": each.case.since, "hints": list(each.case.hints),
                "signals": [{"name": name, "part": part} for name, part in each.case.signals],
                "fleet": each.case.fleet._asdict() if each.case.fleet else None,
            }
            for each in found
        ])  # fmt: skip
        return
    for each in found:
        case = each.case
        click.echo(f"{each.severity or '-':<8}  {each.subject}  {each.rule}  {each.state}  (entry {each.entry})")
        if case.fleet:
            how = f"fleet-wide: {case.fleet.strayed} of {count(case.fleet.twins, 'twin')}"
        else:
            how = f"{case.detector}, {case.score:.2f} times its limit"
        click.echo(f"          {how}, since {utc(int(case.since))}")
        strayed = ", ".join(f"{name} {part:+.2f}" for name, part in case.signals[:5])
        click.echo(f"          {strayed}" + (f"; looks like {', '.join(case.hints)}" if case.hints else ""))
        if each.part_of:
            click.echo(f"          part of what {each.part_of} does")
    click.echo(count(len(found), "case"))


# --- learning ---------------------------------------------------------------------------------


@monitor.command()
@click.argument("model", type=IRI)
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder; it may be served.")
@click.option("--template", type=FILE, metavar="FILE.json", help="What is known: signals, gate, modes of failure.")
@click.option("--signal", "signals", multiple=True, metavar="NAME", help="Without a template: a reading to watch.")
@click.option("--detector", type=click.Choice(["ewma", "cusum", "mewma", "t2q"]), default="mewma", show_default=True,
              help="Without a template.")  # fmt: skip
@click.option("--warm-up", type=click.IntRange(2, 1_000_000), default=30, show_default=True, metavar="ROWS",
              help="Without a template: first rows of an asset that say what is normal for it.")  # fmt: skip
@click.option("--cycle", metavar="NAME", help="Without a template: the reading that counts cycles.")
@click.option("--setting", "settings", multiple=True, metavar="NAME", help="Without a template: makes regimes.")
@click.option("--rows", type=click.IntRange(3, 1_000_000), default=80, show_default=True, help="First rows, healthy.")
@click.option("--false-share", type=click.FloatRange(0.0, 0.5), default=0.05, show_default=True,
              help="Of the twins that may exceed the limit in these rows.")  # fmt: skip
@click.option("-o", "--output", type=NEW_FILE, required=True, metavar="FILE.json", help="The learnt template; new.")
@json_option
def learn(
    model: str,
    folder: Path,
    template: Path | None,
    signals: tuple[str, ...],
    detector: str,
    warm_up: int,
    cycle: str | None,
    settings: tuple[str, ...],
    rows: int,
    false_share: float,
    output: Path,
    as_json: bool,
) -> None:
    """Learn what is normal from the first rows of all twins of MODEL: regimes, covariance, limit; write a template.

    \b
    Example:
      twinproof monitor learn "dtmi:example:pump;1" --signal vibration --signal inlet.T --rows 80 \\
        --folder ./node -o wear.json

    Nothing is stated: look at the file, add modes of failure, then `twinproof monitor set`.
    """
    from twinproof.node.node import read_node
    from twinproof.node.training import Wish, gather
    from twinproof.prognosis.directions import learn_monitor

    asked = _template(template, signals, detector, warm_up, cycle)
    if settings:
        asked["settings"] = list(settings)
    kind = next(iter(asked.get("detector", {})), None) if type(asked.get("detector")) is dict else None
    # Its numbers are what is learnt.
    plain = {**asked, "detector": {"ewma": {}} if kind in ("mewma", "t2q") else asked.get("detector")}
    draft = read_monitor({name: value for name, value in plain.items() if name not in ("settings", "cells")})
    names = tuple(asked.get("settings", ()))
    with read_node(folder) as node, progress("Reading") as report:
        found = gather(node, Wish(model, names, draft.wanted, draft.cycle), report)
    learnt = learn_monitor(asked, found.fleet, rows=rows, false_share=false_share)
    codes = dict(zip((*found.fleet.settings, *found.fleet.signals), found.fleet.codes or (), strict=False))
    # Those of the rows that were learnt from: a number in another one was left out there too.
    units = {name: code for name in draft.signals if (code := codes.get(name))}
    if units:
        learnt.setdefault("units", units)
    encode_monitor(learnt)
    write_new(output, (json.dumps(learnt, indent=1) + "\n").encode())
    reached = read_monitor(learnt)
    if as_json:
        print_json({"file": str(output), "twins": len(found.fleet.units), "rows": rows, "regimes": len(reached.cells),
                    "detector": reached.detector, "limit": reached.limit})  # fmt: skip
    else:
        learnt_from = f"the first {rows} rows of {count(len(found.fleet.units), 'twin')}"
        click.echo(
            f"{output}: {reached.detector} on {count(len(reached.signals), 'signal')}, learnt from {learnt_from}; "
            f"{count(len(reached.cells), 'regime')}, limit {reached.limit:.3g}"
        )
