"""The mapping file: every mistake is refused with file, table and key; whatever is in it, nothing else is raised."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.edge.mapping import Mapping, check_mapping, load_mapping, parse_mapping
from twinproof.edge.settings import Place, read_table
from twinproof.errors import ConfigError

GOOD = """
[gateway]
issuer = "urn:dev:gateway-1#gateway"
key = "gateway.pem"
outbox = "gateway.outbox"
node = "https://twin.example"

[[mqtt]]
name = "plant"
[mqtt.broker]
host = "broker.example"
version = "3.1.1"
username = "twinproof"
password = { env = "BROKER_PASSWORD" }
tls = { ca = "ca.pem" }
[[mqtt.map]]
topic = "plant/{line}/{machine}/state"
twin = "https://fleet.example/{line}/{machine}"
payload = "json"
time = { at = "/ts", format = "ms" }
signals = [
  { name = "temperature", at = "/t", unit = "Cel" },
  { name = "speed", at = "/n", unit = "1/min", scale = 0.1, required = false },
]
[[mqtt.map]]
topic = "devices/+/statement"
payload = "statement"

[[sparkplug]]
name = "line"
[sparkplug.broker]
host = "broker.example"
[[sparkplug.map]]
group = "factory"
node = "{node}"
device = "{device}"
twin = "https://fleet.example/{node}/{device}"
signals = [{ name = "temperature", at = "Outputs/Temperature", unit = "Cel" }]

[[opcua]]
name = "plc"
url = "opc.tcp://plc.example:4840"
[[opcua.map]]
twin = "https://fleet.example/press/3"
signals = [{ name = "pressure", at = "ns=2;s=Press3.Pressure", unit = "bar" }]

