"""`twinproof predictor`: which trained models are in use, and how well they did."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import FILE, FOLDER, IRI, NEW_FILE, json_option, read_file, target_options, write_new
from twinproof.cli.output import count, print_json, progress
from twinproof.cli.speaker import speaker_options, state_it
from twinproof.cli.target import told_state
from twinproof.errors import Conflict, NotFound
from twinproof.twin.attestation import ATTESTATION, Attestation, format_attestation
from twinproof.twin.evidence import MAX_BLOB
from twinproof.twin.predictor import PREDICTOR, Predictor, Stage, StandingPredictor, format_predictor, predictor_map

_PREFIX = re.compile(r"[0-9a-f]{4,64}\Z")


class Name(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """The digest of a model in hexadecimal digits, or how it begins."""

    name = "digest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The digits."""
        if not _PREFIX.match(value):
            self.fail(f"{value!r} is not 4 to 64 lower-case hexadecimal digits", param, ctx)
        return str(value)


DIGITS: Final = Name()


def _held(about: str, folder: Path | None, url: str | None) -> dict[bytes, StandingPredictor]:
    return told_state(about, folder, url).live.predictors


def _find(held: dict[bytes, StandingPredictor], about: str, digits: str) -> StandingPredictor:
    found = [standing for name, standing in held.items() if name.hex().startswith(digits)]
    if not found:
        raise NotFound(f"no predictor {digits} of {about}; `twinproof predictor list` shows them")
    if len(found) > 1:
        raise Conflict(f"{len(found)} predictors of {about} begin with {digits}; give more digits")
    return found[0]


@click.group()
def predictor() -> None:
    """Trained models of remaining useful life: which one is in use, and how well it did.

    \b
    Example:
      twinproof predictor list "dtmi:example:pump;1" --folder ./node
    """


@predictor.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder, not being served.")
@json_option
def enable(folder: Path, as_json: bool) -> None:
    """Let the node state predictions: make its key (ES256), and grant it `predict` by the operator's.

    \b
    Example:
      twinproof predictor enable --folder ./node

    With the operator's key elsewhere, grant NODE/forecast.json there: --can predict --prefix "".
    """
    from twinproof.node.node import open_node
    from twinproof.node.service_keys import FORECAST

    with open_node(folder) as node:
        origin = node.config.origin
        index = FORECAST.enable(node, FORECAST.key(folder, origin))
    if as_json:
        print_json({"iss": FORECAST.issuer(origin), "index": index})
    elif index is None:
        click.echo(f"{FORECAST.issuer(origin)} may state predictions already.")
    else:
        click.echo(f"{FORECAST.issuer(origin)} may state predictions, by the grant at entry {index}.")


@predictor.command("list")
@click.argument("about", type=IRI)
@target_options
@json_option
def list_predictors(about: str, folder: Path | None, url: str | None, as_json: bool) -> None:
    """List the predictors of ABOUT, a model of twins or one twin, the newest first.

    \b
    Example:
      twinproof predictor list "dtmi:example:pump;1" --url http://127.0.0.1:8600
    """
    held = sorted(_held(about, folder, url).values(), key=lambda standing: -standing.entry)
    if as_json:
        print_json([{"entry": standing.entry, **_json(standing.predictor)} for standing in held])
        return
    for found, entry in held:
        trained = found.trained
        click.echo(
            f"{found.model.hex()[:16]}  {found.stage.value:<9}  {found.coverage * 100:g} %  {found.unit}  trained on "
            f"{count(trained.twins, 'twin')} ({trained.failed} to failure), "
            f"{count(trained.rows, 'row')}  (entry {entry})"
        )
    click.echo(count(len(held), "predictor"))


def _json(found: Predictor) -> dict[str, Any]:
    told = {str(name): _hex(value) for name, value in predictor_map(found).items()}
    return {**told, "trained": {name: _hex(value) for name, value in told["trained"].items()}}


