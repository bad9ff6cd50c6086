"""The parser of LightGBM's text, against LightGBM itself and against tampering."""

from __future__ import annotations

import re
from math import inf, nan, nextafter
from typing import Any

import lightgbm
import numpy as np
import pytest

from twinproof.errors import Malformed, TooLarge
from twinproof.prognosis.serve import ForestEvaluator
from twinproof.prognosis.trees import Tree, keep_trees, parse_trees

FEATURES = 5


def booster(leaves: int = 15, trees: int = 30, **settings: Any) -> lightgbm.Booster:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(800, FEATURES))
    y = x[:, 0] * 3 + x[:, 1] ** 2 + rng.normal(0, 0.1, 800)
    chosen = {
        "objective": "regression", "num_leaves": leaves, "min_data_in_leaf": 3, "verbosity": -1, "num_threads": 1,
        "use_missing": False, "deterministic": True, "force_row_wise": True, "seed": 1, **settings,
    }  # fmt: skip
    return lightgbm.train(chosen, lightgbm.Dataset(x, y, params={"verbosity": -1}), trees)


@pytest.fixture(scope="module")
def source() -> bytes:
    return keep_trees(booster().model_to_string())


def walk(trees: tuple[Tree, ...], row: list[float]) -> float:
    total = 0.0
    for tree in trees:
        node = 0 if tree.features else -1
        while node >= 0:
            node = (tree.left if row[tree.features[node]] <= tree.thresholds[node] else tree.right)[node]
        total += tree.values[~node]
    return total


@pytest.mark.parametrize("leaves", [2, 15, 16, 17, 31, 33, 64])
def test_three_evaluators_give_the_same_bits(leaves: int) -> None:
    model = booster(leaves)
    trees = parse_trees(keep_trees(model.model_to_string()), FEATURES)
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(700, FEATURES))
    # on thresholds, just beside them, and zeros of both signs
    for at, tree in enumerate(trees):
        for feature, threshold in zip(tree.features, tree.thresholds, strict=True):
            rows[at, feature] = [threshold, nextafter(threshold, inf), nextafter(threshold, -inf)][at % 3]
    rows[600:650, 0] = 0.0
    rows[650:, 0] = -0.0
    expected = np.asarray(model.predict(rows, num_threads=1))
    assert np.asarray(model.predict(rows, num_threads=2)).tobytes() == expected.tobytes()
    assert ForestEvaluator(trees, FEATURES)(rows).tobytes() == expected.tobytes()
    assert np.array([walk(trees, row) for row in rows.tolist()]).tobytes() == expected.tobytes()


def test_lightgbm_reads_what_was_kept(source: bytes) -> None:
    rows = np.random.default_rng(3).normal(size=(50, FEATURES))
    again = lightgbm.Booster(model_str=source.decode())
    assert np.asarray(again.predict(rows)).tobytes() == np.asarray(booster().predict(rows)).tobytes()


def test_a_forest_that_found_nothing_is_one_leaf() -> None:
    trees = parse_trees(keep_trees(booster(min_data_in_leaf=500).model_to_string()), FEATURES)
    assert [len(tree.values) for tree in trees] == [1] * len(trees)
    assert len(set(ForestEvaluator(trees, FEATURES)(np.zeros((3, FEATURES))).tolist())) == 1


@pytest.mark.parametrize("settings", [
    {"linear_tree": True}, {"objective": "poisson"}, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    {"use_missing": True, "zero_as_missing": True},
], ids=["linear", "poisson", "random forest", "missing"])  # fmt: skip
def test_other_kinds_of_trees_are_refused(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, FEATURES))
    chosen = {"objective": "regression", "num_leaves": 4, "verbosity": -1, "num_threads": 1, "seed": 1, **settings}
    model = lightgbm.train(chosen, lightgbm.Dataset(x, np.exp(x[:, 0]), params={"verbosity": -1, **settings}), 3)
    with pytest.raises(Malformed):
        parse_trees(keep_trees(model.model_to_string()), FEATURES)


