"""`twinproof alarm`: the rules that raise alarms, the alarms that stand, and answers to them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FOLDER, IRI, TIME, json_option, target_options
from twinproof.cli.output import count, print_json, utc
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.cli.target import told_state
from twinproof.errors import NotFound
from twinproof.twin.alarm import (
    ALARM_RESPONSE,
    RULE,
    AlarmTransition,
    Rule,
    RuleRemoval,
    Severity,
    Test,
    Transition,
    format_rule,
    format_transition,
    parse_alarm_response,
    parse_rule,
)
from twinproof.twin.live import StandingAlarm, StandingRule

TESTS = [str(test) for test in Test if test is not Test.STRAYS]
"""A detector's rule is stated by `twinproof monitor set`."""
UNITS = {Test.RISES_FASTER: " a second", Test.FALLS_FASTER: " a second", Test.MISSING: " s"}


@click.group()
def alarm() -> None:
    """Rules that raise alarms, the alarms that stand, and answers to them (ISA-18.2).

    \b
    Example:
      twinproof alarm list https://twin.example/pump/7 --folder ./node
    """


@alarm.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder, not being served.")
@json_option
def enable(folder: Path, as_json: bool) -> None:
    """Let the node's automation state alarms: make its key, and grant it `predict` by the operator's.

    \b
    Example:
      twinproof alarm enable --folder ./node

    With the operator's key elsewhere, grant NODE/automation.json there: --can predict --prefix "".
    """
    from twinproof.node.automation import automation_key, issuer_of
    from twinproof.node.automation import enable as grant_it
    from twinproof.node.node import open_node

    with open_node(folder) as node:
        origin = node.config.origin
        index = grant_it(node, automation_key(folder, origin))
    if as_json:
        print_json({"iss": issuer_of(origin), "index": index})
    elif index is None:
        click.echo(f"{issuer_of(origin)} may state alarms already.")
    else:
        click.echo(f"{issuer_of(origin)} may state alarms, by the grant at entry {index}.")


# --- rules ------------------------------------------------------------------------------------


@alarm.group()
def rule() -> None:
    """When to raise and clear alarms: about one twin, or about a model and so each twin of it.

    \b
    Example:
      twinproof alarm rule list https://twin.example/pump/7 --folder ./node
    """


@rule.command("set")
@click.argument("about", type=IRI)
@click.argument("rule_id", metavar="ID")
@click.option("--signal", required=True, help="Name of the reading.")
@click.option("--test", "test", type=click.Choice(TESTS), required=True, help="What is looked at.")
@click.option("--limit", type=float, required=True, help="In the signal's unit, a second for rates; seconds (missing).")
@click.option("--severity", type=click.Choice([str(s) for s in Severity]), required=True, help="Its priority.")
@click.option("--deadband", type=float, default=0.0, help="How far the value must come back before it clears.")
@click.option("--delay-on", type=int, default=0, metavar="S", help="Seconds that it must hold before it is raised.")
@click.option("--delay-off", type=int, default=0, metavar="S", help="Seconds that it must be gone before it clears.")
@click.option("--text", help="What to do, for whoever answers.")
@speaker_options
@json_option
def set_rule(
    about: str,
    rule_id: str,
    signal: str,
    test: str,
    limit: float,
    severity: str,
    deadband: float,
    delay_on: int,
    delay_off: int,
    text: str | None,
    folder: Path | None,
    url: str | None,
    key_file: Path | None,
    issuer: str | None,
    as_json: bool,
) -> None:
    """State the rule ID about ABOUT, a twin or a model; it replaces the one of that ID.

    \b
    Examples:
      twinproof alarm rule set https://twin.example/pump/7 hot --signal inlet.T --test above --limit 80 \\
        --severity high --deadband 2 --delay-on 30 --folder ./node
      twinproof alarm rule set "dtmi:example:pump;1" silent --signal speed --test missing --limit 600 \\
        --severity low --url http://127.0.0.1:8600 --key operator.pem
    """
    wanted = Rule(rule_id, signal, Test(test), limit, Severity(severity), deadband, delay_on, delay_off, text)
    payload = format_rule(wanted)
    parse_rule(payload)
    index = state_it(RULE, about, payload, folder=folder, url=url, key_file=key_file, issuer=issuer).index
    if as_json:
        print_json({"about": about, "index": index, **_rule_json(wanted)})
    else:
        click.echo(f"{rule_id}: {_said(wanted)}\n  entry   {index}")


