"""Coupled models of other tools: functional mock-up units for co-simulation (FMI 2.0.4, Modelica Association).

Settings of the kind `cosimulation`:

    "models": {"tank": NAME OF AN INPUT, …},            the FMUs' bytes
    "start": {"tank": {"area": 2.0, …}, …},             of real parameters and inputs, before initialisation
    "connections": [["pump", "flow", "tank", "inflow"], …],   from an output to an input
    "step": 0.5, "steps": 100,                          all models step together, from time 0 on
    "record": [["tank", "level"], …],
    ? "calibrate": {"model": "tank", "variable": "area", "low": 0.5, "high": 5.0, "observed": ["tank", "level"],
                    "readings": [NAME OF AN INPUT, …], "name": "level", "begin": seconds}

Coupling is Jacobi's: values go from outputs to inputs, then every model makes its step. Readings are logged statements
of a twin; one of time t is compared with the state after (t - begin) / step steps, rounded, half a step to the even.
The calibrated value minimises the sum of squares: a grid of 21 values, then 40 steps of golden section around the
best; then everything is run with it.

FMUs hold native code. It is executed with this process's rights, and what it computes is its own: two compilers may
give other last bits.
"""

from __future__ import annotations

import ctypes
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from ctypes import byref
from dataclasses import dataclass
from math import isfinite
from types import TracebackType
from typing import Any, Final
from xml.parsers.expat import ExpatError, ParserCreate

import fmpy
from fmpy.fmi1 import FMICallException
from fmpy.fmi2 import FMU2Slave, defaultCallbacks, fmi2CoSimulation

from twinproof.errors import Malformed, StorageFailed, TooLarge
from twinproof.simulation.scenario import array, input_of, number
from twinproof.twin.columns import Columns
from twinproof.twin.fields import fields, text, whole
from twinproof.twin.kinds import parse_payload
from twinproof.twin.reading import TIME_LIMIT, Reading
from twinproof.twin.statement import parse_statement

