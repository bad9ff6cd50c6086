"""Units: SenML's registered symbols and UCUM's codes, one to one.

Views, charts and columns name a unit by its UCUM code (The Unified Code for Units of Measure,
case-sensitive form); SenML packs by the symbol registered with IANA (RFC 8428 §12.1 and, for the
secondary units, RFC 8798 §3). No value is ever rescaled: each symbol has the code of the *same*
unit, so `ms` stays `ms` and `%RH` becomes `%{RH}`. Where UCUM has no code for what a symbol adds
to its unit (a counter, a humidity, a reactive power), the code carries a UCUM annotation in braces.

    ucum_of("m/s2") == "m/s2"    ucum_of("var") == "V.A{reactive}"    senml_of("[degR]") is None
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from twinproof.errors import Malformed

MAX_UNIT: Final = 32
"""Characters of a UCUM code."""

_PRIMARY: Final = {
    # RFC 8428 §12.1
    "m": "m",
    "kg": "kg",
    "g": "g",
    "s": "s",
    "A": "A",
    "K": "K",
    "cd": "cd",
    "mol": "mol",
    "Hz": "Hz",
    "rad": "rad",
    "sr": "sr",
    "N": "N",
    "Pa": "Pa",
    "J": "J",
    "W": "W",
    "C": "C",
    "V": "V",
    "F": "F",
    "Ohm": "Ohm",
    "S": "S",
    "Wb": "Wb",
    "T": "T",
    "H": "H",
    "Cel": "Cel",
    "lm": "lm",
    "lx": "lx",
    "Bq": "Bq",
    "Gy": "Gy",
    "Sv": "Sv",
    "kat": "kat",
    "m2": "m2",
    "m3": "m3",
    "l": "l",
    "m/s": "m/s",
    "m/s2": "m/s2",
    "m3/s": "m3/s",
    "l/s": "l/s",
    "W/m2": "W/m2",
    "cd/m2": "cd/m2",
    "bit": "bit",
    "bit/s": "bit/s",
    "lat": "deg{lat}",
    "lon": "deg{lon}",
    "pH": "[pH]",
    "dB": "dB",
    "dBW": "dB[W]",
    "Bspl": "B[SPL]",
    "count": "{count}",
    "/": "1",
    # The registry calls this a ratio like "/"; percent is "/100".
    "%": "{%}",
    "%RH": "%{RH}",
    "%EL": "%{EL}",
    "EL": "s{EL}",
    "1/s": "1/s",
    "1/min": "1/min",
    "beat/min": "{beat}/min",
    "beats": "{beat}",
    "S/m": "S/m",
    # RFC 8798 §2
    "B": "By",
    "VA": "V.A",
    "VAs": "V.A.s",
    "var": "V.A{reactive}",
    "vars": "V.A.s{reactive}",
    "J/m": "J/m",
    "kg/m3": "kg/m3",
    "deg": "deg",
    # added by expert review
    "NTU": "{NTU}",
}

_SECONDARY: Final = {
    # RFC 8798 §3
    "ms": "ms",
    "min": "min",
    "h": "h",
    "MHz": "MHz",
    "kW": "kW",
    "kVA": "kV.A",
    "kvar": "kV.A{reactive}",
    "Ah": "A.h",
    "Wh": "W.h",
    "kWh": "kW.h",
    "varh": "V.A.h{reactive}",
    "kvarh": "kV.A.h{reactive}",
    "kVAh": "kV.A.h",
    "Wh/km": "W.h/km",
    "KiB": "KiBy",
    "GB": "GBy",
    "Mbit/s": "Mbit/s",
    "B/s": "By/s",
    "MB/s": "MBy/s",
    "mV": "mV",
    "mA": "mA",
    "dBm": "dB{mW}",
    "ug/m3": "ug/m3",
    "mm/h": "mm/h",
    "m/h": "m/h",
    "ppm": "[ppm]",
    "/100": "%",
    "/1000": "[ppth]",
    "hPa": "hPa",
    "mm": "mm",
    "cm": "cm",
    "km": "km",
    "km/h": "km/h",
    # added by expert review
    "ppb": "[ppb]",
    "ppt": "[pptr]",
    "VAh": "V.A.h",
    "mg/l": "mg/l",
    "ug/l": "ug/l",
    "g/l": "g/l",
}

SENML_UNITS: Final = MappingProxyType(_PRIMARY | _SECONDARY)
"""SenML symbol -> UCUM code, for all registered units."""

SECONDARY_UNITS: Final = frozenset(_SECONDARY)
"""The symbols that a pack may use only when its version says so (RFC 9100 §4)."""

_SYMBOLS: Final = {code: symbol for symbol, code in SENML_UNITS.items()}


def ucum_of(senml: str) -> str | None:
    """The UCUM code of a registered SenML symbol, otherwise None."""
    return SENML_UNITS.get(senml)


def senml_of(ucum: str) -> str | None:
    """The SenML symbol whose code is exactly `ucum`, otherwise None; no conversion, no synonyms."""
    return _SYMBOLS.get(ucum)


def check_ucum(code: str, field: str = "unit") -> None:
    """Check what can be checked of a UCUM code without its grammar and 300 atoms.

    Printable ASCII without spaces, 1..32 characters, [] and {} in pairs and not inside each other,
    () in pairs (UCUM §2). Raises `Malformed` that names `field`.
    """
    if not 0 < len(code) <= MAX_UNIT:
        raise Malformed(field, f"a UCUM code has 1 to {MAX_UNIT} characters, not {len(code)}")
    closing = ""
    depth = 0
    for character in code:
        if not "!" <= character <= "~":
            raise Malformed(field, f"{code!r}: a UCUM code is printable ASCII without spaces")
        if closing:
            if character in "[]{}" and character != closing:
                raise Malformed(field, f"{code!r}: {character} before {closing}")
            if character == closing:
                closing = ""
        elif character in "[{":
            closing = "]" if character == "[" else "}"
        elif character in "]}":
            raise Malformed(field, f"{code!r}: {character} was not opened")
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth < 0:
                raise Malformed(field, f"{code!r}: ) was not opened")
    if closing or depth:
        raise Malformed(field, f"{code!r}: {closing or ')'} is missing")
