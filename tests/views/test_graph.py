"""The graph's language: what it reads, what it refuses and how, its limits, and that no text becomes SQL."""
# ruff: noqa: E501, SIM905 - tables of queries and words

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.views.telemetry_log import Journal, Said, senml
from twinproof.errors import Malformed, NotFound, TooLarge
from twinproof.twin.alarm import ALARM, RULE, AlarmTransition, Rule, Severity, Test, Transition, format_rule
from twinproof.twin.alarm import format_transition as format_alarm
from twinproof.twin.description import DESCRIPTION, Description, Lifecycle, format_description
from twinproof.twin.reading import Reading
from twinproof.views.graph import format_query, parse, query, run
from twinproof.views.state import StateView

LINE = "urn:x:line1"
ENGINE = "dtmi:example:engine;1"


def describe(subject: str, **change: Any) -> Said:
    return Said(subject, DESCRIPTION, format_description(Description(**change)))


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateView]:
    """Entry 0: a line; 1 to 3: engines in it; 4: e1 leaves it and retires; 5: a reading; 6, 7: a rule and an alarm."""
    journal = Journal()
    journal.say(describe(LINE, set={"name": "line 1"}, model="dtmi:example:line;1"))
    for number in range(3):
        values = {"hours": 100 * number, "serial": f"A{number}", "ok": number > 0, "tags": ["a", number]}
        journal.say(
            describe(
                f"urn:x:e{number}",
                set=values,
                model=f"dtmi:example:engine;{1 + number // 2}",
                relate=(("partOf", LINE),),
            )
        )
    journal.say(describe("urn:x:e1", unrelate=(("partOf", LINE),), lifecycle=Lifecycle.RETIRED))
    journal.say(senml("urn:x:e2", Reading("T24", 600.5, "K", 1_700_000_000.0)))
    journal.say(Said("urn:x:e2", RULE, format_rule(Rule("hot", "T24", Test.ABOVE, 1.0, Severity.HIGH))))
    journal.say(Said("urn:x:e2", ALARM, format_alarm(AlarmTransition("hot", Transition.RAISE))))
    made = StateView(tmp_path_factory.mktemp("graph") / "v.db", journal.feed)
    made.catch_up()
    yield made
    made.close()


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at", "rows"),
    [
        ("MATCH (e)-[:partOf]->(l {name: 'line 1'}) RETURN e.serial ORDER BY e.hours DESC", None, [("A2",), ("A0",)]),
        ("MATCH (e)-[:partOf]->({iri: 'urn:x:line1'}) RETURN e.serial ORDER BY e.serial", 3, [("A0",), ("A1",), ("A2",)]),
        ("MATCH (e)-[:partOf]->() RETURN count(*)", 1, [(1,)]),
        ("MATCH (e:`dtmi:example:engine;1`) RETURN e.serial ORDER BY e.serial", None, [("A0",), ("A1",)]),
        ("MATCH (e:engine|line) RETURN count(e)", None, [(4,)]),
        ("MATCH (e:engine) WHERE e.ok RETURN e.iri ORDER BY e.iri LIMIT 1", None, [("urn:x:e1",)]),
        ("MATCH (e) WHERE e.lifecycle = 'retired' RETURN e.iri, e.lastEntry, e.statements", None, [("urn:x:e1", 4, 2)]),
        ("MATCH (e) WHERE e.lifecycle = 'retired' RETURN e.iri", 3, []),
        ("MATCH (e) WHERE reading(e, 'T24') > 600 RETURN e.iri, e.alarms", None, [("urn:x:e2", 1)]),
        ("MATCH (e:engine) WHERE alarm(e, 'hot') = 'unacknowledged' RETURN reading(e, 'T24')", None, [(600.5,)]),
        ("MATCH (e {serial: 'A2'}) RETURN e.tags, e.ok, e.nothing, e['serial'] AS s", None, [(["a", 2], True, None, "A2")]),
        ("MATCH (a)-[r]->(b) RETURN type(r), r.since, a.serial ORDER BY r.since", None, [("partOf", 1, "A0"), ("partOf", 3, "A2")]),
        ("MATCH (e:engine) RETURN sum(e.hours), avg(e.hours), min(e.serial), max(e.hours)", None, [(300, 100.0, "A0", 200)]),
        ("MATCH (l)<-[:partOf*0..2]-(e {serial: 'A0'}) RETURN l.iri ORDER BY l.iri", None, [("urn:x:e0",), (LINE,)]),
        ("MATCH (a)-[:partOf]->()<-[:partOf]-(b) RETURN a.serial, b.serial ORDER BY a.serial", None, [("A0", "A2"), ("A2", "A0")]),
        ("MATCH (e:engine) WHERE NOT EXISTS { (e)-[:partOf]->() } RETURN e.serial", None, [("A1",)]),
        ("MATCH (e {serial: 'A0'}), () WHERE EXISTS { ()<-[:partOf]-({serial: 'A2'}) } RETURN count(*)", None, [(4,)]),
        ("MATCH (e:nothing) RETURN e.iri", None, []),
        ("match (e:engine) where e.serial in ['A1', 'x'] return e.hours as h order by h", None, [(100,)]),
    ],
)  # fmt: skip
def test_answers(view: StateView, text: str, at: int | None, rows: list[tuple[Any, ...]]) -> None:
    assert query(view, text, at=at).rows == rows


