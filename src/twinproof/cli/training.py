"""`twinproof train`: a model of remaining useful life out of a node's own log."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from twinproof.cli.options import FOLDER, IRI, json_option
from twinproof.cli.output import count, print_json, progress
from twinproof.cli.speaker import Said, state_it
from twinproof.errors import ConfigError
from twinproof.twin.predictor import PREDICTOR, Predictor, Stage, format_predictor, parse_predictor


@click.command()
@click.argument("model", type=IRI)
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder; it may be served.")
@click.option("--setting", "settings", multiple=True, metavar="NAME", help="A reading that says what was asked of it.")
@click.option("--signal", "signals", multiple=True, metavar="NAME", help="A reading to learn from; else all numbers.")
@click.option("--cycle", metavar="NAME", help="The reading that counts cycles; else rows are counted.")
@click.option("--failed-at-end", is_flag=True, help="Every record ends in failure, not only a retired twin's.")
@click.option("--unit", default="{cycle}", show_default=True, help="What is counted (UCUM).")
@click.option("--cap", type=click.FloatRange(1, 1e6), default=125.0, show_default=True, help="Longest life predicted.")
@click.option(
    "--coverage",
    type=click.Choice(["0.5", "0.8", "0.9", "0.95", "0.98"]),
    default="0.9",
    show_default=True,
    help="Of the intervals.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of all randomness.")
@click.option("--folds", type=click.IntRange(2, 20), default=10, show_default=True, help="Parts of cross-validation.")
@click.option("--quick", is_flag=True, help="A small model in a fraction of the time, to try things out.")
@click.option("--promote", is_flag=True, help="Put it in use at once; else it is a candidate.")
@click.option("--text", help="A remark for the statement.")
@click.option("--url", metavar="URL", help="State it through this running node: NODE is being served.")
@click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.pem",
    help="The signer's key; by default NODE/keys/operator.pem.",
)
@click.option("--iss", "issuer", type=IRI, metavar="IRI", help="In whose name, if the key has several.")
@json_option
def train(
    model: str,
    folder: Path,
    settings: tuple[str, ...],
    signals: tuple[str, ...],
    cycle: str | None,
    failed_at_end: bool,
    unit: str,
    cap: float,
    coverage: str,
    seed: int,
    folds: int,
    quick: bool,
    promote: bool,
    text: str | None,
    url: str | None,
    key_file: Path | None,
    issuer: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Learn from the logged history of all twins of MODEL how long they last, and publish what was learnt.

    \b
    Examples:
      twinproof train "dtmi:example:pump;1" --setting load --folder ./node
      twinproof train urn:twinproof:model:cmapss-turbofan --folder ./node --cycle cycle --setting altitude \\
        --setting mach --setting TRA --failed-at-end --promote

    A row is what one statement measured at one time. A record ends in failure if its twin is retired (or with
    --failed-at-end always); ten such records are needed. The model and its card go to NODE/blobs, a statement names
    them. Numbers shown are of cross-validation by twin. Needs the extra train.
    """
    data, card = _train(model, folder, settings, signals, cycle, failed_at_end, unit, cap, seed, folds, quick, as_json)
    predictor = Predictor(
        data["model"], Stage.ACTIVE if promote else Stage.CANDIDATE, unit, float(coverage), data["trained"], cycle,
        data["card"], text,
    )  # fmt: skip
    payload = format_predictor(predictor)
    parse_predictor(payload)
    key = key_file if key_file is not None or url is None else folder / "keys" / "operator.pem"
    said = state_it(PREDICTOR, model, payload, folder=None if url else folder, url=url, key_file=key, issuer=issuer)
    _show(predictor, said, card, data["left_out"], as_json)


def _train(
    model: str, folder: Path, settings: tuple[str, ...], signals: tuple[str, ...], cycle: str | None,
    failed_at_end: bool, unit: str, cap: float, seed: int, folds: int, quick: bool, as_json: bool,
) -> tuple[dict[str, Any], Any]:  # fmt: skip
    try:
        from twinproof.node.node import read_node
        from twinproof.node.training import Wish, gather
        from twinproof.prognosis.ensemble import Recipe
        from twinproof.prognosis.train import train as learn

        # Now rather than after the reading; by name, since they belong to another room.
        for name in ("lightgbm", "sklearn"):
            import_module(name)
    except ModuleNotFoundError as problem:
        raise ConfigError(f"training needs {problem.name}: pip install 'twinproof[node,train]'") from None
    with read_node(folder) as node:
        with progress("Reading") as report:
            found = gather(node, Wish(model, settings, signals, cycle, failed_at_end), report)
        trained = found.trained
        if not as_json:
            click.echo(f"{count(trained.rows, 'row')} of {count(trained.twins, 'twin')}, {trained.failed} to failure.")
            if found.strange:
                click.echo(f"Left out where in other units than most: {', '.join(found.strange)}.")
        recipe = Recipe(trees=60, networks=1, steps=300, fewest=20) if quick else Recipe()
        with progress("Training") as report:
            made = learn(
                found.fleet, seed=seed, name=model, unit=unit, cap=cap, recipe=recipe, fold_count=folds,
                progress=lambda step, done, of: report(done, of + (step != "fit")),
            )  # fmt: skip
        digest = node.blobs.put(made.model)
        card = node.blobs.put(made.card.to_cbor())
    return {"model": digest, "card": card, "trained": trained, "left_out": found.left_out}, made.card


def _show(predictor: Predictor, said: Said, card: Any, left_out: int, as_json: bool) -> None:
    numbers = {
        "rmse": card.rmse, "bias": card.bias, "coverage": card.coverage, "width": card.width,
        "late_width": card.late_width,
    }  # fmt: skip
    if as_json:
        print_json(
            {
                "model": predictor.model.hex(),
                "card": (predictor.card or b"").hex(),
                "stage": predictor.stage.value,
                "index": said.index,
                "twins": predictor.trained.twins,
                "failed": predictor.trained.failed,
                "rows": predictor.trained.rows,
                "rows_left_out": left_out,
                "unused": card.unused,
                **numbers,
            }
        )
        return
    click.echo(f"model     {predictor.model.hex()}")
    click.echo(f"error     RMSE {card.rmse:.2f} {card.unit}, bias {card.bias:+.2f} (of twins it had not seen)")
    click.echo(f"interval  90 %: {card.width:.1f} wide, {card.late_width:.1f} where less than 50 are left")
    if left_out:
        click.echo(f"left out  {count(left_out, 'row')} whose cycle does not grow")
    click.echo(f"stage     {predictor.stage.value}, entry {said.index}")
    if predictor.stage is Stage.CANDIDATE:
        click.echo(f"Put it in use with: twinproof predictor promote {card.fleet} {predictor.model.hex()[:16]}")
