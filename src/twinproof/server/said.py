"""What a statement says, in a few fields for a list: short, and never the whole payload.

Names and texts are cut, long lists are counted. Who wants all of it asks for the entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from twinproof.server.forms import plain
from twinproof.twin.alarm import AlarmTransition, Rule, RuleRemoval
from twinproof.twin.attestation import Attestation, Resume
from twinproof.twin.chain_event import ChainEvent
from twinproof.twin.columns import Columns
from twinproof.twin.description import Description
from twinproof.twin.grants import Genesis, GrantTerms, Revocation
from twinproof.twin.installation import Installation
from twinproof.twin.ledger import ORDER_STATES
from twinproof.twin.model import ModelDocument
from twinproof.twin.operation import Acknowledgement, Command, Desired
from twinproof.twin.policy import Policy, PolicyRemoval
from twinproof.twin.prediction import Prediction
from twinproof.twin.predictor import Predictor

MAX_SAID: Final = 1024
"""Bytes of JSON."""
_NAMES: Final = 8
"""In a list."""
_TEXT: Final = 160
"""Characters."""
_SHORT: Final = 48
"""Characters of a name or a value."""


def said(payload: object) -> dict[str, Any]:
    """The fields of a parsed payload: at most `MAX_SAID` bytes as JSON."""
    fields = _fields(payload)
    # What names of many bytes leave too long loses its longest field first; numbers and short words stay.
    while len(_encoded(fields)) > MAX_SAID:
        longest = max(fields, key=lambda name: len(_encoded(fields[name])))
        fields = {**{name: value for name, value in fields.items() if name != longest}, "more": True}
    return fields


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _fields(payload: object) -> dict[str, Any]:
    match payload:
        case list():
            times = [reading.time for reading in payload]
            span = {"from": min(times), "to": max(times)} if times else {}
            return {**_names(dict.fromkeys(reading.name for reading in payload)), "count": len(payload), **span}
        case Columns():
            rows = len(payload.columns[0].values) if payload.columns else 0
            return {**_names(column.name for column in payload.columns), "count": rows, "from": payload.base_time}
        case Prediction():
            return _prediction(payload)
        case AlarmTransition() | Rule() | RuleRemoval():
            return _alarm(payload)
        case ChainEvent():
            return _chain_event(payload)
        case Description() | Desired() | Command() | Acknowledgement():
            return _operation(payload)
        case Genesis() | GrantTerms() | Revocation():
            return _authority(payload)
        case _:
            return _others(payload)


def _names(names: Iterable[str]) -> dict[str, Any]:
    found = list(names)
    return {"names": [_cut(name) for name in found[:_NAMES]], "signals": len(found)}


def _prediction(payload: Prediction) -> dict[str, Any]:
    return {
        "lower": payload.lower,
        "point": payload.point,
        "upper": payload.upper,
        "coverage": payload.coverage,
        "unit": payload.unit,
        "model": payload.model.hex(),
        "widened": payload.widened,
        "episode": payload.episode,
    }


def _alarm(payload: AlarmTransition | Rule | RuleRemoval) -> dict[str, Any]:
    match payload:
        case AlarmTransition():
            case = payload.case
            return {
                "rule": payload.rule,
                "transition": payload.transition.value,
                "value": payload.value,
                "until": payload.until,
                "text": _text(payload.text),
                "case": case
                and {
                    "score": case.score,
                    "since": case.since,
                    "signals": [_cut(name) for name, _ in case.signals[:_NAMES]],
                    "hints": [_cut(hint) for hint in case.hints],
                },
            }
        case Rule():
            return {
                "rule": payload.id,
                "signal": _cut(payload.signal),
                "test": payload.test.value,
                "limit": payload.limit,
                "severity": payload.severity.value,
                "text": _text(payload.text),
            }
        case RuleRemoval():
            return {"rule": payload.id, "removed": True}


def _chain_event(payload: ChainEvent) -> dict[str, Any]:
    state = ORDER_STATES.get(payload.event)
    return {
        "event": payload.event,
        "state": state[0] if state and not payload.retracted else None,
        "retracted": payload.retracted,
        "chain": payload.chain,
        "contract": f"0x{payload.contract.hex()}",
        "block": payload.block,
        "transaction": f"0x{payload.transaction.hex()}",
        "arguments": {_cut(name): _argument(value) for name, value in list(payload.args.items())[:_NAMES]},
    }


def _argument(value: object) -> Any:
    """Wide numbers in decimal, addresses and other bytes in hexadecimal."""
    if isinstance(value, bytes):
        return str(int.from_bytes(value, "big")) if len(value) == 32 else f"0x{value.hex()}"[:_TEXT]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _value(value)


def _operation(payload: Description | Desired | Command | Acknowledgement) -> dict[str, Any]:
    match payload:
        case Description():
            return {
                "model": _text(payload.model),
                "lifecycle": payload.lifecycle and payload.lifecycle.value,
                "set": _values(payload.set),
                "unset": [_cut(name) for name in payload.unset[:_NAMES]],
                "relationships": len(payload.relate) + len(payload.unrelate),
            }
        case Desired():
            unset = [_cut(name) for name in payload.unset[:_NAMES]]
            return {"set": _values(payload.set), "unset": unset, "text": _text(payload.text)}
        case Command():
            return {
                "name": _cut(payload.name),
                "input": _value(payload.input),
                "deadline": payload.deadline,
                "text": _text(payload.text),
            }
        case Acknowledgement():
            return {
                "request": payload.request.hex(),
                "status": payload.status.value,
                "output": _value(payload.output),
                "text": _text(payload.text),
            }


def _authority(payload: Genesis | GrantTerms | Revocation) -> dict[str, Any]:
    match payload:
        case Genesis():
            return {"origin": payload.origin}
        case GrantTerms():
            return {
                "to": _text(payload.issuer),
                "can": sorted(map(str, payload.can)),
                "scope": _text(str(payload.scope)),
            }
        case Revocation():
            return {"grant": payload.grant.hex(), "reason": _text(payload.reason)}


def _others(payload: object) -> dict[str, Any]:
    match payload:
        case Attestation():
            document = payload.document.sha256.hex() if payload.document else None
            return {"type": _text(payload.type), "text": _text(payload.text), "document": document}
        case Resume():
            return {"reason": _text(payload.reason)}
        case ModelDocument():
            return {"language": payload.language, "bytes": len(payload.document)}
        case Predictor():
            return {
                "model": payload.model.hex(),
                "stage": payload.stage.value,
                "coverage": payload.coverage,
                "unit": payload.unit,
                "text": _text(payload.text),
            }
        case Installation():
            part = str(int.from_bytes(payload.part, "big"))
            return {"part": part, "order": payload.order.hex(), "serial": _text(payload.serial)}
        case Policy():
            return {
                "policy": payload.id,
                "below": payload.below,
                "unit": payload.unit,
                "coverage": payload.coverage,
                "agreement": str(payload.agreement),
            }
        case PolicyRemoval():
            return {"policy": payload.id, "removed": True}
        case _:
            return {}


def _values(values: Mapping[str, object] | None) -> dict[str, Any]:
    return {_cut(name): _value(value) for name, value in list((values or {}).items())[:_NAMES]}


def _value(value: object) -> Any:
    """A number, a word, or how much there is of anything else."""
    shown = plain(value)
    match shown:
        case None | bool() | float():
            return shown
        case int():
            return shown if abs(shown) < 1 << 53 else str(shown)[:_SHORT]
        case str():
            return _cut(shown)
        case dict() | list():
            return f"({len(shown)})"
        case _:
            return None


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _text(text: str | None) -> str | None:
    return text if text is None or len(text) <= _TEXT else text[: _TEXT - 1] + "…"
