"""What a row of C-MAPSS says: names, units, and the names of the engines as twins.

Source of the columns: A. Saxena, K. Goebel, D. Simon, N. Eklund, "Damage Propagation Modeling for
Aircraft Engine Run-to-Failure Simulation", PHM 2008, table 2. Units are UCUM codes. UCUM lets only
metric units take a prefix, so 1000 ft is `10*3.[ft_i]`; rpm is `1/min`, which SenML knows too.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from twinproof.twin.columns import COLUMNS, format_columns

PEN: Final = 32473
"""IANA's private enterprise number for examples (RFC 5612)."""

_DATASET = re.compile(r"FD[0-9]{3}")


class Field(NamedTuple):
    """One column of the files after unit number and cycle."""

    name: str
    unit: str | None
    """UCUM code; None where the source gives none."""
    description: str
    decimals: int
    """Digits after the point that the files give."""


FIELDS: Final = (
    Field("altitude", "10*3.[ft_i]", "Flight altitude", 4),
    Field("mach", "1", "Mach number", 4),
    Field("TRA", "deg", "Throttle resolver angle", 1),
    Field("T2", "[degR]", "Total temperature at fan inlet", 2),
    Field("T24", "[degR]", "Total temperature at LPC outlet", 2),
    Field("T30", "[degR]", "Total temperature at HPC outlet", 2),
    Field("T50", "[degR]", "Total temperature at LPT outlet", 2),
    Field("P2", "[psi]", "Pressure at fan inlet, absolute", 2),
    Field("P15", "[psi]", "Total pressure in bypass duct, absolute", 2),
    Field("P30", "[psi]", "Total pressure at HPC outlet, absolute", 2),
    Field("Nf", "1/min", "Physical fan speed", 2),
    Field("Nc", "1/min", "Physical core speed", 2),
    Field("epr", "1", "Engine pressure ratio P50/P2", 2),
    Field("Ps30", "[psi]", "Static pressure at HPC outlet, absolute", 2),
    Field("phi", "[lb_av]/s/[psi]", "Ratio of fuel flow to Ps30", 2),
    Field("NRf", "1/min", "Corrected fan speed", 2),
    Field("NRc", "1/min", "Corrected core speed", 2),
    Field("BPR", "1", "Bypass ratio", 4),
    Field("farB", "1", "Burner fuel-air ratio", 2),
    Field("htBleed", None, "Bleed enthalpy", 0),
    Field("Nf_dmd", "1/min", "Demanded fan speed", 0),
    # The paper's table says rpm; the values (100.00 at full fan speed) are percent.
    Field("PCNfR_dmd", "%", "Demanded corrected fan speed", 2),
    Field("W31", "[lb_av]/s", "HPT coolant bleed", 2),
    Field("W32", "[lb_av]/s", "LPT coolant bleed", 4),
)
"""In the files' order."""

CYCLE: Final = Field("cycle", "{cycle}", "Flights since the record began, this one included", 0)


class Snapshot(NamedTuple):
    """One row: an engine during one flight."""

    unit: int
    """Engine number in the data set, from 1."""
    cycle: int
    """Flight number, from 1."""
    values: tuple[float, ...]
    """One per `FIELDS`."""


def twin_iri(base: str, dataset: str, unit: int) -> str:
    """The twin of an engine: twin_iri("https://fleet.example/engine/", "FD001", 1) ends in engine/FD001-001."""
    return f"{base}{_checked(dataset, unit)}-{unit:03d}"


def device_iri(dataset: str, unit: int) -> str:
    """The recorder on an engine: urn:dev:org:32473-FD001:001 (RFC 9039 §4.3; identifiers hold no hyphen)."""
    return f"urn:dev:org:{PEN}-{_checked(dataset, unit)}:{unit:03d}"


def _checked(dataset: str, unit: int) -> str:
    if not _DATASET.fullmatch(dataset) or not 0 < unit < 1000:
        raise ValueError(f"no engine {unit} of data set {dataset!r}: wanted FD and three digits, and 1 to 999")
    return dataset


def snapshot_payload(snapshot: Snapshot, flight_time: int) -> tuple[str, bytes]:
    """Content type and payload of one flight: a row of columns, the cycle first, then all `FIELDS`.

    `flight_time` is in seconds since 1970. The files hold no times; the caller sets the calendar.
    """
    columns: list[tuple[str, str | None, list[float]]] = [(CYCLE.name, CYCLE.unit, [snapshot.cycle])]
    columns += [(field.name, field.unit, [value]) for field, value in zip(FIELDS, snapshot.values, strict=True)]
    return COLUMNS, format_columns(flight_time, columns)
