"""Two coupled models: against the same equations in Python, calibrated from logged readings, hostile files refused."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders import DEVICE
from tests.simulation import fmus
from tests.simulation.scenarios import scenario
from twinproof.errors import Malformed, StorageFailed, TooLarge
from twinproof.simulation import cosimulation
from twinproof.simulation.results import Result, compare
from twinproof.simulation.runs import run
from twinproof.simulation.scenario import parse_scenario
from twinproof.twin.columns import COLUMNS, format_columns
from twinproof.twin.reading import Reading
from twinproof.twin.senml import SENML, format_senml
from twinproof.twin.statement import sign_statement

Build = Callable[..., bytes]
BEGIN = 1_790_000_000
STEP = 0.5
STEPS = 60
SETTINGS: dict[str, Any] = {
    "models": {"tank": "tank.fmu", "pump": "pump.fmu"},
    "start": {"tank": {"area": 2.5, "drain": 0.2}, "pump": {"gain": 0.75}},
    "connections": [["pump", "flow", "tank", "inflow"], ["tank", "level", "pump", "level"]],
    "step": STEP,
    "steps": STEPS,
    "record": [["tank", "level"], ["pump", "flow"]],
}


def by_hand(area: float = 2.5, drain: float = 0.2, gain: float = 0.75) -> list[float]:
    """The level at every step: outputs are passed on, then both models step."""
    level = flow = 0.0
    found = [level]
    for _ in range(STEPS):
        inflow, seen = flow, level
        level += STEP * (inflow - drain * level) / area
        flow = max(gain * (2.0 - seen), 0.0)
        found.append(level)
    return found


def statement(content_type: str, payload: bytes, seq: int = 0) -> bytes:
    return sign_statement(
        DEVICE.key, issuer=DEVICE.issuer, subject="urn:tank:1", content_type=content_type, payload=payload, seq=seq,
        prev=bytes(32) if seq else None, issued_at=BEGIN,
    )  # fmt: skip


def simulated(build: Build, folder: Path, inputs: dict[str, bytes] | None = None, **changed: Any) -> Result:
    given = {"tank.fmu": build("tank"), "pump.fmu": build("pump")} | (inputs or {})
    return run(parse_scenario(scenario("cosimulation", given, SETTINGS | changed)), given, folder=str(folder))


def test_two_models_are_coupled(build_fmu: Build, tmp_path: Path) -> None:
    level, flow = simulated(build_fmu, tmp_path).result["recorded"]
    assert (level["model"], level["variable"]) == ("tank", "level")
    assert level["values"] == by_hand()
    assert len(flow["values"]) == STEPS + 1
    assert level["values"][-1] == pytest.approx(0.75 * 2 / (0.75 + 0.2), abs=0.01)  # where both agree


def test_a_rerun_gives_the_same_bytes(build_fmu: Build, tmp_path: Path) -> None:
    first, again = (simulated(build_fmu, tmp_path / name) for name in "ab")
    assert first.to_cbor() == again.to_cbor()
    assert "fmpy" in first.tools
    other = simulated(build_fmu, tmp_path / "c", start={"tank": {"area": 2.6}})
    assert compare(first, other)


def test_a_parameter_is_calibrated_from_the_log(build_fmu: Build, tmp_path: Path) -> None:
    """Half of what the twin said as SenML, half as columns; readings of other names or times do not count."""
    truth = by_hand(area=3.3)
    early = [Reading("level", truth[at], None, BEGIN + at * STEP) for at in range(1, 30)]
    other = [Reading("noise", 99.0, None, BEGIN + 1.0), Reading("level", 99.0, None, BEGIN - 10.0)]
    late = range(30, STEPS + 1)
    gaps = [*(truth[at] for at in late), math.nan]
    columns = format_columns(BEGIN + 30 * STEP, [("level", "m", gaps)], step=STEP)
    logged = {
        "first": statement(SENML, format_senml([*early, *other])),
        "second": statement(COLUMNS, columns, 1),
    }
    calibrate = {
        "model": "tank", "variable": "area", "low": 0.5, "high": 10, "observed": ["tank", "level"],
        "readings": list(logged), "name": "level", "begin": BEGIN,
    }  # fmt: skip
    result = simulated(build_fmu, tmp_path, logged, calibrate=calibrate).result
    found = result["calibrated"]
    assert found["value"] == pytest.approx(3.3, abs=1e-6)
    assert found["rms"] < 1e-7
    assert found["samples"] == STEPS
    assert found["simulations"] == 21 + 2 + 40
    assert result["recorded"][0]["values"] == pytest.approx(truth, abs=1e-6)


def test_a_parameter_at_the_edge_of_its_range(build_fmu: Build, tmp_path: Path) -> None:
    truth = by_hand(area=3.3)
    logged = {"r": statement(SENML, format_senml([Reading("level", truth[9], None, BEGIN + 9 * STEP)]))}
    calibrate = {
        "model": "tank", "variable": "area", "low": 4, "high": 10, "observed": ["tank", "level"],
        "readings": ["r"], "name": "level", "begin": BEGIN,
    }  # fmt: skip
    assert simulated(build_fmu, tmp_path, logged, calibrate=calibrate).result["calibrated"]["value"] == 4.0


# --- native code is not run by accident ------------------------------------------------------


def test_nothing_native_runs_without_a_folder(build_fmu: Build) -> None:
    given = {"tank.fmu": build_fmu("tank"), "pump.fmu": build_fmu("pump")}
    with pytest.raises(Malformed, match="native code"):
        run(parse_scenario(scenario("cosimulation", given, SETTINGS)), given)


def zipped(**files: bytes) -> bytes:
    return fmus.pack({name.replace("__", "/"): data for name, data in files.items()})


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1 << 22))
    return out.getvalue()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "no zip": (b"PK", "no FMU"),
    "empty": (b"", "no FMU"),
    "no description": (zipped(x=b""), "no FMU"),
    "a path upwards": (fmus.pack({"../x": b""}), "holds the path"),
    "a path from the root": (fmus.pack({"/etc/x": b""}), "holds the path"),
    "a path of another system": (fmus.pack({"a\\..\\x": b""}), "holds the path"),
    "no XML": (fmus.pack({"modelDescription.xml": b"<"}), "no XML"),
    "entities": (
        fmus.pack({"modelDescription.xml": fmus.describe("tank", first="<!DOCTYPE x [<!ENTITY a 'b'>]>").encode()}),
        "document type",
    ),
    "another version": (fmus.pack({"modelDescription.xml": fmus.describe("tank", version="3.0").encode()}), "FMI 2.0"),
    "an identifier upwards": (
        fmus.pack({"modelDescription.xml": fmus.describe("tank", identifier="../../x").encode()}), "FMI 2.0",
    ),
    "no code": (fmus.pack({"modelDescription.xml": fmus.describe("tank").encode()}), "no code for this machine"),
    "no value reference": (
        fmus.pack({"modelDescription.xml": fmus.describe("tank").replace('"0"', '"-1"').encode()}), "value reference",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_no_models_are_refused(name: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[name]
    with pytest.raises(Malformed, match=reason):
        cosimulation.unpack(data, str(tmp_path / "in" / "here"), "model")
    assert [path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "in")] == []


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_with_changed_bytes_are_refused(method: int, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("modelDescription.xml", "<x/>" * 9)
        archive.writestr("binaries/\u00e9.so", bytes(50))
    data = out.getvalue()
    for place in range(len(data)):
        broken = data[:place] + bytes([data[place] ^ 0x81]) + data[place + 1 :]
        with pytest.raises((Malformed, StorageFailed)):
            cosimulation.unpack(broken, str(tmp_path / str(place)), "model")


def test_bombs_are_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosimulation, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(TooLarge):
        cosimulation.unpack(bomb(), str(tmp_path / "x"), "model")
    assert not (tmp_path / "x").exists()


def test_code_that_lacks_a_function_is_refused(build_fmu: Build, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(build_fmu("tank"))) as archive:
        files = {name: archive.read(name).replace(b"fmi2DoStep", b"fmi2NoStep") for name in archive.namelist()}
    with pytest.raises(Malformed, match="has no fmi2DoStep"):
        cosimulation.unpack(fmus.pack(files), str(tmp_path), "model")


def test_a_model_that_declines_is_refused(build_fmu: Build, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="cannot be instantiated"):
        simulated(build_fmu, tmp_path, {"tank.fmu": build_fmu("tank", guid="{another}")})


def test_a_model_that_blows_up_is_refused(build_fmu: Build, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"tank\.level"):
        simulated(build_fmu, tmp_path, start={"tank": {"area": 1e-300, "level": 1}}, connections=[])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no models": ({"models": {}}, "settings.models"),
    "an input that is not there": ({"models": {"tank": "x"}}, "settings.models.tank"),
    "start of a stranger": ({"start": {"valve": {"x": 1}}}, "settings.start"),
    "start of a stranger's variable": ({"start": {"tank": {"x": 1}}}, "settings.start"),
    "start with text": ({"start": {"tank": {"area": "1"}}}, "settings.start.tank.area"),
    "a connection of three": ({"connections": [["pump", "flow", "tank"]]}, "settings.connections"),
    "a connection to nowhere": ({"connections": [["pump", "flow", "tank", "x"]]}, "settings.connections"),
    "an input connected twice": (
        {"connections": [["pump", "flow", "tank", "inflow"], ["pump", "level", "tank", "inflow"]]},
        "settings.connections",
    ),
    "no step": ({"step": 0}, "settings.step"),
    "too many steps": ({"steps": 10**7}, "settings.steps"),
    "nothing recorded": ({"record": []}, "settings.record"),
    "an unknown setting": ({"command": "x"}, "settings"),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_that_are_none_are_refused_by_name(name: str, build_fmu: Build, tmp_path: Path) -> None:
    changed, field = WRONG[name]
    with pytest.raises(Malformed) as caught:
        simulated(build_fmu, tmp_path, **changed)
    assert caught.value.field == field