def _hex(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


@predictor.command()
@click.argument("digest", type=DIGITS)
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder.")
@json_option
def show(digest: str, folder: Path, as_json: bool) -> None:
    """Show the model card of DIGEST: what it learnt from, how well it did in cross-validation, its limits.

    \b
    Example:
      twinproof predictor show 3f9a2b7c --folder ./node
    """
    from twinproof.prognosis.card import parse_card
    from twinproof.prognosis.model import parse_model

    name, data = _blob(folder, digest)
    model = parse_model(data)
    card = parse_card(model.card)
    if as_json:
        print_json({"model": name.hex(), "bytes": len(data), **asdict(card)})
        return
    click.echo(card.to_markdown() + f"\nmodel {name.hex()}, {count(len(data), 'byte')}")


def _blob(folder: Path, digits: str) -> tuple[bytes, bytes]:
    from twinproof.node.blobs import Blobs

    blobs = Blobs(folder)
    found = [name for name in blobs.names() if name.hex().startswith(digits)]
    if not found:
        raise NotFound(f"no model {digits} in {folder / 'blobs'}")
    if len(found) > 1:
        raise Conflict(f"{len(found)} blobs begin with {digits}; give more digits")
    return found[0], blobs.get(found[0])


# --- stages -----------------------------------------------------------------------------------


def _restate(
    stage: Stage, about: str, digits: str, text: str | None, folder: Path | None, url: str | None,
    key_file: Path | None, issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    found = _find(_held(about, folder, url), about, digits).predictor.at(stage)
    said = Predictor(found.model, found.stage, found.unit, found.coverage, found.trained, found.cycle, found.card, text)
    index = state_it(
        PREDICTOR, about, format_predictor(said), folder=folder, url=url, key_file=key_file, issuer=issuer
    ).index
    if as_json:
        print_json({"about": about, "model": said.model.hex(), "stage": stage.value, "index": index})
    else:
        click.echo(f"{said.model.hex()[:16]} is {stage.value} for {about}\n  entry   {index}")


@predictor.command()
@click.argument("about", type=IRI)
@click.argument("digest", type=DIGITS)
@click.option("--text", help="Why.")
@speaker_options
@json_option
def promote(
    about: str, digest: str, text: str | None, folder: Path | None, url: str | None, key_file: Path | None,
    issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    """State that the predictor DIGEST of ABOUT is in use from now on; the one before is retired.

    \b
    Example:
      twinproof predictor promote "dtmi:example:pump;1" 3f9a2b7c --text "better on pumps of 2025" --folder ./node
    """
    _restate(Stage.ACTIVE, about, digest, text, folder, url, key_file, issuer, as_json)


@predictor.command()
@click.argument("about", type=IRI)
@click.argument("digest", type=DIGITS)
@click.option("--text", help="Why.")
@speaker_options
@json_option
def retire(
    about: str, digest: str, text: str | None, folder: Path | None, url: str | None, key_file: Path | None,
    issuer: str | None, as_json: bool,
) -> None:  # fmt: skip
    """State that the predictor DIGEST of ABOUT is no longer in use; nothing takes its place.

    \b
    Example:
      twinproof predictor retire "dtmi:example:pump;1" 3f9a2b7c --text "its twins have new bearings" --folder ./node
    """
    _restate(Stage.RETIRED, about, digest, text, folder, url, key_file, issuer, as_json)


# --- files ------------------------------------------------------------------------------------


@predictor.command()
@click.argument("digest", type=DIGITS)
@click.option("-o", "--output", type=NEW_FILE, required=True, metavar="FILE", help="Where to write it.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder.")
@json_option
def export(digest: str, output: Path, force: bool, folder: Path, as_json: bool) -> None:
    """Write the model DIGEST to a file, for another node or an auditor.

    \b
    Example:
      twinproof predictor export 3f9a2b7c -o pump.model --folder ./node
    """
    name, data = _blob(folder, digest)
    write_new(output, data, force=force)
    if as_json:
        print_json({"model": name.hex(), "file": str(output), "bytes": len(data)})
    else:
        click.echo(f"{output}  {count(len(data), 'byte')}\nmodel {name.hex()}")


@predictor.command("import")
@click.argument("file", type=FILE)
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder; it may be served.")
@json_option
def import_file(file: Path, folder: Path, as_json: bool) -> None:
    """Bring a model from FILE to a node. It is read strictly; nothing in it is run.

    \b
    Example:
      twinproof predictor import pump.model --folder ./node
    """
    from twinproof.node.blobs import Blobs
    from twinproof.node.config import load_config
    from twinproof.prognosis.model import parse_model

    load_config(folder)
    data = read_file(file, MAX_BLOB, "model")
    model = parse_model(data)
    name = Blobs(folder).put(data)
    if as_json:
        print_json({"model": name.hex(), "unit": model.unit, "signals": list(model.signals), "bytes": len(data)})
    else:
        click.echo(f"model {name.hex()}, {count(len(model.signals), 'signal')}, predicts {model.unit}")


# --- hindsight --------------------------------------------------------------------------------


@predictor.command()
@click.argument("about", type=IRI)
@click.option("--failed-at-end", is_flag=True, help="Every record ends in failure, not only a retired twin's.")
@click.option("--state", "state_too", is_flag=True, help="State the scores as attestations about ABOUT.")
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node's folder.")
@click.option("--key", "key_file", type=FILE, metavar="FILE.pem", help="The signer's key, with --state.")
@click.option("--iss", "issuer", type=IRI, metavar="IRI", help="In whose name, if the key has several.")
@json_option
def score(
    about: str, failed_at_end: bool, state_too: bool, folder: Path, key_file: Path | None, issuer: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare what was predicted of twins of the model ABOUT with what happened, once they have reached their end.

    \b
    Examples:
      twinproof predictor score "dtmi:example:pump;1" --folder ./node
      twinproof predictor score "dtmi:example:pump;1" --state --folder ./node

    Coverage should be near the claimed one; bias above 0 means too hopeful; drift is how much more hopeful the
    model was about the later half of the twins.
    """
    from twinproof.node.node import read_node
    from twinproof.node.scoring import SCORE
    from twinproof.node.scoring import score as compare

    with read_node(folder) as node, progress("Comparing") as report:
        found = compare(node, about, failed_at_end=failed_at_end, report=report)
        size = node.reader.head().size
    results = [{**asdict(each), "model": each.model.hex(), "size": size} for each in found]
    if state_too:
        for result in results:
            said = Attestation(SCORE, json.dumps(result, sort_keys=True))
            result["index"] = state_it(
                ATTESTATION, about, format_attestation(said), folder=folder, url=None, key_file=key_file, issuer=issuer
            ).index
    if as_json:
        print_json(results)
        return
    for result in results:
        _show_score(result)


def _show_score(result: dict[str, Any]) -> None:
    realised = "none claimed" if result["realised"] is None else f"{result['realised'] * 100:.1f} %"
    drift = "unknown of so few" if result["drift"] is None else f"{result['drift']:+.2f}"
    click.echo(f"model     {result['model']}")
    click.echo(
        f"compared  {count(result['predictions'], 'prediction')} of {count(result['twins'], 'twin')}, "
        f"{result['widened']} widened"
    )
    click.echo(
        f"coverage  {realised}, claimed {result['coverage'] * 100:g} %; {result['width']:.1f} {result['unit']} wide"
    )
    click.echo(f"error     bias {result['bias']:+.2f}, RMSE {result['rmse']:.2f} {result['unit']}; drift {drift}")
    if "index" in result:
        click.echo(f"stated    entry {result['index']}")
