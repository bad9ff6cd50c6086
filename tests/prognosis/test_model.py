"""The model's document: one encoding, strict reading."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from twinproof.errors import Malformed, TooLarge
from twinproof.prognosis.model import digest_model, format_model, parse_model
from twinproof.prognosis.serve import Predictor
from twinproof.prognosis.train import Trained
from twinproof.proof import cbor

Change = Callable[[dict[str, Any]], None]


def put(*path: str | int, value: Any) -> Change:
    def change(top: Any) -> None:
        for key in path[:-1]:
            top = top[key]
        top[path[-1]] = value

    return change


def edit(*path: str | int, by: Callable[[Any], Any]) -> Change:
    def change(top: Any) -> None:
        for key in path[:-1]:
            top = top[key]
        top[path[-1]] = by(top[path[-1]])

    return change


def drop(key: str) -> Change:
    def change(top: Any) -> None:
        del top[key]

    return change


def f64(*values: float) -> bytes:
    return struct.pack(f">{len(values)}d", *values)


NAN, INF = float("nan"), float("inf")

CHANGES: dict[str, tuple[Change, str]] = {
    "another format": (put("format", value="twinproof.rul/2"), "format"),
    "no card": (drop("card"), "card"),
    "an unknown key": (put("code", value=b"import os"), "unknown key"),
    "a long unit": (put("unit", value="x" * 17), "unit"),
    "no cap": (put("cap", value=0.0), "cap"),
    "a negative cap": (put("cap", value=-1.0), "cap"),
    "an infinite cap": (put("cap", value=INF), "cap"),
    "a cap that is no number": (put("cap", value=NAN), "cap"),
    "a whole cap": (put("cap", value=60), "cap"),
    "no signals": (put("signals", value=[]), "signals"),
    "a signal twice": (edit("signals", by=lambda names: [names[0], *names[:-1]]), "signals"),
    "a signal less": (edit("signals", by=lambda names: names[:-1]), "projection"),
    "a name with a space": (edit("signals", by=lambda names: ["a b", *names[1:]]), "signals"),
    "a setting that is a signal": (edit("signals", by=lambda names: ["load", *names[1:]]), "signals"),
    "too many settings": (put("settings", value=[f"s{at}" for at in range(17)]), "settings"),
    "an interval upside down": (put("regimes", "intervals", value=[f64(2.0, 1.0, 3.0, 4.0)]), "intervals"),
    "intervals that touch": (put("regimes", "intervals", value=[f64(1.0, 2.0, 2.0, 3.0)]), "intervals"),
    "intervals that fall": (put("regimes", "intervals", value=[f64(3.0, 4.0, 1.0, 2.0)]), "intervals"),
    "half an interval": (put("regimes", "intervals", value=[f64(1.0, 2.0, 3.0)]), "intervals"),
    "no interval": (put("regimes", "intervals", value=[b""]), "intervals"),
    "a setting without intervals": (put("regimes", "intervals", value=[]), "intervals"),
    "too many combinations": (put("regimes", "intervals", value=[f64(*range(140_000))]), "intervals"),
    "a cell out of range": (put("regimes", "cells", value=[[0], [9]]), "cells"),
    "a cell twice": (put("regimes", "cells", value=[[0], [0]]), "cells"),
    "a cell too wide": (put("regimes", "cells", value=[[0, 0], [1, 0]]), "cells"),
    "no cells": (put("regimes", "cells", value=[]), "cells"),
    "a mean less": (edit("scale", "mean", by=lambda data: data[:-8]), "mean"),
    "a NaN in the gain": (edit("scale", "gain", by=lambda data: f64(NAN) + data[8:]), "gain"),
    "an infinity in the projection": (edit("projection", by=lambda data: f64(INF) + data[8:]), "projection"),
    "a huge weight": (edit("projection", by=lambda data: f64(2e12) + data[8:]), "projection"),
    "no channels": (put("projection", value=b""), "projection"),
    "no spans": (put("features", "emas", value=[]), "emas"),
    "spans that fall": (put("features", "emas", value=[8, 3]), "emas"),
    "a span of none": (put("features", "emas", value=[0, 8]), "emas"),
    "a fractional span": (put("features", "emas", value=[3.5, 8]), "emas"),
    "a truth for a span": (put("features", "baseline", value=True), "baseline"),
    "a huge window": (put("features", "slopes", value=[1025]), "slopes"),
    "a recent that is not averaged": (put("features", "recent", value=9), "recent"),
    "another number of features": (edit("features", "slopes", by=lambda spans: spans[:-1]), "members"),
    "no hold": (put("limits", "hold", value=0), "hold"),
    "no outlier limit": (edit("limits", "outlier", by=lambda data: f64(0.0) + data[8:]), "outlier"),
    "stuck of another size": (put("limits", "stuck", value=[1]), "stuck"),
    "narrowing to nothing": (put("limits", "widen", value=0.0), "widen"),
    "no members": (put("members", value=[]), "members"),
    "too many members": (edit("members", by=lambda members: members * 9), "members"),
    "a member of both kinds": (edit("members", 0, by=lambda m: {**m, "network": {}}), "members.0"),
    "a member of no kind": (edit("members", 0, by=lambda m: {"weight": 1.0}), "members.0"),
    "a pickle": (put("members", 0, value={"weight": 1.0, "pickle": b"\x80\x04."}), "pickle"),
    "trees as text": (edit("members", 0, "trees", by=bytes.decode), "trees"),
    "a feature twice": (edit("members", 1, "network", "reads", by=lambda reads: [reads[0], *reads[:-1]]), "reads"),
    "a feature that is not there": (put("members", 1, "network", "reads", value=[1000]), "reads"),
    "nothing read": (put("members", 1, "network", "reads", value=[]), "reads"),
    "a feature less": (edit("members", 1, "network", "reads", by=lambda reads: reads[:-1]), "layers"),
    "a layer that does not fit": (put("members", 1, "network", "layers", 0, 0, value=1), "layers"),
    "a huge layer": (put("members", 1, "network", "layers", 0, 1, value=1 << 40), "layers"),
    "no layers": (put("members", 1, "network", "layers", value=[]), "layers"),
    "two outputs": (edit("members", 1, "network", "layers", by=lambda layers: layers[:-1]), "layers"),
    "edges that fall": (put("intervals", "edges", value=f64(5.0, 4.0)), "edges"),
    "a bin too many": (put("intervals", "edges", value=f64(5.0)), "residuals"),
    "no levels": (put("intervals", "levels", value=[]), "levels"),
    "a level of all": (edit("intervals", "levels", by=lambda levels: [*levels[:-1], 1000]), "levels"),
    "residuals that fall": (edit("intervals", "residuals", by=lambda data: f64(9e9) + data[8:]), "residuals"),
    "a card that is a map": (put("card", value={}), "card"),
    "a huge card": (put("card", value=bytes(300_000)), "card"),
}


def test_reading_and_writing_are_inverse(trained: Trained, predictor: Predictor) -> None:
    assert format_model(parse_model(trained.model)) == trained.model
    assert parse_model(trained.model) == predictor.model
    assert digest_model(trained.model) == trained.digest == predictor.digest


@pytest.mark.parametrize("name", CHANGES)
def test_a_crooked_document_is_refused(name: str, trained: Trained) -> None:
    change, field = CHANGES[name]
    top = cbor.decode(trained.model)
    change(top)
    with pytest.raises(Malformed, match=field):
        parse_model(cbor.encode(top))


@pytest.mark.parametrize("key", [
    "format", "unit", "cap", "settings", "signals", "regimes", "scale", "projection", "features", "limits", "members",
    "intervals", "card",
])  # fmt: skip
@pytest.mark.parametrize("value", [None, 0, -1, 1.5, "x", b"x", [], {}, [[]], {"x": 1}], ids=repr)
def test_a_value_of_another_kind_is_refused(key: str, value: Any, trained: Trained) -> None:
    if (key, value) in (("unit", "x"), ("cap", 1.5), ("settings", []), ("card", b"x")):
        value = 7
    top = cbor.decode(trained.model)
    top[key] = value
    with pytest.raises(Malformed):
        parse_model(cbor.encode(top))


def test_sizes_are_limited(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twinproof.prognosis.model.MAX_MODEL", len(trained.model) - 1)
    with pytest.raises(TooLarge):
        parse_model(trained.model)


def test_nesting_is_limited() -> None:
    with pytest.raises(TooLarge):
        parse_model(b"\x81" * 9 + b"\x00")


def test_cut_and_extended_documents_are_refused(trained: Trained) -> None:
    for size in (0, 1, 100, len(trained.model) // 2, len(trained.model) - 1):
        with pytest.raises(Malformed):
            parse_model(trained.model[:size])
    with pytest.raises(Malformed):
        parse_model(trained.model + b"\x00")


def test_a_flipped_bit_is_refused_or_changes_the_digest_and_the_model(trained: Trained, predictor: Predictor) -> None:
    taken = 0
    for at in range(0, len(trained.model), 1009):
        data = bytearray(trained.model)
        data[at] ^= 1
        try:
            other = parse_model(bytes(data))
        except Malformed:
            continue
        taken += 1
        assert other != predictor.model
        assert digest_model(bytes(data)) != trained.digest
    assert taken


def test_what_could_not_be_read_is_not_written(predictor: Predictor) -> None:
    with pytest.raises(Malformed):
        format_model(replace(predictor.model, cap=-1.0))
    with pytest.raises(Malformed):
        format_model(replace(predictor.model, members=()))
