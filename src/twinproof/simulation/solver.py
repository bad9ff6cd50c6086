"""The cheapest plan of a fleet, by mixed-integer programming (HiGHS: Q. Huangfu and J. Hall, 2018), extra `sim`.

One binary variable per asset and possible slot, one row per asset ("once, or later") and per limit and slot. Solved
with one thread and a fixed seed, and stopped by a number of nodes, so that the same problem gives the same plan. The
time limit is a last resort: a plan that it stopped is marked, since another machine would have come elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Final

import highspy
import numpy as np

from twinproof.errors import InternalError, Malformed
from twinproof.prognosis.planning import Multipliers, Problem, Slots, available, lower_bound, price_plan, taken

SECONDS: Final = 60.0
NODES: Final = 1_000
GAP: Final = 1e-4
"""Relative distance to the best possible plan at which the search ends."""

_STATUS: Final = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kTimeLimit: "time limit",
    highspy.HighsModelStatus.kSolutionLimit: "node limit",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that keeps all limits, and how good it is."""

    slots: Slots
    cost: float
    """`planning.price_plan` of it."""
    bound: float
    """The highest cost that the solver knows no plan to be below."""
    multipliers: Multipliers
    certified: float
    """`planning.lower_bound` with these multipliers: a bound that needs no solver to be believed."""
    gap: float
    """(cost - bound) / |cost|: how much better a plan could be, at most."""
    status: str
    """optimal, node limit, or time limit."""
    nodes: int

    @property
    def reproducible(self) -> bool:
        """Whether a second run on any machine should come to the same plan."""
        return self.status != "time limit"


@dataclass(frozen=True, slots=True)
class Shortage:
    """With all other limits kept, a plan needs this one to be exceeded."""

    limit: str
    excess: tuple[int, ...]
    """Per slot, how much; the smallest sum (of spares: the largest) that makes a plan possible."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """There is no plan."""

    assets: tuple[str, ...]
    """Those that have to be done, and have no possible slot. If there are any, limits were not looked at."""
    shortages: tuple[Shortage, ...]
    """Each is enough to be lifted alone."""
    together: tuple[Shortage, ...]
    """If none is: what is exceeded when all of them may be."""


@dataclass(slots=True)
class _Rows:
    """A linear programme in the making, row by row."""

    problem: Problem
    choices: list[tuple[int, int | None]]
    """Per variable, asset and slot."""
    costs: list[float]
    lower: list[float]
    upper: list[float]
    starts: list[int]
    at: list[int]
    values: list[float]

    @classmethod
    def of(cls, problem: Problem) -> _Rows:
        made = cls(problem, [], [], [], [], [0], [], [])
        for number, asset in enumerate(problem.assets):
            first = len(made.choices)
            for slot, cost in enumerate((*asset.costs, asset.later)):
                if cost != inf:
                    made.choices.append((number, slot if slot < problem.slots else None))
                    made.costs.append(cost)
            made.row([(at, 1.0) for at in range(first, len(made.choices))], 1.0, 1.0)
        for limit in problem.limits:
            entries: list[list[tuple[int, float]]] = [[] for _ in range(problem.slots)]
            for at, (number, chosen) in enumerate(made.choices):
                asset = problem.assets[number]
                if chosen is not None and asset.needs.get(limit.name, 0):
                    for row in taken(limit, asset, chosen, problem.slots):
                        entries[row].append((at, float(asset.needs[limit.name])))
            for members, most in zip(entries, available(limit), strict=True):
                made.row(members, -inf, float(most))
        return made

    def row(self, entries: Sequence[tuple[int, float]], lower: float, upper: float) -> None:
        for at, value in entries:
            self.at.append(at)
            self.values.append(value)
        self.starts.append(len(self.at))
        self.lower.append(lower)
        self.upper.append(upper)


def solve(problem: Problem, *, seconds: float = SECONDS, nodes: int = NODES, gap: float = GAP) -> Plan | Infeasible:
    """The cheapest plan, or why there is none. Raises `Malformed` for limits of the search that are none."""
    if not 0 < seconds <= 86_400 or not 0 < nodes <= 10**9 or not 0 <= gap < 1:
        raise Malformed("search", "not up to a day, 1e9 nodes and a gap below 1")
    stuck = tuple(asset.name for asset in problem.assets if min(*asset.costs, asset.later) == inf)
    if stuck:
        return Infeasible(stuck, (), ())
    rows = _Rows.of(problem)
    relaxed = _run(rows, whole=False, seconds=seconds, nodes=nodes, gap=gap)
    if relaxed.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return _why(problem, seconds, nodes)
    multipliers = _multipliers(problem, relaxed)
    solver = _run(rows, whole=True, seconds=seconds, nodes=nodes, gap=gap)
    if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return _why(problem, seconds, nodes)
    status = _STATUS.get(solver.getModelStatus())
    values = np.asarray(solver.getSolution().col_value)
    if status is None or len(values) != len(rows.choices) or not isfinite(solver.getInfo().objective_function_value):
        raise Malformed("search", f"it ended without a plan ({solver.modelStatusToString(solver.getModelStatus())})")
    slots: list[int | None] = [None] * len(problem.assets)
    for (number, slot), value in zip(rows.choices, values.tolist(), strict=True):
        if value > 0.5:
            slots[number] = slot
    info = solver.getInfo()
    try:
        cost = price_plan(problem, tuple(slots))
    except Malformed as error:
        raise InternalError(f"the solver's plan breaks a limit: {error}") from error
    bound = min(float(info.mip_dual_bound), cost)
    return Plan(
        tuple(slots), cost, bound, multipliers, lower_bound(problem, multipliers),
        (cost - bound) / abs(cost) if cost else 0.0, status, int(info.mip_node_count),
    )  # fmt: skip


def _run(rows: _Rows, *, whole: bool, seconds: float, nodes: int, gap: float, binary: int | None = None) -> Any:
    """A solver that has run. The first `binary` variables are 0 or 1, all without it; the others 0 or more."""
    count = len(rows.costs)
    binary = count if binary is None else binary
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, len(rows.lower)
    lp.col_cost_ = np.asarray(rows.costs)
    lp.col_lower_ = np.zeros(count)
    lp.col_upper_ = np.concatenate((np.ones(binary), np.full(count - binary, inf)))
    lp.row_lower_, lp.row_upper_ = np.asarray(rows.lower), np.asarray(rows.upper)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.asarray(rows.starts)
    lp.a_matrix_.index_ = np.asarray(rows.at, dtype=np.int32)
    lp.a_matrix_.value_ = np.asarray(rows.values)
    if whole:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, value in (
        ("output_flag", False), ("threads", 1), ("parallel", "off"), ("random_seed", 0), ("time_limit", seconds),
        ("mip_max_nodes", nodes), ("mip_rel_gap", gap), ("mip_abs_gap", 1e-9),
    ):  # fmt: skip
        if solver.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise InternalError(f"the solver does not take the option {name}")
    if solver.passModel(lp) == highspy.HighsStatus.kError or solver.run() == highspy.HighsStatus.kError:
        raise InternalError("the solver does not take the problem")
    return solver


def _multipliers(problem: Problem, relaxed: Any) -> Multipliers:
    """From the duals of the relaxed problem's limits; zeros if it was not solved to the end."""
    slots, skipped = problem.slots, len(problem.assets)
    duals = np.zeros(skipped + slots * len(problem.limits))
    if relaxed.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        duals = np.asarray(relaxed.getSolution().row_dual)
    values = np.maximum(-duals[skipped:], 0.0).tolist()
    return tuple(tuple(values[at : at + slots]) for at in range(0, len(values), slots))


