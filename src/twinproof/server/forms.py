"""How answers of the JSON API look: values of CBOR and Arrow in JSON, and the header that says how far a view was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response

from twinproof.proof.cbor import Tagged
from twinproof.proof.note import encode_base64
from twinproof.twin.alarm import Case
from twinproof.twin.ledger import LedgerState
from twinproof.twin.live import LiveState
from twinproof.twin.state import Told, TwinState

REACHED: Final = "twinproof-reached"
"""Header: entries of the log that the answer takes in; the body's `reached` says the same."""


def plain(value: Any) -> Any:
    """A value as JSON can say it: bytes as {"base64": text}, keys as text, no NaN or infinity, tags dropped."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0.0 else None
        case bytes():
            return {"base64": encode_base64(value)}
        case Tagged():
            return plain(value.value)
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() and value.is_finite() else str(value)
        case _:
            return str(value)


def answer(body: Mapping[str, Any], *, reached: int | None = None) -> Response:
    """A JSON answer; with `reached`, one that is derived from so many entries of the log."""
    headers = {"cache-control": "no-store"}
    if reached is not None:
        body = {**body, "reached": reached}
        headers[REACHED] = str(reached)
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, headers=headers, media_type="application/json")


def state_json(state: TwinState) -> dict[str, Any]:
    """A twin's state: each value with the entry that says it and that statement's `iat`."""
    return {
        "sub": state.subject,
        "model": _told(state.model),
        "lifecycle": _told(state.lifecycle),
        "properties": {name: _told(told) for name, told in state.properties.items()},
        "relationships": [
            {"name": name, "target": target, "entry": told.entry, "time": told.time}
            for (name, target), told in sorted(state.relationships.items())
        ],
        "readings": {
            name: {"value": plain(value), "unit": unit, "time": time, "entry": entry}
            for name, (value, unit, time, entry) in state.readings.items()
        },
        "attestations": [_told(told) for told in state.attestations],
        "losses": [_told(told) for told in state.losses],
        **_live(state.live),
        **_ledger(state.live.ledger),
        "statements": state.statements,
        "last_index": state.last_index,
    }


def _told(told: Told | None) -> dict[str, Any] | None:
    return None if told is None else {"value": plain(told.value), "entry": told.entry, "time": told.time}


def _live(live: LiveState) -> dict[str, Any]:
    return {
        "desired": {
            name: {"value": plain(value), "entry": entry, "time": time}
            for name, (value, entry, time) in live.desired.items()
        },
        "requests": [{"id": digest.hex(), **request._asdict()} for digest, request in live.requests.items()],
        "rules": {
            name: {
                "signal": rule.signal,
                "test": rule.test.value,
                "limit": rule.limit,
                "severity": rule.severity.value,
                "deadband": rule.deadband,
                "delay_on": rule.delay_on,
                "delay_off": rule.delay_off,
                "text": rule.text,
                "entry": entry,
            }
            for name, (rule, entry) in live.rules.items()
        },
        "alarms": {
            name: {"state": alarm.name, **alarm._asdict(), "case": case_form(alarm.case)}
            for name, alarm in live.alarms.items()
        },
    }


def case_form(case: Case | None) -> dict[str, Any] | None:
    """A detector's case; of each signal its part of the score, negative where the signal was too low."""
    if case is None:
        return None
    return {
        "detector": case.detector,
        "score": case.score,
        "since": case.since,
        "signals": [{"name": name, "part": part} for name, part in case.signals],
        "hints": list(case.hints),
        "fleet": case.fleet._asdict() if case.fleet else None,
    }


def _ledger(ledger: LedgerState) -> dict[str, Any]:
    forecast = ledger.prediction
    return {
        "prediction": forecast
        and {
            "lower": forecast.prediction.lower,
            "point": forecast.prediction.point,
            "upper": forecast.prediction.upper,
            "coverage": forecast.prediction.coverage,
            "unit": forecast.prediction.unit,
            "model": forecast.prediction.model.hex(),
            "until": forecast.prediction.until,
            "drivers": dict(forecast.prediction.drivers),
            "episode": forecast.prediction.episode,
            "remarks": list(forecast.prediction.remarks),
            "widened": forecast.prediction.widened,
            "iss": forecast.issuer,
            "entry": forecast.entry,
            "time": forecast.time,
        },
        "policies": {
            name: {
                "unit": policy.unit,
                "below": policy.below,
                "coverage": policy.coverage,
                "chain": policy.chain,
                "contract": _address(policy.contract),
                "agreement": str(policy.agreement),
                "entry": entry,
            }
            for name, (policy, entry) in ledger.policies.items()
        },
        "installed": [
            {"part": _number(part), "order": order.hex(), "entry": entry, "time": time}
            for part, (order, entry, time) in sorted(ledger.installed.items())
        ],
        "tokens": [
            {
                "chain": chain,
                "contract": _address(contract),
                "token": _number(number),
                "owner": _address(token.owner),
                "status": token.status,
                "parent": _number(token.parent),
                "entry": token.entry,
            }
            for (chain, contract, number), token in sorted(ledger.tokens.items())
        ],
        "orders": [
            {
                "chain": chain,
                "contract": _address(contract),
                "order": _number(number),
                "agreement": _number(order.agreement),
                "state": order.state,
                "since": order.since,
                "token": _number(order.token),
                "entry": order.entry,
            }
            for (chain, contract, number), order in sorted(ledger.orders.items())
        ],
    }


def _address(value: bytes | None) -> str | None:
    return None if value is None else f"0x{value.hex()}"


def _number(value: bytes | None) -> str | None:
    """Of 32 bytes: JSON's numbers are too small."""
    return None if value is None else str(int.from_bytes(value, "big"))


def evidence_of(index: int) -> dict[str, str]:
    """Where the proofs of an entry are."""
    return {
        "statement": f"/entries/{index}/statement",
        "receipt": f"/entries/{index}",
        "transparent": f"/entries/{index}/transparent",
        "tlog_proof": f"/entries/{index}/tlog-proof",
    }
