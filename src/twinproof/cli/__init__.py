"""The command line: `twinproof COMMAND`, one module per group of commands, loaded when it is called."""

from __future__ import annotations

import click

from twinproof import __version__
from twinproof.cli.root import Root

SECTIONS = {
    "Evidence (needs nothing but a file and a policy)": {
        "verify": "twinproof.cli.verify:verify",
        "prove": "twinproof.cli.prove:prove",
    },
    "Twins": {
        "record": "twinproof.cli.record:record",
        "import": "twinproof.cli.importing:importing",
        "bridge": "twinproof.cli.bridge:bridge",
        "twin": "twinproof.cli.twin:twin",
        "graph": "twinproof.cli.graph:graph",
        "watch": "twinproof.cli.watch:watch",
        "tell": "twinproof.cli.tell:tell",
        "model": "twinproof.cli.model:model",
        "alarm": "twinproof.cli.alarm:alarm",
        "monitor": "twinproof.cli.monitor:monitor",
        "train": "twinproof.cli.training:train",
        "predictor": "twinproof.cli.predictor:predictor",
        "scenario": "twinproof.cli.scenario:scenario",
    },
    "Signers": {
        "key": "twinproof.cli.key:key",
        "grant": "twinproof.cli.grant:grant",
        "revoke": "twinproof.cli.grant:revoke",
        "grants": "twinproof.cli.grant:grants",
    },
    "Node": {
        "init": "twinproof.cli.init:init",
        "serve": "twinproof.cli.serve:serve",
        "console": "twinproof.cli.console:console",
        "log": "twinproof.cli.log:log",
        "token": "twinproof.cli.token:token",
        "fsck": "twinproof.cli.fsck:fsck",
        "rebuild": "twinproof.cli.rebuild:rebuild",
    },
    "Chain": {
        "chain": "twinproof.cli.chain:chain",
        "anchor": "twinproof.cli.anchor:anchor",
        "part": "twinproof.cli.part:part",
        "agreement": "twinproof.cli.agreement:agreement",
        "policy": "twinproof.cli.policy:policy",
        "attest": "twinproof.cli.attest:attest",
    },
    "First steps": {
        "demo": "twinproof.cli.demo:demo",
    },
}
"""Heading in the help -> command -> where it lies."""


@click.group(
    name="twinproof",
    cls=Root,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="twinproof")
def main() -> None:
    """Digital twins you can prove.

    An asset's whole life is kept as signed statements in one transparency log; anybody can check what they are shown,
    offline, with one file.

    \b
    Examples:
      twinproof demo
      twinproof init ./node --origin twin.example/log0 --operator https://twin.example/operator
      twinproof verify engine.twinproof --policy policy.txt

    Exit codes: 0 done, 1 refused or not verified, 2 wrong usage or unreadable input, 3 out of reach, busy
    or disk trouble.
    """
