"""What a filter lets through, how entries look, what coalescing keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.builders import DEVICE, OPERATOR, OTHER_TWIN, START, TWIN, Log
from twinproof.errors import Malformed, TooLarge
from twinproof.proof import cbor
from twinproof.twin import columns, description, operation, senml
from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.kinds import kind_of
from twinproof.twin.operation import Desired
from twinproof.twin.reading import Reading
from twinproof.twin.statement import parse_statement
from twinproof.views.coalesce import Latest
from twinproof.views.feed import Item
from twinproof.views.subscription import Filter, encode_event, make_filter


def items_of(log: Log) -> list[Item]:
    found = []
    for index, raw in enumerate(log.raws):
        statement = parse_statement(raw)
        kind = kind_of(statement)
        found.append(Item(index, statement, kind, kind.parse(statement.payload, statement.issued_at)))
    return found


def entry(content_type: str, payload: bytes, *, at: int = START) -> Item:
    """One statement of the device about the twin, as entry 0."""
    log = Log(empty=True)
    log.say(DEVICE, TWIN, content_type, payload, at=at)
    return items_of(log)[0]


def sample() -> list[Item]:
    """Entries 0 genesis, 1 reading of TWIN, 2 of OTHER_TWIN, 3 columns, 4 description, 5 desired by the operator."""
    log = Log()
    log.record(DEVICE, 640.0)
    log.record(DEVICE, 650.0, subject=OTHER_TWIN)
    payload = columns.format_columns(START, [("T24", "K", [1.0, 2.0]), ("T30", "K", [7.0, 9.0])], step=1)
    log.say(DEVICE, TWIN, columns.COLUMNS, payload)
    change = Description(set={"mode": "cruise"}, lifecycle=Lifecycle.IN_SERVICE)
    log.say(DEVICE, TWIN, description.DESCRIPTION, description.format_description(change))
    log.say(OPERATOR, OTHER_TWIN, operation.DESIRED, operation.format_desired(Desired(set={"speed": 12})))
    return items_of(log)


FLEET = "https://fleet.example/"


@pytest.mark.parametrize(
    ("parts", "indices"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"twins": [TWIN]}, [1, 3, 4]),
        ({"twins": [TWIN, OTHER_TWIN]}, [1, 2, 3, 4, 5]),
        ({"twins": [TWIN[:-1]]}, []),
        ({"prefixes": [FLEET]}, [1, 2, 3, 4, 5]),
        ({"prefixes": ["https://twin.example/"]}, [0]),
        ({"prefixes": ["https://twin.example/"], "twins": [TWIN]}, [0, 1, 3, 4]),
        ({"kinds": ["readings"]}, [1, 2]),
        ({"kinds": ["readings", "columns"], "twins": [TWIN]}, [1, 3]),
        ({"issuers": [OPERATOR.issuer]}, [0, 5]),
        ({"issuers": [OPERATOR.issuer], "twins": [OTHER_TWIN]}, [5]),
        ({"issuers": [OPERATOR.issuer], "kinds": ["readings"]}, []),
        ({"where": "T24 > 645"}, [2]),
        ({"where": "T24 >= 2"}, [1, 2, 3]),
        ({"where": "T24 >= 2 and T30 > 8"}, [3]),
        ({"where": 'mode = "cruise" or speed > 10'}, [4, 5]),
        ({"where": "T24 != 640", "twins": [TWIN]}, [3]),
    ],
)
def test_filters(parts: dict[str, Any], indices: list[int]) -> None:
    wanted = make_filter(**parts)
    assert [item.index for item in sample() if wanted.matches(item)] == indices


@pytest.mark.parametrize(
    ("parts", "field", "error"),
    [
        ({"twins": ["engine 1"]}, "twin", Malformed),
        ({"twins": [7]}, "twin", Malformed),
        ({"twins": [None]}, "twin", Malformed),
        ({"twins": [{}]}, "twin", Malformed),
        ({"twins": [TWIN] * 257}, "twin", TooLarge),
        ({"twins": ["urn:" + "x" * 600]}, "twin", TooLarge),
        ({"prefixes": [""]}, "prefix", Malformed),
        ({"prefixes": [["x"]]}, "prefix", Malformed),
        ({"prefixes": ["x" * 600]}, "prefix", TooLarge),
        ({"kinds": ["reading"]}, "kind", Malformed),
        ({"kinds": [[]]}, "kind", Malformed),
        ({"kinds": [3]}, "kind", Malformed),
        ({"issuers": ["device"]}, "issuer", Malformed),
        ({"where": 7}, "where", Malformed),
        ({"where": "T24"}, "where", Malformed),
    ],
)
def test_filters_that_are_refused(parts: dict[str, Any], field: str, error: type[Malformed]) -> None:
    with pytest.raises(error) as caught:
        make_filter(**parts)
    assert caught.value.field == field


def shown(item: Item) -> Any:
    data = encode_event(item)
    assert b"\n" not in data
    assert b"\r" not in data
    return json.loads(data)


def test_an_entry_names_all_that_is_signed() -> None:
    item = sample()[1]
    assert shown(item) == {
        "type": "entry",
        "index": 1,
        "twin": TWIN,
        "kind": "readings",
        "issuer": DEVICE.issuer,
        "iat": START,
        "seq": 0,
        "digest": item.statement.digest.hex(),
        "payload": {"series": [{"name": "T24", "unit": "K", "times": [START], "values": [640.0]}]},
    }


def test_readings_of_all_types_are_series_by_name_and_unit() -> None:
    readings = [
        Reading("a", 1.5, "K", START),
        Reading("b", "line\nend\u2028", None, START),
        Reading("a", 2, "K", START + 1),
        Reading("c", True, None, START),
        Reading("d", b"\x00\xff", None, START),
        Reading("e", 1.0, "K", START),
        Reading("e", None, "K", START + 1, 60.5),
        Reading("e", 2.0, "K", START + 2, 61),
    ]
    payload = shown(entry(senml.SENML, senml.format_senml(readings)))["payload"]
    assert payload == {
        "series": [
            {"name": "a", "unit": "K", "times": [START, START + 1], "values": [1.5, 2]},
            {"name": "b", "unit": None, "times": [START], "values": ["line\nend\u2028"]},
            {"name": "c", "unit": None, "times": [START], "values": [True]},
            {"name": "d", "unit": None, "times": [START], "values": [{"base64": "AP8="}]},
            {
                "name": "e",
                "unit": "K",
                "times": [START, START + 1, START + 2],
                "values": [1.0, None, 2.0],
                "sums": [None, 60.5, 61],
            },
        ]
    }


def test_columns_share_their_times_and_a_missing_sample_is_null() -> None:
    data = columns.format_columns(START, [("x", None, [1.0, float("nan"), 3.0]), ("n", "1", [1, 2, 3])], step=2)
    assert shown(entry(columns.COLUMNS, data))["payload"] == {
        "times": [START, START + 2, START + 4],
        "series": [
            {"name": "x", "unit": None, "values": [1.0, None, 3.0]},
            {"name": "n", "unit": "1", "values": [1, 2, 3]},
        ],
    }


def test_values_that_json_does_not_have() -> None:
    values: dict[int | str, cbor.Value] = {
        "bytes": b"x",
        "tag": cbor.Tagged(24, b"x"),
        "nested": [cbor.Tagged(1, {"k": cbor.Tagged(2, b"y")})],
        "infinite": float("inf"),
        "not": float("nan"),
        "large": 2**64 - 1,
        "keys": {1: 2},
        "control": "\x00\u0085\u2029",
    }
    change = Description(set={str(name): value for name, value in values.items()})
    told = shown(entry(description.DESCRIPTION, description.format_description(change)))["payload"]["set"]
    assert told == {
        "bytes": {"base64": "eA=="},
        "tag": {"base64": "eA=="},
        "nested": [{"k": {"base64": "eQ=="}}],
        "infinite": None,
        "not": None,
        "large": 2**64 - 1,
        "keys": {"1": 2},
        "control": "\x00\u0085\u2029",
    }


def test_every_kind_can_be_shown() -> None:
    for item in sample():
        assert shown(item)["index"] == item.index
    assert shown(sample()[4])["payload"] == {"set": {"mode": "cruise"}, "lifecycle": "in-service"}


# --- coalescing -------------------------------------------------------------------------------


def test_the_newest_of_each_twin() -> None:
    latest = Latest()
    for item in sample():
        latest.add(item)
    event = latest.take(-1, 5)
    log, first, second = event["twins"]
    assert (event["type"], event["since"], event["index"]) == ("latest", -1, 5)
    assert log["kinds"] == {"genesis": 1}
    assert first == {
        "twin": TWIN,
        "index": 4,
        "iat": START,
        "kinds": {"readings": 1, "columns": 1, "description": 1},
        "readings": {
            "T24": {"value": 2.0, "unit": "K", "time": START + 1, "index": 3},
            "T30": {"value": 9.0, "unit": "K", "time": START + 1, "index": 3},
        },
        "set": {"mode": "cruise"},
        "unset": [],
        "lifecycle": "in-service",
    }
    assert (second["twin"], second["index"], second["kinds"]) == (OTHER_TWIN, 5, {"readings": 1, "desired": 1})
    assert latest.take(5, 6)["twins"] == []


def test_late_readings_do_not_win() -> None:
    log = Log(empty=True)
    log.record(DEVICE, 2.0, at=START + 10)
    log.record(DEVICE, 1.0, at=START)
    latest = Latest()
    for item in items_of(log):
        latest.add(item)
    assert latest.take(-1, 1)["twins"][0]["readings"]["T24"] == {
        "value": 2.0,
        "unit": "K",
        "time": START + 10,
        "index": 0,
    }


def test_set_and_unset_undo_each_other() -> None:
    log = Log(empty=True)
    for change in (
        Description(set={"a": 1, "b": 1}),
        Description(unset=("a", "c")),
        Description(set={"c": 2}, unset=("b",)),
    ):
        log.say(DEVICE, TWIN, description.DESCRIPTION, description.format_description(change))
    latest = Latest()
    for item in items_of(log):
        latest.add(item)
    (twin,) = latest.take(-1, 2)["twins"]
    assert (twin["set"], twin["unset"]) == ({"c": 2}, ["a", "b"])


def test_an_empty_filter_wants_all() -> None:
    assert Filter() == make_filter()
    assert all(Filter().matches(item) for item in sample())
