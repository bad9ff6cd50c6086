"""The demonstration's chain chapters: the log is anchored, and a forked log is not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from twinproof.cli.demo_audit import AuditChapter
from twinproof.cli.demo_forecast import Forecasts
from twinproof.cli.demo_live import Teller
from twinproof.cli.demo_node import run_command
from twinproof.cli.demo_order import OrderChapters
from twinproof.cli.demo_stage import CONTRACTS, NODE, OLD, Stage
from twinproof.cli.output import utc
from twinproof.cli.spending import need_chain_extra
from twinproof.errors import ConfigError, InternalError, Reverted
from twinproof.exchange.cmapss.layout import Snapshot


def tell_chain(story: Teller, origin: str, twin: str, history: Mapping[int, Sequence[Snapshot]]) -> None:
    """All chapters about the chain; without the extras that they take they are left out, and that is said.

    `twin` is an engine in the log `origin` already; the first of `history` joins, from the others a model learns.
    """
    try:
        need_chain_extra()
        _need_training()
    except ConfigError as missing:
        story.chapter("The log on a blockchain: left out")
        story.line(f"{missing}")
        story.line("All that the demonstration takes: pip install 'twinproof[all]'")
        story.summary["chain"] = False
        return
    with Stage(story) as stage:
        forecasts = Forecasts(stage, origin, history)
        _anchor(stage, forecasts, twin)
        _fork(stage, twin)
        order = OrderChapters(stage, forecasts)
        order.agree()
        forecasts.tell()
        order.tell()
        AuditChapter(stage, order, twin).tell()
    story.summary["chain"] = True


def _need_training() -> None:
    """Raise `ConfigError` unless a model can be trained."""
    for name in ("lightgbm", "sklearn"):
        if find_spec(name) is None:
            raise ConfigError(f"training needs {name}; install it with: pip install 'twinproof[train]'")


def _anchor(stage: Stage, forecasts: Forecasts, twin: str) -> None:
    story, folder = stage.story, stage.folder
    story.chapter("The node runs again, from the sound copy, and its log is anchored on a chain")
    shutil.copytree(folder / NODE, folder / OLD)
    stage.run("chain", "init", NODE, show=["account"])
    stage.operator("chain", "deploy", show=["CheckpointAnchor", "MaintenanceAgreement", "log id"])
    stage.operator("chain", "enable", show=["may state"])
    forecasts.enable()
    shutil.copy(folder / NODE / "chain" / CONTRACTS, folder / CONTRACTS)
    stage.open()
    stage.operator("anchor", "now", show=["anchored"])
    run_command("prove", twin, "-o", "auditor/anchored.twinproof", "--url", stage.node.url, cwd=folder)
    stage.serve_chain()
    forecasts.start()
    anchor = stage.anchors()[-1]
    block = f"0x{anchor.log.block.hex()}"
    stage.run(
        *("verify", "anchored.twinproof", "--policy", "policy.txt", "--operator", "operator.json", "--block", block),
        cwd=stage.story.folder / "auditor",
        show=["link the time marks", "bracket the times", "anchored on a chain", "VERIFIED"],
    )
    story.line(f"All of it was said by {utc(anchor.head.time)}: a block's time, which no signer chose.", passed=True)
    story.summary |= {"anchored_entries": anchor.head.size, "anchored_time": anchor.head.time}


def _fork(stage: Stage, twin: str) -> None:
    story, folder = stage.story, stage.folder
    story.chapter("The operator restores the copy from before, and writes another history under the same log id")
    old = folder / OLD
    shutil.copy(folder / NODE / "twinproof.toml", old)
    shutil.copy(folder / NODE / "keys" / "chain-account.key", old / "keys")
    (old / "chain").mkdir(mode=0o700)
    shutil.copy(folder / NODE / "chain" / CONTRACTS, old / "chain")
    # The same chain, not a copy of it.
    (old / "chain" / "chain.db").symlink_to((folder / NODE / "chain" / "chain.db").resolve())
    # One more than the real log grew by until it was anchored.
    for said in ("inspected=true", "overhauled=true", "bearing=new"):
        stage.run("tell", "describe", twin, "--set", said, "--folder", OLD, show=["is described"])
    stage.run("anchor", "now", "--folder", OLD, expect=1, show=["another head"])
    story.line("So says this program. Somebody patches it out, and sends the fork to the contract all the same:")
    refusal = _send_fork(stage, old)
    story.line(f"refused by the contract: {refusal}", passed=True)
    story.line("The new head does not continue the anchored one, and the contract recomputes both.")
    story.summary |= {"fork_refused": refusal}


def _send_fork(stage: Stage, old: Path) -> str:
    """What the contract says to a head of the fork, with the best proof that the fork can give."""
    from twinproof.chain.anchors import CheckpointAnchor
    from twinproof.node.chain_setup import read_contracts
    from twinproof.node.node import read_node

    contracts, newest = read_contracts(old), stage.anchors()[-1].head
    with stage.chain() as chain, read_node(old) as fork:
        anchors = CheckpointAnchor(chain, contracts.addresses["CheckpointAnchor"])
        size = fork.reader.head().size
        if size <= newest.size:
            raise InternalError(f"the fork has {size} entries, {newest.size} are anchored")
        proof = fork.reader.consistency(newest.size, size)
        data = anchors.plan(contracts.log_id, newest, size, fork.reader.root(size), proof)
        try:
            chain.call(anchors.address, data, sender=anchors.owner(contracts.log_id))
        except Reverted as refusal:
            return anchors.contract.error(refusal.data)
    raise InternalError("the contract took the fork")
