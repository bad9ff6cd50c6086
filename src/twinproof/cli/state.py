"""How a twin's state and its statements are shown: by `twin` from the log, by `verify` from a file."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Final

import click

from twinproof.cli.output import count, heading, plain, utc
from twinproof.twin.attestation import Attestation, Resume
from twinproof.twin.chain_event import ChainEvent
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description
from twinproof.twin.grants import Genesis, GrantTerms, Revocation
from twinproof.twin.ledger import LedgerState
from twinproof.twin.prediction import Prediction
from twinproof.twin.reading import Reading
from twinproof.twin.state import Latest, Told, TwinState

MAX_SUMMARY: Final = 160
"""Characters."""


def state_json(state: TwinState) -> dict[str, Any]:
    """A twin's state as one JSON object."""
    return {
        "sub": state.subject,
        "model": _told(state.model),
        "lifecycle": _told(state.lifecycle),
        "properties": {name: _told(told) for name, told in state.properties.items()},
        "relationships": [
            {"name": name, "target": target, "entry": told.entry, "time": told.time}
            for (name, target), told in sorted(state.relationships.items())
        ],
        "readings": {name: latest._asdict() for name, latest in state.readings.items()},
        "attestations": [_told(told) for told in state.attestations],
        "losses": [_told(told) for told in state.losses],
        **{str(name): member for name, member in state.live.to_map().items()},
        "statements": state.statements,
        "last_index": state.last_index,
    }


def _told(told: Told | None) -> dict[str, Any] | None:
    return None if told is None else told._asdict()


def show_state(state: TwinState) -> None:
    """A twin's state for people, each value with the entry that says it."""
    click.echo(click.style(state.subject, bold=True))
    rows = [("model", state.model), ("lifecycle", state.lifecycle)]
    rows += [(name, told) for name, told in sorted(state.properties.items())]
    rows += [(name, Told(f"→ {target}", *told[1:])) for (name, target), told in sorted(state.relationships.items())]
    rows += [("attestation", told) for told in state.attestations]
    rows += [("lost record", told) for told in state.losses]
    width = max((len(name) for name, told in rows if told), default=0)
    for name, told in rows:
        if told is not None:
            value = told.value if isinstance(told.value, str) else plain(told.value)
            click.echo(f"  {name:<{width}}  {value}  {_source(told.entry, told.time)}")
    if state.readings:
        heading("Latest readings")
        width = max(map(len, state.readings))
        shown = {name: measured(latest) for name, latest in state.readings.items()}
        widest = max(map(len, shown.values()))
        for name, latest in sorted(state.readings.items()):
            click.echo(f"  {name:<{width}}  {shown[name]:<{widest}}  {_source(latest.entry, latest.time)}")
    _show_ledger(state.live.ledger)
    click.echo(f"\n{count(state.statements, 'statement')}, the last one is entry {state.last_index}")


def _show_ledger(ledger: LedgerState) -> None:
    rows: list[tuple[str, str, int]] = []
    if ledger.prediction is not None:
        rows.append(("prediction", summary(ledger.prediction.prediction), ledger.prediction.entry))
    for id_, (policy, entry) in sorted(ledger.policies.items()):
        when = f"below {policy.below:g} {policy.unit} at {policy.coverage:g}: agreement {policy.agreement}"
        rows.append((f"policy {id_}", when, entry))
    for (_, _, number), order in sorted(ledger.orders.items()):
        order_id = int.from_bytes(number, "big")
        part = f", part {_token(order.token)}" if order.token else ""
        said = f"{order.state} since {utc(order.since)}{part}"
        rows.append((f"order {order_id >> 32}-{order_id & 0xFFFFFFFF}", said, order.entry))
    rows += [("installed", _token(part), entry) for part, (_, entry, _) in sorted(ledger.installed.items())]
    for (_, _, number), token in sorted(ledger.tokens.items()):
        owner = f"of 0x{token.owner.hex()}" if token.owner else "of an unknown owner"
        inside = f", in {_token(token.parent)}" if token.parent else ""
        rows.append((f"part {_token(number)}", f"{token.status}, {owner}{inside}", token.entry))
    if not rows:
        return
    heading("Forecast, orders and parts")
    width = max(len(name) for name, _, _ in rows)
    for name, said, entry in rows:
        click.echo(f"  {name:<{width}}  {said}  " + click.style(f"entry {entry}", dim=True))


def _token(number: bytes) -> str:
    return f"0x{number.hex()[:8]}…"


def _source(entry: int, time: float) -> str:
    return click.style(f"entry {entry}, {utc(time)}", dim=True)


def measured(reading: Reading | Latest) -> str:
    """A value with its unit."""
    value = str(reading.value).lower() if type(reading.value) is bool else reading.value
    shown = f"{value + 0.0:g}" if type(value) is float and abs(value) < 1e15 else str(plain(value))
    return shown if reading.unit in (None, "1") else f"{shown} {reading.unit}"


def summary(payload: object) -> str:
    """What a statement says, in one line."""
    match payload:
        case Columns():
            names = ", ".join(column.name for column in payload.columns[:4])
            more = f" and {len(payload.columns) - 4} more" if len(payload.columns) > 4 else ""
            return f"{payload.rows} × {names}{more}"
        case Description():
            return _description(payload)
        case Attestation():
            return f"{payload.type}" + (f": {payload.text}" if payload.text else "")
        case Resume():
            return f"lost its record: {payload.reason}"
        case Genesis():
            return f"the log {payload.origin} begins"
        case GrantTerms():
            return f"{payload.issuer} may {', '.join(sorted(payload.can))} about {scope(payload)}"
        case Revocation():
            return f"revokes {payload.grant.hex()[:16]}" + (f": {payload.reason}" if payload.reason else "")
        case Prediction():
            share = f"{payload.coverage * 100:g} %"
            return f"{payload.lower:g} to {payload.upper:g} {payload.unit} left ({share}), about {payload.point:g}"
        case ChainEvent():
            taken = "taken back: " if payload.retracted else ""
            return f"{taken}{payload.event} by 0x{payload.contract.hex()[:8]}… in block {payload.block}"
        case list():
            readings = [reading for reading in payload if isinstance(reading, Reading)]
            shown = ", ".join(f"{reading.name} {measured(reading)}" for reading in readings[:3])
            return shown + (f" and {len(readings) - 3} more" if len(readings) > 3 else "")
    return _other(payload)


def _other(payload: object) -> str:
    """The fields that a payload has set, for kinds without words of their own here."""
    if not is_dataclass(payload):
        return ""
    said = ((field.name, getattr(payload, field.name)) for field in fields(payload))
    text = ", ".join(f"{name} {plain(value)}" for name, value in said if value is not None)
    return text if len(text) <= MAX_SUMMARY else text[: MAX_SUMMARY - 1] + "…"


def _description(change: Description) -> str:
    parts = []
    if change.model is not None:
        parts.append(f"model {change.model}")
    if change.lifecycle is not None:
        parts.append(f"lifecycle {change.lifecycle.value}")
    parts += [f"{name} = {plain(value)}" for name, value in (change.set or {}).items()]
    parts += [f"without {name}" for name in change.unset]
    parts += [f"{name} → {target}" for name, target in change.relate]
    parts += [f"no more {name} → {target}" for name, target in change.unrelate]
    return ", ".join(parts)


def scope(terms: GrantTerms) -> str:
    """Which twins a grant is about."""
    if terms.scope.kind == "prefix":
        return f"{terms.scope.value}…" if terms.scope.value else "every twin"
    return terms.scope.value if terms.scope.kind == "twin" else f"twins of model {terms.scope.value}"
