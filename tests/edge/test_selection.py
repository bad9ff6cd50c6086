"""From payloads to observations: each payload, each type, each way to write a time; hostile bytes."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.test_mapping import FILE
from twinproof.edge.mapping import parse_mapping
from twinproof.edge.patterns import parse_template
from twinproof.edge.selection import Selected, convert_time, convert_value, resolve, select_payload
from twinproof.edge.signals import Signal, TimeFormat, ValueType
from twinproof.edge.sources import MqttRule
from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.twin.senml import SENML, parse_senml
from twinproof.twin.statement import sign_statement

NOW = 1_700_000_000.0
TWIN = "https://fleet.example/7"
HEAD = """
[gateway]
issuer = "urn:g#gateway"
key = "k"
outbox = "o"
node = "http://n.example"
[[mqtt]]
name = "plant"
broker = { host = "b" }
[[mqtt.map]]
topic = "m/{machine}"
twin = "https://fleet.example/{machine}"
"""


def rule(text: str) -> MqttRule:
    return parse_mapping((HEAD + text).encode(), FILE).mqtt[0].map[0]


def select(text: str, payload: bytes | str) -> Selected:
    raw = payload.encode() if isinstance(payload, str) else payload
    return select_payload(rule(text), {"machine": "7"}, raw, NOW)


TEXT = 'signals = [{{ name = "x", unit = "Cel"{} }}]'
JSON = """payload = "json"
time = { at = "/when" }
signals = [
  { name = "a", at = "/data/0/v" },
  { name = "b.{machine}", at = "/b~1c", unit = "Cel", required = false },
]
"""


@pytest.mark.parametrize(
    ("more", "payload", "value"),
    [
        ("", "21", 21),
        ("", " -21.50\n", -21.5),
        ("", "+1e3", 1000.0),
        ("", "007", 7),
        (", scale = 0.1", "215", 21.5),
        (", offset = -273.15", "300", 26.850000000000023),
        (', type = "boolean"', "ON", True),
        (', type = "boolean"', "0", False),
        (', type = "text"', "warm, today", "warm, today"),
    ],
)
def test_text(more: str, payload: str, value: Any) -> None:
    observations = select(TEXT.format(more), payload).observations
    assert observations == ((TWIN, {"x": value}, {"x": "Cel"}, NOW),)
    assert type(observations[0].values["x"]) is type(value)


@pytest.mark.parametrize(
    "payload", ["", "warm", "1 2", "0x10", "1_000", "1,5", "NaN", "Infinity", "1e999", "٣", "9" * 30, b"\xff", "--1"]
)
def test_text_that_is_no_number(payload: str | bytes) -> None:
    with pytest.raises(Malformed, match=r"^(x|payload): "):
        select(TEXT.format(""), payload)


def test_json() -> None:
    found = select(JSON, '{"data": [{"v": 1}], "b/c": 2.0, "when": 1700000001.5}')
    assert found.timed
    assert found.observations == ((TWIN, {"a": 1, "b.7": 2.0}, {"b.7": "Cel"}, 1_700_000_001.5),)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ('{"data": [], "when": 1}', "a: there is no value at /data/0/v"),
        ('{"data": [{"v": null}], "when": 1}', "a: there is no value"),
        ('{"data": [{"v": 1}]}', "time: there is none at /when"),
        ('{"data": [{"v": true}], "when": 1700000000}', "a: True is not a finite number"),
        ('{"data": [{"v": 1}], "when": "soon"}', "time: 'soon' is not a decimal number"),
        ('{"data": [{"v": 1}], "when": 12}', "time: 12"),
        ('{"data": [{"v": NaN}], "when": 1}', "payload: is not JSON"),
        ('{"data": [{"v": 1, "v": 2}], "when": 1}', "payload: is not JSON (an object has a name twice)"),
        ("[" * 100_000, "payload: is not JSON"),
        ("9" * 10_000, "payload: is not JSON"),
        ('{"data"', "payload: is not JSON"),
    ],
)
def test_json_that_does_not_fit(payload: str, says: str) -> None:
    with pytest.raises(Malformed) as refusal:
        select(JSON, payload)
    assert says in str(refusal.value)


def test_an_optional_value_is_left_out() -> None:
    found = select(JSON, '{"data": [{"v": 1}], "b/c": null, "when": 1700000001}')
    assert found.observations[0].values == {"a": 1}


def test_cbor_is_read_as_another_implementation_writes_it() -> None:
    document = {"data": [{"v": 1}], "b/c": 2.5, "when": 1700000001}
    found = select(JSON.replace('"json"', '"cbor"'), cbor2.dumps(document, canonical=True))
    assert found.observations == select(JSON, json.dumps(document)).observations


# RFC 8428 §5.1.2 and §5.1.3
PACK = """[
 {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":10,"n":"voltage","u":"V","v":120.1},
 {"n":"current","t":-5,"v":1.2},
 {"n":"current","t":-4,"v":1.3}
]"""


def test_senml_in_json_and_in_cbor_say_the_same() -> None:
    labels = {"bn": -2, "bt": -3, "bu": -4, "bver": -1, "n": 0, "u": 1, "v": 2, "t": 6}
    pack = cbor.encode([{labels[key]: value for key, value in record.items()} for record in json.loads(PACK)])
    found = select('payload = "senml-json"', PACK)
    assert found == select('payload = "senml-cbor"', pack)
    assert found.timed
    readings = [
        (name, value, observation.units.get(name), observation.time)
        for observation in found.observations
        for name, value in observation.values.items()
    ]
    assert readings == [(r.name, r.value, r.unit, r.time) for r in parse_senml(pack, 0)]


def test_senml_without_absolute_times_has_none_of_its_own() -> None:
    found = select('payload = "senml-json"', '[{"n":"x","v":1},{"n":"d","vd":"aGk"},{"n":"x","v":2,"t":-1}]')
    assert not found.timed
    assert [(o.values, o.time) for o in found.observations] == [({"x": 1, "d": b"hi"}, NOW), ({"x": 2}, NOW - 1)]


@pytest.mark.parametrize(
    "payload",
    ["{}", "[]", "[1]", '[{"n":"x"}]', '[{"n":"x","v":1,"s":2}]', '[{"n":"x","vd":"a*"}]', '[{"n":"x","v":1,"zz_":1}]'],
)
def test_senml_that_is_none(payload: str) -> None:
    with pytest.raises(Malformed):
        select('payload = "senml-json"', payload)


# --- statements -----------------------------------------------------------------------------


def signed(subject: str = TWIN) -> bytes:
    key = PrivateKey(EDDSA, bytes(range(32)))
    payload = cbor.encode([{0: "x", 2: 1}])
    return sign_statement(
        key, issuer="urn:dev:7", subject=subject, content_type=SENML, payload=payload, seq=0, prev=None, issued_at=1
    )


def test_a_statement_stays_as_it_is() -> None:
    found = select('payload = "statement"', signed())
    assert found.timed
    assert [statement.raw for statement in found.statements] == [signed()]
    assert not found.observations


def test_a_statement_about_another_twin_than_its_topic_is_refused() -> None:
    with pytest.raises(Malformed, match=r"is about https://fleet\.example/8"):
        select('payload = "statement"', signed("https://fleet.example/8"))


def test_what_is_no_statement_is_refused() -> None:
    for payload in (b"", b"\xd2", signed()[1:], signed() + b"\x00", b"21.5"):
        with pytest.raises(Malformed):
            select('payload = "statement"', payload)


# --- times and pointers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "raw"),
    [
        ("s", NOW),
        ("s", "1700000000"),
        ("ms", 1_700_000_000_000),
        ("us", 1_700_000_000_000_000),
        ("ns", 1_700_000_000_000_000_000),
        ("rfc3339", "2023-11-14T22:13:20Z"),
        ("rfc3339", "2023-11-14t23:13:20.000+01:00"),
        ("rfc3339", "2023-11-14 22:13:20.000000000z"),
    ],
)
def test_each_way_to_write_a_time(format: str, raw: Any) -> None:
    assert convert_time(TimeFormat(format), raw) == NOW


@pytest.mark.parametrize("raw", ["2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z", 1.0, None, "now"])
def test_a_time_of_no_offset_or_no_meaning(raw: Any) -> None:
    with pytest.raises(Malformed):
        convert_time(TimeFormat.RFC3339, raw)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)))
def test_rfc3339_times_are_what_datetime_takes_them_for(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert convert_time(TimeFormat.RFC3339, aware.isoformat()) == aware.timestamp()


# RFC 6901 §5
@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/m~0n", 8), ("/ ", 7), ("/foo/2", None), ("/foo/00", None)],
)
def test_pointers(pointer: str, value: Any) -> None:
    assert resolve({"foo": ["bar", "baz"], "": 0, "a/b": 1, " ": 7, "m~n": 8}, pointer) == value


# --- whatever comes -------------------------------------------------------------------------

RULES = [
    rule(TEXT.format("")),
    rule(JSON),
    rule(JSON.replace('"json"', '"cbor"')),
    rule('payload = "senml-json"'),
    rule('payload = "senml-cbor"'),
    rule('payload = "statement"'),
]


@given(st.sampled_from(RULES), st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()))
def test_any_bytes_are_taken_or_refused(which: MqttRule, payload: bytes) -> None:
    with suppress(Malformed):
        select_payload(which, {"machine": "7"}, payload, NOW)


_DOCUMENT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "v", "b/c", "when"]), inner),
    max_leaves=8,
)


@given(st.sampled_from(RULES[1:4]), _DOCUMENT)
def test_any_document_is_taken_or_refused(which: MqttRule, document: Any) -> None:
    with suppress(Malformed):
        select_payload(which, {"machine": "7"}, json.dumps(document).encode(), NOW)


@given(st.sampled_from(list(ValueType)), st.from_type(object) | _DOCUMENT)
def test_any_value_is_converted_or_refused(type: ValueType, raw: object) -> None:
    try:
        value = convert_value(Signal(parse_template("x"), type=type), raw, "x")
    except Malformed:
        return
    allowed = {ValueType.NUMBER: {"int", "float"}, ValueType.BOOLEAN: {"bool"}, ValueType.TEXT: {"str"}}
    assert value.__class__.__name__ in allowed[type]
