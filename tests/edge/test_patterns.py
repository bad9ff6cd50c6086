"""Topic patterns against the standard's examples and a brute-force reference; templates; no two matches one twin."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.edge.patterns import contains, overlaps, parse_pattern, parse_template
from twinproof.errors import Malformed
from twinproof.twin.statement import check_iri

# MQTT 5 §4.7.1.2, §4.7.1.3, §4.7.2 and §4.7.3
STANDARD = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("sport/#", "sports", False),
    ("#", "sport/tennis", True),
    ("#", "$SYS/uptime", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("$SYS/#", "$SYS/uptime", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("ACCOUNTS", "Accounts", False),
    ("/a", "a", False),
    ("a//b", "a//b", True),
    ("a/+/b", "a//b", True),
]


@pytest.mark.parametrize(("pattern", "topic", "matches"), STANDARD)
def test_wildcards_mean_what_the_standard_says(pattern: str, topic: str, matches: bool) -> None:
    assert (parse_pattern(pattern).match(topic) is not None) is matches


def test_a_group_keeps_its_level() -> None:
    pattern = parse_pattern("plant/{line}/+/{machine}/#")
    assert pattern.match("plant/a/x/7/b/c") == {"line": "a", "machine": "7"}
    assert pattern.match("plant/a/x/7") == {"line": "a", "machine": "7"}
    assert pattern.match("plant/a/x") is None
    assert pattern.filter == "plant/+/+/+/#"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("a/b#", "whole levels"),
        ("a/#/b", "whole levels"),
        ("a+/b", "whole levels"),
        ("a/{x}y", "whole levels"),
        ("a/{X}", "whole levels"),
        ("a/{}", "whole levels"),
        ("a/{x}/{x}", "twice"),
        ("a/\x00", "does not print"),
        ("a\nb", "does not print"),
        ("$share/group/a", "shared subscription"),
        ("a/" + "x" * 65_535, "more than 65535 bytes"),
    ],
)
def test_a_bad_pattern_is_refused_with_its_rule(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=re.escape(says)):
        parse_pattern(text)


LEVELS = ["a", "b", "+", "{g}", "#", "$x"]
PATTERNS = [
    parse_pattern("/".join(levels))
    for count in (1, 2, 3)
    for levels in itertools.product(LEVELS, repeat=count)
    if "#" not in levels[:-1] and levels.count("{g}") < 2
]
TOPICS = ["/".join(parts) for count in (1, 2, 3, 4) for parts in itertools.product(["a", "b", "c", "$x"], repeat=count)]
MATCHED = {
    pattern.text: frozenset(topic for topic in TOPICS if pattern.match(topic) is not None) for pattern in PATTERNS
}


def test_contains_and_overlaps_agree_with_the_topics_that_match() -> None:
    wrong = []
    for one, other in itertools.product(PATTERNS, repeat=2):
        mine, theirs = MATCHED[one.text], MATCHED[other.text]
        if overlaps(one, other) != bool(mine & theirs):
            wrong.append(("overlaps", one.text, other.text))
        if contains(one, other) and not theirs <= mine:
            wrong.append(("contains", one.text, other.text))
        # Not being sure is allowed where the narrow pattern reaches beyond what one filter of a broker could say.
        if theirs <= mine and not contains(one, other) and "#" not in (one.levels[-1], other.levels[-1]):
            wrong.append(("does not contain", one.text, other.text))
    assert not wrong


def test_patterns_match_as_the_reference_does() -> None:
    for pattern, topic in itertools.product(PATTERNS, TOPICS):
        expression = "/".join("[^/]*" if level == "+" else re.escape(level) for level in pattern.levels)
        expression = expression.replace(re.escape("#"), ".*").removesuffix("/.*") + "(/.*)?" * (
            pattern.levels[-1] == "#" and len(pattern.levels) > 1
        )
        wild = pattern.levels[0] in ("+", "#")
        expected = bool(re.fullmatch(expression, topic)) and not (wild and topic.startswith("$"))
        assert (topic in MATCHED[pattern.text]) is expected, (pattern.text, topic)


# --- templates ------------------------------------------------------------------------------


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_matches_become_one_twin(one: str, other: str) -> None:
    template = parse_template("https://fleet.example/{machine}/state")
    if any("\ud800" <= character <= "\udfff" for character in one + other):
        return
    first, second = (template.fill_iri({"machine": text}) for text in (one, other))
    assert (first == second) is (one == other)
    if len(first) <= 512:
        check_iri(first, "twin")
    assert first.count("/") == 4


def test_an_empty_level_names_no_twin() -> None:
    with pytest.raises(Malformed, match="machine: is empty"):
        parse_template("https://fleet.example/{machine}").fill_iri({"machine": ""})


@pytest.mark.parametrize("text", ["a{", "a}", "{A}", "{}", "{a b}", "{{a}}", "{" + "a" * 33 + "}"])
def test_braces_are_for_groups_alone(text: str) -> None:
    with pytest.raises(Malformed, match="braces"):
        parse_template(text)
