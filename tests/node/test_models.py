"""What is said about a twin must fit its model, within one group as well as from one to the next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from tests.builders import GATEWAY, START, TWIN
from tests.node.bench import Bench
from twinproof.errors import Malformed, StorageFailed
from twinproof.node.intake import Accepted
from twinproof.node.live import model_of
from twinproof.node.models import Models
from twinproof.twin.description import Description
from twinproof.twin.grants import Capability, Scope
from twinproof.twin.model import MODEL, ModelDocument, format_model
from twinproof.views.feed import Feed
from twinproof.views.follower import Follower
from twinproof.views.state import StateView

ENGINE = "dtmi:example:engine;1"
DOCUMENT = json.dumps(
    {
        "@context": "dtmi:dtdl:context;3",
        "@id": ENGINE,
        "@type": "Interface",
        "contents": [
            {"@type": "Property", "name": "serial", "schema": "string"},
            {"@type": "Telemetry", "name": "T24", "schema": "double"},
        ],
    }
).encode()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """`GATEWAY` may say everything, and has published the model."""
    with Bench() as made:
        made.script.grant(GATEWAY, Capability, Scope("prefix", ""))
        made.script.say(GATEWAY, ENGINE, MODEL, format_model(ModelDocument("dtdl", DOCUMENT)), at=START)
        assert made.take(*made.script.raws[1:]) == [1, 2]
        yield made


def test_a_reading_that_the_model_does_not_define(bench: Bench) -> None:
    script = bench.script
    bench.take(script.describe(GATEWAY, Description(model=ENGINE)).raw)
    bench.take(script.record(GATEWAY, 1.0).raw)
    refusal = bench.refusal(script.record(GATEWAY, 1.0, name="T99").raw)
    assert isinstance(refusal, Malformed)
    assert "T99" in str(refusal)


@pytest.mark.parametrize("together", [False, True])
def test_a_twin_that_does_not_fit_its_new_model(bench: Bench, together: bool) -> None:
    """Also if what does not fit was said a moment ago, in the same group."""
    script = bench.script
    first = script.describe(GATEWAY, Description(set={"serial": 7, "colour": "red"})).raw
    second = script.describe(GATEWAY, Description(model=ENGINE)).raw
    outcomes = bench.submit(first, second) if together else [*bench.submit(first), *bench.submit(second)]
    assert outcomes[0] == Accepted(3, True)
    assert isinstance(outcomes[1], Malformed)
    assert "unset or set it anew" in str(outcomes[1])
    script.raws.pop()
    assert bench.entries() == script.raws
    assert bench.findings() == []


def test_a_migration_within_one_group(bench: Bench) -> None:
    script = bench.script
    first = script.describe(GATEWAY, Description(set={"serial": 7, "colour": "red"})).raw
    mended = script.describe(GATEWAY, Description(model=ENGINE, set={"serial": "A7"}, unset=("colour",))).raw
    later = script.describe(GATEWAY, Description(set={"serial": "A8"})).raw
    assert bench.take(first, mended, later) == [3, 4, 5]
    refusal = bench.refusal(script.describe(GATEWAY, Description(set={"colour": "red"})).raw)
    assert isinstance(refusal, Malformed)
    assert "colour" in str(refusal)


def test_a_view_that_lags_is_not_believed() -> None:
    """What it says counts only while it is as new as the log; the log itself decides otherwise."""
    lagging = True

    def known(subject: str) -> str | None:
        if lagging:
            raise LookupError("behind")
        return "dtmi:example:from:the:view;1"

    with Bench() as bench:
        script = bench.script
        script.grant(GATEWAY, {Capability.DESCRIBE}, Scope("prefix", ""))
        script.describe(GATEWAY, Description(model=ENGINE))
        bench.take(*script.raws[1:])
        models = Models(bench.reader, known)
        assert models.model_of(TWIN) == ENGINE
        assert models.model_of("urn:other") is None
        models.forget()
        lagging = False
        assert models.model_of(TWIN) == "dtmi:example:from:the:view;1"


class States:
    """Stands for the view of states."""

    def __init__(self, reached: int) -> None:
        self.reached = reached
        self.broken = False

    def wait(self, reached: int, timeout: float) -> bool:
        return self.reached >= reached

    def model(self, subject: str) -> str | None:
        if self.broken:
            raise StorageFailed("no disk")
        return subject


def test_states_are_asked_only_when_they_have_caught_up() -> None:
    with Bench() as bench:
        states, feed = States(0), Feed(bench.reader)
        follower = SimpleNamespace(problem=None)
        ask = model_of(cast(StateView, states), feed, cast(Follower, follower))
        with pytest.raises(LookupError):
            ask("urn:x")
        states.reached = 1
        assert ask("urn:x") == "urn:x"
        states.broken = True
        with pytest.raises(LookupError):
            ask("urn:x")