EDITS = {
    "another version": (r"version=v4", "version=v3"),
    "classes": (r"num_class=1", "num_class=2"),
    "objective": (r"objective=regression", "objective=binary"),
    "a feature more": (r"max_feature_idx=4", "max_feature_idx=5"),
    "names": (r"feature_names=\S+ ", "feature_names="),
    "a tree less in the header": (r"tree_sizes=\d+ ", "tree_sizes="),
    "a header line gone": (r"label_index=0\n", ""),
    "trees out of order": (r"Tree=1\n", "Tree=2\n"),
    "categories": (r"num_cat=0", "num_cat=1"),
    "missing values": (r"decision_type=2", "decision_type=10"),
    "a category": (r"decision_type=2", "decision_type=1"),
    "linear leaves": (r"is_linear=0", "is_linear=1"),
    "feature out of range": (r"split_feature=\d+", "split_feature=5"),
    "negative feature": (r"split_feature=\d+", "split_feature=-1"),
    "plus sign": (r"split_feature=(\d+)", r"split_feature=+\1"),
    "underscore": (r"split_feature=\d+", "split_feature=1_0"),
    "too many leaves": (r"num_leaves=15", "num_leaves=65"),
    "no leaves": (r"num_leaves=15", "num_leaves=0"),
    "a leaf less": (r"num_leaves=15", "num_leaves=14"),
    "a loop": (r"left_child=-?\d+", "left_child=0"),
    "a leaf twice": (r"right_child=-?\d+ ", "right_child=-1 "),
    "infinite": (r"threshold=\S+", "threshold=inf"),
    "not a number": (r"threshold=\S+", "threshold=nan"),
    "overflowing": (r"leaf_value=\S+", "leaf_value=1e999"),
    "huge": (r"leaf_value=\S+", "leaf_value=1e13"),
    "hexadecimal": (r"leaf_value=\S+", "leaf_value=0x1p3"),
    "a threshold less": (r"threshold=\S+ ", "threshold="),
    "two spaces": (r"threshold=(\S+) ", r"threshold=\1  "),
    "a line twice": (r"(shrinkage=\S+\n)", r"\1\1"),
    "no end": (r"end of trees\n", ""),
    "something after the end": (r"end of trees\n", "end of trees\n\nparameters:\n"),
    "not ASCII": (r"shrinkage=", "shrinkage=\u0661"),
}


@pytest.mark.parametrize("name", EDITS)
def test_tampered_text_is_refused(name: str, source: bytes) -> None:
    pattern, replacement = EDITS[name]
    edited, changes = re.subn(pattern, replacement, source.decode(), count=1)
    assert changes == 1
    with pytest.raises(Malformed):
        parse_trees(edited.encode(), FEATURES)


def test_sizes_are_limited(source: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.prognosis.trees.MAX_TEXT", len(source) - 1)
    with pytest.raises(TooLarge):
        parse_trees(source, FEATURES)
    monkeypatch.undo()
    monkeypatch.setattr("twinproof.prognosis.trees.MAX_TREES", 29)
    with pytest.raises(TooLarge):
        parse_trees(source, FEATURES)


@pytest.mark.parametrize("text", ["", "tree", "tree\n\nend of trees\n", "end of trees\n", "\n\n\nend of trees\n"])
def test_no_trees(text: str) -> None:
    with pytest.raises(Malformed):
        parse_trees(text.encode(), FEATURES)


def test_every_cut_is_refused(source: bytes) -> None:
    for size in range(0, len(source), 997):
        with pytest.raises(Malformed):
            parse_trees(source[:size], FEATURES)


def test_nan_goes_right_in_both() -> None:
    trees = (Tree((0,), (1.0,), (-1,), (-2,), (3.0, 4.0)),)
    assert ForestEvaluator(trees, 1)(np.array([[nan]])).tolist() == [4.0] == [walk(trees, [nan])]
