"""What was read and what came out, as bytes: the parts of a forecast that a replay compares.

A row's bytes are its cycle (8 bytes, big-endian), then settings and signals as big-endian float64,
every NaN as 7ff8000000000000. The digest of a history is chained, so that it goes on row by row:

    d(0) = SHA-256("twinproof.rows/1")    d(t) = SHA-256(d(t-1) ‖ row t)

A tree ensemble answers alike for inputs that differ by a bit; this digest does not.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from twinproof.errors import ForecastMismatch
from twinproof.prognosis.quality import Forecast

START: Final = hashlib.sha256(b"twinproof.rows/1").digest()
MAX_CYCLE: Final = 2**53 - 1
"""Cycles travel as float64 too, as a feature."""

_NAN: Final = struct.pack(">Q", 0x7FF8000000000000)


class Row(NamedTuple):
    """One cycle of one twin, as it was read. Names and order are the model's (`settings`, then `signals`)."""

    cycle: int
    settings: tuple[float, ...]
    signals: tuple[float, ...]
    """NaN: not there."""


def chain_row(previous: bytes, cycle: int, settings: Sequence[float], signals: Sequence[float]) -> bytes:
    """The digest of a history that had the digest `previous` and grew by a row."""
    body = b"".join(struct.pack(">d", x) if x == x else _NAN for values in (settings, signals) for x in values)
    return hashlib.sha256(previous + cycle.to_bytes(8, "big") + body).digest()


def digest_rows(rows: Iterable[Row]) -> bytes:
    """The digest of a whole history."""
    digest = START
    for row in rows:
        digest = chain_row(digest, *row)
    return digest


@dataclass(frozen=True, slots=True)
class Record:
    """A forecast with what it was made from. Equal records have equal bits."""

    model: bytes
    """SHA-256 of the model's bytes."""
    rows: bytes
    """`digest_rows` of the history."""
    numbers: bytes
    """lower ‖ point ‖ upper ‖ coverage, big-endian float64."""
    remarks: int


def record(model: bytes, rows: bytes, forecast: Forecast) -> Record:
    """The record of `forecast`, from a model and a history with these digests."""
    values = (forecast.lower, forecast.point, forecast.upper, forecast.coverage)
    numbers = b"".join(struct.pack(">d", x) if x == x else _NAN for x in values)
    return Record(model, rows, numbers, forecast.quality.remarks)


def check_record(recorded: Record, replayed: Record) -> None:
    """Raises `ForecastMismatch`, which names the first part that differs."""
    if recorded.model != replayed.model:
        raise ForecastMismatch("model", "the digest is another one: this is not the model that was used")
    if recorded.rows != replayed.rows:
        raise ForecastMismatch("rows", "the digest is another one: these are not the readings that were used")
    if recorded.remarks != replayed.remarks:
        raise ForecastMismatch("remarks", f"recorded {recorded.remarks}, replayed {replayed.remarks}")
    if recorded.numbers != replayed.numbers:
        raise ForecastMismatch("numbers", f"recorded {recorded.numbers.hex()}, replayed {replayed.numbers.hex()}")
