"""What every client of a node does alike: addresses, refusals, how long to wait."""

from __future__ import annotations

from typing import Any

import pytest

from twinproof.edge.http import RETRY_AFTER, busy, check_address, parse_problem, printable
from twinproof.errors import ConfigError, Overloaded, RateLimited
from twinproof.proof import cbor


@pytest.mark.parametrize("url", ["https://twin.example", "http://127.0.0.1:8600", "https://twin.example/node"])
def test_an_address_loses_its_last_slash_only(url: str) -> None:
    assert check_address(url) == check_address(url + "/") == url


@pytest.mark.parametrize("url", ["", "twin.example", "ftp://twin.example", "https://", "https://x/?a", "https://x/#a"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="not the address of a node"):
        check_address(url)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({-1: "Rejected", -2: "gap: seq 9"}, "gap: seq 9"),
        ({-1: "Rejected"}, "Rejected"),
        ({-2: "\x1b[31mred\n"}, " [31mred "),
        ({-2: "x" * 301}, "x" * 300),
        ({-2: 7}, None),
        ({}, None),
        ([], None),
    ],
)
def test_problem_details_are_read_for_people(answer: Any, said: str | None) -> None:
    assert parse_problem(cbor.encode(answer)) == said


def test_what_is_no_problem_is_none() -> None:
    assert parse_problem(b"<html>") is None
    assert printable("a\tb") == "a b"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("", RETRY_AFTER), ("-1", RETRY_AFTER), ("1_0", RETRY_AFTER)],
)
def test_a_busy_node_says_how_long(retry_after: str, seconds: float) -> None:
    error = busy("https://twin.example", 503, b"", {"Retry-After": retry_after})
    assert (type(error), error.retry_after) == (Overloaded, seconds)
    assert str(error) == "https://twin.example is busy: status 503"
    limited = busy("https://twin.example", 429, cbor.encode({-2: "slow down"}), {})
    assert (type(limited), str(limited)) == (RateLimited, "https://twin.example is busy: slow down")