def test_a_node_and_what_goes_with_the_rows(view: StateView) -> None:
    result = query(view, "MATCH (e {serial: $serial}) RETURN e", at=2, parameters={"serial": "A1"})
    properties = {"hours": 100, "serial": "A1", "ok": True, "tags": ["a", 1]}
    node = {"iri": "urn:x:e1", "model": ENGINE, "lifecycle": None, "properties": properties}
    assert (result.columns, result.rows, result.reached, result.more) == (["e"], [(node,)], 8, False)
    assert query(view, "MATCH (e) RETURN e.iri LIMIT 3").more is True


def test_the_default_limit(tmp_path: Path) -> None:
    journal = Journal()
    journal.say(*(describe(f"urn:x:{number}", set={"n": number}) for number in range(1001)))
    many = StateView(tmp_path / "v.db", journal.feed)
    many.catch_up()
    result = query(many, "MATCH (e) RETURN e.n")
    assert (len(result.rows), result.more) == (1000, True)
    result = query(many, "MATCH (e) RETURN e.n LIMIT 10000")
    assert (len(result.rows), result.more) == (1001, False)
    many.close()


# --- reading and writing queries ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("match(e)return e", "MATCH (e) RETURN e"),
        ("MATCH (:`a b`|c {x:-1, `y z` : TRUE}) <-[:p|q*2]- () RETURN count( * )",
         "MATCH (:`a b`|c {x: -1, `y z`: TRUE})<-[:p|q*2..2]-() RETURN count(*)"),
        ("MATCH (a)-->(b)--(c) WHERE a.x<-5 AND (b.y=1e3 OR NOT c.z IS NOT NULL) RETURN a.x AS `or`, b SKIP 1 LIMIT $n",
         "MATCH (a)-->(b)--(c) WHERE (a.x < -5) AND ((b.y = 1000.0) OR (NOT (c.z IS NOT NULL))) RETURN a.x AS `or`, b SKIP 1 LIMIT $n"),
        (r"""MATCH (a) WHERE a.s = "it's\u0041\n\\" RETURN DISTINCT count(DISTINCT a) ORDER BY count(DISTINCT a) DESCENDING""",
         r"""MATCH (a) WHERE a.s = 'it\'sA\n\\' RETURN DISTINCT count(DISTINCT a) ORDER BY count(DISTINCT a) DESC"""),
        ("MATCH (a) WHERE EXISTS { MATCH (a)-[r:x]->(), (b) WHERE b = a } RETURN a['x`y'], a.`x``y`, type(a)",
         "MATCH (a) WHERE EXISTS { (a)-[r:x]->(), (b) WHERE b = a } RETURN a['x`y'], a.`x``y`, type(a)"),
    ],
)  # fmt: skip
def test_canonical_form(text: str, canonical: str) -> None:
    assert format_query(parse(text)) == canonical
    assert parse(canonical) == parse(text)


