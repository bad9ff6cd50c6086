"""Anchors on the command line: whose blocks are believed, and how they are shown.

`--block`, `--blocks` and `--anchor-contract` need nothing; `--rpc` asks a chain's node, with the chain extra.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import click

from twinproof.cli.options import FILE, F, read_file
from twinproof.cli.output import count, utc
from twinproof.errors import ConfigError, Malformed
from twinproof.proof.anchor import MAX_CHAIN_ID
from twinproof.twin.anchors import AnchorTrust, ExpectedAnchor, VerifiedAnchor

MAX_BLOCKS: Final = 1 << 24
"""Bytes of a file of block hashes: some 240,000."""

_HASH = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_CHAIN_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_CONTRACT = re.compile(r"([1-9][0-9]{0,18}):(0x[0-9a-fA-F]{40})(?::(0x[0-9a-fA-F]{64}))?", re.ASCII)


class BlockHash(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A block's hash: 0x and 64 hexadecimal digits."""

    name = "hash"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Its 32 bytes."""
        if isinstance(value, bytes):
            return value
        if not _HASH.fullmatch(value):
            self.fail(f"{value!r} is not a block's hash: 0x and 64 hexadecimal digits", param, ctx)
        return bytes.fromhex(value[2:])


class ChainId(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A chain id (EIP-155) in decimal digits."""

    name = "chain id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        if isinstance(value, int):
            return value
        if not _CHAIN_ID.fullmatch(value) or int(value) >= MAX_CHAIN_ID:
            self.fail(f"{value!r} is not a chain id: decimal digits, below 2^63", param, ctx)
        return int(value)


