"""Whatever was recorded comes out of the packed payloads again: the same values, times, units, types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.edge.packing import MAX_ROW_BYTES, Row, format_row, make_row, pack, parse_row
from twinproof.errors import Corrupt
from twinproof.proof import cbor
from twinproof.twin.columns import COLUMNS, parse_columns
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, parse_senml
from twinproof.twin.statement import MAX_STATEMENT

NOW = 1_700_000_000
NAMES = st.sampled_from(["a", "b", "c/d", "urn:x:1"])
UNITS = {"a": "Cel", "b": "[degR]", "c/d": "ms"}
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
OTHERS = st.one_of(st.booleans(), st.text(max_size=20), st.binary(max_size=20))
TIMES = st.one_of(
    st.integers(NOW, NOW + 100).map(float),
    st.floats(NOW, NOW + 100),
    st.floats(2**28, 253_402_300_799, allow_nan=False),
)


def rows_of(values: st.SearchStrategy[object]) -> st.SearchStrategy[list[Row]]:
    row = st.builds(
        make_row,
        st.dictionaries(NAMES, values, min_size=1),
        st.sampled_from([{}, {"a": "Cel", "c/d": "ms"}, {"a": "K"}]),
        TIMES,
    )
    return st.lists(row, min_size=1, max_size=12)


def unpacked(payloads: list[tuple[str, bytes]]) -> list[Reading]:
    found: list[Reading] = []
    for content_type, payload in payloads:
        if content_type == SENML:
            found += parse_senml(payload, 1)
        else:
            assert content_type == COLUMNS
            found += parse_columns(payload, 1).readings()
    return found


def recorded(rows: list[Row]) -> list[Reading]:
    return [Reading(name, value, unit, row.time) for row in rows for name, unit, value in row.samples]


def canonical(readings: list[Reading]) -> list[tuple[object, ...]]:
    """Order within an instant and across kinds is free; value, unit and time are not; 3 may become 3.0."""
    return sorted(
        (
            (item.time, item.name, item.unit or "", str(type(item.value) in (int, float)), item.value)
            for item in readings
        ),
        key=lambda item: (item[:4], repr(item[4])) if item[3] == "False" else (item[:4], str(float(item[4]))),  # type: ignore[arg-type]
    )


@given(rows_of(st.one_of(NUMBERS, OTHERS)))
def test_nothing_is_lost_or_changed(rows: list[Row]) -> None:
    assert canonical(unpacked(pack(rows))) == canonical(recorded(rows))


@given(
    st.lists(
        st.builds(
            lambda values, time: make_row(values, UNITS, time),
            st.dictionaries(NAMES, NUMBERS, min_size=1),
            TIMES,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_units_without_a_symbol_are_kept_too(rows: list[Row]) -> None:
    assert canonical(unpacked(pack(rows))) == canonical(recorded(rows))


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 1000)), min_size=1, max_size=50))
def test_samples_of_one_sensor_keep_their_order(samples: list[tuple[float, int]]) -> None:
    times = sorted(time for _, time in samples)
    rows = [make_row({"x": value}, {}, NOW + time) for (value, _), time in zip(samples, times, strict=True)]
    assert unpacked(pack(rows)) == recorded(rows)


@given(rows_of(st.one_of(NUMBERS, OTHERS)))
def test_the_journal_keeps_rows_exactly(rows: list[Row]) -> None:
    for row in rows:
        again = parse_row(format_row(row))
        assert again == row
        assert [type(item.value) for item in again.samples] == [type(item.value) for item in row.samples]


@pytest.mark.parametrize("data", [b"", b"\x00", cbor.encode([1.0, [[1]]]), cbor.encode([1.0]), cbor.encode(["x", []])])
def test_a_damaged_journal_is_told(data: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_row(data)


def test_a_steady_table_takes_a_step_and_the_smallest_types() -> None:
    rows = [make_row({"n": number, "x": number / 2}, {}, NOW + number / 4) for number in range(100)]
    [(content_type, payload)] = pack(rows)
    assert content_type == COLUMNS
    table = parse_columns(payload, 1)
    assert table.step == 0.25
    assert [column.values.format for column in table.columns] == ["B", "f"]
    assert len(payload) < 100 * 5 + 60


def test_few_rows_and_sparse_ones_are_senml() -> None:
    assert [kind for kind, _ in pack([make_row({"n": 1}, {}, NOW)] * 3)] == [SENML]
    sparse = [make_row({f"n{number}": number}, {}, NOW + number) for number in range(20)]
    assert [kind for kind, _ in pack(sparse)] == [SENML]


def test_numbers_and_text_part_only_where_they_must() -> None:
    mixed = make_row({"n": 1, "s": "x"}, {}, NOW)
    assert [kind for kind, _ in pack([mixed] * 5)] == [SENML]
    rankine = make_row({"n": 1, "s": "x"}, {"n": "[degR]"}, NOW)
    assert [kind for kind, _ in pack([rankine] * 5)] == [COLUMNS, SENML]


def test_a_table_too_sparse_for_one_payload_is_cut() -> None:
    rows = [make_row({f"sensor-{number}": number}, {f"sensor-{number}": "[degR]"}, NOW) for number in range(1000)]
    payloads = pack(rows)
    assert unpacked(payloads) == recorded(rows)
    assert max(len(payload) for _, payload in payloads) <= MAX_STATEMENT


def test_times_out_of_order_are_kept() -> None:
    rows = [make_row({"n": number}, {}, NOW - number) for number in range(10)]
    assert unpacked(pack(rows)) == recorded(rows)


@pytest.mark.parametrize("value", [1.5, 2**63, True, "x" * 10, "\U0001f600" * 10, b"x" * 10])
def test_a_rows_size_is_an_upper_bound(value: float | str | bytes) -> None:
    rows = [make_row({"name" * 10 + str(number): value for number in range(300)}, {}, NOW + 0.1)]
    assert sum(len(payload) for _, payload in pack(rows)) <= rows[0].size + 16 <= MAX_ROW_BYTES


def test_numbers_of_other_libraries_become_plain_ones() -> None:
    from decimal import Decimal
    from fractions import Fraction

    assert make_row({"a": Fraction(1, 2)}, {}, NOW).samples[0].value == 0.5  # type: ignore[dict-item]
    with pytest.raises(Exception, match="neither a number"):
        make_row({"a": Decimal(1)}, {}, NOW)  # type: ignore[dict-item]
