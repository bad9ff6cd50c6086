"""Conditions: what holds, what is refused and where."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed, TooLarge
from twinproof.views import condition
from twinproof.views.condition import parse_condition

VALUES: dict[str, list[object]] = {
    "T24": [640.0, 646.0],
    "n": [7],
    "and": [1],
    "mode": ["cruise"],
    "oil pressure": [2.5e5],
    "running": [True],
    "gap": [nan],
    "raw": [b"x"],
    "urn:dev:1-a_b/c.d": [-3],
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("T24 > 645", True),
        ("T24>645", True),
        ("T24 > 646", False),
        ("T24 >= 646", True),
        ("T24 < 640.5", True),
        ("T24 <= 639", False),
        ("T24 = 640", True),
        ("T24 != 640", True),
        ("n != 7", False),
        ("n = 7.0", True),
        ("n > -1e2", True),
        ("urn:dev:1-a_b/c.d = -3", True),
        ('mode = "cruise"', True),
        ('mode != "cruise"', False),
        ('mode != "taxi"', True),
        ('mode = "\\u0063ruise"', True),
        ('"oil pressure" > 2e5', True),
        ('"and" = 1', True),
        ("running = true", True),
        ("running = 1", False),
        ("n = true", False),
        ("running != false", True),
        ("mode != 3", False),
        ("raw != 3", False),
        ('raw = "x"', False),
        ("gap != 3", False),
        ("gap < 3", False),
        ("nothing > 0", False),
        ("nothing != 0", False),
        ("n = 7 and T24 > 645", True),
        ("n = 8 and T24 > 645", False),
        ("n = 8 or T24 > 645", True),
        # `and` binds tighter
        ("n = 7 or n = 8 and n = 9", True),
        ("(n = 7 or n = 8) and n = 9", False),
        ("((((n = 7))))", True),
        ("\tn\t=\t7 ", True),
        ("true = 1 or n = 7", True),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    assert parse_condition(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", 1, "a name was expected"),
        ("   ", 4, "a name was expected"),
        ("T24", 4, "one of < <= > >= = !="),
        ("T24 >", 6, "a number, a text"),
        ("T24 > T30", 7, "a number, a text"),
        ("645 <", 6, "a number, a text"),
        ("T24 == 1", 6, "a number, a text"),
        ("T24 => 1", 6, "a number, a text"),
        ("T24 <> 1", 6, "a number, a text"),
        ("T24 > 1_000", 7, "a number, a text"),
        ("T24 > +5", 7, "a number, a text"),
        ("T24 > 05", 7, "a number, a text"),
        ("T24 > .5", 7, "means nothing"),
        ("T24 > 5.", 7, "a number, a text"),
        ("T24 > 1e999", 7, "too large"),
        ("T24 > 0x10", 7, "a number, a text"),
        ("T24 > NaN", 7, "a number, a text"),
        ("T24 > Infinity", 7, "a number, a text"),
        ("T24 > \u0663", 7, "means nothing"),
        ("T24 > True", 7, "a number, a text"),
        ("T24 > null", 7, "a number, a text"),
        ("and > 1", 1, "a name was expected"),
        ("n > 1 and", 10, "a name was expected"),
        ("n > 1 or or n > 2", 10, "a name was expected"),
        ("n > 1 n > 2", 7, "`and`, `or` or the end"),
        ("n > 1 AND n > 2", 7, "`and`, `or` or the end"),
        ("n > 1)", 6, "`and`, `or` or the end"),
        ("(n > 1", 7, "`)` was expected"),
        ("()", 2, "a name was expected"),
        ("not n > 1", 5, "one of <"),
        ("n > 1; n > 2", 6, "means nothing"),
        ("n > 1\nand n > 2", 6, "means nothing"),
        ("n = 'x'", 5, "means nothing"),
        ('n = "x', 5, "means nothing"),
        ('n = "\\x"', 5, "means nothing"),
        ('n = "\\ud800"', 5, "a lone surrogate"),
        ('n < "x"', 3, "compares numbers only"),
        ("n >= true", 3, "compares numbers only"),
        ('"" = 1', 1, "1 to 255"),
        (f'"{"x" * 256}" = 1', 1, "1 to 255"),
        ("__class__ = 1", 1, "means nothing"),
        ("n.__class__() = 1", 12, "one of <"),
        ("-n > 1", 1, "a name was expected"),
        ("T24 & 1", 5, "means nothing"),
    ],
)
def test_what_is_refused(text: str, place: int, reason: str) -> None:
    with pytest.raises(Malformed, match=r"^where: at character") as caught:
        parse_condition(text)
    assert caught.value.field == "where"
    assert caught.value.reason.startswith(f"at character {place}: ")
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "n = 1".ljust(condition.MAX_CONDITION + 1),
        " or ".join(["n = 1"] * (condition.MAX_COMPARISONS + 1)),
        "(" * (condition.MAX_DEPTH + 1) + "n = 1" + ")" * (condition.MAX_DEPTH + 1),
        "(" * condition.MAX_CONDITION,
    ],
)
def test_limits(text: str) -> None:
    with pytest.raises(TooLarge):
        parse_condition(text)


def test_up_to_the_limits() -> None:
    deep = "(" * condition.MAX_DEPTH + "n = 7" + ")" * condition.MAX_DEPTH
    assert parse_condition(deep).holds(VALUES)
    assert parse_condition(" or ".join(["n = 7"] * condition.MAX_COMPARISONS)).holds(VALUES)


@given(st.text(alphabet='ntruefalsandor019.eE+-_<>=!()" \\u\t', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse_condition(text)
    except Malformed:
        return
    assert parsed.holds(VALUES) in (True, False)


COMPARISONS = st.tuples(
    st.sampled_from(["a", "b", "c"]), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]), st.integers(-2, 2)
)
TREES: st.SearchStrategy[Any] = st.recursive(
    COMPARISONS,
    lambda parts: st.tuples(st.sampled_from(["and", "or"]), st.lists(parts, min_size=2, max_size=3)),
    max_leaves=8,
)


def spell(tree: Any) -> str:
    if len(tree) == 3:
        return "{} {} {}".format(*tree)
    return "(" + f" {tree[0]} ".join(map(spell, tree[1])) + ")"


def judge(tree: Any, values: dict[str, list[int]]) -> bool:
    """The same by Python's own operators."""
    if len(tree) == 3:
        name, sign, literal = tree
        python = {"=": "=="}.get(sign, sign)
        return any(eval(f"{value} {python} {literal}") for value in values.get(name, ()))  # noqa: S307 - made here
    parts = [judge(part, values) for part in tree[1]]
    return all(parts) if tree[0] == "and" else any(parts)


@given(TREES, st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(-2, 2), max_size=2)))
def test_conditions_mean_what_python_means(tree: Any, values: dict[str, list[int]]) -> None:
    assert parse_condition(spell(tree)).holds(values) == judge(tree, values)
