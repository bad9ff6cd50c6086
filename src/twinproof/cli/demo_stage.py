"""What the demonstration's chain chapters share: the parties, their keys and accounts, and commands in their names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from twinproof.cli.demo_live import OPERATOR_KEY, Teller
from twinproof.cli.demo_node import Child, NodeProcess, run_command, run_process
from twinproof.cli.remote import RemoteLog
from twinproof.cli.target import read_authority, say
from twinproof.edge.sinks import HttpSink
from twinproof.errors import InternalError
from twinproof.node import keyring
from twinproof.node.cards import SignerCard
from twinproof.proof.keys import EDDSA, ES256, PrivateKey
from twinproof.twin.grants import GRANT, Capability, GrantTerms, Scope, format_grant, log_subject

if TYPE_CHECKING:
    from twinproof.chain.anchors import Anchored
    from twinproof.chain.rpc import RpcChain

NODE: Final = "sound"
"""The node of these chapters: the copy from before its database was altered."""
PART: Final = "https://fleet.example/part/HPT-7-SN4711"
OLD: Final = "old"
"""A copy of it from before the log was anchored: what becomes of a fork."""
CONTRACTS: Final = "contracts.json"
"""Where the contracts are: for everybody to know."""
PASSWORD: Final = "password.txt"  # noqa: S105 - a file's name
OPERATOR_PEM: Final = f"{NODE}/{OPERATOR_KEY[1].partition('/')[2]}"

_LONG = re.compile(r"\b(0x)?([0-9a-fA-F]{6})[0-9a-fA-F]{26,}\b")


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody with a key of its own: NAME.pem and NAME.json in the folder."""

    name: str
    issuer: str
    key: PrivateKey


