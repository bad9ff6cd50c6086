"""A fleet's maintenance plan: which asset in which slot, under limits of crew, bays and spares.

The problem, what makes a plan good, and two checks that need no solver:

- `price_plan`: what a plan costs, after every limit was checked;
- `lower_bound`: with one multiplier per limit and slot, a cost that no plan can be below (Lagrange relaxation:
  A. Geoffrion, Lagrangean Relaxation for Integer Programming, 1974). Whoever gets a plan with its multipliers sees
  with sums and minima alone how far from the best it can be. `simulation.solver` finds both.

A slot is `cycles` long. Maintenance in slot s happens after (s + 1) · cycles cycles at the latest, which is what its
risk is reckoned for, and takes its needs for `duration` slots from s on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Final

from twinproof.errors import Malformed
from twinproof.prognosis.decision import MAX_COST, Decision

MAX_ASSETS: Final = 5_000
MAX_SLOTS: Final = 1_000
MAX_CHOICES: Final = 200_000
"""Assets times slots."""
MAX_LIMITS: Final = 32
MAX_AMOUNT: Final = 10**6
TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Limit:
    """So much of something in every slot."""

    name: str
    amounts: tuple[int, ...]
    """Per slot: what is there (crew, bays), or, if it is used up, what is delivered at its begin (spares)."""
    used_up: bool
    """Spares are; what is left over stays for the next slot."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One that may be maintained once within the horizon."""

    name: str
    costs: tuple[float, ...]
    """Expected cost per slot; infinite where the slot is not possible."""
    later: float
    """Expected cost of leaving it for after the horizon; infinite if it has to be done."""
    needs: Mapping[str, int]
    """Of each limit; none that is not named."""
    duration: int = 1
    """Slots. Work may reach beyond the horizon."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Checked when it is made; raises `Malformed`."""

    assets: tuple[Asset, ...]
    limits: tuple[Limit, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.assets) <= MAX_ASSETS or len(self.limits) > MAX_LIMITS:
            raise Malformed("problem", f"not 1 to {MAX_ASSETS} assets and up to {MAX_LIMITS} limits")
        slots = self.slots
        if not 0 < slots <= MAX_SLOTS or slots * len(self.assets) > MAX_CHOICES:
            raise Malformed("problem", f"not 1 to {MAX_SLOTS} slots and up to {MAX_CHOICES} choices")
        names = {limit.name for limit in self.limits}
        if len(names) != len(self.limits):
            raise Malformed("problem.limits", "a name occurs twice")
        if len({asset.name for asset in self.assets}) != len(self.assets):
            raise Malformed("problem.assets", "a name occurs twice")
        for limit in self.limits:
            if len(limit.amounts) != slots or not all(_amount(x) for x in limit.amounts):
                raise Malformed(f"limit {limit.name}", f"not {slots} whole numbers in 0..{MAX_AMOUNT}")
        for asset in self.assets:
            what = f"asset {asset.name}"
            if len(asset.costs) != slots or any(isnan(x) or x < -MAX_COST for x in (*asset.costs, asset.later)):
                raise Malformed(what, f"not {slots} costs")
            if any(isfinite(x) and x > MAX_COST for x in (*asset.costs, asset.later)):
                raise Malformed(what, f"costs over {MAX_COST:g}")
            if type(asset.duration) is not int or not 0 < asset.duration <= MAX_SLOTS:
                raise Malformed(f"{what}.duration", f"not in 1..{MAX_SLOTS}")
            for name, amount in asset.needs.items():
                if name not in names or not _amount(amount):
                    raise Malformed(f"{what}.needs", f"{name} is no limit, or its amount not in 0..{MAX_AMOUNT}")

    @property
    def slots(self) -> int:
        return len(self.assets[0].costs)


def _amount(value: int) -> bool:
    return type(value) is int and 0 <= value <= MAX_AMOUNT


def taken(limit: Limit, asset: Asset, start: int, slots: int) -> range:
    """The slots of a limit's rows in which maintenance that starts in `start` counts."""
    return range(start, slots) if limit.used_up else range(start, min(start + asset.duration, slots))


