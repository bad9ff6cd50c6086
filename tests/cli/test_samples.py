"""Samples as text: arguments, CSV, JSON lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.cli.samples import Samples, parse_arguments, parse_lines, parse_time, parse_value
from twinproof.errors import Malformed


def test_arguments() -> None:
    assert parse_arguments(["T24=641.82[[degR]]", "Nf=2388[1/min]", "on=true", "mode=climb"]) == Samples(
        {"T24": 641.82, "Nf": 2388, "on": True, "mode": "climb"}, {"T24": "[degR]", "Nf": "1/min"}, None
    )


@pytest.mark.parametrize(
    "words", [["T24"], ["=1"], ["a=1", "a=2"], ["a=1[K"], ["a=1]K["], ["a=1[]"], ["a="], ["a=[K]"]]
)
def test_arguments_that_are_none(words: list[str]) -> None:
    with pytest.raises(Malformed):
        parse_arguments(words)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("1.5e3", 1500.0),
        ("01", "01"),
        ("+1", "+1"),
        ("1_000", "1_000"),
        (" 1", " 1"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("1.", "1."),
        ("true", True),
        ("True", "True"),
        ("٣", "٣"),
    ],
)
def test_only_plain_numbers_are_numbers(text: str, value: object) -> None:
    found = parse_value(text)
    assert (found, type(found)) == (value, type(value))


def test_csv_with_units_times_and_holes() -> None:
    lines = ["\n", "time, T24[[degR]] ,mode\n", "2026-01-01T00:00:00Z,641.8,\n", "\n", '1767225601.5,,"a,b"\n']
    assert list(parse_lines(lines)) == [
        Samples({"T24": 641.8}, {"T24": "[degR]"}, 1767225600.0),
        Samples({"mode": "a,b"}, {"T24": "[degR]"}, 1767225601.5),
    ]


def test_json_lines() -> None:
    lines = ['{"time": 1767225600, "T24[[degR]]": 641.8, "on": true, "gone": null}\n', "\n", '{"n": 3}']
    assert list(parse_lines(lines)) == [
        Samples({"T24": 641.8, "on": True}, {"T24": "[degR]"}, 1767225600.0),
        Samples({"n": 3}, {}, None),
    ]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ([], "input"),
        (["a,a\n"], "header"),
        (["a[K,b\n"], "header"),
        (["a,b\n", "1\n"], "line 2"),
        (["time,a\n", "yesterday,1\n"], "line 2, time"),
        (["a\n", '"open\n'], "line 2"),
        (['{"a": 1}\n', "[1]\n"], "line 2"),
        (['{"a": NaN}\n'], "line 1"),
        (['{"a": [1]}\n'], "line 1, a"),
        (["{" * 5000], "line 1"),
        (['{"time": true, "a": 1}\n'], "line 1, time"),
    ],
)
def test_bad_input_is_named(lines: list[str], where: str) -> None:
    with pytest.raises(Malformed) as caught:
        list(parse_lines(lines))
    assert caught.value.field == where


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_numbers_keep_their_value(number: float | int) -> None:
    (samples,) = parse_lines(["a\n", f"{number!r}\n"])
    assert samples.values["a"] == number


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "", "1_0", "9" * 30])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(Malformed):
        parse_time(text, "line 1")


@pytest.mark.parametrize("value", ["14,80", "x", "NaN", "true", "1.", "+1"])
def test_what_has_a_unit_must_be_a_number(value: str) -> None:
    with pytest.raises(Malformed, match=r"speed.*no number"):
        parse_arguments([f"speed={value}[1/min]"])
    with pytest.raises(Malformed, match=r"line 3, speed.*no number"):
        list(parse_lines(["time,speed[1/min]\n", "0,1480\n", f'1,"{value}"\n']))
    with pytest.raises(Malformed, match=r"line 1, speed.*no number"):
        list(parse_lines([f'{{"speed[1/min]": "{value}"}}']))


def test_a_row_without_values_is_no_sample() -> None:
    assert list(parse_lines(["time,a\n", "1,\n", "2,3\n"])) == [Samples({"a": 3}, {}, 2.0)]
    assert list(parse_lines(['{"time": 1, "a": null}\n', '{"a": 3}'])) == [Samples({"a": 3}, {}, None)]