class Stage:
    """The story's folder with a node that has a chain; a context manager that leaves no process behind."""

    def __init__(self, story: Teller) -> None:
        self.story = story
        self.folder = story.folder
        # Under the same address: a console that is open goes on.
        self.node = NodeProcess(story.folder / NODE, story.port)
        self.chain_url = ""
        self.stack = ExitStack()

    def __enter__(self) -> Stage:
        self.stack.callback(self.node.stop)
        return self

    def __exit__(self, *ended: object) -> None:
        self.stack.close()

    def open(self) -> None:
        """Start the node, and serve its chain to parties who have no folder."""
        self.node.start()
        # On another core meanwhile: the chapter goes on.
        self._server = Child("chain", "serve", "--folder", NODE, "--port", "0", "--json", cwd=self.folder)
        self.stack.callback(self._server.stop)
        self.sink = self.stack.enter_context(closing(HttpSink(self.node.url)))
        self.log = self.stack.enter_context(closing(RemoteLog(self.node.url)))

    def serve_chain(self) -> None:
        """Wait until the chain is served."""
        served = json.loads(self._server.wait_for("listening"))
        self.chain_url, self.chain_id = served["listening"], served["chain_id"]

    # --- keys and statements ---

    def party(self, name: str, issuer: str, *, es256: bool = True) -> Party:
        """Make a key; contracts check ES256."""
        key = keyring.new_private_key(ES256 if es256 else EDDSA)
        keyring.write_secret(self.folder / f"{name}.pem", key.to_pem())
        (self.folder / f"{name}.json").write_text(SignerCard(issuer, key.public).to_json())
        return Party(name, issuer, key)

    def grant(self, party: Party, can: Capability, twin: str) -> int:
        """The operator's grant; its log index."""
        operator = keyring.read_private_key(self.folder / OPERATOR_PEM)
        terms = GrantTerms(party.issuer, party.key.public, frozenset({can}), Scope("twin", twin))
        root = read_authority(self.log).root.terms.issuer
        return say(self.sink, operator, root, log_subject(self.log.origin), GRANT, format_grant(terms))[0]

    def account(self, name: str) -> str:
        """Make an account with an encrypted key, NAME.json; its address."""
        from twinproof.chain.accounts import Account
        from twinproof.chain.hexadecimal import format_address
        from twinproof.chain.keystore import LIGHT_SCRYPT_N, write_keystore

        made = Account.generate()
        password = keyring.read_secret(self.folder / PASSWORD).decode().strip()
        write_keystore(self.folder / f"{name}.json", made, password, n=LIGHT_SCRYPT_N)
        return format_address(made.address)

    def state(self, party: Party, subject: str, content_type: str, payload: bytes) -> int:
        """One statement over HTTP; its log index."""
        return self.state_as(party.key, party.issuer, subject, content_type, payload)

    def state_as(self, key: PrivateKey, issuer: str, subject: str, content_type: str, payload: bytes) -> int:
        """The same with any key."""
        return say(self.sink, key, issuer, subject, content_type, payload)[0]

    # --- commands ---

    def operator(self, *words: str, expect: int = 0, show: Sequence[str] = ()) -> str:
        """A command on the node's folder."""
        return self.run(*words, "--folder", NODE, expect=expect, show=show)

    def over_rpc(self, account: str, *words: str, expect: int = 0, show: Sequence[str] = ()) -> str:
        """A command of somebody who has a keystore and the chain's JSON-RPC, no more; the options are not shown."""
        where = ("--url", self.chain_url, "--chain-id", str(self.chain_id), "--contracts", CONTRACTS)
        who = ("--account", f"{account}.json", "--password-file", PASSWORD, "--confirmations", "0", "--yes")
        said = (*words, "--account", f"{account}.json", "…")
        return self.run(*words, *where, *who, expect=expect, show=show, said=said)

    def url(self, *words: str, expect: int = 0, show: Sequence[str] = ()) -> str:
        """A command on the running node, over HTTP."""
        return self.run(*words, "--url", self.node.url, expect=expect, show=show)

    def run(
        self, *words: str, expect: int = 0, show: Sequence[str] = (), said: Sequence[str] = (), cwd: Path | None = None
    ) -> str:
        """Run a command as its own process, show it (as `said`) and lines of its output that hold one of `show`.

        Its output; for a refusal, what it says on standard error too. Raises `InternalError` for another exit code.
        """
        self.story.line(click.style(f"$ twinproof {shorten(' '.join(said or words))}", fg="cyan"))
        done = run_process(*words, cwd=cwd or self.folder, expect=expect)
        output = done.stdout + (done.stderr if expect else "")
        for line in output.splitlines():
            if line.strip() and any(text in line for text in show):
                self.story.line(f"  {shorten(line.rstrip())}")
        return output

    def ask(self, *words: str) -> Any:
        """A command's JSON, not shown."""
        return json.loads(run_command(*words, "--json", cwd=self.folder))

    @contextmanager
    def chain(self) -> Iterator[RpcChain]:
        """The served chain, as anybody sees it."""
        from twinproof.chain.rpc import RpcChain
        from twinproof.chain.rpc_client import RpcClient

        with closing(RpcChain(RpcClient(self.chain_url), self.chain_id)) as chain:
            yield chain

    def anchors_owner(self) -> str:
        """The account of the operator, who owns the log at the contract."""
        from twinproof.chain.hexadecimal import format_address

        with self.chain() as chain:
            receipt = chain.receipt(self.anchors()[-1].log.transaction)
        if receipt is None:
            raise InternalError("the chain has no receipt of the newest anchor")
        return format_address(receipt.sender)

    def anchors(self) -> list[Anchored]:
        """The log's anchors on the chain, the newest last."""
        from twinproof.chain.anchors import CheckpointAnchor
        from twinproof.node.chain_setup import read_contracts_at

        contracts = read_contracts_at(self.folder / CONTRACTS)
        with self.chain() as chain:
            found = CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"])
            return found.events(contracts.log_id, contracts.first_block, chain.head().number)


def shorten(text: str) -> str:
    """Long hashes by their first digits."""
    return _LONG.sub(lambda found: f"{found[1] or ''}{found[2]}…", text)
