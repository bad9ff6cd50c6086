"""What every command on a chain does the same way: find the chain, sign, say what it costs, ask, send, wait, report.

--folder NODE [--account FILE]                                    a node's chain; by default its own account
--url URL --chain-id N --contracts FILE --account FILE             a party that has no node

On a network a command says what it would do and cost, and asks; `--yes` goes without. The embedded chain's money is
worth nothing, so there nobody is asked. A command that was interrupted and is given again goes on with the transaction
that it had signed, unless that was settled meanwhile, by a served node for example.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from twinproof.cli.chain_values import address_name, coins, hex_of
from twinproof.cli.options import FILE, FOLDER
from twinproof.cli.passwords import ask_password
from twinproof.cli.receipts import Done
from twinproof.cli.refusal_hints import with_hint
from twinproof.errors import ConfigError, NotFound, OutOfFunds, Reverted

if TYPE_CHECKING:
    from twinproof.chain.accounts import Account
    from twinproof.chain.model import Chain
    from twinproof.chain.outbox import Entry, TransactionOutbox
    from twinproof.chain.sender import Sender
    from twinproof.node.chain_setup import Contracts
    from twinproof.node.config import ChainSettings

F = TypeVar("F", bound=Callable[..., Any])

WAIT: Final = 600.0
"""Seconds until a transaction must be confirmed; what is not stays in the outbox."""


# --- options --------------------------------------------------------------------------------------


def chain_options(command: F) -> F:
    """Where the chain is. They become one keyword argument each, for `open_desk`."""
    for option in (
        click.option("--confirmations", type=click.IntRange(0, 10_000), metavar="N",
                     help="With --url: blocks to wait for, by default 2; 0 if blocks are made on demand."),
        click.option("--contracts", type=FILE, metavar="FILE", help="With --url: a node's chain/contracts.json."),
        click.option("--chain-id", type=click.IntRange(1, (1 << 63) - 1), metavar="N", help="With --url: the chain's."),
        click.option("--url", metavar="URL", help="A network's JSON-RPC, for who has no node."),
        click.option("--folder", type=FOLDER, metavar="NODE", help="A node's folder, and the chain that it is set to."),
    ):  # fmt: skip
        command = option(command)
    return command


def spender_options(command: F) -> F:
    """Where the chain is, and who signs."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask before spending on a network."),
        click.option("--password-file", type=FILE, metavar="FILE", help="Holds the account's password."),
        click.option("--account", type=FILE, metavar="FILE", help="The keystore to sign with; by default the node's."),
    ):
        command = option(command)
    return chain_options(command)


