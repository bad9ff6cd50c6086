"""Forecasting's states on disk, so that a start need not read the history of all twins again.

    "twinproof.forecasts/1\\n" ‖ length of JSON, 8 bytes big-endian ‖ JSON ‖ tables of the fleets ‖ SHA-256 of it all

A view like the others: FOLDER/views/forecasts.bin may be deleted at any time, and nothing that is stated depends on it.
It is for a log of `size` entries with `root`, for the code that wrote it, and for the settings of the task. Whatever is
wrong with it, it is as if it were not there. It is replaced whole.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from twinproof.errors import Malformed, TwinproofError
from twinproof.log.files import replace_file
from twinproof.log.reader import Reader
from twinproof.node import forecast_twins
from twinproof.node.forecast_twins import Run, RunKey, Twin
from twinproof.prognosis import data, features, live, model, quality, record, rows, serve, state, trees
from twinproof.prognosis.rows import RowReader
from twinproof.twin.predictor import StandingPredictor

NAME: Final = "forecasts.bin"
MAGIC: Final = b"twinproof.forecasts/1\n"
DIGEST: Final = 32
LENGTH: Final = 8

MADE_BY: Final = (data, features, live, model, quality, record, rows, serve, state, trees, forecast_twins)
"""Modules that states depend on."""

_LOG = logging.getLogger(__name__)

Standing = Callable[[str], StandingPredictor | None]
"""The predictor that is in use for a twin now."""
RunFor = Callable[[StandingPredictor], Run | None]
"""A model in use, read."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a snapshot brought."""

    size: int
    """Entries of the log that it knows."""
    twins: list[Twin]


@cache
def _code() -> str:
    """What made the states: another code's are not gone on with. Raises `OSError` if the sources are not at hand."""
    state = sha256(f"{sys.byteorder} {version('numpy')}".encode())
    for module in (*MADE_BY, sys.modules[__name__]):
        state.update(Path(module.__file__ or "").read_bytes())
    return state.hexdigest()


class Snapshot:
    """One node's file."""

    def __init__(self, folder: Path, settings: Sequence[int]) -> None:
        """`folder` is the node's views'. `settings`: what else decides what is stated."""
        self._path = folder / NAME
        self._settings = list(settings)

    def drop(self) -> None:
        """Take the file away."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as problem:
            _LOG.warning("%s: %s", self._path, problem.strerror)

    # --- writing --------------------------------------------------------------------------------

    def write(self, reader: Reader, size: int, twins: Mapping[str, Twin]) -> None:
        """Keep `twins` as they are after `size` entries; a disk that takes none is only told of."""
        runs: dict[RunKey, tuple[int, Run]] = {}
        told = []
        for twin in twins.values():
            number, _ = runs.setdefault(twin.run.key, (len(runs), twin.run))
            told.append(_twin_map(twin, number))
        models = [[key[0].hex(), *key[1:], len(run.fleet), run.fleet.kept_size] for key, (_, run) in runs.items()]
        try:
            top = {
                "code": _code(), "settings": self._settings, "size": size, "root": reader.root(size).hex(),
                "runs": models, "twins": told,
            }  # fmt: skip
            text = json.dumps(top, separators=(",", ":")).encode()
            parts = [MAGIC, len(text).to_bytes(LENGTH, "big"), text]
            parts += [table for _, run in runs.values() for table in run.fleet.keep()]
            digest = sha256()
            for part in parts:
                digest.update(part)
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._path, b"".join([*parts, digest.digest()]), mode=0o600)
        except (OSError, TwinproofError) as problem:
            _LOG.warning("the states of forecasting are not kept: %s", problem)

    # --- reading --------------------------------------------------------------------------------

    def read(self, reader: Reader, standing: Standing, run_for: RunFor) -> Restored | None:
        """The twins whose predictor is the same still; None if there is no file that fits this log and this code."""
        try:
            return self._restore(reader, standing, run_for)
        except FileNotFoundError:
            return None
        except (OSError, TwinproofError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
            _LOG.info("%s is made again: %s", self._path, problem)
            return None

    def _restore(self, reader: Reader, standing: Standing, run_for: RunFor) -> Restored:
        data = memoryview(self._path.read_bytes())
        body = data[:-DIGEST]
        if bytes(data[: len(MAGIC)]) != MAGIC or sha256(body).digest() != bytes(data[-DIGEST:]):
            raise Malformed("snapshot", "its bytes are not those that were written")
        start = len(MAGIC) + LENGTH
        end = start + int.from_bytes(body[len(MAGIC) : start], "big")
        top = json.loads(bytes(body[start:end]))
        size = top["size"]
        if top["code"] != _code() or top["settings"] != self._settings:
            raise Malformed("snapshot", "other code or settings wrote it")
        if size > reader.head().size or reader.root(size).hex() != top["root"]:
            raise Malformed("snapshot", "it is of another log")
        told: list[list[dict[str, Any]]] = [[] for _ in top["runs"]]
        for each in top["twins"]:
            told[each["run"]].append(each)
        found: list[Twin] = []
        for number, (*key, slots, length) in enumerate(top["runs"]):
            ready = [
                (each, stands)
                for each in told[number]
                if (stands := standing(each["sub"])) is not None and _stands(stands, key, each["standing"])
            ]
            run = run_for(ready[0][1]) if ready else None
            taken = {each["slot"] for each in told[number]}
            if len(taken) < len(told[number]) or not all(0 <= slot < slots for slot in taken):
                raise Malformed("snapshot", "a place in a table is another twin's, or none")
            # Without it nobody waits for the model any more, or it is not here.
            if run is not None:
                run.fleet.resume(slots, body[end : end + length])
                found += [_twin(each, stands, run) for each, stands in ready]
            end += length
        return Restored(size, found)


def _stands(standing: StandingPredictor, key: Sequence[Any], entry: int) -> bool:
    said = standing.predictor
    return standing.entry == entry and [said.model.hex(), said.unit, said.cycle, said.coverage] == list(key)


def _twin_map(twin: Twin, run: int) -> dict[str, Any]:
    rows = twin.rows
    return {
        "sub": twin.subject, "run": run, "slot": twin.slot, "standing": twin.standing.entry,
        "rows": [rows.newest, rows.before, rows.left_out, sorted(rows.strange)],
        "stated": [twin.stated, twin.time, twin.said], "since": twin.since, "until": twin.until,
        "primer": twin.primer, "episode": twin.episode,
        "streams": {issuer: [first, last, digest.hex()] for issuer, (first, last, digest) in twin.streams.items()},
    }  # fmt: skip


def _twin(told: Mapping[str, Any], standing: StandingPredictor, run: Run) -> Twin:
    rows = RowReader(run.wanted, renewed=told["episode"] is not None)
    rows.newest, rows.before, rows.left_out, strange = told["rows"]
    rows.strange = set(strange)
    stated, time, said = told["stated"]
    return Twin(
        told["sub"], standing, run, told["slot"], rows, stated, time, said, told["since"], told["until"],
        told["primer"], {issuer: (a, b, bytes.fromhex(c)) for issuer, (a, b, c) in told["streams"].items()},
        episode=told["episode"],
    )  # fmt: skip