[[file]]
name = "history"
path = "history.csv"
speed = "86400"
time = { at = "when", format = "rfc3339" }
[[file.map]]
twin = "https://fleet.example/{machine}"
signals = [{ name = "temperature", at = "t", unit = "Cel" }]
"""
FILE = Path("/etc/plant.toml")


def parse(text: str) -> Mapping:
    return parse_mapping(text.encode(), FILE)


def test_a_whole_file() -> None:
    mapping = parse(GOOD)
    assert [source.name for _, source in mapping.sources()] == ["plant", "line", "plc", "history"]
    assert mapping.gateway.key == Path("/etc/gateway.pem")
    (mqtt,) = mapping.mqtt
    assert mqtt.filters == ["plant/+/+/state", "devices/+/statement"]
    assert mqtt.broker.address == ("broker.example", 8883)
    assert (mqtt.in_flight, mqtt.map[0].signals[1].scale) == (20, 0.1)
    assert mapping.file[0].speed == 86400


# (what is replaced, by what, table and key of the error, what it says)
MISTAKES = [
    ("[gateway]", "[gatway]", "gatway", "no key of this table"),
    ('issuer = "urn:dev:gateway-1#gateway"\n', "", "gateway: issuer", "missing"),
    ("gateway-1#gateway", "gateway-1", "gateway: issuer", "must end in #gateway"),
    ("gateway-1#gateway", "gate way#gateway", "gateway: issuer", "not an IRI"),
    ("https://twin.example", "ftp://twin.example", "gateway: node", "not an address"),
    ("https://twin.example", "https://user:secret@twin.example", "gateway: node", "holds credentials"),
    ('name = "plant"', 'name = "Plant"', "mqtt 1: name", "1 to 63 of a-z"),
    ('name = "plant"', 'name = "plant"\nqos = 2', "mqtt 1: qos", "from 0 to 1"),
    ('name = "plant"', 'name = "plant"\nqos = true', "mqtt 1: qos", "whole number"),
    ('name = "plant"', 'name = "plant"\nacknowledge = "never"', "mqtt 1: acknowledge", "one of log, outbox"),
    ('name = "plant"', 'name = "line"', "sparkplug: name", "earlier source"),
    ('version = "3.1.1"', 'version = "3.1"', "mqtt 1, broker: version", "one of 5, 3.1.1"),
    ('username = "twinproof"\n', "", "mqtt 1, broker: username", "no password without"),
    ('{ env = "BROKER_PASSWORD" }', '"secret"', "mqtt 1, broker: password", "secrets do not stand in this file"),
    ('{ env = "BROKER_PASSWORD" }', '{ env = "A B" }', "mqtt 1, broker: password", "environment variable"),
    ('{ ca = "ca.pem" }', '{ ca = "ca.pem", cert = "c.pem" }', "mqtt 1, broker, tls: key", "come together"),
    ('{ ca = "ca.pem" }', "{ verify = false }", "mqtt 1, broker, tls: verify", "no key"),
    ("plant/{line}/{machine}/state", "plant/#/x", "mqtt 1, map 1: topic", "whole levels"),
    ("fleet.example/{line}/{machine}", "fleet.example/{row}", "mqtt 1, map 1: twin", "no group {row}"),
    ("https://fleet.example/{line}/{machine}", "{line}/{machine}", "mqtt 1, map 1: twin", "not an IRI"),
    ('payload = "json"', 'payload = "xml"', "mqtt 1, map 1: payload", "one of text, json"),
    ('payload = "json"', 'payload = "text"', "mqtt 1, map 1: signals", "one signal without at"),
    ('payload = "json"', 'payload = "senml-json"', "mqtt 1, map 1: signals", "no key beside"),
    ('payload = "json"', 'payload = "statement"', "mqtt 1, map 1: signals", "no key beside"),
    ('at = "/t"', 'at = "t"', "mqtt 1, map 1, signals 1: at", "JSON pointer"),
    ('at = "/ts"', 'at = "/ts~2"', "mqtt 1, map 1, time: at", "JSON pointer"),
    ('format = "ms"', 'format = "minutes"', "mqtt 1, map 1, time: format", "one of s, ms"),
    ('unit = "Cel"', 'unit = "Cel ]"', "mqtt 1, map 1, signals 1: unit", "UCUM"),
    ('name = "temperature", at = "/t"', 'name = "speed", at = "/t"', "mqtt 1, map 1, signals 2: name", "earlier"),
    ('name = "temperature"', 'name = "ä"', "mqtt 1, map 1, signals 1: name", "character outside"),
    ('name = "temperature"', 'name = "{unknown}"', "mqtt 1, map 1, signals 1: name", "no group {unknown}"),
    ("scale = 0.1", "scale = 0", "mqtt 1, map 1, signals 2: scale", "leaves nothing"),
    ("scale = 0.1", 'scale = 0.1, type = "text"', "mqtt 1, map 1, signals 2: type", "must be number"),
    ("scale = 0.1", "scale = nan", "mqtt 1, map 1, signals 2: scale", "must be a number"),
    ("required = false", "requierd = false", "mqtt 1, map 1, signals 2: requierd", "no key of this table"),
    ("devices/+/statement", "plant/+/+/{x}", None, ""),
    ("devices/+/statement", "plant/{x}/7/#", "mqtt 1, map 2: topic", "overlap"),
    ('node = "{node}"', 'node = "a/b"', "sparkplug 1, map 1: node", "one level"),
    ('node = "{node}"', 'node = "{device}"', "sparkplug 1, map 1: group", "{device} is the name of two levels"),
    (', at = "Outputs/Temperature"', "", "sparkplug 1, map 1, signals 1: at", "name of the metric"),
    (', at = "ns=2;s=Press3.Pressure"', "", "opcua 1, map 1, signals 1: at", "id of the node"),
    ("opc.tcp://plc.example:4840", "https://plc.example", "opcua 1: url", "not an address"),
    ('speed = "86400"', 'speed = "fast"', "file 1: speed", "fastest"),
    ('speed = "86400"', 'speed = "0"', "file 1: speed", "fastest"),
    ('time = { at = "when", format = "rfc3339" }', "", "file 1: time", "both start and step"),
    ('time = { at = "when", format = "rfc3339" }', "start = 1e9", "file 1: time", "both start and step"),
    ("history.csv", "history.xlsx", "file 1: format", "csv or parquet"),
]


@pytest.mark.parametrize(("old", "new", "place", "says"), MISTAKES)
def test_a_mistake_is_refused_with_its_place(old: str, new: str, place: str | None, says: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if place is None:
        parse(text)
        return
    with pytest.raises(ConfigError) as refusal:
        parse(text)
    said = str(refusal.value)
    assert said.startswith(f"{FILE}: {place}"), said
    assert says in said


def test_no_source_at_all() -> None:
    with pytest.raises(ConfigError, match="there is no source"):
        parse(GOOD[: GOOD.index("[[mqtt]]")])


@pytest.mark.parametrize(
    ("data", "says"), [(b"a = ", "Invalid value"), (b"\xff", "utf-8"), (b"a = " + b"[" * 5000, "/etc/plant.toml: ")]
)
def test_what_is_no_toml(data: bytes, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        parse_mapping(data, FILE)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    with pytest.raises(ConfigError, match="No such file"):
        load_mapping(file)
    file.write_text(GOOD)
    load_mapping(file)
    for name, place in (("gateway.pem", "gateway: key"), ("ca.pem", "mqtt 'plant': ca"), ("history.csv", "path")):
        with pytest.raises(ConfigError, match=place):
            check_mapping(file)
        (tmp_path / name).touch()
    check_mapping(file)


def test_a_secret_is_read_where_it_is_kept(tmp_path: Path) -> None:
    secret = parse(GOOD).mqtt[0].broker.password
    assert secret is not None
    assert secret.read({"BROKER_PASSWORD": "x"}) == "x"
    with pytest.raises(ConfigError, match=r"mqtt 1, broker: password is to be in .* BROKER_PASSWORD"):
        secret.read({})
    (tmp_path / "word").write_text("x y\n")
    text = GOOD.replace('{ env = "BROKER_PASSWORD" }', '{ file = "word" }')
    secret = parse_mapping(text.encode(), tmp_path / "plant.toml").mqtt[0].broker.password
    assert secret is not None
    assert secret.read({}) == "x y"
    (tmp_path / "word").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        secret.read({})


# --- whatever is in the file ----------------------------------------------------------------

_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        found += [place for key, inner in value.items() for place in _places(inner, (*path, key))]
    if isinstance(value, list):
        found += [place for at, inner in enumerate(value) for place in _places(inner, (*path, at))]
    return found


_ALL = _places(tomllib.loads(GOOD))


@given(st.sampled_from(_ALL), _JUNK)
def test_any_value_anywhere_is_read_or_refused(place: tuple[Any, ...], junk: Any) -> None:
    document = tomllib.loads(GOOD)
    holder: Any = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = junk
    try:
        read_table(Mapping, document, Place(FILE))
    except ConfigError as error:
        refusal = str(error)
    else:
        return
    assert refusal.startswith(f"{FILE}: ")


@given(st.sampled_from([place for place in _ALL if isinstance(place[-1], str)]))
def test_an_unknown_key_anywhere_is_refused(place: tuple[Any, ...]) -> None:
    document = tomllib.loads(GOOD)
    holder: Any = document
    for step in place[:-1]:
        holder = holder[step]
    holder["surprise"] = 1
    with pytest.raises(ConfigError, match=r"surprise|secrets"):
        read_table(Mapping, document, Place(FILE))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse_mapping(data, FILE)
