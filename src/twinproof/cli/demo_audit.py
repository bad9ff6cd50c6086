"""The demonstration's end: the auditor's whole check, and five lies that are each found and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from twinproof.cli.demo_guide import TOLD, write_guide
from twinproof.cli.demo_node import run_command
from twinproof.cli.demo_order import OrderChapters
from twinproof.cli.demo_stage import NODE, OLD, Stage
from twinproof.errors import InternalError
from twinproof.node import keyring
from twinproof.node.cards import parse_card
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import parse_note
from twinproof.twin.columns import COLUMNS
from twinproof.twin.evidence import Bundle, format_bundle, parse_bundle
from twinproof.twin.grants import Capability
from twinproof.twin.prediction import PREDICTION, format_prediction, parse_prediction
from twinproof.twin.statement import parse_statement

FORGER: Final = "https://fleet.example/forger"
STORY: Final = "story.twinproof"
_IN_FILES: Final = (
    "altered reading", "deleted statement", "forecast that does not replay", "forked log", "counterfeit part",
)  # fmt: skip
"""The lies of the guide, in the order of `TOLD`."""
_FAILED: Final = ("✗", "entry", "root", "NOT VERIFIED")


class AuditChapter:
    """With the bundle, the policy and the hash of one block that is trusted."""

    def __init__(self, stage: Stage, order: OrderChapters, first: str) -> None:
        self.stage = stage
        self.order = order
        self.first = first
        """The engine of the forked history."""
        self.auditor = stage.folder / "auditor"
        self.block = ""
        self.caught: dict[str, str] = {}

    def tell(self) -> None:
        """Both chapters."""
        self._verify()
        self.stage.story.chapter("Five lies, each caught and named")
        bundle = parse_bundle((self.auditor / STORY).read_bytes())
        self._altered(bundle)
        self._deleted(bundle)
        self._forged()
        self._forked(bundle)
        self._counterfeit()
        self.stage.story.summary["lies"] = self.caught
        self._guide()

    def _guide(self) -> None:
        kid = parse_card((self.auditor / "operator.json").read_text()).key.thumbprint.hex()
        names = dict(zip((*TOLD, "counterfeit"), _IN_FILES, strict=True))
        write_guide(
            self.stage.folder / NODE,
            self.auditor,
            twin=self.order.twin,
            operator=kid,
            block=self.block,
            caught={name: self.caught[lie] for name, lie in names.items()},
            fake=self.order.fake,
        )
        self.stage.story.line("Check each of them in your own browser: the console's guide has the files.")

    def _verify(self) -> None:
        stage, story = self.stage, self.stage.story
        story.chapter("The auditor has the bundle, the policy and one block's hash, and checks the whole story")
        stage.operator("anchor", "now", show=["anchored"])
        self.block = f"0x{stage.anchors()[-1].log.block.hex()}"
        self._prove(STORY)
        told = self._run(STORY, show=["✓", "×", "anchored on", "VERIFIED"])
        if "VERIFIED: " not in told or "every bit the same" not in told:
            raise InternalError(f"the story was not verified as it should be: {told}")
        story.summary |= {"block": self.block, "story_bytes": (self.auditor / STORY).stat().st_size}

    def _prove(self, name: str) -> None:
        where = ("--with-models", "--folder", NODE, "-o", f"auditor/{name}")
        run_command("prove", self.order.twin, *where, cwd=self.stage.folder)

    def _run(self, name: str, *, expect: int = 0, show: Sequence[str] = _FAILED) -> str:
        words = ("verify", name, "--policy", "policy.txt", "--operator", "operator.json", "--block", self.block)
        return self.stage.run(*words, "--replay", cwd=self.auditor, expect=expect, show=show)

    # --- the lies -------------------------------------------------------------------------------

    def _lie(self, number: int, title: str) -> None:
        self.stage.story.line(f"{number}  {title}")

    def _catch(self, lie: str, output: str, proof: str) -> None:
        if proof not in output:
            raise InternalError(f"the lie about {lie} was not named by {proof!r}: {output}")
        self.stage.story.line(f"caught: {proof}", passed=True)
        self.caught[lie] = proof

    def _altered(self, bundle: Bundle) -> None:
        self._lie(1, "An altered reading: one bit of one flight, in the file")
        flights = self._flights(bundle)
        index, raw = flights[len(flights) // 2]
        at = raw.index(parse_statement(raw).payload) + 60
        entries = tuple((i, r if i != index else r[:at] + bytes((r[at] ^ 1,)) + r[at + 1 :]) for i, r in bundle.entries)
        self._write("altered.twinproof", replace(bundle, entries=entries))
        self._catch("altered reading", self._run("altered.twinproof", expect=1), f"entry {index}")

    def _deleted(self, bundle: Bundle) -> None:
        self._lie(2, "A deleted statement: the file leaves out one flight, with a proof and a list made to fit")
        from twinproof.node.node import read_node

        flights = self._flights(bundle)
        index, raw = flights[len(flights) // 3]
        kept = tuple(entry for entry in bundle.entries if entry[0] != index)
        size = parse_checkpoint(parse_note(bundle.head).text).size
        with read_node(self.stage.folder / NODE) as node:
            nodes = node.reader.many([entry for entry, _ in kept], size)
        manifest = replace(bundle.manifest, statements=bundle.manifest.statements - 1)
        self._write("deleted.twinproof", replace(bundle, entries=kept, nodes=tuple(nodes), manifest=manifest))
        told = self._run("deleted.twinproof", expect=1, show=["✗", "seq", "stream", "NOT VERIFIED"])
        self._catch("deleted statement", told, f"the next one is {parse_statement(raw).seq}")

    def _forged(self) -> None:
        stage, story = self.stage, self.stage.story
        self._lie(3, "A forged forecast: the same numbers, by another key that the operator lets predict")
        forger = stage.party("forger", FORGER)
        stage.grant(forger, Capability.PREDICT, self.order.twin)
        raw = stage.log.entry(self.order.predicted)
        forged = stage.state(forger, self.order.twin, PREDICTION, parse_statement(raw).payload)
        said = parse_prediction(parse_statement(raw).payload)
        own = keyring.read_private_key(stage.folder / NODE / "keys" / "forecast.pem")
        false = replace(said, lower=100.0, point=110.0, upper=120.0)
        bent = stage.state_as(own, parse_statement(raw).issuer, self.order.twin, PREDICTION, format_prediction(false))
        stage.operator("anchor", "now", show=["anchored"])
        told = stage.operator("agreement", "order", "1", str(forged), expect=1, show=["refuses"])
        self._catch("forged forecast", told, "BadSignature")
        story.line(f"   And numbers that hide the wear, by the right key (entry {bent}):")
        self._prove("bent.twinproof")
        told = self._run("bent.twinproof", expect=1)
        self._catch("forecast that does not replay", told, f"entry {bent}")

    def _forked(self, bundle: Bundle) -> None:
        self._lie(4, "A forked log: the other history of before, with the real chain's anchor and a proof made to fit")
        from twinproof.node.node import read_node

        folder = self.stage.folder
        run_command("prove", self.first, "--folder", OLD, "-o", "auditor/fork.twinproof", cwd=folder)
        fork, anchored = parse_bundle((self.auditor / "fork.twinproof").read_bytes()), self.stage.anchors()[0].head.size
        with read_node(folder / OLD) as node:
            proof = node.reader.consistency(anchored, parse_checkpoint(parse_note(fork.head).text).size)
        self._write("fork.twinproof", replace(fork, anchors=(replace(bundle.anchors[0], proof=tuple(proof)),)))
        told = self._run("fork.twinproof", expect=1, show=["✗", "anchor", "NOT"])
        self._catch("forked log", told, "does not contain the old root")

    def _counterfeit(self) -> None:
        self._lie(5, "A counterfeit part: the supplier says that it is as good as any, and shows its token")
        told = self.stage.operator("part", "show", self.order.fake, expect=2, show=["error"])
        self._catch("counterfeit part", told, "no part has the token")

    def _flights(self, bundle: Bundle) -> list[tuple[int, bytes]]:
        return [(i, raw) for i, raw in bundle.entries if parse_statement(raw).content_type == COLUMNS]

    def _write(self, name: str, bundle: Bundle) -> None:
        (self.auditor / name).write_bytes(format_bundle(bundle))
