"""The twin graph: 100,000 twins, 300,000 relationships, questions now and as of the middle of the log.

A fleet: sites of 10 lines of 20 machines of 4 parts; every part also feeds a part elsewhere and is
measured with another. The fold is timed from parsed entries; each question several times, median.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from twinproof.proof.keys import EDDSA, PrivateKey
from twinproof.twin.description import DESCRIPTION, Description, format_description
from twinproof.twin.kinds import kind_of
from twinproof.twin.statement import parse_statement, sign_statement
from twinproof.views.feed import Item
from twinproof.views.graph import query
from twinproof.views.state import StateView

KEY = PrivateKey(EDDSA, bytes(32))
TWINS = 100_000
REPEATS = 7
START = 1_700_000_000

QUESTIONS = {
    "one_twin": "MATCH (e {iri: $part}) RETURN e",
    "by_property": "MATCH (e {serial: 'A00777'}) RETURN e.iri, e.hours",
    "parts_of_a_line": "MATCH (p)-[:partOf]->(m)-[:partOf]->(l {iri: $line}) RETURN p.iri, m.iri",
    "line_up_to_5_hops": "MATCH (p)-[:partOf*1..5]->(l {iri: $line}) RETURN p.iri",
    "site_aggregate": "MATCH (p:part)-[:partOf*1..5]->(s {name: 'site 3'}) RETURN count(*), avg(p.hours)",
    "upwards": "MATCH (p {serial: 'A00777'})-[:partOf*1..5]->(x) RETURN x.iri",
    "fed_within_4": "MATCH (p {serial: 'A00777'})-[:feeds*1..4]->(x) RETURN x.iri",
    "range_and_join": "MATCH (p:part)-[:partOf]->(m) WHERE p.hours > 9990 RETURN p, m.iri ORDER BY p.hours LIMIT 10",
    "not_exists": "MATCH (m {name: 'line 7'})<-[:partOf]-(x) WHERE NOT EXISTS { (x)<-[:feeds]-() } RETURN x.iri",
    "count_by_model": "MATCH (e) RETURN e.model, count(*)",
    "all_relationships": "MATCH (a)-[r]->(b) RETURN type(r), count(*)",
    "top_by_property": "MATCH (p:part) RETURN p.iri, p.hours ORDER BY p.hours DESC LIMIT 10",
}


def iri(number: int) -> str:
    """The IRI of a twin."""
    return f"https://bench.example/asset/{number}"


class Entries:
    """A source of parsed entries."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self._items)

    def read(self, start: int, limit: int) -> list[Item]:
        """Up to `limit` items."""
        return self._items[start : start + limit]


def item(index: int, subject: str, seq: int, description: Description) -> Item:
    """A signed and parsed description."""
    raw = sign_statement(
        KEY,
        issuer="urn:dev:org:32473-bench",
        subject=subject,
        content_type=DESCRIPTION,
        payload=format_description(description),
        seq=seq,
        prev=bytes(32) if seq else None,
        issued_at=START,
    )
    statement = parse_statement(raw)
    kind = kind_of(statement)
    return Item(index, statement, kind, kind.parse(statement.payload, statement.issued_at))


def fleet(twins: int) -> list[Item]:
    """One description per twin, and a second one for each tenth."""
    rng = random.Random(1)
    # Twins 0.. are sites, then lines, machines, parts: 1 : 10 : 200 : 800.
    sites = max(1, twins // 1011)
    lines, machines = sites * 10, sites * 200
    first = [0, sites, sites + lines, sites + lines + machines]
    items: list[Item] = []
    for number in range(twins):
        level = max(place for place, start in enumerate(first) if number >= start)
        model = ("site", "line", "machine", "part")[level]
        relate = []
        if level:
            parents = first[level] - first[level - 1]
            relate.append(("partOf", iri(first[level - 1] + (number - first[level]) % parents)))
        while len(relate) < 3:
            relate.append((("feeds", "measuredWith")[len(relate) % 2], iri(rng.randrange(first[level], twins))))
        values = {
            "name": f"{model} {number - first[level]}",
            "serial": f"A{number:05d}",
            "hours": rng.randrange(10_000),
        }
        change = Description(model=f"dtmi:bench:{model};1", set=values, relate=tuple(sorted(set(relate))))
        items.append(item(len(items), iri(number), 0, change))
    for number in range(0, twins, 10):
        items.append(item(len(items), iri(number), 1, Description(set={"hours": rng.randrange(10_000)})))
    return items


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds per question."""
    twins = TWINS // 20 if quick else TWINS
    items = fleet(twins)
    with tempfile.TemporaryDirectory() as folder:
        view = StateView(Path(folder) / "states.db", Entries(items))
        start = time.perf_counter()
        view.catch_up()
        seconds = time.perf_counter() - start
        ((links,),) = view.query("SELECT count(*) FROM link", ())
        results: dict[str, Any] = {
            "twins": twins,
            "relationships": links,
            "entries_folded_per_s": round(len(items) / seconds),
            "file_mb": round((Path(folder) / "states.db").stat().st_size / 1e6, 1),
        }
        parameters = {"part": iri(twins - 3), "line": iri(max(1, twins // 1011) + 5)}
        for when, at in (("now", None), ("past", twins - 1)):
            for name, text in QUESTIONS.items():
                given = {key: value for key, value in parameters.items() if f"${key}" in text}
                times = []
                for _ in range(REPEATS):
                    start = time.perf_counter()
                    result = query(view, text, at=at, parameters=given, seconds=60)
                    times.append(time.perf_counter() - start)
                assert result.rows, name
                results.setdefault(name, {"rows": len(result.rows)})[f"{when}_ms"] = round(1000 * median(times), 1)
        view.close()
    return results


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv), indent=2))
