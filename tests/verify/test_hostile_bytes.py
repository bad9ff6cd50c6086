"""Whatever bytes come, verifiers and parsers raise `TwinproofError` and nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import small_log
from tests.spec_examples import example_log
from twinproof.errors import TwinproofError, VerificationFailed
from twinproof.proof import cbor
from twinproof.twin.evidence import format_bundle, parse_bundle
from twinproof.twin.kinds import KINDS
from twinproof.twin.statement import parse_statement
from twinproof.verify import verify_bundle, verify_tlog_proof, verify_transparent

LOG = example_log()
POLICY = LOG.policy()
BUNDLE = LOG.bundle_bytes()

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=40)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-9, 9) | st.text(max_size=4), inner, max_size=4)
        | st.builds(cbor.Tagged, st.sampled_from([1, 18, 64, 86]), inner)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    for call in (
        lambda: parse_bundle(data),
        lambda: parse_statement(data),
        lambda: verify_transparent(data, POLICY),
        lambda: verify_tlog_proof(data, LOG.raws[2], POLICY),
    ):
        with pytest.raises(TwinproofError):
            call()
    with pytest.raises(VerificationFailed) as failure:
        verify_bundle(data, POLICY)
    assert failure.value.step == 1


@given(VALUES)
def test_arbitrary_values(value: Any) -> None:
    data = cbor.encode(value)
    for call in (parse_bundle, parse_statement, lambda data: verify_transparent(data, POLICY)):
        with pytest.raises(TwinproofError):
            call(data)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@given(st.binary(max_size=200), VALUES)
@example(b"", {})
@example(b"", [])
def test_arbitrary_payloads(kind: Any, data: bytes, value: Any) -> None:
    for payload in (data, cbor.encode(value)):
        with suppress(TwinproofError):
            kind.parse(payload, 1_700_000_000)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a decoded bundle."""
    found = [path]
    items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = dict(value) if type(value) is dict else list(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


PARTS = cbor.decode(BUNDLE)


@given(st.sampled_from(places(PARTS)), VALUES)
def test_any_value_at_any_place_of_a_bundle(path: tuple[Any, ...], value: Any) -> None:
    data = cbor.encode(replaced(PARTS, path, value))
    try:
        history = verify_bundle(data, POLICY)
    except VerificationFailed:
        return
    assert data == BUNDLE or path[-1:] == ("generator",)
    assert len(history.entries) == 1


@given(st.lists(st.integers(0, len(BUNDLE) - 1), min_size=1, max_size=4), st.binary(min_size=1, max_size=8))
def test_spliced_bundles(places_: list[int], piece: bytes) -> None:
    data = bytearray(BUNDLE)
    for at in places_:
        data[at : at + len(piece)] = piece
    try:
        verify_bundle(bytes(data), POLICY)
    except VerificationFailed:
        return
    assert parse_bundle(bytes(data)).entries == parse_bundle(BUNDLE).entries


def test_bundles_are_read_back() -> None:
    for bundle in (small_log().bundle(), small_log().bundle(indices=[0, 3]), example_log().bundle(marks=[(1, 5)])):
        assert parse_bundle(format_bundle(bundle)) == bundle
    assert format_bundle(parse_bundle(BUNDLE)) == BUNDLE
