"""Payloads of every kind: whole ones, any value at any place, members lost and added, flipped bits, refused tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.builders import DEVICE
from tests.twin import test_chain_kinds, test_kinds, test_live, test_payloads, test_predictor
from tests.twin.hostile import IRI_TRICKS
from tests.web.corpus import COMMON, places, replaced
from tests.web.verdicts import Case, payload_case
from twinproof.proof import cbor
from twinproof.twin import prediction, predictor
from twinproof.twin.kinds import KINDS


def whole_payloads() -> Iterator[tuple[str, str, Any]]:
    """(name, content type, decoded payload) with every optional member of every kind there somewhere."""
    types = {kind.name: kind.content_type for kind in KINDS.values()}
    for name, (content_type, _, payload) in test_kinds.EXAMPLES.items():
        yield f"example {name}", content_type, cbor.decode(payload)
    rich: list[tuple[str, Any]] = [
        (
            "description",
            {
                "model": "urn:m",
                "lifecycle": "planned",
                "set": {"a": [1.5, {"b": None}]},
                "unset": ["b", "c"],
                "relate": [["a", "urn:a"], ["a", "urn:b"]],
                "unrelate": [["c", "urn:c"]],
                "cause": bytes(32),
            },
        ),
        (
            "attestation",
            {
                "type": "urn:t",
                "text": "t",
                "valid_until": 5,
                "document": {"sha256": bytes(32), "media_type": "text/plain", "location": "urn:l"},
            },
        ),
        (
            "grant",
            {
                "to": {"iss": "urn:x", "key": DEVICE.key.public.cose_key},
                "can": ["attest", "record"],
                "scope": {"prefix": "urn:x:"},
                "via": bytes(32),
                "from_time": 1,
                "until_time": 2,
                "from_index": 3,
                "until_index": 4,
            },
        ),
        ("revoke", {"grant": bytes(32), "reason": "sold"}),
        ("command", {"name": "stop", "input": [1], "deadline": 9, "text": "too hot"}),
        ("acknowledgement", {"request": bytes(32), "status": "done", "text": "t", "output": {"a": 1}}),
        ("desired", {"set": {"a": 1}, "unset": ["b"], "text": "for the night"}),
        (
            "rule",
            {
                "id": "hot",
                "signal": "T24",
                "test": {"rises_faster": 1.5},
                "severity": "low",
                "deadband": 1,
                "delay_on": 0,
                "delay_off": 2592000,
                "text": "t",
            },
        ),
        (
            "rule",
            {
                "id": "wear",
                "signal": "T24",
                "test": {"strays": 1},
                "severity": "high",
                "monitor": b"\xa0",
                "deadband": 0.5,
            },
        ),
        ("alarm", {"rule": "hot", "transition": "raise", "value": 1.5, "time": 7}),
        (
            "alarm",
            {
                "rule": "wear",
                "transition": "raise",
                "entry": 9,
                "case": {
                    "detector": "mewma",
                    "score": 1.5,
                    "since": 7,
                    "signals": [["T24", 1.25], ["P30", -1]],
                    "hints": ["compressor"],
                    "fleet": [2, 5],
                },
            },
        ),
        ("alarm-response", {"rule": "hot", "transition": "shelve", "until": 9, "text": "t"}),
        (
            "prediction",
            {
                **test_chain_kinds.prediction_map(),
                "until": 3,
                "drivers": {"a": 1, "b": 0.5},
                "episode": "e",
                "cycle": "cycle",
                "remarks": ["gap", "held"],
            },
        ),
        ("prediction", cbor.decode(prediction.format_prediction(test_predictor.PREDICTION))),
        ("predictor", cbor.decode(predictor.format_predictor(test_predictor.FIRST))),
        ("installation", {"part": bytes(32), "order": bytes(32), "remark": "r", "serial": "s"}),
        (
            "policy",
            {
                "id": "a",
                "unit": "h",
                "below": 1,
                "coverage": 1.0,
                "chain": 1,
                "contract": bytes(20),
                "agreement": b"\x01" * 32,
            },
        ),
        ("policy", {"id": "a", "remove": True}),
        (
            "chain-event",
            {
                **test_chain_kinds.event_map(),
                "retracted": True,
                "args": {"a": 1, "b": True, "c": b"x", "d": "t", "e": [1, [b""]], "f": None, "g": b"\x01" * 32},
            },
        ),
        (
            "readings",
            [
                {-1: 26, -2: "a:", -3: 1_700_000_000, -4: "K", -5: 1, -6: 2, 0: "T", 1: "ms", 2: 3, 5: 4, 6: 1.5, 7: 9},
                {0: "b", 2: 1.5},
                {-5: 0, 0: "c", 3: "x"},
                {0: "d", 4: True},
                {0: "e", 8: b"x"},
                {0: "f"},
            ],
        ),
        ("readings", [{0: "T", 2: 2**53}, {-5: 1, 0: "U", 2: 0.1}, {0: "V", 2: 0.2, 6: -5}]),
        (
            "columns",
            {
                "bt": 1_700_000_000,
                "t": cbor.Tagged(86, bytes(8) + b"\0" * 6 + b"\xf0\x3f"),
                "c": [
                    ["a", "m/s", cbor.Tagged(85, b"\x00\x00\xc0\x7f\x00\x00\x80\x3f")],
                    ["b", None, cbor.Tagged(79, b"\xff" * 16)],
                    ["c", "{x}", cbor.Tagged(72, b"\xff\x01")],
                ],
            },
        ),
        ("columns", {"bt": -5, "dt": 0.1, "n": 3, "c": [["a", "[degR]", cbor.Tagged(69, b"\x01\x02" * 3)]]}),
    ]
    for number, (name, value) in enumerate(rich):
        yield f"rich {name} {number}", types[name], value


def payloads() -> Iterator[Case]:
    """Payloads of every kind: whole ones, any value at any place, a key lost or added, flipped bits, refused tables."""
    chance = random.Random(4)
    for name, content_type, value in whole_payloads():
        data = cbor.encode(value)
        yield payload_case(name, content_type, data)
        for path in places(value):
            for number, other in enumerate(COMMON):
                changed = replaced(value, path, other)
                yield payload_case(f"{name} {path}: value {number}", content_type, cbor.encode(changed))
        for path in places(value):
            inside = value
            for step in path:
                inside = inside[step]
            if type(inside) is dict:
                for key in inside:
                    less = {k: v for k, v in inside.items() if k != key}
                    yield payload_case(
                        f"{name} {path} without {key}", content_type, cbor.encode(replaced(value, path, less))
                    )
                more = cbor.encode(replaced(value, path, {**inside, "zz": 1}))
                yield payload_case(f"{name} {path} with zz", content_type, more)
        for number in range(60):
            flipped = bytearray(data)
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            yield payload_case(f"{name} flip {number}", content_type, bytes(flipped))
    types = {kind.name: kind.content_type for kind in KINDS.values()}
    for name, wrong, _ in (*test_live.REFUSED, *test_chain_kinds.REFUSED):
        yield payload_case(f"refused {name} {wrong!a:.60}", types[name], cbor.encode(wrong))
    for row in test_payloads.BAD_DESCRIPTIONS:
        yield payload_case(f"refused description {row[0]}", types["description"], cbor.encode(row[1]))
    for name, text in test_payloads.BAD_NAMES.items():
        yield payload_case(f"property {name}", types["description"], cbor.encode({"set": {text: 1}}))
    for name, text in IRI_TRICKS.items():
        yield payload_case(f"IRI {name}", types["description"], cbor.encode({"model": text}))