MAX_MODELS: Final = 16
MAX_STEPS: Final = 1_000_000
MAX_UNPACKED: Final = 256 * 1024 * 1024
MAX_FILES: Final = 2_000
MAX_MEMBERS: Final = 1_000
MAX_STATEMENTS: Final = 10_000
MAX_VALUE: Final = 1e300
GRID: Final = 21
GOLDEN_STEPS: Final = 40
SIMULATIONS: Final = GRID + 2 + GOLDEN_STEPS
"""Of a calibration."""
_GOLDEN: Final = 0.6180339887498949
_FUNCTIONS: Final = tuple(name for name in dir(FMU2Slave) if name.startswith("fmi2"))
"""The whole interface, which FMPy looks up at once and the standard demands."""
_NO_ARCHIVE: Final = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
"""What `zipfile` raises for bytes that are no archive, besides what its documentation names."""
_REFERENCE = re.compile(r"[0-9]{1,10}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

Place = tuple[str, str]
"""Model and variable."""


def version() -> str:
    """FMPy's."""
    return str(fmpy.__version__)


@dataclass(frozen=True, slots=True)
class Unit:
    """An unpacked FMU."""

    folder: str
    guid: str
    identifier: str
    variables: Mapping[str, int]
    """Value references of its real variables."""

    @property
    def resources(self) -> bytes:
        """URI of its own files (RFC 8089)."""
        path = f"{self.folder}/resources".encode()
        return b"file://" + b"".join(
            bytes((byte,)) if (chr(byte).isalnum() and byte < 128) or byte in b"/-_.~" else b"%%%02X" % byte
            for byte in path
        )


@dataclass(frozen=True, slots=True)
class Coupling:
    """What is simulated; see the module."""

    units: Mapping[str, Unit]
    start: Mapping[Place, float]
    connections: tuple[tuple[Place, Place], ...]
    step: float
    steps: int


def unpack(data: bytes, folder: str, field: str) -> Unit:
    """An FMU's files, in a new folder `folder`; raises `Malformed` if it is none that can run here."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_FILES or sum(each.file_size for each in members) > MAX_UNPACKED:
                raise TooLarge(field, f"over {MAX_FILES} files or {MAX_UNPACKED} bytes")
            for each in members:
                if each.filename.startswith("/") or ".." in each.filename.split("/") or "\\" in each.filename:
                    raise Malformed(field, f"holds the path {each.filename!r}")
            xml = archive.read("modelDescription.xml")
            archive.extractall(folder)
    except _NO_ARCHIVE as error:
        raise Malformed(field, f"no FMU: {error}") from None
    except OSError as error:
        raise StorageFailed(f"{folder}: {error}") from error
    return _describe(xml, folder, field)


class _Description:
    """What is wanted of a modelDescription.xml (FMI 2.0.4 §2.2)."""

    def __init__(self, xml: bytes, field: str) -> None:
        self.version = self.guid = self.identifier = ""
        self.variables: dict[str, int] = {}
        self._field = field
        self._last: dict[str, str] = {}
        parser = ParserCreate()
        parser.StartElementHandler = self._element
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(xml, True)
        except ExpatError as error:
            raise Malformed(field, f"its description is no XML: {error}") from None

    def _doctype(self, *_: object) -> None:
        # An FMU has no use for entities, and XML bombs do.
        raise Malformed(self._field, "its description has a document type")

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        if name == "fmiModelDescription":
            self.version, self.guid = attributes.get("fmiVersion", ""), attributes.get("guid", "")
        elif name == "CoSimulation":
            self.identifier = attributes.get("modelIdentifier", "")
        elif name == "ScalarVariable":
            self._last = attributes
        elif name == "Real" and "name" in self._last:
            reference = self._last.get("valueReference", "")
            if not _REFERENCE.fullmatch(reference) or int(reference) >= 2**32:
                raise Malformed(self._field, "a variable has no value reference")
            self.variables[self._last.pop("name")] = int(reference)


def _describe(xml: bytes, folder: str, field: str) -> Unit:
    found = _Description(xml, field)
    if found.version != "2.0" or not found.guid or not _IDENTIFIER.fullmatch(found.identifier):
        raise Malformed(field, "not an FMU for co-simulation of FMI 2.0")
    library = f"{folder}/binaries/{fmpy.platform}/{found.identifier}{fmpy.sharedLibraryExtension}"
    try:
        code = ctypes.CDLL(library)
    except OSError as error:
        raise Malformed(field, f"has no code for this machine ({fmpy.platform}): {error}") from None
    for name in _FUNCTIONS:
        if not hasattr(code, name):
            raise Malformed(field, f"its code has no {name}")
    return Unit(folder, found.guid, found.identifier, found.variables)


class _Instances:
    """All models of a coupling, initialised; freed at the end."""

    def __init__(self, coupling: Coupling) -> None:
        self.coupling = coupling
        self.slaves: dict[str, Any] = {}

    def __enter__(self) -> _Instances:
        coupling = self.coupling
        try:
            for name, unit in coupling.units.items():
                slave = FMU2Slave(
                    guid=unit.guid, modelIdentifier=unit.identifier, unzipDirectory=unit.folder, instanceName=name
                )
                # fmpy's own `instantiate` raises a bare Exception if the model declines.
                slave.component = slave.fmi2Instantiate(
                    name.encode(), fmi2CoSimulation, unit.guid.encode(), unit.resources, byref(defaultCallbacks), 0, 0
                )
                if slave.component is None:
                    raise Malformed(f"settings.models.{name}", "cannot be instantiated")
                self.slaves[name] = slave
            for (model, variable), value in coupling.start.items():
                self.set((model, variable), value)
            for slave in self.slaves.values():
                slave.setupExperiment(startTime=0.0, stopTime=coupling.step * coupling.steps)
                slave.enterInitializationMode()
            self.couple()
            for slave in self.slaves.values():
                slave.exitInitializationMode()
        except BaseException:
            self._free()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free()

    def _free(self) -> None:
        for slave in self.slaves.values():
            slave.freeInstance()
        self.slaves.clear()

    def get(self, place: Place) -> float:
        model, variable = place
        return float(self.slaves[model].getReal([self.coupling.units[model].variables[variable]])[0])

    def set(self, place: Place, value: float) -> None:
        model, variable = place
        self.slaves[model].setReal([self.coupling.units[model].variables[variable]], [value])

    def couple(self) -> None:
        values = [self.get(source) for source, _ in self.coupling.connections]
        for value, (_, sink) in zip(values, self.coupling.connections, strict=True):
            self.set(sink, value)

    def step(self, number_: int) -> None:
        self.couple()
        for slave in self.slaves.values():
            slave.doStep(number_ * self.coupling.step, self.coupling.step)


def simulate(coupling: Coupling, record: tuple[Place, ...]) -> list[list[float]]:
    """Per recorded variable its values at times 0, step, … Raises `Malformed` if a model refuses or blows up."""
    recorded: list[list[float]] = [[] for _ in record]
    try:
        with _Instances(coupling) as instances:
            for number_ in range(coupling.steps + 1):
                for place, values in zip(record, recorded, strict=True):
                    values.append(instances.get(place))
                if number_ < coupling.steps:
                    instances.step(number_)
    except FMICallException as error:
        raise Malformed("settings.models", f"a model refuses: {error}") from None
    for place, values in zip(record, recorded, strict=True):
        if not all(-MAX_VALUE <= value <= MAX_VALUE for value in values):
            raise Malformed(".".join(place), "is not finite at some time")
    return recorded


@dataclass(frozen=True, slots=True)
class Target:
    """What a calibration fits: a variable's range, and samples of what was observed."""

    sought: Place
    low: float
    high: float
    observed: Place
    samples: tuple[tuple[int, float], ...]
    """Steps done, value read."""


def calibrate(
    coupling: Coupling, target: Target, report: Callable[[int, int], None] = lambda done, total: None
) -> tuple[float, float, int]:
    """The value sought, the root of the mean square of what remains, and how many simulations that took."""
    runs = 0

    def squares(value: float) -> float:
        nonlocal runs
        runs += 1
        start = {**coupling.start, target.sought: value}
        changed = Coupling(coupling.units, start, coupling.connections, coupling.step, coupling.steps)
        (values,) = simulate(changed, (target.observed,))
        total = 0.0
        report(runs, SIMULATIONS)
        for at, seen in target.samples:
            total += (values[at] - seen) * (values[at] - seen)
        return total

    width = (target.high - target.low) / (GRID - 1)
    grid = [target.low + width * at for at in range(GRID)]
    found = [squares(value) for value in grid]
    best = found.index(min(found))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)]
    inner = [right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)]
    sums = [squares(value) for value in inner]
    for _ in range(GOLDEN_STEPS):
        if sums[0] <= sums[1]:
            right, inner[1], sums[1] = inner[1], inner[0], sums[0]
            inner[0] = right - _GOLDEN * (right - left)
            sums[0] = squares(inner[0])
        else:
            left, inner[0], sums[0] = inner[0], inner[1], sums[1]
            inner[1] = left + _GOLDEN * (right - left)
            sums[1] = squares(inner[1])
    least, value = min((found[best], grid[best]), (sums[0], inner[0]), (sums[1], inner[1]))
    return value, float((least / len(target.samples)) ** 0.5), runs