BAD = [
    ("", "line 1, column 1: expected MATCH, but the query ends"),
    ("CREATE (e)", "line 1, column 1: CREATE is not part of this language, which reads: MATCH … WHERE … RETURN …"),
    ("MATCH (e) SET e.x = 1", "line 1, column 11: SET is not part of this language, which reads: MATCH … WHERE … RETURN …"),
    ("MATCH (e) OPTIONAL MATCH (f) RETURN e", "line 1, column 11: OPTIONAL is not part of this language, which reads: MATCH … WHERE … RETURN …"),
    ("MATCH (e\nRETURN e", "line 2, column 1: expected ':', '{' or ')', found 'RETURN'"),
    ("MATCH (e) RETURN", "line 1, column 17: expected a value, but the query ends"),
    ("MATCH (e) RETURN e LIMIT -1", "line 1, column 26: expected a number or a parameter, found '-'"),
    ("MATCH (e) RETURN e LIMIT 10001", "line 1, column 26: LIMIT is not a whole number of 0..10000"),
    ("MATCH (e) RETURN e;", "line 1, column 19: ';' has no meaning here"),
    ("MATCH (e) RETURN e x", "line 1, column 20: expected the end of the query, found 'x'"),
    ("MATCH (e) WHERE e.x + 1 = 2 RETURN e", "line 1, column 21: '+': there is no arithmetic in this language"),
    ("MATCH (e) WHERE 1 < e.x < 5 RETURN e", "line 1, column 25: comparisons are not chained: write a < b AND b < c"),
    ("MATCH (e) WHERE e.x = 'a RETURN e", "line 1, column 23: a string that does not end"),
    ("MATCH (e) WHERE e.x = '\\q' RETURN e", "line 1, column 24: unknown escape \\q; a backslash is written twice"),
    ("MATCH (e) WHERE e.x = '\\uD800' RETURN e", "line 1, column 23: holds half of a surrogate pair"),
    ("MATCH (e) WHERE e.x = 007 RETURN e", "line 1, column 23: 007 is not a decimal number below 2^63"),
    ("MATCH (e) WHERE e.x = 1e999 RETURN e", "line 1, column 23: 1e999 is beyond a double's range"),
    ("MATCH (e)<-[]->(f) RETURN e", "line 1, column 10: a relationship has one direction, or none: write -[…]- for both"),
    ("MATCH (e)-[*]->(f) RETURN e", "line 1, column 13: expected an upper bound, such as *1..5, of at most 32, found ']'"),
    ("MATCH (e)-[*3..]->(f) RETURN e", "line 1, column 16: expected an upper bound, such as *1..5, of at most 32, found ']'"),
    ("MATCH (e)-[*1..33]->(f) RETURN e", "line 1, column 12: *1..33 is not between 0 and 32, in order"),
    ("MATCH (e)-[r*1..3]->(f) RETURN e", "line 1, column 13: a relationship of variable length has no variable"),
    ("MATCH (e {x: 1, x: 2}) RETURN e", "line 1, column 17: property x is named twice"),
    ("MATCH (e) RETURN f.x", "line 1, column 18: no variable f in the pattern"),
    ("MATCH (e) RETURN f", "line 1, column 18: no variable f in the pattern"),
    ("MATCH (e)-[e]->() RETURN e", "line 1, column 10: e names a node and a relationship"),
    ("MATCH ()-[r]->()-[r]->() RETURN 1", "line 1, column 17: r names a second relationship"),
    ("MATCH ()-[r]->() RETURN r", "line 1, column 25: r is a relationship, not a value: name one of its properties"),
    ("MATCH ()-[r]->() RETURN r.weight", "line 1, column 25: a relationship has type(r) and r.since, the log index since when it holds"),
    ("MATCH (e) WHERE e RETURN e", "line 1, column 17: e is a node, not a value: name one of its properties"),
    ("MATCH (e) WHERE 5 RETURN e", "line 1, column 17: is no condition; compare it with something"),
    ("MATCH (e), (f) WHERE e < f RETURN e", "line 1, column 24: nodes are equal or not; they have no order"),
    ("MATCH (e) RETURN e ORDER BY e", "line 1, column 29: nodes have no order; name one of their properties, such as iri"),
    ("MATCH (e) RETURN DISTINCT e.x ORDER BY e.y", "line 1, column 40: e.y is not returned; with DISTINCT or aggregates, only columns give an order"),
    ("MATCH (e) RETURN e.x, e.x", "line 1, column 23: a second column e.x; name it with AS"),
    ("MATCH (e) WHERE count(e) > 1 RETURN e", "line 1, column 17: count() stands alone, as a column of RETURN or a key of ORDER BY"),
    ("MATCH (e) RETURN count(e) > 1", "line 1, column 18: count() stands alone, as a column of RETURN or a key of ORDER BY"),
    ("MATCH (e) RETURN size(e)", "line 1, column 18: no function size; there are count, sum, min, max, avg, type, reading, alarm"),
    ("MATCH (e) RETURN reading(e)", "line 1, column 18: is written reading(e, 'name')"),
    ("MATCH (e) WHERE e.x IN 5 RETURN e", "line 1, column 24: expected a list in brackets, or a parameter, found '5'"),
    ("MATCH (e) WHERE e.x = $x RETURN e", "line 1, column 23: parameter $x is not given"),
    ("MATCH (e) WHERE e.x IS 5 RETURN e", "line 1, column 24: expected NULL or NOT NULL, found '5'"),
    ("MATCH (match) RETURN 1", "line 1, column 8: expected ':', '{' or ')', found 'match'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), BAD, ids=[text for text, _ in BAD])
def test_a_bad_query_is_refused_with_its_place(view: StateView, text: str, reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        query(view, text)
    assert str(refused.value) == f"query: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        "MATCH (e) RETURN e" + " " * 10_000,
        "MATCH (e) RETURN " + ", ".join(["e.x"] * 400),
        "MATCH (e) WHERE " + "(" * 40 + "TRUE" + ")" * 40 + " RETURN e",
        "MATCH (e) WHERE " + "NOT " * 40 + "TRUE RETURN e",
        "MATCH (e) WHERE " + "EXISTS {(e) WHERE " * 20 + "TRUE" + "}" * 20 + " RETURN e",
        "MATCH (e)" + "-->()" * 40 + " RETURN e",
    ],
    ids=["long", "words", "brackets", "not", "exists", "joins"],
)
def test_what_is_too_large_is_refused(view: StateView, text: str) -> None:
    with pytest.raises(TooLarge):
        query(view, text)


def test_the_largest_conditions_run(view: StateView) -> None:
    for word in (" AND ", " OR "):
        query(view, f"MATCH (e) WHERE {word.join(['TRUE'] * 480)} RETURN e.iri")
        query(view, f"MATCH (e) WHERE NOT ({word.join(['e.x < e.y'] * 120)}) RETURN e.iri")
    query(view, "MATCH (e) WHERE e.x IN $many RETURN e.iri", parameters={"many": list(range(9000))})


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"x": [1]}, "line 1, column 23: parameter $x is a list; lists stand after IN"),
        ({"x": {}}, "line 1, column 23: parameter $x holds what is no text"),
        ({"x": 1 << 63}, "line 1, column 23: parameter $x holds what is no text"),
        ({"x": float("nan")}, "line 1, column 23: parameter $x holds what is no text"),
        ({"x": "\ud800"}, "line 1, column 23: parameter $x holds what is no text"),
        ({"x": 1, "y": 2}, "parameters: the query has no $y"),
    ],
)
def test_bad_parameters(view: StateView, parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed) as refused:
        query(view, "MATCH (e) WHERE e.x = $x RETURN e", parameters=parameters)
    assert reason in str(refused.value)