class ChainGroup(click.Group):
    """A group of commands that need the EVM libraries, and say so where these are not installed."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run; raises `ConfigError` naming what is missing."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as problem:
            raise _missing(problem) from None


def _missing(problem: ModuleNotFoundError) -> ConfigError:
    return ConfigError(f"the chain needs {problem.name}; install it with: pip install 'twinproof[chain]'")


def need_chain_extra() -> None:
    """Raise `ConfigError` unless the EVM libraries are there."""
    try:
        import_module("twinproof.chain.accounts")
    except ModuleNotFoundError as problem:
        raise _missing(problem) from None
    # Looked for only: who has an embedded chain does not load it.
    if find_spec("httpx") is None:
        raise _missing(ModuleNotFoundError("httpx", name="httpx"))


# --- the desk -------------------------------------------------------------------------------------


@dataclass
class Desk:
    """An open chain, its contracts, and who signs."""

    chain: Chain
    settings: ChainSettings
    folder: Path | None
    contracts_file: Path | None
    account_file: Path | None
    password_file: Path | None
    yes: bool
    stack: ExitStack = field(repr=False)

    @property
    def real(self) -> bool:
        """Whether the money may be worth something."""
        return self.settings.driver == "rpc"

    @cached_property
    def contracts(self) -> Contracts:
        """Where the contracts are; raises `ConfigError`."""
        from twinproof.node.chain_setup import read_contracts, read_contracts_at

        if self.folder is not None:
            found = read_contracts(self.folder)
        elif self.contracts_file is not None:
            found = read_contracts_at(self.contracts_file)
        else:
            raise click.UsageError("--url needs --contracts FILE, too: a node's chain/contracts.json")
        if found.chain_id != self.chain.chain_id:
            raise ConfigError(f"the contracts are on chain {found.chain_id}, this is chain {self.chain.chain_id}")
        return found

    @cached_property
    def account(self) -> Account:
        """Who signs; raises `ConfigError`, `WrongPassword`."""
        from twinproof.chain.keystore import read_keystore
        from twinproof.node.chain_setup import open_account

        path = self.account_file
        if path is None and self.folder is not None:
            path = self.folder / self.settings.keystore
            if not path.exists() and not self.real:
                return open_account(self.folder, self.settings)
            if not path.exists():
                raise ConfigError(f"there is no keystore at {path}; make one with: twinproof chain account new {path}")
        if path is None:
            raise click.UsageError("say who signs with --account FILE; make one with: twinproof chain account new FILE")
        return read_keystore(path, ask_password(path, self._password_file))

    @property
    def _password_file(self) -> Path | None:
        if self.password_file is None and self.account_file is None and self.folder and self.settings.password_file:
            return self.folder / self.settings.password_file
        return self.password_file

    @cached_property
    def outbox(self) -> TransactionOutbox:
        """The node's, or one beside the account's file, of this chain."""
        from twinproof.chain.outbox import TransactionOutbox
        from twinproof.node.chain_setup import OUTBOX, chain_folder

        if self.folder is not None:
            path = chain_folder(self.folder) / OUTBOX
        else:
            file = self.account_file or Path("account.json")
            path = file.with_name(f"{file.stem}-{self.chain.chain_id}.outbox")
        outbox = TransactionOutbox(path)
        self.stack.callback(outbox.close)
        return outbox

    @cached_property
    def sender(self) -> Sender:
        """Sends for the account; raises as `account`."""
        from twinproof.chain.sender import Sender, SenderSettings
        from twinproof.node.chain_setup import GWEI, confirmations

        limits = SenderSettings(self.settings.max_fee * GWEI, confirmations=confirmations(self.settings) + 1)
        return Sender(self.chain, self.account, self.outbox, limits)

    # --- spending ---

    def confirm(self, what: str, gas: int, fee: int, most: int, value: int = 0) -> None:
        """Say what would be done and cost, and ask on a network. Raises a usage error or `click.Abort`."""
        if not self.real or self.yes:
            return
        if not is_terminal():
            pays = f", and pays {coins(value)}" if value else ""
            raise click.UsageError(
                f"This spends money on chain {self.chain.chain_id}: {coins(fee)} for {gas:,} gas at the fee of now, at "
                f"most {coins(most)}{pays}. Say --yes, or answer on a terminal."
            )
        rows = {
            "chain": self.chain.chain_id,
            "signed by": address_name(self.sender.address),
            "gas": f"{gas:,}, for {coins(fee)} at the fee of now, at most {coins(most)}",
        }
        if value:
            rows["pays"] = coins(value)
        click.echo(
            "\n".join([f"Once done: {what}", *(f"  {name:<11} {told}" for name, told in rows.items())]), err=True
        )
        click.confirm("Go on?", abort=True, err=True)

    def spend(self, what: str, to: bytes, data: bytes, value: int = 0) -> Done:
        """Estimate, ask, send and wait until it is confirmed.

        Raises `Reverted` with what helps, a usage error without a terminal, `click.Abort`, and as `Sender`.
        """
        try:
            waiting = self._waiting(to, data, value)
            if waiting is None:
                estimate = self.sender.estimate(to, data, value)
                self.confirm(what, estimate.gas, estimate.likely, estimate.most, value)
                waiting = f"command {secrets.token_hex(16)}"
            entry = self.sender.submit(waiting, to, data, value)
            if self.real and entry.live and is_terminal():
                sent = hex_of(self.outbox.attempts(entry)[-1].hash)
                click.echo(f"Sent as {sent}; waiting until it counts (Ctrl-C leaves it on its way)", err=True)
            return self.done(what, self.sender.wait(waiting, WAIT))
        except Reverted as refusal:
            raise with_hint(refusal) from None
        except OutOfFunds as problem:
            address = address_name(self.sender.address)
            raise OutOfFunds(f"{problem}; give {address} some coin (twinproof chain transfer)") from None

    def _waiting(self, to: bytes, data: bytes, value: int) -> str | None:
        """The purpose of the same transaction that an interrupted command left."""
        for entry in self.sender.live():
            if (entry.to, entry.data, entry.value) == (to, data, value) and entry.purpose.startswith("command "):
                return entry.purpose
        return None

    def done(self, what: str, entry: Entry) -> Done:
        """What became of a confirmed transaction; raises `NotFound` if the chain lost it again."""
        receipt = None if entry.transaction is None else self.chain.receipt(entry.transaction)
        if receipt is None:
            raise NotFound(f"the chain has no receipt of the transaction for {entry.purpose!r}; was it reorganised?")
        return Done(what, receipt)


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


# --- opening --------------------------------------------------------------------------------------


@contextmanager
def open_desk(
    *,
    folder: Path | None,
    url: str | None,
    chain_id: int | None,
    contracts: Path | None,
    confirmations: int | None = None,
    account: Path | None = None,
    password_file: Path | None = None,
    yes: bool = False,
) -> Iterator[Desk]:
    """Open the chain that the options name; raises a usage error, `ConfigError`, and what the driver raises."""
    if (folder is None) == (url is None):
        raise click.UsageError("Give the chain either as --folder NODE or as --url URL.")
    if url is None and (chain_id, contracts, confirmations) != (None, None, None):
        raise click.UsageError(
            "--chain-id, --contracts and --confirmations belong to --url: a node's folder knows them."
        )
    if url is not None and chain_id is None:
        raise click.UsageError("--url needs --chain-id N, too: a node of another chain is refused.")
    need_chain_extra()
    from twinproof.node.chain_setup import open_chain
    from twinproof.node.config import ChainSettings, load_config

    if folder is not None:
        settings = load_config(folder).chain
        if not settings.driver:
            raise ConfigError(f"{folder} has no chain; set one up with: twinproof chain init {folder}")
    else:
        settings = ChainSettings("rpc", url or "", chain_id or 0)
        if confirmations is not None:
            settings = replace(settings, confirmations=confirmations)
    with ExitStack() as stack:
        chain = stack.enter_context(open_chain(folder or Path(), settings))
        yield Desk(chain, settings, folder, contracts, account, password_file, yes, stack)