def _why(problem: Problem, seconds: float, nodes: int) -> Infeasible:
    alone = []
    for number in range(len(problem.limits)):
        alone += _exceeding(problem, {number}, seconds, nodes)
    everything = set(range(len(problem.limits)))
    return Infeasible((), tuple(alone), () if alone else tuple(_exceeding(problem, everything, seconds, nodes)))


def _exceeding(problem: Problem, lifted: set[int], seconds: float, nodes: int) -> list[Shortage]:
    """What has to be exceeded if these limits may be; nothing if that does not help."""
    rows = _Rows.of(problem)
    binary = len(rows.costs)
    rows.costs = [0.0] * binary
    at = len(problem.assets)
    extra: dict[int, list[int]] = {}
    starts, index, values = [0], list[int](), list[float]()
    added: dict[int, int] = {}
    for number, limit in enumerate(problem.limits):
        for slot in range(problem.slots):
            if number not in lifted:
                continue
            # A spare that is missing in one slot is missing in all that follow, so one number says it all.
            if not limit.used_up or slot == 0:
                extra.setdefault(number, []).append(len(rows.costs))
                rows.costs.append(1.0)
            added[at + number * problem.slots + slot] = extra[number][-1]
    for row in range(len(rows.lower)):
        index += rows.at[rows.starts[row] : rows.starts[row + 1]]
        values += rows.values[rows.starts[row] : rows.starts[row + 1]]
        if row in added:
            index.append(added[row])
            values.append(-1.0)
        starts.append(len(index))
    rows.starts, rows.at, rows.values = starts, index, values
    solver = _run(rows, whole=True, seconds=seconds, nodes=nodes, gap=0.0, binary=binary)
    if solver.getModelStatus() not in _STATUS:
        return []
    found = solver.getSolution().col_value
    if len(found) != len(rows.costs):
        return []
    excess = {number: tuple(round(found[column]) for column in columns) for number, columns in extra.items()}
    return [
        Shortage(problem.limits[number].name, amounts) for number, amounts in sorted(excess.items()) if any(amounts)
    ]
