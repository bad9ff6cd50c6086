"""The table of units against what RFC 8428, RFC 8798 and UCUM say."""

from __future__ import annotations

import pytest

from twinproof.errors import Malformed
from twinproof.twin.units import SECONDARY_UNITS, SENML_UNITS, check_ucum, senml_of, ucum_of

# The symbols of RFC 8428 §12.1, then RFC 8798 §2 and §3, typed from the RFCs' tables.
RFC_8428 = """
m kg g s A K cd mol Hz rad sr N Pa J W C V F Ohm S Wb T H Cel lm lx Bq Gy Sv kat m2 m3 l m/s m/s2 m3/s l/s W/m2 cd/m2
bit bit/s lat lon pH dB dBW Bspl count / % %RH %EL EL 1/s 1/min beat/min beats S/m
"""
RFC_8798_PRIMARY = "B VA VAs var vars J/m kg/m3 deg"
RFC_8798_SECONDARY = """
ms min h MHz kW kVA kvar Ah Wh kWh varh kvarh kVAh Wh/km KiB GB Mbit/s B/s MB/s mV mA dBm ug/m3 mm/h m/h ppm /100 /1000
hPa mm cm km km/h
"""


def test_every_unit_of_the_rfcs_is_there() -> None:
    primary = {*RFC_8428.split(), *RFC_8798_PRIMARY.split()}
    secondary = set(RFC_8798_SECONDARY.split())
    assert set(SENML_UNITS) >= primary | secondary
    assert secondary <= SECONDARY_UNITS
    assert not SECONDARY_UNITS & primary


@pytest.mark.parametrize("symbol", sorted(SENML_UNITS))
def test_every_symbol_has_one_code_and_comes_back(symbol: str) -> None:
    code = ucum_of(symbol)
    assert code is not None
    check_ucum(code)
    assert senml_of(code) == symbol


def test_codes_are_one_to_one() -> None:
    assert len(set(SENML_UNITS.values())) == len(SENML_UNITS)


@pytest.mark.parametrize(
    ("symbol", "code"),
    [("Cel", "Cel"), ("/", "1"), ("/100", "%"), ("%RH", "%{RH}"), ("ms", "ms"), ("var", "V.A{reactive}"), ("B", "By")],
)
def test_known_pairs(symbol: str, code: str) -> None:
    assert ucum_of(symbol) == code


@pytest.mark.parametrize("code", ["[degR]", "[psi]", "", "L", "percent"])
def test_a_code_without_a_symbol_has_none(code: str) -> None:
    assert senml_of(code) is None


@pytest.mark.parametrize("symbol", ["degC", "", "rpm", "[degR]"])
def test_an_unregistered_symbol_has_no_code(symbol: str) -> None:
    assert ucum_of(symbol) is None


@pytest.mark.parametrize(
    "code",
    [
        "1",
        "m",
        "[degR]",
        "10*3.[ft_i]",
        "{rpm}",
        "V.A{reactive}",
        "(m/s)/(kg.K)",
        "{a(b}",
        "[lb_av]/s",
        "a" * 32,
        "%{RH}",
    ],
)
def test_codes_that_pass(code: str) -> None:
    check_ucum(code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "1 to 32"),
        ("a" * 33, "1 to 32"),
        ("m s", "printable"),
        ("µm", "printable"),
        ("m\n", "printable"),
        ("m\x7f", "printable"),
        ("[degR", "] is missing"),
        ("degR]", "] was not opened"),
        ("{a", "} is missing"),
        ("a}", "} was not opened"),
        ("{[}]", "[ before }"),
        ("[{]}", "{ before ]"),
        ("{{a}}", "{ before }"),
        ("(m", ") is missing"),
        ("m)", ") was not opened"),
        (")(", ") was not opened"),
    ],
)
def test_codes_that_are_refused(code: str, reason: str) -> None:
    with pytest.raises(Malformed) as caught:
        check_ucum(code, "column 3, unit")
    assert caught.value.field == "column 3, unit"
    assert reason in caught.value.reason