def test_moments(view: StateView) -> None:
    with pytest.raises(NotFound, match="entry 8 is not there: the view has 8 entries"):
        query(view, "MATCH (e) RETURN e", at=8)
    with pytest.raises(NotFound, match="entry -1"):
        query(view, "MATCH (e) RETURN e", at=-1)
    for what in ("reading(e, 'T24')", "e.alarms", "alarm(e, 'hot')"):
        with pytest.raises(Malformed, match="for the present only"):
            query(view, f"MATCH (e) RETURN {what}", at=7)


# --- hostile input ------------------------------------------------------------------------------

INJECTIONS = [
    "'; DROP TABLE twin; --",
    "' OR 1=1 --",
    '" OR ""="',
    "x') UNION SELECT sub FROM twin --",
    ":at",
    "?1",
    "\x00'",
    "%' OR '1'='1",
    "n1.sub",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_text_stays_text(view: StateView, text: str) -> None:
    before = list(view.digest_rows())
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    name = "`" + text.replace("`", "``") + "`"
    for one in (
        f"MATCH (e {{serial: '{quoted}'}}) RETURN e.iri",
        f"MATCH (e) WHERE e.serial STARTS WITH '{quoted}' OR e.iri CONTAINS '{quoted}' RETURN e.iri",
        f"MATCH (e) WHERE e.{name} = 1 OR e['{quoted}'] IN ['{quoted}'] RETURN e.iri",
        f"MATCH (e:{name})-[:{name}*1..2]->()-[:{name}]->() RETURN e.iri",
        f"MATCH ({name}) WHERE {name}.iri = 'none' RETURN {name}.iri AS {name}",
    ):
        assert query(view, one).rows == []
        assert parse(format_query(parse(one))) == parse(one)
    assert query(view, f"MATCH (e {{serial: 'A0'}}) RETURN '{quoted}' AS {name}").rows == [(text,)]
    assert query(view, "MATCH (e) WHERE e.serial = $x RETURN e.iri", parameters={"x": text}).rows == []
    assert list(view.digest_rows()) == before


WORDS = (
    "MATCH WHERE RETURN ORDER BY LIMIT AND OR NOT IN IS NULL EXISTS STARTS WITH count ( ) [ ] { } - -> <- * .. , : . | = < > "
    "$p e f r 1 2.5 'a' `b` (e) (e)-[r]->(f) e.x e.iri"
).split()


@given(st.lists(st.sampled_from(WORDS), max_size=25), st.booleans())
def test_any_words_are_answered_or_refused(view: StateView, words: list[str], begun: bool) -> None:
    text = ("MATCH (e)-[r]->(f) WHERE " if begun else "") + " ".join(words)
    with suppress(Malformed, TooLarge):
        query(view, text, parameters={"p": 1} if "$p" in words else {})


@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with suppress(Malformed, TooLarge):
        parse(text)


def test_the_connection_cannot_write(view: StateView) -> None:
    with view.asking() as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("DELETE FROM twin")


# --- limits -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateView]:
    """30 twins, each related to all."""
    journal = Journal()
    names = [f"urn:x:{number:02d}" for number in range(30)]
    for name in names:
        text = "x" * 20_000
        journal.say(describe(name, set={"text": text}, relate=tuple(("to", other) for other in names)))
    made = StateView(tmp_path_factory.mktemp("dense") / "v.db", journal.feed)
    made.catch_up()
    yield made
    made.close()


@pytest.mark.parametrize(
    "text",
    [
        "MATCH (a)-->(b)-->(c)-->(d)-->(e)-->(f)-->(g)-->(h) RETURN count(*)",
        "MATCH (a), (b), (c), (d), (e), (f), (g), (h) RETURN a.text, count(*) ORDER BY a.text",
        "MATCH (a), (b), (c), (d), (e), (f) WHERE reading(a, 'x') = reading(f, 'y') RETURN a",
    ],
)
def test_an_explosive_query_ends_in_time(dense: StateView, text: str) -> None:
    start = time.monotonic()
    with pytest.raises(TooLarge, match=r"query: took longer than 0.3 s; begin at"):
        query(dense, text, seconds=0.3)
    assert time.monotonic() - start < 5
    assert query(dense, "MATCH (a) RETURN count(*)").rows == [(30,)]


def test_ways_through_a_dense_graph_do_not_explode(dense: StateView) -> None:
    assert query(dense, "MATCH (a {iri: 'urn:x:00'})-[*1..32]->(b) RETURN count(*)", seconds=60).rows == [(30,)]


def test_a_result_has_a_size(dense: StateView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MAX_BYTES", 500_000)
    for text in ("MATCH (a) RETURN a", "MATCH (a), (b) RETURN a.text, b.iri"):
        with pytest.raises(TooLarge, match="the result has more than 500000 bytes"):
            query(dense, text, seconds=60)
