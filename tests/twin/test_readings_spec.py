"""spec/readings.md says what the code does: its examples, its tags, its limits."""

from __future__ import annotations

import re
from pathlib import Path

from twinproof.twin import columns, reading, senml, units
from twinproof.twin.columns import format_columns, parse_columns
from twinproof.twin.reading import Reading
from twinproof.twin.senml import format_senml, parse_senml

SPEC = (Path(__file__).resolve().parent.parent.parent / "spec" / "readings.md").read_text()
LABELS = {-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs"} | dict(
    enumerate(["n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"])
)


def example(kind: str) -> tuple[bytes, list[Reading]]:
    """The example's bytes, and the table of readings after it."""
    start = SPEC.index(f"```{kind}\n") + len(kind) + 4
    rows = SPEC[start:].split("| name | value | unit | time |\n|---|---|---|---|\n")[1].split("\n\n")[0]
    readings = []
    for row in rows.strip().splitlines():
        name, value, unit, time = (cell.strip() for cell in row.strip("|").split("|"))
        readings.append(Reading(name, float(value), unit, float(time)))
    return bytes.fromhex(SPEC[start : SPEC.index("```", start)]), readings


def table(first_cell: str) -> dict[str, str]:
    """A table of two rows that are read column by column."""
    lines = SPEC[SPEC.index(f"| {first_cell} |") :].splitlines()
    heads, cells = ([cell.strip() for cell in line.strip(" |").split("|")] for line in (lines[0], lines[2]))
    return dict(zip(heads, cells, strict=True))


def test_the_senml_example() -> None:
    payload, expected = example("senml")
    readings = parse_senml(payload, 0)
    assert readings == expected
    assert format_senml(readings) == payload


def test_the_columns_example() -> None:
    payload, expected = example("columns")
    content = parse_columns(payload, 0)
    assert list(content.readings()) == expected
    assert format_columns(content.base_time, content.columns, step=content.step, offsets=content.offsets) == payload


def test_the_labels() -> None:
    assert table("-1") == {str(label): name for label, name in LABELS.items()}


def test_the_tags() -> None:
    names = {"B": "uint8", "H": "uint16 LE", "I": "uint32 LE", "Q": "uint64 LE", "b": "sint8", "h": "sint16 LE"}
    names |= {"i": "sint32 LE", "q": "sint64 LE", "f": "binary32 LE", "d": "binary64 LE"}
    found = {}
    for tag in table("64"):
        body = bytes([0xD8, int(tag), 0x48]) + bytes(8)
        payload = b"\xa4\x61c\x81\x83\x61a\xf6" + body + b"\x61n%c\x62bt\x1a\x65\x53\xf1\x00\x62dt\x01"
        size = int("".join(re.findall(r"\d", table("64")[tag].split()[0]))) // 8
        (column,) = parse_columns(payload.replace(b"%c", bytes([8 // size])), 0).columns
        found[tag] = names[column.values.format]
    assert found == table("64")


def test_the_limits_and_names() -> None:
    assert f"at most {reading.MAX_PAYLOAD:,} bytes" in SPEC
    assert f"1 to {reading.MAX_NAME} characters" in SPEC
    assert f"1 to {units.MAX_UNIT} printable" in SPEC
    assert f"time < {reading.TIME_LIMIT:,} " in SPEC
    assert f"2^28 ({reading.RELATIVE_BELOW:,})" in SPEC
    assert f"1 to {senml.MAX_RECORDS:,} records" in SPEC
    assert f"1 to {columns.MAX_COLUMNS:,} columns" in SPEC
    assert f"SenML packs: `{senml.SENML}`" in SPEC
    assert f"Columns: `{columns.COLUMNS}`" in SPEC
