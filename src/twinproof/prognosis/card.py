"""The model card: what a model was made from, how well it does, and what it is not for.

It travels inside the model, as deterministic CBOR, so its digest covers it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from twinproof.errors import Malformed
from twinproof.proof import cbor
from twinproof.twin.fields import fields as keys

FORMAT: Final = "twinproof.rul-card/1"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All numbers in the model's unit. Measured out of fold: by members that did not see the unit."""

    fleet: str
    """What the trainer called it."""
    unit: str
    cap: float
    units: int
    failed: int
    rows: int
    shortest: int
    longest: int
    """Lives of the failed units, cycles."""
    ranges: dict[str, list[float]]
    """Per setting and used signal, lowest and highest value in training."""
    unused: list[str]
    """Signals that say nothing."""
    regimes: int
    seed: int
    folds: int
    recipe: dict[str, cbor.Value]
    software: dict[str, str]
    rmse: float
    """Of capped remaining life, every unit weighing alike."""
    bias: float
    coverage: float
    """Of the 90 % interval, out of fold and in sample of the residual table: near 0.9 by construction."""
    width: float
    late_width: float
    """Mean width where less than 50 are predicted."""
    limits: list[str]

    def to_cbor(self) -> bytes:
        """Deterministic."""
        return cbor.encode({"format": FORMAT, **{field.name: getattr(self, field.name) for field in fields(self)}})

    def to_markdown(self) -> str:
        """For people."""
        numbers = [
            ("fleet", self.fleet),
            ("target", f"remaining useful life in {self.unit}, at most {self.cap:g}"),
            ("units", f"{self.units}, {self.failed} to failure, lives {self.shortest} to {self.longest}"),
            ("rows", f"{self.rows} in {self.regimes} operating regimes"),
            ("error", f"RMSE {self.rmse:.2f}, bias {self.bias:+.2f} (out of fold, {self.folds} folds by unit)"),
            ("90 % interval", f"coverage {self.coverage:.3f}, width {self.width:.1f}, {self.late_width:.1f} below 50"),
            ("seed", str(self.seed)),
            ("software", ", ".join(f"{name} {version}" for name, version in sorted(self.software.items()))),
            ("not used", ", ".join(self.unused) or "none"),
        ]
        lines = [f"# Model card: {self.fleet}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in numbers]
        lines += ["", "## Limits", "", *(f"- {limit}" for limit in self.limits)]
        lines += ["", "## Data", "", "| column | lowest | highest |", "|---|---|---|"]
        lines += [f"| {name} | {low:g} | {high:g} |" for name, (low, high) in sorted(self.ranges.items())]
        lines += ["", "## Recipe", "", *(f"- {name}: {value}" for name, value in sorted(self.recipe.items()))]
        return "\n".join(lines) + "\n"


def parse_card(data: bytes) -> ModelCard:
    """The card in these bytes; raises `Malformed`."""
    names = [field.name for field in fields(ModelCard)]
    found = keys(cbor.decode(data, what="card", max_depth=4), "card", ("format", *names))
    if found["format"] != FORMAT:
        raise Malformed("card.format", f"not {FORMAT!r}")
    for field in fields(ModelCard):
        wanted = str(field.type).partition("[")[0]
        if type(found[field.name]).__name__ != wanted:
            raise Malformed(f"card.{field.name}", f"not of type {wanted}")
    for name, pair in found["ranges"].items():
        if type(pair) is not list or len(pair) != 2 or not all(type(x) is float for x in pair):
            raise Malformed("card.ranges", f"{name} has not two floats")
    return ModelCard(**{name: found[name] for name in names})