def cosimulate(
    settings: Mapping[str, Any],
    inputs: Mapping[str, bytes],
    folder: str,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """A scenario's result; see the module and `runs.run`."""
    members = fields(
        dict(settings), "settings", ("models", "start", "connections", "step", "steps", "record"), ("calibrate",)
    )
    coupling = _coupling(members, inputs, folder)
    record = tuple(
        _place(each, "settings.record", coupling) for each in array(members["record"], "settings.record", 64)
    )
    result: dict[str, Any] = {}
    if "calibrate" in members:
        target = _target(members["calibrate"], inputs, coupling)
        value, rms, runs = calibrate(coupling, target, report)
        result["calibrated"] = {"value": value, "rms": rms, "samples": len(target.samples), "simulations": runs}
        start = {**coupling.start, target.sought: value}
        coupling = Coupling(coupling.units, start, coupling.connections, coupling.step, coupling.steps)
    recorded = simulate(coupling, record)
    result["recorded"] = [
        {"model": model, "variable": variable, "values": values}
        for (model, variable), values in zip(record, recorded, strict=True)
    ]
    return result


def _coupling(members: Mapping[str, Any], inputs: Mapping[str, bytes], folder: str) -> Coupling:
    models, start = members["models"], members["start"]
    if type(models) is not dict or not 0 < len(models) <= MAX_MODELS or type(start) is not dict:
        raise Malformed("settings.models", f"not a map of 1 to {MAX_MODELS} models, or start is no map")
    units = {}
    for at, (name, source) in enumerate(models.items()):
        data = input_of(source, f"settings.models.{name}", inputs)
        units[name] = unpack(data, f"{folder}/model-{at}", f"settings.models.{name}")
    step = number(members["step"], "settings.step", 1e-9, 1e9)
    empty = Coupling(units, {}, (), step, whole(members["steps"], "settings.steps", 1, MAX_STEPS + 1))
    started: dict[Place, float] = {}
    for name, values in start.items():
        if type(values) is not dict:
            raise Malformed(f"settings.start.{name}", "not a map")
        for variable, value in values.items():
            place = _place([name, variable], "settings.start", empty)
            started[place] = number(value, f"settings.start.{name}.{variable}", -MAX_VALUE, MAX_VALUE)
    connections = []
    for each in array(members["connections"], "settings.connections", MAX_MEMBERS, 0):
        ends = array(each, "settings.connections", 4, 4)
        connections.append(
            (_place(ends[:2], "settings.connections", empty), _place(ends[2:], "settings.connections", empty))
        )
    if len({sink for _, sink in connections}) != len(connections):
        raise Malformed("settings.connections", "an input is connected twice")
    return Coupling(units, started, tuple(connections), step, empty.steps)


def _place(value: Any, field: str, coupling: Coupling) -> Place:
    model, variable = array(value, field, 2, 2)
    if type(model) is not str or model not in coupling.units:
        raise Malformed(field, "names a model that is not there")
    if type(variable) is not str or variable not in coupling.units[model].variables:
        raise Malformed(field, f"{model} has no such real variable")
    return model, variable


def _target(value: Any, inputs: Mapping[str, bytes], coupling: Coupling) -> Target:
    what = "settings.calibrate"
    members = fields(value, what, ("model", "variable", "low", "high", "observed", "readings", "name", "begin"))
    low, high = (number(members[name], f"{what}.{name}", -MAX_VALUE, MAX_VALUE) for name in ("low", "high"))
    if low >= high:
        raise Malformed(f"{what}.high", "not above low")
    name = text(members["name"], f"{what}.name", 255)
    begin = number(members["begin"], f"{what}.begin", 0.0, TIME_LIMIT)
    samples: list[tuple[int, float]] = []
    for each in array(members["readings"], f"{what}.readings", MAX_STATEMENTS):
        payload = parse_payload(parse_statement(input_of(each, f"{what}.readings", inputs)))
        if not isinstance(payload, Columns | list):
            raise Malformed(f"{what}.readings", "a statement that holds no readings")
        for reading in payload if isinstance(payload, list) else payload.readings():
            samples += _sample(reading, name, begin, coupling)
    if not samples:
        raise Malformed(f"{what}.readings", f"none of {name} within the simulated time")
    sought = _place([members["model"], members["variable"]], what, coupling)
    return Target(sought, low, high, _place(members["observed"], f"{what}.observed", coupling), tuple(samples))


def _sample(reading: Reading, name: str, begin: float, coupling: Coupling) -> list[tuple[int, float]]:
    if reading.name != name or isinstance(reading.value, bool) or not isinstance(reading.value, int | float):
        return []
    if not isfinite(reading.value):  # a column's gap
        return []
    at = round((reading.time - begin) / coupling.step)
    return [(at, float(reading.value))] if 0 <= at <= coupling.steps else []
