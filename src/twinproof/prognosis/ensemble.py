"""Fits the two kinds of members: LightGBM's trees and small networks. Needs the extra `train`.

The numbers in `Recipe` were chosen by 5-fold cross-validation over training units (docs/design/prognosis.md).
Training repeats on one machine; across machines it need not, and nothing here depends on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinproof.prognosis.data import Array
from twinproof.prognosis.model import INPUT_LIMIT, Forest, Layer, Network
from twinproof.prognosis.trees import keep_trees, parse_trees


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained, and how."""

    trees: int = 600
    leaves: int = 15
    rate: float = 0.04
    fewest: int = 100
    """Rows in a leaf."""
    features: float = 0.6
    """Share of the features that a tree may use."""
    ridge: float = 20.0
    networks: int = 3
    """Trained from different seeds and averaged; none leaves the trees alone."""
    hidden: tuple[int, ...] = (32, 16)
    steps: int = 6000
    """Of the optimiser, whatever the number of rows."""
    step: float = 2e-3
    decay: float = 0.1
    batch: int = 256
    share: float = 0.6
    """Of the networks in the answer."""
    unread: tuple[str, ...] = ("ema3", "slope10", "slope120", "spread20")
    """Kinds of features that the networks do not see: more inputs made them worse on units to come."""
    channels: int = 3
    """How many channels they see, of those that the trees do."""


def fit_members(
    features: Array, target: Array, names: Sequence[str], recipe: Recipe, seed: int
) -> tuple[Forest | Network, ...]:
    """The ensemble: features (rows, features), target (rows,) in the unit of the answer."""
    share = recipe.share if recipe.networks else 0.0
    members: list[Forest | Network] = [_forest(features, target, names, recipe, seed, 1.0 - share)]
    for number in range(recipe.networks):
        weight = share / recipe.networks
        members.append(_network(features, target, names, recipe, seed * recipe.networks + number, weight))
    return tuple(members)


def _forest(features: Array, target: Array, names: Sequence[str], recipe: Recipe, seed: int, weight: float) -> Forest:
    import lightgbm

    settings = {
        "objective": "regression",
        "num_leaves": recipe.leaves,
        "learning_rate": recipe.rate,
        "min_data_in_leaf": recipe.fewest,
        "feature_fraction": recipe.features,
        "lambda_l2": recipe.ridge,
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(features, target, feature_name=list(names), params={"verbosity": -1})
    booster = lightgbm.train(settings, data, recipe.trees)
    source = keep_trees(booster.model_to_string(num_iteration=-1))
    return Forest(weight, source, parse_trees(source, features.shape[1]))


def _seen(name: str, recipe: Recipe) -> bool:
    kind, _, channel = name.partition(".")
    return kind not in recipe.unread and (not channel or int(channel) < recipe.channels)


def _network(features: Array, target: Array, names: Sequence[str], recipe: Recipe, seed: int, weight: float) -> Network:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    reads = tuple(at for at, name in enumerate(names) if _seen(name, recipe))
    features = features[:, reads]
    batch = min(recipe.batch, len(features))
    epochs = max(1, round(recipe.steps * batch / len(features)))
    mean = features.mean(axis=0)
    spread = features.std(axis=0)
    gain = np.where(spread > 0, 1.0 / np.where(spread > 0, spread, 1.0), 0.0)
    centre, size = float(target.mean()), float(target.std()) or 1.0
    network = MLPRegressor(
        hidden_layer_sizes=recipe.hidden,
        alpha=recipe.decay,
        max_iter=epochs,
        n_iter_no_change=epochs,
        learning_rate_init=recipe.step,
        batch_size=batch,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is the recipe's
        network.fit(np.clip((features - mean) * gain, -INPUT_LIMIT, INPUT_LIMIT), (target - centre) / size)
    layers = []
    for number, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        if number == len(network.coefs_) - 1:  # the answer's unit
            weights, bias = weights * size, bias * size + centre
        layers.append(Layer(tuple(map(tuple, weights.T.tolist())), tuple(bias.tolist())))
    return Network(weight, reads, tuple(mean.tolist()), tuple(gain.tolist()), tuple(layers))
