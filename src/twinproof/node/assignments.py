"""Which predictor is in use for which twin, as the log says: a fold of descriptions and predictors.

A twin's own active predictor comes first, then that of its model. A retired twin has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twinproof.twin.description import Description, Lifecycle
from twinproof.twin.predictor import Predictor, StandingPredictor, active_predictor, fold_predictor


@dataclass(slots=True)
class Assignments:
    """One per forecasting task."""

    models: dict[str, str] = field(default_factory=dict)
    """Twin -> its model."""
    ended: set[str] = field(default_factory=set)
    """Twins whose life is over."""
    predictors: dict[str, Mapping[bytes, StandingPredictor]] = field(default_factory=dict)
    """By the twin or model that they are about."""
    _twins_of: dict[str, set[str]] = field(default_factory=dict)

    def meet(self, twin: str, model: str | None, ended: bool) -> None:
        """What is known of a twin."""
        if model is not None:
            self._twins_of.get(self.models.get(twin, ""), set()).discard(twin)
            self.models[twin] = model
            self._twins_of.setdefault(model, set()).add(twin)
        (self.ended.add if ended else self.ended.discard)(twin)

    def describe(self, twin: str, change: Description) -> None:
        """A twin was described."""
        ended = twin in self.ended if change.lifecycle is None else change.lifecycle is Lifecycle.RETIRED
        self.meet(twin, change.model, ended)

    def state(self, about: str, predictor: Predictor, entry: int) -> set[str]:
        """A predictor was stated; the twins that it may concern."""
        before = active_predictor(self.predictors.get(about, {}))
        self.predictors[about] = fold_predictor(self.predictors.get(about, {}), predictor, entry)
        if active_predictor(self.predictors[about]) == before:
            return set()
        return {about} | self._twins_of.get(about, set())

    def of(self, twin: str) -> StandingPredictor | None:
        """The predictor that is in use for a twin."""
        if twin in self.ended:
            return None
        for about in (twin, self.models.get(twin)):
            found = active_predictor(self.predictors.get(about or "", {}))
            if found is not None:
                return found
        return None

    def in_use(self) -> set[bytes]:
        """Digests of the active models."""
        found = (active_predictor(held) for held in self.predictors.values())
        return {standing.predictor.model for standing in found if standing is not None}

    def assigned(self) -> list[str]:
        """All twins that have one, in the order of their names."""
        concerned = set(self.predictors)
        for about in self.predictors:
            concerned |= self._twins_of.get(about, set())
        return sorted(twin for twin in concerned if self.of(twin) is not None)
