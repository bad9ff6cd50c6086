"""Random models and rows: every part of the format, small enough that remarks, edges and refusals come often."""

from __future__ import annotations

import random
from math import inf, nan

from twinproof.prognosis.model import (
    Forest,
    Intervals,
    Layer,
    Limits,
    Model,
    Network,
    Plan,
    Regimes,
    Rows,
    format_model,
    parse_model,
)
from twinproof.prognosis.record import Row
from twinproof.prognosis.trees import parse_trees

_HALFWAY = str((2**53 + 1) * 5**50)
"""Digits of 8 + 2^-50, exactly between two doubles."""
HARD = (
    f"{_HALFWAY[:32]}.{_HALFWAY[32:]}e-31", f"-{_HALFWAY[:32]}.{_HALFWAY[32:]}00001e-31",
    f"{_HALFWAY[:32]}.{_HALFWAY[32:-1]}4e-31", "9007199254740993e-15",
    "2.2250738585072011e-308", "-0", "5e-324", "1e-999", "7",
)  # fmt: skip
"""Decimals on a tie and beside it, below the smallest, of more digits than twenty."""


def _decimal(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return chance.choice(HARD)
    whole = chance.randrange(10 ** chance.randint(1, 3))
    fraction = "".join(chance.choices("0123456789", k=chance.randint(1, 30)))
    return f"{chance.choice(('', '-'))}{whole}.{fraction}{chance.choice(('', '', 'e-1', 'E-02'))}"


def _tree(chance: random.Random, number: int, features: int) -> str:
    leaves = chance.randint(1, 9)
    left: list[int] = []
    right: list[int] = []
    free: list[tuple[list[int], int]] = []
    for node in range(leaves - 1):
        if node:
            side, parent = free.pop(chance.randrange(len(free)))
            side[parent] = node
        left.append(0)
        right.append(0)
        free += [(left, node), (right, node)]
    for leaf, (side, node) in enumerate(free):
        side[node] = ~leaf
    inner = leaves - 1
    lines = {
        "num_leaves": leaves, "num_cat": 0,
        "split_feature": " ".join(str(chance.randrange(features)) for _ in range(inner)), "split_gain": "1",
        "threshold": " ".join(_decimal(chance) for _ in range(inner)),
        "decision_type": " ".join(chance.choice("02") for _ in range(inner)),
        "left_child": " ".join(map(str, left)), "right_child": " ".join(map(str, right)),
        "leaf_value": " ".join(_decimal(chance) for _ in range(leaves)), "leaf_weight": "", "leaf_count": "",
        "internal_value": "", "internal_weight": "", "internal_count": "", "is_linear": 0, "shrinkage": 1,
    }  # fmt: skip
    return f"Tree={number}\n" + "\n".join(f"{key}={value}" for key, value in lines.items())


def _forest(chance: random.Random, features: int) -> bytes:
    bodies = [_tree(chance, number, features) for number in range(chance.randint(1, 12))]
    words = " ".join(["x"] * features)
    sizes = " ".join(str(len(body)) for body in bodies)
    header = [
        "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
        f"max_feature_idx={features - 1}", "objective=regression", f"feature_names={words}", f"feature_infos={words}",
        f"tree_sizes={sizes}",
    ]  # fmt: skip
    return ("\n".join(header) + "\n\n" + "\n\n\n".join(bodies) + "\n\n\nend of trees\n").encode()


def _matrix(chance: random.Random, rows: int, columns: int, spread: float = 1.0) -> Rows:
    return tuple(tuple(chance.gauss(0, spread) for _ in range(columns)) for _ in range(rows))


def _some(chance: random.Random, most: int, highest: int) -> tuple[int, ...]:
    return tuple(sorted(chance.sample(range(1, highest + 1), chance.randint(1, most))))


def _network(chance: random.Random, features: int) -> Network:
    reads = tuple(sorted(chance.sample(range(features), chance.randint(1, features))))
    layers, inputs = [], len(reads)
    for outputs in [*(chance.randint(1, 6) for _ in range(chance.randint(0, 2))), 1]:
        layers.append(Layer(_matrix(chance, outputs, inputs), _matrix(chance, 1, outputs, 20.0)[0]))
        inputs = outputs
    mean, gain = _matrix(chance, 2, len(reads), 2.0)
    return Network(chance.uniform(0.1, 2.0), reads, mean, gain, tuple(layers))


def random_model(seed: int) -> bytes:
    """A document; the same for the same seed."""
    chance = random.Random(seed)
    settings = tuple(f"set{at}" for at in range(chance.randint(0, 2)))
    signals = tuple(f"signal{at}" for at in range(chance.randint(1, 8)))
    intervals = tuple(((-1.0, 1.0), (2.0, 3.0))[: chance.randint(1, 2)] for _ in settings)
    cells = [()] if not settings else sorted({tuple(chance.randrange(len(i)) for i in intervals) for _ in range(4)})
    channels = chance.randint(1, 4)
    emas = _some(chance, 3, 12)
    recent, baseline = chance.choice(emas), chance.randint(1, 12)
    plan = Plan(emas, _some(chance, 3, 20), _some(chance, 3, 20), recent, baseline)
    width = len(plan.names(channels))
    members: list[Forest | Network] = []
    for _ in range(chance.randint(1, 3)):
        if chance.random() < 0.5:
            source = _forest(chance, width)
            members.append(Forest(chance.uniform(0.1, 1.5), source, parse_trees(source, width)))
        else:
            members.append(_network(chance, width))
    cap = chance.uniform(20, 200)
    # Points are often cut to 0 or the cap: edges there are met exactly.
    edges = tuple(sorted({chance.choice((0.0, cap, chance.uniform(-5, 60))) for _ in range(chance.randint(0, 4))}))
    levels = (5, 50, 100, 500, 900, 950, 995)
    residuals = tuple(tuple(sorted(chance.gauss(0, 15) for _ in levels)) for _ in range(len(edges) + 1))
    limits = Limits(
        tuple(chance.uniform(2, 6) for _ in signals), tuple(chance.randint(2, 6) for _ in signals),
        chance.randint(20, 60), chance.randint(1, 6), chance.randint(1, 6), chance.randint(1, 6), chance.randint(1, 6),
        chance.randint(1, 6), chance.uniform(1.0, 3.0),
    )  # fmt: skip
    gain = tuple(tuple(max(x, 0.0) for x in row) for row in _matrix(chance, len(cells), len(signals)))
    model = Model(
        "h", cap, settings, signals, Regimes(intervals, tuple(cells)),
        _matrix(chance, len(cells), len(signals)), gain, _matrix(chance, len(signals), channels), plan, limits,
        tuple(members), Intervals(edges, levels, residuals),
    )  # fmt: skip
    return format_model(model)


def random_rows(data: bytes, seed: int, count: int = 60) -> list[Row]:
    """Mostly healthy, with what breaks: NaN, infinities, stuck and wild values, unknown settings, gaps and jumps."""
    model, chance = parse_model(data), random.Random(seed)
    cycle, rows = chance.randint(0, 2), []
    before = tuple(0.0 for _ in model.signals)
    for _ in range(count):
        setting = tuple(
            chance.choice((0.0, -1.0, 2.5, 3.0) if chance.random() < 0.95 else (1.5, nan)) for _ in model.settings
        )
        wear = cycle / 30
        values = tuple(
            old if chance.random() < 0.1 else chance.choice((nan, inf, -inf, 1e308, 0.0, -0.0))
            if chance.random() < 0.03 else chance.gauss(wear, 1.0)
            for old in before
        )  # fmt: skip
        rows.append(Row(cycle, setting, values))
        cycle += 1 if chance.random() < 0.95 else chance.randint(2, 12)
        before = values
    return rows