@rule.command()
@click.argument("about", type=IRI)
@click.argument("rule_id", metavar="ID")
@speaker_options
@json_option
def remove(
    about: str, rule_id: str, folder: Path | None, url: str | None, key_file: Path | None, issuer: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """State that the rule ID about ABOUT holds no longer; its alarm goes with it.

    \b
    Example:
      twinproof alarm rule remove https://twin.example/pump/7 hot --folder ./node
    """
    if rule_id not in told_state(about, folder, url).live.rules:
        raise NotFound(f"no rule {rule_id} about {about}; `twinproof alarm rule list` shows them")
    index = state_it(
        RULE, about, format_rule(RuleRemoval(rule_id)), folder=folder, url=url, key_file=key_file, issuer=issuer
    ).index
    if as_json:
        print_json({"about": about, "id": rule_id, "index": index})
    else:
        click.echo(f"{rule_id} is removed\n  entry   {index}")


@rule.command("list")
@click.argument("about", type=IRI)
@target_options
@json_option
def list_rules(about: str, folder: Path | None, url: str | None, as_json: bool) -> None:
    """List the rules about ABOUT, a twin or a model.

    \b
    Example:
      twinproof alarm rule list "dtmi:example:pump;1" --url http://127.0.0.1:8600
    """
    rules = sorted(told_state(about, folder, url).live.rules.items())
    if as_json:
        print_json([{"entry": held.entry, **_rule_json(held.rule)} for _, held in rules])
        return
    for id_, held in rules:
        click.echo(f"{id_:<20}  {held.rule.severity.value:<8}  {_said(held.rule)}  (entry {held.entry})")
    click.echo(count(len(rules), "rule"))


def _said(held: Rule) -> str:
    parts = [f"{held.signal} {held.test.value.replace('_', ' ')} {held.limit:g}{UNITS.get(held.test, '')}"]
    parts += [f"deadband {held.deadband:g}"] if held.deadband else []
    parts += [f"on after {held.delay_on} s"] if held.delay_on else []
    parts += [f"off after {held.delay_off} s"] if held.delay_off else []
    return ", ".join(parts)


def _rule_json(held: Rule) -> dict[str, Any]:
    return {
        "id": held.id,
        "signal": held.signal,
        "test": {held.test.value: held.limit},
        "severity": held.severity.value,
        "deadband": held.deadband,
        "delay_on": held.delay_on,
        "delay_off": held.delay_off,
        "text": held.text,
    }


# --- alarms -----------------------------------------------------------------------------------


@alarm.command("list")
@click.argument("twin", type=IRI)
@target_options
@json_option
def list_alarms(twin: str, folder: Path | None, url: str | None, as_json: bool) -> None:
    """List the alarms of TWIN that stand: active, waiting for an acknowledgement, or shelved.

    \b
    Example:
      twinproof alarm list https://twin.example/pump/7 --folder ./node
    """
    live = told_state(twin, folder, url).live
    rows = sorted(live.alarms.items(), key=lambda row: -row[1].entry)
    if as_json:
        print_json([_alarm_json(id_, found, live.rules.get(id_)) for id_, found in rows])
        return
    for id_, found in rows:
        value = "" if found.value is None else f"  {found.value:g}"
        until = found.shelved_until
        # Nobody states that a shelving has ended; the clock does.
        shelved = "" if until is None else f" {'until' if until > time.time() else 'till'} {utc(until)}"
        click.echo(f"{id_:<20}  {found.name}{shelved}{value}  (entry {found.entry}, {utc(found.time)})")
    click.echo(count(len(rows), "alarm"))


def _alarm_json(id_: str, found: StandingAlarm, held: StandingRule | None) -> dict[str, Any]:
    severity = held.rule.severity.value if held else None
    return {"rule": id_, "state": found.name, "severity": severity, **found._asdict()}


def _answer(
    twin: str, said: AlarmTransition, folder: Path | None, url: str | None, key_file: Path | None,
    issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    payload = format_transition(said)
    parse_alarm_response(payload)
    found = told_state(twin, folder, url).live.alarms.get(said.rule)
    # What will be raised can be shelved before; everything else answers an alarm that stands.
    if found is None and said.transition is not Transition.SHELVE:
        raise NotFound(f"no alarm {said.rule} of {twin} stands; `twinproof alarm list` shows them")
    index = state_it(ALARM_RESPONSE, twin, payload, folder=folder, url=url, key_file=key_file, issuer=issuer).index
    if as_json:
        print_json({"twin": twin, "rule": said.rule, "transition": said.transition.value, "index": index})
    else:
        click.echo(f"{said.rule}: {said.transition.value}\n  entry   {index}")


@alarm.command()
@click.argument("twin", type=IRI)
@click.argument("rule_id", metavar="RULE")
@click.option("--text", help="What was seen or done.")
@speaker_options
@json_option
def acknowledge(
    twin: str, rule_id: str, text: str | None, folder: Path | None, url: str | None, key_file: Path | None,
    issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    """State that the alarm of RULE on TWIN was seen.

    \b
    Example:
      twinproof alarm acknowledge https://twin.example/pump/7 hot --text "valve opened" --folder ./node
    """
    said = AlarmTransition(rule_id, Transition.ACKNOWLEDGE, text=text)
    _answer(twin, said, folder, url, key_file, issuer, as_json)


@alarm.command()
@click.argument("twin", type=IRI)
@click.argument("rule_id", metavar="RULE")
@click.option("--until", type=TIME, required=True, help="When it counts again.")
@click.option("--text", help="Why.")
@speaker_options
@json_option
def shelve(
    twin: str, rule_id: str, until: int, text: str | None, folder: Path | None, url: str | None,
    key_file: Path | None, issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Let the alarm of RULE on TWIN notify nobody for a time; it is judged and recorded as before.

    \b
    Example:
      twinproof alarm shelve https://twin.example/pump/7 hot --until 2027-01-01 --text "sensor on order" --folder ./node
    """
    said = AlarmTransition(rule_id, Transition.SHELVE, until=until, text=text)
    _answer(twin, said, folder, url, key_file, issuer, as_json)


@alarm.command()
@click.argument("twin", type=IRI)
@click.argument("rule_id", metavar="RULE")
@click.option("--text", help="Why.")
@speaker_options
@json_option
def unshelve(
    twin: str, rule_id: str, text: str | None, folder: Path | None, url: str | None, key_file: Path | None,
    issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    """End a shelving before its time.

    \b
    Example:
      twinproof alarm unshelve https://twin.example/pump/7 hot --folder ./node
    """
    said = AlarmTransition(rule_id, Transition.UNSHELVE, text=text)
    _answer(twin, said, folder, url, key_file, issuer, as_json)
