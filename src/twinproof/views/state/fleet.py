"""The state view's table of one line for each twin, ready to be sent: what a list of a whole fleet shows.

A line is a JSON object without spaces, members in the order of `line_of`; `signed` stands beside it because it
gathers over all statements, which the state does not keep. Whoever asks for what changed since an entry reads
an index and joins lines: no state is decoded, however many twins there are. Rules about a model are not in its
twins' states: alarms under them stand in a line as `unrated`, and whoever reads it asks the model (`rated`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from twinproof.twin.alarm import Severity
from twinproof.twin.columns import COLUMNS
from twinproof.twin.ledger import OPEN_STATES
from twinproof.twin.live import LiveState
from twinproof.twin.senml import SENML
from twinproof.twin.state import TwinState
from twinproof.twin.statement import Statement

SIGNERS: Final = (None, "device", "gateway", "both")
"""By the number that the table keeps: 1 for readings that a device signed, 2 for those of a gateway."""
GATEWAY: Final = "#gateway"
"""End of the issuers that sign on behalf of equipment which cannot (docs/connectors.md)."""
NAME: Final = "name"
"""The property that is shown as a twin's name, if it is text."""
MAX_NAME: Final = 200
"""Characters."""
_SEVERITIES: Final = {severity.value: number for number, severity in enumerate(Severity)}
_HIGH: Final = _SEVERITIES[Severity.HIGH.value]


class FleetRow(NamedTuple):
    """One twin."""

    subject: str
    entry: int
    """Log index of its newest statement."""
    signed: str | None
    """Who signed its readings: one of `SIGNERS`."""
    line: str


def signer_of(statement: Statement) -> int:
    """The number, for `SIGNERS`, that a statement adds to its twin's."""
    if statement.content_type not in (SENML, COLUMNS):
        return 0
    return 2 if statement.issuer.endswith(GATEWAY) else 1


def write_line(database: sqlite3.Connection, twin: int, state: TwinState, time: int, signed: int) -> None:
    """Keep the twin's line; `time` is its newest statement's, `signed` what new statements add."""
    database.execute(
        "INSERT INTO fleet VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (twin) DO UPDATE SET model = excluded.model, "
        "entry = excluded.entry, signed = signed | excluded.signed, line = excluded.line",
        (twin, state.subject, state.model and state.model.value, state.last_index, signed, line_of(state, time)),
    )


def line_of(state: TwinState, time: int) -> str:
    """The line of a twin whose newest statement is of `time`."""
    alarms = _alarms(state.live)
    forecast = _forecast(state.live)
    orders = sum(order.state in OPEN_STATES for order in state.live.ledger.orders.values())
    name = state.properties[NAME].value if NAME in state.properties else None
    line = {
        "sub": state.subject,
        "name": name[:MAX_NAME] if isinstance(name, str) and name else None,
        "model": state.model and state.model.value,
        "lifecycle": state.lifecycle and state.lifecycle.value,
        "health": _health(bool(state.readings), alarms, forecast, orders),
        "statements": state.statements,
        "entry": state.last_index,
        "time": time,
        "alarms": alarms,
        "forecast": forecast,
        "newest": max((reading.time for reading in state.readings.values()), default=None),
        "gaps": len(state.losses),
        "orders": orders,
    }
    return json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _alarms(live: LiveState) -> dict[str, Any]:
    """Of those that nobody shelved."""
    standing = unacknowledged = 0
    own: list[str] = []
    unrated: list[str] = []
    for rule, alarm in live.alarms.items():
        if alarm.shelved_until is None:
            standing += 1
            unacknowledged += not alarm.acknowledged
            if rule in live.rules:
                own.append(live.rules[rule].rule.severity.value)
            else:
                unrated.append(rule)
    alarms = {"standing": standing, "unacknowledged": unacknowledged, "worst": _worst(own)}
    return {**alarms, "unrated": sorted(unrated)} if unrated else alarms


def _worst(severities: Sequence[str | None]) -> str | None:
    return max((each for each in severities if each is not None), key=_SEVERITIES.__getitem__, default=None)


def rated(line: str, severities: Callable[[str], Mapping[str, str]]) -> str:
    """The line with alarms under its model's rules in worst and health; `severities` of a model by rule."""
    if '"unrated":[' not in line:
        return line
    row = json.loads(line)
    alarms = row["alarms"]
    # A name may hold the words that were looked for.
    if unrated := alarms.pop("unrated", []):
        known = severities(row["model"]) if row["model"] is not None else {}
        alarms["worst"] = _worst([alarms["worst"], *map(known.get, unrated)])
        row["health"] = _health(row["newest"] is not None, alarms, row["forecast"], row["orders"])
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _forecast(live: LiveState) -> dict[str, Any] | None:
    newest = live.ledger.prediction
    return newest and {
        "lower": newest.prediction.lower,
        "point": newest.prediction.point,
        "upper": newest.prediction.upper,
        "coverage": newest.prediction.coverage,
        "unit": newest.prediction.unit,
        "widened": newest.prediction.widened,
        "time": newest.time,
        "entry": newest.entry,
    }


def _health(readings: bool, alarms: dict[str, Any], forecast: dict[str, Any] | None, orders: int) -> str:
    if orders or _SEVERITIES.get(alarms["worst"], -1) >= _HIGH:
        return "act"
    if alarms["standing"] or (forecast and forecast["widened"] is not None):
        return "watch"
    return "good" if readings else "unknown"


def read_lines(
    database: sqlite3.Connection,
    ranges: Sequence[tuple[str, bool]],
    *,
    model: str | None,
    since: int,
    after: str,
    limit: int,
    without: Sequence[tuple[str, bool]],
) -> list[FleetRow]:
    """The first `limit` twins in the order of their IRIs whose newest entry is `since` or later.

    `ranges` are beginnings of IRIs, or whole ones where the second is true, that do not overlap; `without` in the same
    form leaves twins out.
    """
    found: list[FleetRow] = []
    for text, whole in ranges:
        found += _range(database, text, whole, model, since, after, limit, without)
    found.sort()
    return found[:limit]


def _range(
    database: sqlite3.Connection,
    text: str,
    whole: bool,
    model: str | None,
    since: int,
    after: str,
    limit: int,
    without: Sequence[tuple[str, bool]],
) -> Iterator[FleetRow]:
    # With `since` the index of entries decides, and what it leaves is sorted; the plus keeps the other index away.
    sub = "+sub" if since else "sub"
    sql = f"SELECT sub, entry, signed, line FROM fleet WHERE {sub} > ? AND entry >= ?"  # noqa: S608 - fixed words only
    values: list[object] = [after, since]
    for negation, (beginning, exact) in (("", (text, whole)), *(("NOT ", one) for one in without)):
        sql += f" AND {negation}({sub} = ?)" if exact else f" AND {negation}({sub} >= ? AND {sub} < ?)"
        values += [beginning] if exact else [beginning, beginning + "\U0010ffff"]
    if model is not None:
        sql, values = f"{sql} AND model = ?", [*values, model]
    for row in database.execute(f"{sql} ORDER BY sub LIMIT ?", [*values, limit]):
        yield FleetRow(row[0], row[1], SIGNERS[row[2]], row[3])