class Expected(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """CHAIN:ADDRESS or CHAIN:ADDRESS:LOGID."""

    name = "contract"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ExpectedAnchor:
        """The contract, and the log in it if named."""
        if isinstance(value, ExpectedAnchor):
            return value
        found = _CONTRACT.fullmatch(value)
        if not found or int(found[1]) >= MAX_CHAIN_ID:
            self.fail(f"{value!r} is not CHAIN:0x40 digits, with or without :0x64 digits of a log id", param, ctx)
        return ExpectedAnchor(int(found[1]), bytes.fromhex(found[2][2:]), bytes.fromhex((found[3] or "0x")[2:]) or None)


@dataclass
class Trust:
    """What the options say; `trusted` is open while the bundle is verified."""

    blocks: tuple[bytes, ...] = ()
    file: Path | None = None
    rpc: str | None = None
    chain_id: int | None = None
    confirmations: int | None = None
    expected: tuple[ExpectedAnchor, ...] = ()
    options: list[str] = field(default_factory=list)
    """The options that were given, for the refusal of evidence that they do not fit."""

    def check(self) -> None:
        """Raise a usage error for what makes no sense together."""
        if self.rpc is None and (self.chain_id is not None or self.confirmations is not None):
            raise click.UsageError("--chain-id and --confirmations say how to ask a chain: --rpc URL")

    @contextmanager
    def trusted(self) -> Iterator[AnchorTrust]:
        """What the verifier is told; raises `Malformed`, `ConfigError`."""
        blocks = frozenset((*self.blocks, *(_read_blocks(self.file) if self.file else ())))
        if self.rpc is None:
            yield AnchorTrust(blocks, expected=self.expected)
            return
        with _asking(self.rpc, self.chain_id, self.confirmations or 0) as confirms:
            yield AnchorTrust(blocks, confirms, self.expected)


def trust_options(command: F) -> F:
    """The options that become one argument, `trust`."""
    for option in (
        click.option("--anchor-contract", "expected", type=Expected(), multiple=True, metavar="CHAIN:ADDRESS[:LOGID]",
                     help="Count anchors of this contract only."),
        click.option("--confirmations", type=click.IntRange(0, 1_000_000), metavar="N",
                     help="With --rpc: blocks that must stand upon the anchor's."),
        click.option("--chain-id", type=ChainId(), metavar="N", help="With --rpc: the chain that it must be."),
        click.option("--rpc", metavar="URL", help="Ask a chain's node that you trust whether it has the blocks."),
        click.option("--blocks", type=FILE, help="Hashes of blocks that you trust, one a line."),
        click.option("--block", "hashes", type=BlockHash(), multiple=True, metavar="HASH",
                     help="A block that you trust; anchors in it bound times."),
    ):  # fmt: skip
        command = option(command)
    return command


def read_trust(options: dict[str, Any]) -> Trust:
    """The options of `trust_options` as one value; raises a usage error."""
    names = {"hashes": "--block", "expected": "--anchor-contract", "chain_id": "--chain-id"}
    given = [names.get(name, f"--{name}") for name, value in options.items() if value not in (None, ())]
    trust = Trust(
        options["hashes"],
        options["blocks"],
        options["rpc"],
        options["chain_id"],
        options["confirmations"],
        options["expected"],
        given,
    )
    trust.check()
    return trust


def _read_blocks(path: Path) -> Iterable[bytes]:
    try:
        # At line feeds alone: splitlines ends a comment at form feeds and separators, too, which no editor shows.
        lines = read_file(path, MAX_BLOCKS, "blocks").decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Malformed("blocks", f"{path}: not text") from None
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if text and not _HASH.fullmatch(text):
            raise Malformed("blocks", f"{path}, line {number}: not 0x and 64 hexadecimal digits")
        if text:
            yield bytes.fromhex(text[2:])


@contextmanager
def _asking(url: str, chain_id: int | None, confirmations: int) -> Iterator[Callable[[int, int, bytes], bool]]:
    """Whether a node's chain has a block; blocks of other chains are not asked for."""
    try:
        from twinproof.chain.rpc import RpcChain
        from twinproof.chain.rpc_client import RpcClient
    except ModuleNotFoundError as problem:
        raise ConfigError(f"--rpc needs {problem.name}: pip install 'twinproof[chain]'") from None
    client = RpcClient(url)
    chain = RpcChain(client, chain_id)

    @cache
    def newest() -> int:
        return chain.head().number

    @cache
    def hash_at(number: int) -> bytes | None:
        found = chain.block(number)
        return found.hash if found else None

    def confirms(chain_of: int, number: int, block_hash: bytes) -> bool:
        if chain_of != chain.chain_id or newest() - number < confirmations:
            return False
        return hash_at(number) == block_hash

    try:
        yield confirms
    finally:
        client.close()


# --- showing ----------------------------------------------------------------------------------


def anchor_json(anchor: VerifiedAnchor) -> dict[str, Any]:
    """One anchor as JSON; hashes and addresses as chains write them."""
    head = anchor.head
    return {
        "size": head.size,
        "root": head.root.hex(),
        "chain": head.chain_id,
        "block": head.block_number,
        "block_hash": f"0x{head.block_hash.hex()}",
        "time": head.time,
        "transaction": f"0x{head.transaction.hex()}",
        "contract": f"0x{head.contract.hex()}",
        "log_id": f"0x{head.log_id.hex()}",
        "trusted": anchor.trusted,
        "refusal": anchor.refusal,
    }


def anchor_lines(anchors: Iterable[VerifiedAnchor]) -> Iterator[str]:
    """Anchors for people: those that count, then how many others there are."""
    others: dict[int, int] = {}
    for anchor in anchors:
        head = anchor.head
        if not anchor.trusted:
            others[head.chain_id] = others.get(head.chain_id, 0) + 1
            continue
        yield f"  {count(head.size, 'entry')} by {utc(head.time)}, block {head.block_number} of chain {head.chain_id}"
        yield f"    contract 0x{head.contract.hex()}, log 0x{head.log_id.hex()}"
    for chain_id, number in others.items():
        yield f"  {number} on chain {chain_id} bound nothing: see the remarks"
