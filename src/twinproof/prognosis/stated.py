"""What a forecast says as a prediction statement, and whether a statement says what a replay gives. No numpy."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from twinproof.errors import ForecastMismatch, Malformed
from twinproof.prognosis.quality import Forecast, Verdict
from twinproof.twin.prediction import UNCLAIMED, Prediction, Read, format_rul
from twinproof.twin.predictor import Predictor

PER_MILLE: Final = 1000


def per_mille(coverage: float, field: str = "coverage") -> int:
    """A coverage as models have it; raises `Malformed` if it is no whole number of per mille."""
    share = round(coverage * PER_MILLE)
    if share / PER_MILLE != coverage:
        raise Malformed(field, f"{coverage} is no whole number of per mille")
    return share


def state_forecast(
    forecast: Forecast,
    predictor: Predictor,
    reads: Sequence[Read],
    until: int,
    *,
    drivers: Mapping[str, float] | None = None,
    episode: str | None = None,
) -> Prediction | None:
    """The prediction that says `forecast`; None if the readings allow none."""
    verdict = forecast.quality.verdict
    if verdict is Verdict.REFUSED:
        return None
    widened = verdict is Verdict.WIDENED
    return Prediction(
        forecast.lower,
        forecast.point,
        forecast.upper,
        UNCLAIMED if widened else forecast.coverage,
        unit=predictor.unit,
        model=predictor.model,
        reads=tuple(reads),
        until=until,
        drivers=drivers or {},
        episode=episode,
        cycle=predictor.cycle,
        remarks=tuple(sorted(forecast.quality.names)),
        widened=forecast.coverage if widened else None,
    )


def nominal(prediction: Prediction) -> int:
    """The coverage, in per mille, of the model's intervals that a prediction is made of; raises `Malformed`."""
    if prediction.widened is not None:
        return per_mille(prediction.widened, "prediction.widened")
    return per_mille(prediction.coverage, "prediction.coverage")


def check_stated(stated: Prediction, forecast: Forecast, unit: str) -> None:
    """Raises `ForecastMismatch` unless `stated` says every bit of `forecast`, which the model gives in `unit`."""
    verdict = forecast.quality.verdict
    if verdict is Verdict.REFUSED:
        raise ForecastMismatch("rul", f"the readings allow no forecast: {', '.join(forecast.quality.names)}")
    if stated.unit != unit:
        raise ForecastMismatch("unit", f"stated {stated.unit}, the model's is {unit}")
    coverage = UNCLAIMED if verdict is Verdict.WIDENED else forecast.coverage
    said = format_rul(stated.lower, stated.point, stated.upper, stated.coverage)
    replayed = format_rul(forecast.lower, forecast.point, forecast.upper, coverage)
    if said != replayed:
        raise ForecastMismatch("rul", f"stated {said.hex()}, replayed {replayed.hex()}")
    if stated.remarks != (names := tuple(sorted(forecast.quality.names))):
        raise ForecastMismatch("remarks", f"stated {_words(stated.remarks)}, replayed {_words(names)}")
    if (stated.widened is not None) != (verdict is Verdict.WIDENED):
        raise ForecastMismatch(
            "widened", "the statement and the replay do not agree on whether the interval is widened"
        )


def check_drivers(stated: Mapping[str, float], replayed: Mapping[str, float]) -> None:
    """Raises `ForecastMismatch` unless both name the same signals with the same bits."""
    for name in sorted({*stated, *replayed}):
        said, found = (_bits(numbers.get(name)) for numbers in (stated, replayed))
        if said != found:
            raise ForecastMismatch("drivers", f"{name}: stated {said}, replayed {found}")


def _bits(number: float | None) -> str:
    return "none" if number is None else struct.pack(">d", number).hex()


def _words(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
