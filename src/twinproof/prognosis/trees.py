"""LightGBM's text model, read strictly: numbers, never code.

The part that is kept is the one that a prediction needs: the header and the trees, up to
`end of trees`. What changes the meaning of a tree and does not occur in our training is refused:
categories, linear leaves, several classes, averaged (random forest) output, special handling of
missing values. Source of the format: LightGBM `src/io/gbdt_model_text.cpp`, `tree.cpp`.

A row goes left where value <= threshold. The answer is the sum of the leaves' values in the order
of the trees, from 0.0, in float64: the bits of LightGBM's own answer.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from twinproof.errors import Malformed, TooLarge

MAX_TEXT: Final = 32 * 1024 * 1024
MAX_TREES: Final = 20_000
MAX_LEAVES: Final = 64
MAX_LINE: Final = 64 * 1024
MAX_NUMBER: Final = 1e12
"""Of thresholds and leaves, so that no answer can overflow."""

END: Final = "end of trees"

_HEADER: Final = ("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective")
_LISTS: Final = ("feature_names", "feature_infos", "tree_sizes")
_FIXED: Final = {
    "version": "v4",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
    "objective": "regression",
}
_TREE: Final = (
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child",
    "right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count",
    "is_linear", "shrinkage",
)  # fmt: skip
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_FLOAT = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?")


class Tree(NamedTuple):
    """Inner nodes 0.., the root first; a child below 0 is the leaf ~child."""

    features: tuple[int, ...]
    thresholds: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    values: tuple[float, ...]
    """One per leaf."""


def keep_trees(text: str) -> bytes:
    """What `parse_trees` takes of LightGBM's whole text: without importances and parameters."""
    head, found, _ = text.partition(END + "\n")
    if not found:
        raise Malformed("trees", f"no line {END!r}")
    return (head + END + "\n").encode("ascii")


def parse_trees(data: bytes, features: int, what: str = "trees") -> tuple[Tree, ...]:
    """The trees of a text model that reads `features` numbers.

    Raises `Malformed` (`TooLarge` for a limit) that names tree and line.
    """
    if len(data) > MAX_TEXT:
        raise TooLarge(what, f"more than {MAX_TEXT} bytes")
    if not data.isascii():
        raise Malformed(what, "not ASCII")
    blocks = data.decode("ascii").split("\n\n\n")
    if blocks.pop() != END + "\n":
        raise Malformed(what, f"does not end with the line {END!r}")
    header, parted, first = blocks[0].partition("\n\n") if blocks else ("", "", "")
    if not parted:
        raise Malformed(what, "has no trees")
    count = _header(header, features, what)
    bodies = [first, *blocks[1:]]
    if count != len(bodies):
        raise Malformed(what, f"tree_sizes names {count} trees, there are {len(bodies)}")
    if count > MAX_TREES:
        raise TooLarge(what, f"more than {MAX_TREES} trees")
    return tuple(_tree(body, number, features, f"{what}.{number}") for number, body in enumerate(bodies))


def _header(block: str, features: int, what: str) -> int:
    lines = block.split("\n")
    if lines[0] != "tree" or len(lines) != 1 + len(_HEADER) + len(_LISTS):
        raise Malformed(what, "has not the header's lines")
    found = _pairs(lines[1:], (*_HEADER, *_LISTS), what)
    for key, wanted in _FIXED.items():
        if found[key] != wanted:
            raise Malformed(f"{what}.{key}", f"not {wanted}")
    if found["max_feature_idx"] != str(features - 1):
        raise Malformed(f"{what}.max_feature_idx", f"not {features - 1}")
    for key in ("feature_names", "feature_infos"):
        if len(found[key].split(" ")) != features:
            raise Malformed(f"{what}.{key}", f"not of {features} features")
    return len(found["tree_sizes"].split(" "))


def _tree(block: str, number: int, features: int, what: str) -> Tree:
    lines = block.split("\n")
    if lines[0] != f"Tree={number}":
        raise Malformed(what, f"does not begin with Tree={number}")
    found = _pairs(lines[1:], _TREE, what)
    leaves = _integers(found["num_leaves"], 1, f"{what}.num_leaves")[0]
    if leaves > MAX_LEAVES:
        raise TooLarge(f"{what}.num_leaves", f"more than {MAX_LEAVES}")
    if leaves < 1:
        raise Malformed(f"{what}.num_leaves", "not 1 or more")
    for key in ("num_cat", "is_linear"):
        if found[key] != "0":
            raise Malformed(f"{what}.{key}", "not 0")
    inner = leaves - 1
    kinds = _integers(found["decision_type"], inner, f"{what}.decision_type")
    if not set(kinds) <= {0, 2}:  # bit 1, the default side, means nothing where nothing is missing
        raise Malformed(f"{what}.decision_type", "not numerical without missing values (0 or 2)")
    split = _integers(found["split_feature"], inner, f"{what}.split_feature")
    if not all(0 <= feature < features for feature in split):
        raise Malformed(f"{what}.split_feature", f"not all are in 0..{features - 1}")
    tree = Tree(
        split,
        _floats(found["threshold"], inner, f"{what}.threshold"),
        _integers(found["left_child"], inner, f"{what}.left_child"),
        _integers(found["right_child"], inner, f"{what}.right_child"),
        _floats(found["leaf_value"], leaves, f"{what}.leaf_value"),
    )
    _check_shape(tree, what)
    return tree


def _check_shape(tree: Tree, what: str) -> None:
    """Every inner node but the root, and every leaf, is the child of exactly one node before it."""
    inner, leaves = len(tree.features), len(tree.values)
    children = [child for pair in zip(tree.left, tree.right, strict=True) for child in pair]
    if sorted(children) != [*range(-leaves, 0), *range(1, inner)] and inner:
        raise Malformed(what, "its children are no tree")
    for node, pair in enumerate(zip(tree.left, tree.right, strict=True)):
        if any(0 <= child <= node for child in pair):
            raise Malformed(what, f"a child of node {node} stands before it")


def _pairs(lines: list[str], keys: tuple[str, ...], what: str) -> dict[str, str]:
    """`key=value` lines: these keys in this order, each once."""
    if len(lines) != len(keys):
        raise Malformed(what, f"{len(lines)} lines, not {len(keys)}")
    found = {}
    for line, key in zip(lines, keys, strict=True):
        name, equals, value = line.partition("=")
        if name != key or not equals:
            raise Malformed(what, f"no line {key}= where it belongs")
        if len(value) > MAX_LINE and key != "tree_sizes":
            raise TooLarge(f"{what}.{key}", f"more than {MAX_LINE} characters")
        found[key] = value
    return found


def _integers(value: str, count: int, what: str) -> tuple[int, ...]:
    return tuple(int(token) for token in _tokens(value, count, _INTEGER, what))


def _floats(value: str, count: int, what: str) -> tuple[float, ...]:
    numbers = tuple(float(token) for token in _tokens(value, count, _FLOAT, what))
    if not all(-MAX_NUMBER <= number <= MAX_NUMBER for number in numbers):
        raise Malformed(what, f"not all are within ±{MAX_NUMBER:g}")
    return numbers


def _tokens(value: str, count: int, pattern: re.Pattern[str], what: str) -> list[str]:
    tokens = value.split(" ") if value else []
    if len(tokens) != count:
        raise Malformed(what, f"{len(tokens)} numbers, not {count}")
    if not all(map(pattern.fullmatch, tokens)):
        raise Malformed(what, "not all are numbers")
    return tokens
