"""Small planning problems, for brute force."""

from __future__ import annotations

from math import inf

from hypothesis import strategies as st

from twinproof.prognosis.planning import Asset, Limit, Problem


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Up to 4 assets, 4 slots, crew and spares; often without a plan."""
    slots = draw(st.integers(1, 4))
    cost = st.floats(0, 10, width=16) | st.just(inf)
    limits = tuple(
        Limit(name, tuple(draw(st.lists(st.integers(0, 2), min_size=slots, max_size=slots))), used_up)
        for name, used_up in (("crew", False), ("spare", True))
    )
    assets = tuple(
        Asset(
            f"asset {number}",
            tuple(draw(st.lists(cost, min_size=slots, max_size=slots))),
            draw(st.floats(0, 20, width=16) | st.just(inf)),
            {"crew": draw(st.integers(0, 2)), "spare": draw(st.integers(0, 1))},
            draw(st.integers(1, 2)),
        )
        for number in range(draw(st.integers(1, 4)))
    )
    return Problem(assets, limits)
