"""`twinproof chain serve`, `verify` and `compact`: the file of an embedded chain."""

from __future__ import annotations

import signal
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click

from twinproof.cli.chain_values import hex_of
from twinproof.cli.options import FOLDER, json_option
from twinproof.cli.output import count, print_json, print_json_line
from twinproof.errors import ConfigError, NotFound


@click.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node with an embedded chain.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen here.")
@click.option("--port", type=click.IntRange(0, 65535), default=8545, show_default=True, help="0 takes a free one.")
@click.option("--name", "hosts", multiple=True, metavar="NAME", help="A name of this machine that callers use.")
@click.option("--origin", "origins", multiple=True, metavar="ORIGIN", help="A web page's origin that may ask.")
@click.option("--access-log", is_flag=True, help="Log each request to stderr.")
@json_option
def serve(
    folder: Path, host: str, port: int, hosts: tuple[str, ...], origins: tuple[str, ...], access_log: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Serve the node's embedded chain as JSON-RPC over HTTP, for wallets and for parties without the folder.

    \b
    Example:
      twinproof chain serve --folder ./node --port 8545

    Anybody who reaches the port may read the chain and send signed transactions. The node may run beside it. Who uses
    it by --url says --confirmations 0: its blocks come with transactions. Ends at SIGTERM or SIGINT.
    """
    path = embedded_file(folder)
    from twinproof.chain.embedded import EmbeddedChain

    with EmbeddedChain.open(path, read_only=True) as embedded:
        chain_id = embedded.chain_id
    try:
        server = import_module("twinproof.server.chain_rpc")
    except ModuleNotFoundError as problem:
        raise ConfigError(f"this needs {problem.name}; install it with: pip install 'twinproof[node,chain]'") from None

    def on_ready(url: str) -> None:
        if as_json:
            print_json_line({"listening": url, "chain_id": chain_id})
        else:
            click.echo(f"Chain {chain_id} of {folder} answers on {url}  (Ctrl-C stops it)")

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.serve_chain(path, host, port, hosts=hosts, origins=origins, on_ready=on_ready, access_log=access_log)
    if not as_json:
        click.echo("Stopped.")


@click.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node with an embedded chain.")
@json_option
def verify(folder: Path, as_json: bool) -> None:
    """Execute every block of an embedded chain again, and compare.

    \b
    Example:
      twinproof chain verify --folder ./node

    Who keeps the newest block's hash elsewhere knows then that the chain was not rewritten.
    """
    path = embedded_file(folder)
    from twinproof.chain.embedded import replay

    found = replay(path)
    if as_json:
        print_json({"blocks": found.blocks, "transactions": found.transactions, "head": hex_of(found.head),
                    "state_root": hex_of(found.state_root)})  # fmt: skip
        return
    click.echo(f"{count(found.blocks, 'block')} with {count(found.transactions, 'transaction')} give the same states.")
    click.echo(f"  newest block  {hex_of(found.head)}\n  state root    {hex_of(found.state_root)}")


@click.command()
@click.option("--folder", type=FOLDER, required=True, metavar="NODE", help="A node with an embedded chain.")
@json_option
def compact(folder: Path, as_json: bool) -> None:
    """Let go of an embedded chain's old states; blocks, transactions and events stay.

    \b
    Example:
      twinproof chain compact --folder ./node

    It happens by itself now and then, too. The node may run beside it.
    """
    path = embedded_file(folder)
    from twinproof.chain.embedded import EmbeddedChain

    before = path.stat().st_size
    with EmbeddedChain.open(path) as embedded:
        gone = embedded.compact()
    after = path.stat().st_size
    if as_json:
        print_json({"nodes": gone, "bytes_before": before, "bytes_after": after})
    else:
        click.echo(f"{count(gone, 'node')} of old states went; the file has {after:,} bytes, it had {before:,}.")


def embedded_file(folder: Path) -> Path:
    """The file of a node's embedded chain; raises `ConfigError`, `NotFound`."""
    from twinproof.node.config import load_config

    driver = load_config(folder).chain.driver
    if driver != "embedded":
        raise ConfigError(f"{folder} has no embedded chain" + (": its driver is rpc" if driver else ""))
    path = folder / "chain" / "chain.db"
    if not path.exists():
        raise NotFound(f"there is no {path} yet; make it with: twinproof chain deploy --folder {folder}")
    return path