def available(limit: Limit) -> list[int]:
    """Per slot, what the sum of what counts there may be: with spares, all delivered so far."""
    if not limit.used_up:
        return list(limit.amounts)
    total, found = 0, []
    for amount in limit.amounts:
        total += amount
        found.append(total)
    return found


Slots = tuple[int | None, ...]
"""Per asset, the slot in which it is maintained; None: after the horizon."""


def price_plan(problem: Problem, plan: Slots) -> float:
    """The expected cost of a plan, added up in the assets' order. Raises `Malformed` if it breaks a limit."""
    if len(plan) != len(problem.assets):
        raise Malformed("plan", f"not for {len(problem.assets)} assets")
    total = 0.0
    for asset, slot in zip(problem.assets, plan, strict=True):
        if slot is not None and not (type(slot) is int and 0 <= slot < problem.slots):
            raise Malformed(f"plan.{asset.name}", "not a slot of the horizon")
        cost = asset.later if slot is None else asset.costs[slot]
        if cost == inf:
            raise Malformed(f"plan.{asset.name}", "this slot is not possible")
        total += cost
    for limit in problem.limits:
        used = [0] * problem.slots
        for asset, slot in zip(problem.assets, plan, strict=True):
            if slot is not None:
                for at in taken(limit, asset, slot, problem.slots):
                    used[at] += asset.needs.get(limit.name, 0)
        for at, (amount, most) in enumerate(zip(used, available(limit), strict=True)):
            if amount > most:
                raise Malformed(f"plan.{limit.name}", f"needs {amount} of {most} in slot {at}")
    return total


Multipliers = tuple[tuple[float, ...], ...]
"""Per limit and slot, what one more of it would save; not negative."""


def lower_bound(problem: Problem, multipliers: Multipliers) -> float:
    """No plan costs less, whatever the multipliers are; those of the relaxed problem make it tight.

    Raises `Malformed` if they are not one finite number, 0 or more, per limit and slot.
    """
    if len(multipliers) != len(problem.limits):
        raise Malformed("multipliers", f"not of {len(problem.limits)} limits")
    total = 0.0
    for limit, row in zip(problem.limits, multipliers, strict=True):
        if len(row) != problem.slots or not all(0.0 <= x < inf for x in row):
            raise Malformed(f"multipliers.{limit.name}", f"not {problem.slots} numbers, 0 or more")
        for value, most in zip(row, available(limit), strict=True):
            total -= value * most
    for asset in problem.assets:
        best = asset.later
        for start, cost in enumerate(asset.costs):
            if cost == inf:
                continue
            for limit, row in zip(problem.limits, multipliers, strict=True):
                need = asset.needs.get(limit.name, 0)
                if need:
                    for at in taken(limit, asset, start, problem.slots):
                        cost += row[at] * need
            best = min(best, cost)
        total += best
    return total


def asset_of(
    name: str, decision: Decision, *, slots: int, cycles: int, needs: Mapping[str, int], duration: int = 1
) -> Asset:
    """An asset with what each slot would cost: renewal and the life that is thrown away, at the decision's price.

    Slots that end before the lead time are not possible; left for later, it costs what the first slot after the
    horizon would. Raises `Malformed` if the terms have no price, or the forecast does not reach that far.
    """
    price = decision.terms.price
    if price is None:
        raise Malformed("terms.price", "missing: assets are compared in money, so a cycle of running needs a price")
    curve = decision.curve
    if not 0 < cycles <= 10**6 or not 0 < slots <= MAX_SLOTS:
        raise Malformed("slots", f"not 1 to {MAX_SLOTS} slots of 1 cycle or more")
    last = (slots + 1) * cycles
    if last > int(curve.dates[-1]):
        raise Malformed("slots", f"the plan looks {last} cycles ahead, the forecast {int(curve.dates[-1])}")
    first = int(curve.dates[0])
    longest = float(curve.time[-1])

    def cost(date: int) -> float:
        at = date - first
        return float(curve.cost[at] + price * (longest - curve.time[at])) if at >= 0 else inf

    dates: Sequence[int] = [(slot + 1) * cycles for slot in range(slots)]
    return Asset(name, tuple(cost(date) for date in dates), cost(last), dict(needs), duration)
